//! Where work runs that must not hold up its caller, or must outlive it.

use microtome_proto::{Code, Problem};
use std::io;
use tokio_util::task::TaskTracker;

/// Runs blocking work on the blocking pool.
///
/// # Errors
/// The work's own, or that it panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Runs work in a task of its own: what has begun ends properly also when the client goes away, and one that asks again
/// waits for the same work.
///
/// # Errors
/// The work's own, or that it panicked.
pub(crate) async fn in_task<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tasks.spawn(work).await.map_err(|error| Problem::new(Code::Internal, error.to_string()))?
}
