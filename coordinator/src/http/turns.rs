//! Requests with the same `Idempotency-Key` are carried out one after the other: a repetition must not be told where an
//! upload goes while the first request may still move it.

use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::OwnedMutexGuard;

/// The keys that are in use.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// Whoever has it is the only one with its key. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    key: String,
    /// None while it waits.
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else has the key.
    pub(super) async fn take(&self, key: &str) -> Turn<'_> {
        let place = Arc::clone(self.0.lock().entry(key.to_owned()).or_default());
        let mut turn = Turn { turns: self, key: key.to_owned(), held: None };
        turn.held = Some(place.lock_owned().await);
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut places = self.turns.0.lock();
        self.held = None;
        // One that goes away while it waits has let go of its place before.
        if places.get(&self.key).is_some_and(|place| Arc::strong_count(place) == 1) {
            places.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn one_key_is_used_by_one_at_a_time_and_forgotten_then() {
        let turns = Turns::default();
        let first = turns.take("a").await;
        drop(turns.take("b").await);
        assert!(turns.take("a").now_or_never().is_none(), "it waits, and goes away");
        let mut second = Box::pin(turns.take("a"));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        drop(second.await);
        assert!(turns.0.lock().is_empty());
    }
}
