//! A bounded pool for work that blocks: so many at once, so many waiting, and whoever comes then is told to come back.
//!
//! A place is waited for inside the request's own future: a viewer that has gone away drops it, and its work is never
//! started.

use microtome_proto::{Code, Problem};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// How long work may wait for its place before its asker is told to come back.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// A pool. The threads are tokio's blocking ones; the bound is the pool's own.
pub(crate) struct Pool {
    name: &'static str,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Pool {
    pub(crate) fn new(name: &'static str, places: usize, waiting_max: usize) -> Self {
        Self { name, places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0), waiting_max }
    }

    /// Runs `work` on a blocking thread as soon as there is a place.
    ///
    /// # Errors
    /// `too_many_requests` where too many wait already or the wait took too long; `internal` where `work` panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.wait().await?,
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|error| {
            tracing::error!(pool = self.name, %error, "pixel work broke off");
            Problem::new(Code::Internal, "the work broke off")
        })
    }

    async fn wait(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
        let waiting = Waiting::enter(&self.waiting);
        if waiting.before >= self.waiting_max {
            return Err(self.busy());
        }
        match tokio::time::timeout(WAIT_MAX, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(Problem::new(Code::NotReady, "the node is stopping")),
            Err(_) => Err(self.busy()),
        }
    }

    fn busy(&self) -> Problem {
        Problem::new(Code::TooManyRequests, format!("{} requests wait for {} already", self.waiting_max, self.name))
    }
}

/// Counts one who waits, for as long as it waits.
struct Waiting<'a> {
    counter: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn enter(counter: &'a AtomicUsize) -> Self {
        let before = counter.fetch_add(1, Ordering::Relaxed);
        Self { counter, before }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{atomic::AtomicBool, mpsc};

    /// Work that has started, and goes on until it is let go.
    struct Blocked {
        go: mpsc::Sender<()>,
        work: tokio::task::JoinHandle<Result<(), Problem>>,
    }

    impl Blocked {
        async fn end(self) {
            self.go.send(()).unwrap();
            self.work.await.unwrap().unwrap();
        }
    }

    async fn blocked(pool: &Arc<Pool>) -> Blocked {
        let (go, gate) = mpsc::channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let pool = Arc::clone(pool);
        let work = tokio::spawn(async move {
            pool.run(move || {
                let _ = started.send(());
                let _ = gate.recv();
            })
            .await
        });
        has_started.await.unwrap();
        Blocked { go, work }
    }

    #[tokio::test]
    async fn refuses_when_too_many_wait() {
        let pool = Arc::new(Pool::new("pixels", 1, 0));
        let blocked = blocked(&pool).await;
        let problem = pool.run(|| ()).await.unwrap_err();
        assert_eq!((problem.code, problem.retry_after_s), (Code::TooManyRequests, Some(1)));
        blocked.end().await;
        pool.run(|| ()).await.unwrap();
    }

    #[tokio::test]
    async fn work_whose_asker_has_gone_never_starts() {
        let pool = Arc::new(Pool::new("pixels", 1, 1));
        let blocked = blocked(&pool).await;
        let ran = Arc::new(AtomicBool::new(false));
        let gone = {
            let (pool, ran) = (Arc::clone(&pool), Arc::clone(&ran));
            tokio::spawn(async move { pool.run(move || ran.store(true, Ordering::SeqCst)).await })
        };
        while pool.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        blocked.end().await;
        pool.run(|| ()).await.unwrap();
        assert!(!ran.load(Ordering::SeqCst));
        assert_eq!(pool.waiting.load(Ordering::SeqCst), 0);
    }
}
