//! The threads that serve connections: one for each processor, each with a runtime of its own.
//!
//! A connection stays on its thread, so that what is at hand is answered where the kernel reported the request: no
//! thread is woken for another one's work, and none takes it away. It is for answers that take microseconds. Owns those
//! threads; must never run what waits for a disk or computes for long: that is the program's runtime's, which all that
//! a router starts is given to.

use hyper::body::{Body, Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// One of the threads. It ends when this is dropped, and with it what it still serves.
#[derive(Debug)]
struct Lane {
    runtime: Handle,
    /// One clone for each connection.
    connections: Arc<()>,
    _running: Option<oneshot::Sender<()>>,
}

impl Lane {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, connections: Arc::default(), _running: Some(running) })
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Lanes(Vec<Lane>);

impl Lanes {
    /// As many as there are processors, or none where the system gives no threads.
    pub(crate) fn start() -> Self {
        let count = thread::available_parallelism().map_or(1, Into::into);
        let lanes = (0..count).map(Lane::start).collect::<io::Result<_>>();
        lanes.map(Self).unwrap_or_else(|error| {
            tracing::warn!(%error, "connections get no threads of their own");
            Self::none()
        })
    }

    /// None: connections are served where all else is done.
    pub(crate) fn none() -> Self {
        Self(vec![Lane { runtime: Handle::current(), connections: Arc::default(), _running: None }])
    }

    /// Serves a connection on the thread that has the fewest.
    pub(crate) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let Some(lane) = self.0.iter().min_by_key(|lane| Arc::strong_count(&lane.connections)) else { return };
        let counted = Arc::clone(&lane.connections);
        lane.runtime.spawn(async move {
            connection.await;
            drop(counted);
        });
    }
}

/// A future or a body whose work starts all that it starts in `runtime`: tasks, blocking work, timers.
pub(crate) struct Within<T> {
    runtime: Handle,
    inner: T,
}

impl<T> Within<T> {
    pub(crate) fn new(runtime: Handle, inner: T) -> Self {
        Self { runtime, inner }
    }
}

impl<F: Future + Unpin> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { runtime, inner } = &mut *self;
        let _within = runtime.enter();
        Pin::new(inner).poll(context)
    }
}

impl<B: Body + Unpin> Body for Within<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Self { runtime, inner } = &mut *self;
        let _within = runtime.enter();
        Pin::new(inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, sync::mpsc, time::Duration};

    #[tokio::test]
    async fn connections_are_spread_evenly_and_end_with_their_threads() {
        let lanes = Lanes::start();
        let (told, threads) = mpsc::channel();
        let (running, mut ended) = tokio::sync::mpsc::channel::<()>(1);
        for _ in 0..3 * lanes.0.len() {
            let (told, running) = (told.clone(), running.clone());
            lanes.spawn(async move {
                told.send(thread::current().name().map(str::to_owned)).unwrap();
                std::future::pending::<()>().await;
                drop(running);
            });
        }
        let mut counts = BTreeMap::new();
        for _ in 0..3 * lanes.0.len() {
            *counts.entry(threads.recv_timeout(Duration::from_secs(10)).unwrap()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), lanes.0.len());
        assert!(counts.values().all(|&count| count == 3), "{counts:?}");
        drop((lanes, running));
        assert!(ended.recv().await.is_none());
    }
}
