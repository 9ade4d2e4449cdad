//! The time without a leader: from the kill of the one that leads to the first write that a survivor acknowledges.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;

use super::group::{Group, Kind};
use super::writes::Writes;
use crate::load;

/// Each survivor is asked for another write so often, however long the earlier ones wait.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long there may be no leader.
const LEADER_WITHIN: Duration = Duration::from_secs(60);

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Silence {
    pub(super) group: Kind,
    pub(super) round: u32,
    pub(super) seconds: f64,
}

/// Kills the one that leads; the group is whole again afterwards.
pub(super) async fn measure(group: &mut Group, round: u32) -> anyhow::Result<Silence> {
    let (leader, _) = group.leader().await?;
    let (writes, survivors) = (group.writes.clone(), group.all_but(leader));
    let killed = group.kill(leader)?;
    let acknowledged = tokio::task::spawn_blocking(move || first_acknowledged(&writes, &survivors)).await??;
    group.revive(leader)?;
    group.wait_until_whole().await?;
    let seconds = acknowledged.saturating_duration_since(killed).as_secs_f64();
    Ok(Silence { group: group.kind, round, seconds })
}

/// When the first of all attempts is acknowledged. Blocks.
fn first_acknowledged(writes: &Writes, survivors: &[SocketAddr]) -> io::Result<Instant> {
    load::alone(async {
        let (tell, mut told) = mpsc::unbounded_channel();
        let attempts = async {
            for number in 0.. {
                for &address in survivors {
                    let (attempt, tell) = (writes.clone().attempt(address, number), tell.clone());
                    tokio::task::spawn_local(async move {
                        if attempt.await.is_ok() {
                            // Only the first one is heard.
                            let _ = tell.send(Instant::now());
                        }
                    });
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        tokio::select! {
            Some(first) = told.recv() => Ok(first),
            () = attempts => Err(io::Error::other("no more attempts")),
            () = tokio::time::sleep(LEADER_WITHIN) => Err(io::Error::other("no survivor takes writes")),
        }
    })
}
