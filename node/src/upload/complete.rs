//! The last step of an upload: the whole file becomes a copy, or is refused.

use super::state::{State, Upload};
use crate::{
    Node,
    blobs::{self, tree},
    disk,
    reports::Heard,
    tasks::blocking,
};
use microtome_proto::{Code, Problem, internal::ReplicaReport};
use std::{io, sync::Arc, time::Duration};

/// How long the sender waits for the coordinator to hear of the copy. It is durable before, and the report goes on.
const REPORT_WITHIN: Duration = Duration::from_secs(5);

/// What the whole file turned out to be.
enum Whole {
    Copy {
        blake3: String,
    },
    /// Its hash is not the announced one.
    Other {
        blake3: String,
    },
}

impl Upload {
    /// Makes the whole, durable file a copy and reports it.
    pub(super) async fn complete(self: &Arc<Self>, node: &Arc<Node>, state: &mut State) -> Result<(), Problem> {
        let (upload, owner) = (Arc::clone(self), Arc::clone(node));
        let State::Open(mut writer) = std::mem::replace(state, State::Unopened) else { return Ok(()) };
        let whole = blocking(move || {
            writer.checkpoint(true).commit()?;
            let spine = writer.finish().ok_or_else(|| io::Error::other("the hash tree is not whole"))?;
            let blake3 = blobs::format_hash(&tree::root(&spine));
            if upload.expected().blake3.as_ref().is_some_and(|announced| !announced.eq_ignore_ascii_case(&blake3)) {
                return Ok(Whole::Other { blake3 });
            }
            upload.incoming.publish(&owner.blobs, &spine)?;
            Ok(Whole::Copy { blake3 })
        });
        let expected = self.expected();
        let (id, generation, size) = (expected.material.clone(), expected.generation, self.size());
        match whole.await.map_err(|error| disk::problem(&error))? {
            Whole::Copy { blake3 } => {
                *state = State::Ended;
                self.leave(node);
                tracing::info!(material = %id, size, %blake3, "an upload is whole and durable");
                let told = node.report(id, ReplicaReport::Verified { generation, size, blake3 });
                match tokio::time::timeout(REPORT_WITHIN, told).await {
                    Ok(Ok(Heard::Refused(code @ (Code::PreconditionFailed | Code::QuotaExceeded)))) => {
                        let what = match code {
                            Code::QuotaExceeded => "it is too much for the quota of its space",
                            _ => "something else stands under its key than was to be overwritten",
                        };
                        Err(Problem::new(code, format!("{} has arrived, and is deleted: {what}", expected.material)))
                    }
                    Ok(Ok(Heard::Refused(why))) => {
                        let detail = format!("the cluster does not count the copy of {}: {why}", expected.material);
                        Err(Problem::new(Code::Gone, detail))
                    }
                    _ => Ok(()),
                }
            }
            Whole::Other { blake3 } => {
                let announced = expected.blake3.clone().unwrap_or_default();
                let reason =
                    format!("the bytes that arrived have the BLAKE3 hash {blake3}, and {announced} was announced");
                tracing::warn!(material = %id, reason, "an upload is refused");
                let failing = node.failing(&id);
                self.clear(node, state).await.map_err(|error| disk::problem(&error))?;
                failing.tell(match self.is_final() {
                    // Any other node would come to the same: what it is the books hear, and refuse, and end it.
                    true => ReplicaReport::Verified { generation, size, blake3 },
                    false => ReplicaReport::Failed { generation, reason: reason.clone() },
                });
                Err(Problem::new(Code::HashMismatch, reason))
            }
        }
    }
}
