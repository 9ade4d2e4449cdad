//! Uploads whose senders have gone away end, and give back the room that was promised to them.

use super::state::{State, Upload};
use crate::{Node, disk};
use microtome_proto::{Problem, Timestamp};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How often is looked for them, at most and at least.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(60));
/// After so long the files of an upload are closed: many may wait for their senders.
const CLOSED_AFTER: Duration = Duration::from_secs(60);

/// The part of the time that every upload gets once more after a start: its sender could not go on before, and the machine's
/// clock may not have been right yet.
const GRACE: u32 = 24;

/// Since when nobody has sent anything.
#[derive(Debug)]
pub(super) struct Idle(Mutex<Instant>);

impl Idle {
    /// Since `before` now.
    pub(super) fn since(before: Duration) -> Self {
        let now = Instant::now();
        Self(Mutex::new(now.checked_sub(before).unwrap_or(now)))
    }

    /// Somebody sends.
    pub(super) fn touch(&self) {
        *self.0.lock() = Instant::now();
    }

    fn time(&self) -> Duration {
        self.0.lock().elapsed()
    }
}

/// Closes the files of uploads that are idle, and ends those that have been for too long, until the node stops.
pub(super) async fn run(node: &Arc<Node>) {
    let after = node.uploads.expire_after;
    let started = Instant::now();
    let (least, most) = LOOK_EVERY;
    loop {
        for upload in node.uploads.all() {
            upload.close_idle();
            let Some(after) = after.filter(|after| started.elapsed() >= *after / GRACE) else { continue };
            if let Err(problem) = upload.expire(node, after).await {
                tracing::warn!(material = %upload.expected().material, %problem, "an idle upload cannot be ended");
            }
        }
        let pause = tokio::time::sleep(after.map_or(most, |after| (after / 10).clamp(least, most)));
        if node.stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

impl Upload {
    /// When it ends if nothing more comes.
    pub(crate) fn expires_at(&self, node: &Node) -> Option<Timestamp> {
        let left = node.uploads.expire_after?.saturating_sub(self.idle.time());
        Some(Timestamp::now().plus_millis(u64::try_from(left.as_millis()).unwrap_or(0)))
    }

    /// Closes its files where nobody has sent anything for a while; what is durable is looked for again when somebody does.
    fn close_idle(&self) {
        if self.idle.time() >= CLOSED_AFTER
            && let Ok(mut state) = self.state.try_lock()
            && matches!(*state, State::Open(_))
        {
            *state = State::Unopened;
        }
    }

    /// Ends it where it has been idle for that long and is not whole: whoever has sent all has nothing left to send.
    async fn expire(self: &Arc<Self>, node: &Arc<Node>, after: Duration) -> Result<(), Problem> {
        // Who holds it is at work.
        let Ok(mut state) = self.state.try_lock() else { return Ok(()) };
        if matches!(*state, State::Ended) || self.idle.time() < after {
            return Ok(());
        }
        let writer = self.open(&mut state).await?;
        if writer.is_whole() {
            return self.complete(node, &mut state).await;
        }
        let offset = writer.offset();
        let failing = node.failing(&self.expected().material);
        self.clear(node, &mut state).await.map_err(|error| disk::problem(&error))?;
        let expected = self.expected();
        let of = if self.lacks_size() { String::new() } else { format!("of {} ", self.size()) };
        let reason = format!("nothing came for {} s, after {offset} {of}bytes", after.as_secs());
        tracing::info!(material = %expected.material, reason, "an upload has expired");
        failing.tell(expected.generation, reason);
        Ok(())
    }
}
