//! One writer at a time, and the newest is the one: a client that comes back does not wait for its dead connection.

use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// A writer that has received nothing for so long counts as silent.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// Who may write.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Option<Turn>>);

/// One writer's turn. It ends when the next one is taken.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    over: CancellationToken,
    heard: Arc<Heard>,
    commits_early: bool,
    ending: Arc<AtomicBool>,
}

/// When a sender's bytes came last.
#[derive(Debug)]
pub(super) struct Heard {
    begun: Instant,
    ms: AtomicU64,
}

impl Default for Heard {
    fn default() -> Self {
        Self { begun: Instant::now(), ms: AtomicU64::new(0) }
    }
}

impl Heard {
    /// Bytes have arrived.
    pub(super) fn now(&self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ms.store(elapsed, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.ms.load(Ordering::Relaxed)))
    }
}

impl Turns {
    /// Ends the turn before and begins a new one, of the sender that is heard so. Where `commits_early` what comes becomes
    /// durable as it comes, otherwise all at once in the end.
    pub(super) fn take(&self, heard: Arc<Heard>, commits_early: bool) -> Turn {
        let turn = Turn { over: CancellationToken::new(), heard, commits_early, ending: Arc::default() };
        if let Some(before) = self.0.lock().replace(turn.clone()) {
            before.over.cancel();
        }
        turn
    }

    /// Ends the present turn, and nobody takes the next.
    pub(super) fn end_present(&self) {
        if let Some(turn) = self.0.lock().as_ref() {
            turn.over.cancel();
        }
    }

    /// Whether bytes arrive just now, or would be lost if they were not waited for.
    pub(super) fn may_go_on(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|turn| {
            let is_silent = turn.commits_early && turn.heard.silence() >= SILENT_AFTER;
            !turn.ending.load(Ordering::Acquire) && !turn.is_over() && !is_silent
        })
    }
}

impl Turn {
    /// Whether another writer has taken over.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits until another writer takes over.
    pub(super) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Nothing more is received; what came is being made durable.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_writes() {
        let turns = Turns::default();
        assert!(!turns.may_go_on());
        let first = turns.take(Arc::default(), true);
        assert!(turns.may_go_on());
        let second = turns.take(Arc::default(), true);
        assert!(first.is_over() && !second.is_over());
        second.end();
        assert!(!turns.may_go_on());
    }
}
