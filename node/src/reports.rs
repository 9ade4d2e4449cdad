//! What became of a replica, told to the coordinator until it has heard.

use crate::Node;
use microtome_client::ClientError;
use microtome_proto::{Code, Generation, MaterialId, internal::ReplicaReport};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::JoinHandle;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is in the books.
    Yes,
    /// It will never be.
    Refused(Code),
    /// The node stops, or was never registered.
    No,
}

/// A copy that ends without being one. As long as this lives nothing is taken under its assignment: the report of it, which
/// may be late, would end that, too.
pub(crate) struct Failing {
    node: Arc<Node>,
    material: MaterialId,
}

impl Failing {
    /// Of which material.
    pub(crate) fn material(&self) -> &MaterialId {
        &self.material
    }

    /// It has ended: tells that.
    pub(crate) fn failed(self, generation: Generation, reason: String) {
        self.tell(ReplicaReport::Failed { generation, reason });
    }

    /// It has ended: tells what became of it.
    pub(crate) fn tell(self, report: ReplicaReport) {
        let told = self.node.report(self.material.clone(), report);
        self.node.tasks.clone().spawn(async move {
            let _ = told.await;
            drop(self);
        });
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.node.failing.lock().remove(&self.material);
    }
}

/// Pause between two tries; the client itself has tried for a while before.
const PAUSE: Duration = Duration::from_secs(1);

impl Node {
    /// Tells what became of a replica. The task ends when the coordinator has heard it, has refused it or the node
    /// stops: what was not heard then is told by the inventory after the next start.
    pub(crate) fn report(self: &Arc<Self>, material: MaterialId, report: ReplicaReport) -> JoinHandle<Heard> {
        let node = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = node.stop.clone();
            tokio::select! {
                () = stop.cancelled() => Heard::No,
                heard = tell(&node, &material, &report) => heard,
            }
        })
    }

    /// A copy of a material begins to end without being one.
    pub(crate) fn failing(self: &Arc<Self>, material: &MaterialId) -> Failing {
        self.failing.lock().insert(material.clone());
        Failing { node: Arc::clone(self), material: material.clone() }
    }

    /// Whether the coordinators have not heard yet that a copy of a material has ended.
    pub(crate) fn is_failing(&self, material: &MaterialId) -> bool {
        self.failing.lock().contains(material)
    }
}

/// Whether a refusal stays one. What hangs on the clock, on the secret or on how much there is to do may pass.
pub(crate) fn is_final(code: Code) -> bool {
    code == Code::QuotaExceeded
        || (400..500).contains(&code.status()) && !matches!(code.status(), 401 | 403 | 423 | 429)
}

async fn tell(node: &Node, material: &MaterialId, report: &ReplicaReport) -> Heard {
    loop {
        // A node that was never registered has nothing to report but what its first inventory tells.
        let Some(id) = node.id() else { return Heard::No };
        match node.cluster.replica_report(&id, material, report).await {
            Ok(()) => return Heard::Yes,
            Err(ClientError::Problem(problem)) if is_final(problem.code) => {
                // It is out of date. Where the books do not know of the copy any more no order will name it: both sides
                // settle the difference.
                tracing::info!(%material, ?report, %problem, "a report was refused");
                // One whose material was refused they know, and have it dropped.
                let is_known = matches!(problem.code, Code::PreconditionFailed | Code::QuotaExceeded);
                if matches!(report, ReplicaReport::Verified { .. }) && !is_known {
                    node.differs.store(true, Ordering::Relaxed);
                }
                return Heard::Refused(problem.code);
            }
            Err(error) => tracing::debug!(%material, %error, "a report was not heard yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
