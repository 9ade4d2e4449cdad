//! Why a coordinator does not start, or has stopped: one clear sentence each, with a way out.

use crate::store::StoreError;
use microtome_proto::CoordinatorId;
use microtome_server::ListenError;

/// A coordinator does not start, or has stopped.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// Its configuration cannot work.
    #[error("the configuration cannot work: {0}")]
    Config(String),
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It would serve everybody.
    #[error("{0}")]
    Open(String),
    /// Its data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Neither state nor snapshot and log tell all that was acknowledged.
    #[error(
        "the state cannot be rebuilt from snapshot and log ({0}): restore the data folder from a copy, or replace this \
         coordinator by one with a new id and an empty folder; the others hold the data"
    )]
    Unrecoverable(String),
    /// The group knows this coordinator, but its folder is empty.
    #[error(
        "the data folder is empty, but the other coordinators have already worked with coordinator {0}: put its folder back, \
         or give this coordinator a number that was never used"
    )]
    LostFolder(CoordinatorId),
    /// A newer version has run here.
    #[error("the cluster works by protocol {cluster}, and this program speaks {own}: start the newer version again")]
    TooOld {
        /// By which the cluster works.
        cluster: u32,
        /// What this program speaks.
        own: u32,
    },
    /// Raft has stopped by itself.
    #[error("the coordinator had to stop: {0}. Start it again; it goes on with what it had acknowledged")]
    Stopped(String),
}
