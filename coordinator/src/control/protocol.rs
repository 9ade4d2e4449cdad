//! While a cluster is upgraded: the leader looks whether all coordinators speak its protocol by now.

use crate::raft::Group;
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often they are asked while they do not.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Raises the protocol when all speak it, until `stop`.
pub(crate) async fn raise(group: Arc<Group>, stop: CancellationToken) {
    let mut tick = interval(ASK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if group.leads_in_term().is_some() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = group.raise_protocol() => {}
            }
        }
    }
}
