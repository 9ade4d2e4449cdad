//! The deadline of a request's head, which is set anew for each request and nearly never met.
//!
//! Tokio keeps its timers in order behind a lock, and to take one out and put a new one in is dear beside an answer of
//! microseconds. To put one off is cheap: so a connection has one timer, which goes on from request to request.

use hyper::rt::{Sleep, Timer};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// Where a connection's timer is while there is no deadline.
type Home = Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>;

/// The timer of one connection.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(Home);

impl Timer for Deadlines {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let timer = match kept {
            Some(mut timer) => {
                timer.as_mut().reset(deadline.into());
                timer
            }
            None => Box::pin(tokio::time::sleep_until(deadline.into())),
        };
        Box::pin(Deadline { timer: Some(timer), home: Arc::clone(&self.0) })
    }
}

/// One deadline.
#[derive(Debug)]
struct Deadline {
    /// Missing only while it is dropped.
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
    home: Home,
}

impl Sleep for Deadline {}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().map_or(Poll::Ready(()), |timer| timer.as_mut().poll(context))
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.timer.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_timer_serves_deadlines_that_come_later_sooner_and_after_one_was_met() {
        let deadlines = Deadlines::default();
        for ms in [20_000, 5, 30, 20_000] {
            let start = Instant::now();
            let deadline = deadlines.sleep(Duration::from_millis(ms));
            match tokio::time::timeout(Duration::from_millis(500), deadline).await {
                Ok(()) => assert!(start.elapsed() >= Duration::from_millis(ms), "{ms} ms"),
                Err(_) => assert!(ms > 500, "{ms} ms"),
            }
            assert!(deadlines.0.lock().unwrap().is_some(), "the timer is kept");
        }
    }
}
