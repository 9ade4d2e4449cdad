//! Uploads whose senders have gone away end, and give back the room that was promised to them. So do parts that nobody puts
//! together.

use super::state::{State, Upload};
use crate::{Node, disk};
use microtome_proto::{Code, Problem, Timestamp};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How often is looked for them, at most and at least.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(60));
/// After so long the files of an upload are closed: many may wait for their senders.
const CLOSED_AFTER: Duration = Duration::from_secs(60);

/// How long the coordinators get to answer.
const ASK_WITHIN: Duration = Duration::from_secs(5);

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
            // Its sender was told that it will be there, and has nothing left to send.
            if upload.is_final() {
                continue;
            }
            if let Err(problem) = upload.expire(node, after).await {
                tracing::warn!(material = %upload.expected().material, %problem, "an idle upload cannot be ended");
            }
        }
        if let Some(after) = after.filter(|after| started.elapsed() >= *after / GRACE) {
            expire_parts(node, after).await;
        }
        let pause = tokio::time::sleep(after.map_or(most, |after| (after / 10).clamp(least, most)));
        if node.stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Has parts deleted that are whole for so long and that no file has taken up: of those that one has the coordinators
/// know.
async fn expire_parts(node: &Arc<Node>, after: Duration) {
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    for blob in node.blobs.parts() {
        let manifest = blob.manifest();
        if Timestamp::now().millis_since(manifest.created_at) < after_ms {
            continue;
        }
        match node.cluster.with_deadline(ASK_WITHIN).delete_material(&manifest.material).await {
            Ok(()) => tracing::info!(material = %manifest.material, "a part that no file has taken up has expired"),
            Err(error) if matches!(error.code(), Some(Code::Conflict | Code::NotFound | Code::Gone)) => {}
            Err(error) => {
                // Nobody answers: they are asked about all of them next time.
                tracing::debug!(material = %manifest.material, %error, "a part cannot be ended");
                return;
            }
        }
    }
}

impl Upload {
    /// When it ends if nothing more comes.
    pub(crate) fn expires_at(&self, node: &Node) -> Option<Timestamp> {
        let left = node.uploads.expire_after.filter(|_| !self.is_final())?.saturating_sub(self.idle.time());
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
            drop(state);
            // Its check may take long, and other uploads are not to wait for it.
            let (upload, owner) = (Arc::clone(self), Arc::clone(node));
            node.tasks.spawn(async move { upload.offset(&owner).await });
            return Ok(());
        }
        let offset = writer.offset();
        let failing = node.failing(&self.expected().material);
        self.clear(node, &mut state).await.map_err(|error| disk::problem(&error))?;
        let expected = self.expected();
        let of = if self.lacks_size() { String::new() } else { format!("of {} ", self.size()) };
        let reason = format!("nothing came for {} s, after {offset} {of}bytes", after.as_secs());
        tracing::info!(material = %expected.material, reason, "an upload has expired");
        failing.failed(expected.generation, reason);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        disk::{Layout, Space},
        incoming::{Expected, Incoming},
    };
    use microtome_proto::{
        Generation,
        internal::{Belonging, Reserve},
    };
    use std::{fs, path::Path};

    /// Files that this process has open in a folder.
    fn open_in(folder: &Path) -> usize {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        // One that is closed meanwhile is none in this folder.
        let paths = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        paths.filter(|path| path.starts_with(folder)).count()
    }

    #[tokio::test]
    async fn the_files_of_an_idle_upload_are_closed_and_opened_again_for_its_sender() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        let reserve = Reserve {
            material: "m-0123456789".parse().unwrap(),
            generation: Generation(1),
            size: 100_000,
            name: "a".to_owned(),
            media_type: "image/tiff".to_owned(),
            blake3: None,
            concat: None,
            owner: None,
            metadata: None,
            belonging: Belonging::default(),
        };
        let incoming = Incoming::create(&layout, Expected::upload(reserve)).unwrap();
        let folder = incoming.folder().to_owned();
        let promise = Space::new(layout.root().to_owned(), Some(0)).unwrap().promise(100_000).unwrap();
        let upload = Arc::new(Upload::new(incoming, promise, Duration::ZERO));
        {
            let mut state = upload.state.lock().await;
            let writer = upload.open(&mut state).await.unwrap();
            writer.write(&[7; 50_000]).unwrap();
            writer.checkpoint(true).commit().unwrap();
        }
        upload.close_idle();
        assert!(open_in(&folder) > 0, "its sender was here just now");

        *upload.idle.0.lock() = Instant::now().checked_sub(CLOSED_AFTER).unwrap();
        let at_work = upload.state.lock().await;
        upload.close_idle();
        assert!(open_in(&folder) > 0, "somebody works on it");
        drop(at_work);
        upload.close_idle();
        assert_eq!(open_in(&folder), 0);
        let mut state = upload.state.lock().await;
        assert_eq!(upload.open(&mut state).await.unwrap().offset(), 50_000);
    }
}
