//! How far an attempt is, and whether it should go on: shared by who works and who asks.

use microtome_proto::run::Progress;
use parking_lot::Mutex;
use std::{ops::ControlFlow, sync::Arc};
use tokio_util::sync::CancellationToken;

/// A handle on an attempt. Clones are the same handle.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    progress: Arc<Mutex<Progress>>,
    stop: CancellationToken,
}

impl Handle {
    /// Of an attempt that also ends when the node stops.
    pub(super) fn new(node: &CancellationToken) -> Self {
        let progress = Progress { value: 0.0, label: "waiting for a free slot".to_owned() };
        Self { progress: Arc::new(Mutex::new(progress)), stop: node.child_token() }
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// Names what is done now.
    pub(super) fn begin(&self, label: &str) {
        label.clone_into(&mut self.progress.lock().label);
    }

    /// Tells the value, 0 to 1, and hears whether to go on.
    pub(super) fn step(&self, value: f64) -> ControlFlow<()> {
        self.progress.lock().value = value.clamp(0.0, 1.0);
        if self.stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// `work`'s output, or None where the attempt is stopped first.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(work).await
    }
}
