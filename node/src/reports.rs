//! What became of a replica, told to the coordinator until it has heard.

use crate::Node;
use microtome_proto::{Code, MaterialId, internal::ReplicaReport};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::JoinHandle;

/// Pause between two tries; the client itself has tried for a while before.
const PAUSE: Duration = Duration::from_secs(1);

impl Node {
    /// Tells what became of a replica. The task ends when the coordinator has heard it, has refused it or the node
    /// stops: what was not heard then is told by the inventory after the next start.
    pub(crate) fn report(self: &Arc<Self>, material: MaterialId, report: ReplicaReport) -> JoinHandle<()> {
        let node = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = node.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = tell(&node, &material, &report) => {}
            }
        })
    }
}

/// Whether a refusal stays one. What hangs on the clock, on the secret or on how much there is to do may pass.
pub(crate) fn is_final(code: Code) -> bool {
    (400..500).contains(&code.status()) && !matches!(code.status(), 401 | 403 | 423 | 429)
}

async fn tell(node: &Node, material: &MaterialId, report: &ReplicaReport) {
    loop {
        // A node that was never registered has nothing to report but what its first inventory tells.
        let Some(id) = node.id() else { return };
        match node.cluster.replica_report(&id, material, report).await {
            Ok(()) => return,
            Err(error) if error.code().is_some_and(is_final) => {
                // It is out of date. Where the books do not know of the copy any more no order will name it: both sides
                // settle the difference.
                tracing::info!(%material, ?report, %error, "a report was refused");
                if matches!(report, ReplicaReport::Verified { .. }) {
                    node.differs.store(true, Ordering::Relaxed);
                }
                return;
            }
            Err(error) => tracing::debug!(%material, %error, "a report was not heard yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
