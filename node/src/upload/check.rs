//! Between the last byte and the copy: the operator's check. All of the file is durable then, and nothing of it counts: so a
//! check that was interrupted, by a restart of the node or because nothing could be told, is made again.

use super::state::{State, Upload};
use crate::{
    Node,
    blobs::FILE,
    check::{self, Checks, Subject, Untold, Verdict},
    disk,
};
use microtome_proto::{Code, Problem, internal::ReplicaReport, limits::CHECK_TOLD_LEN_MAX, protocol::BELONGING, tus};
use parking_lot::Mutex;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long a request waits for a check under way before it is told to come again.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Pause before a check of which nothing was told is made again: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// How often is looked for those.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How much longer than a check its address may be used, in seconds.
const ADDRESS_SPARE_S: u64 = 60;

/// How the check of an upload stands.
#[derive(Debug, Default)]
pub(super) struct Checking {
    /// The secret of its address while it is made: whoever has it reads what does not count yet.
    running: watch::Sender<Option<String>>,
    failed: Mutex<Option<Failed>>,
}

/// Nothing could be told.
#[derive(Debug, Clone)]
struct Failed {
    again_at: Instant,
    pause: Duration,
    reason: String,
}

impl Checking {
    fn secret(&self) -> Option<String> {
        self.running.borrow().clone()
    }

    /// Waits until a check has begun.
    pub(super) async fn begun(&self) {
        // It ends only with the upload, and then nobody waits.
        let _ = self.running.subscribe().wait_for(Option::is_some).await;
    }

    fn fail(&self, reason: String) {
        let mut failed = self.failed.lock();
        let pause = failed.as_ref().map_or(PAUSES.0, |before| (before.pause * 2).min(PAUSES.1));
        *failed = Some(Failed { again_at: Instant::now() + pause, pause, reason });
    }
}

/// A check is being made as long as this lives.
struct Running<'a>(&'a Checking);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.send_replace(None);
    }
}

/// Makes checks again of which nothing was told, until the node stops.
pub(super) async fn again(node: &Arc<Node>) {
    while node.stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        for upload in node.uploads.all() {
            let is_due = upload.checking.failed.lock().as_ref().is_some_and(|it| it.again_at <= Instant::now());
            if is_due && upload.checking.secret().is_none() {
                let owner = Arc::clone(node);
                node.tasks.spawn(async move { upload.offset(&owner).await });
            }
        }
    }
}

impl Upload {
    /// What it waits for though all bytes have come, for the operator.
    pub(super) fn check_told(&self) -> Option<String> {
        if self.checking.secret().is_some() {
            return Some("being checked".to_owned());
        }
        let failed = self.checking.failed.lock().clone()?;
        let mut told = format!("cannot be checked: {}", failed.reason);
        let end = (0..=CHECK_TOLD_LEN_MAX.min(told.len())).rev().find(|end| told.is_char_boundary(*end));
        told.truncate(end.unwrap_or(0));
        Some(told)
    }

    /// Whether it is being checked, and this is the secret of its address.
    pub(crate) fn is_checked_by(&self, secret: &str) -> bool {
        self.checking.secret().as_deref() == Some(secret)
    }

    /// Waits while it is being checked, for as long as a sender waits.
    ///
    /// # Errors
    /// `locked` where that takes longer.
    pub(super) async fn checked(&self) -> Result<(), Problem> {
        let mut running = self.checking.running.subscribe();
        match tokio::time::timeout(WAIT_MAX, running.wait_for(Option::is_none)).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let detail = format!("all of {} has come and is being checked", self.expected().material);
                Err(Problem::new(Code::Locked, detail))
            }
        }
    }

    /// Whether the file may become a copy. Parts are checked with what they become, and an empty file has nothing in it.
    ///
    /// # Errors
    /// `not_checked` where nothing can be told, and others where the check was ended: all is as it was.
    pub(super) async fn judge(self: &Arc<Self>, node: &Arc<Node>, blake3: &str) -> Result<Verdict, Problem> {
        let expected = self.expected();
        let is_part = expected.concat.as_deref() == Some(tus::PARTIAL);
        let is_free = is_part || expected.belonging.is_output || self.size() == 0;
        let Some(checks) = node.checks.as_ref().filter(|_| !is_free) else { return Ok(Verdict::Accepted) };
        let failed = self.checking.failed.lock().clone();
        if let Some(failed) = failed.filter(|failed| failed.again_at > Instant::now()) {
            return Err(not_checked(self, &failed.reason));
        }
        // Whoever ends the upload ends this turn, and with it the check.
        let turn = self.turns.take(Arc::default(), true);
        let secret = format!("{:032x}", rand::random::<u128>());
        let subject = self.subject(node, checks, blake3, &secret);
        self.checking.running.send_replace(Some(secret));
        let running = Running(&self.checking);
        let told = tokio::select! {
            () = turn.over() => Err(Problem::new(Code::Locked, "the check was ended with its upload")),
            () = node.stop.cancelled() => Err(Problem::new(Code::NotReady, "the node is stopping")),
            told = checks.judge(&subject) => Ok(told),
        };
        drop(running);
        match told? {
            Ok(verdict) => {
                *self.checking.failed.lock() = None;
                Ok(verdict)
            }
            Err(Untold(reason)) => {
                tracing::warn!(material = %expected.material, reason, "an upload cannot be checked; it is tried again");
                self.checking.fail(reason.clone());
                Err(not_checked(self, &reason))
            }
        }
    }

    /// It was refused: frees it, has its material ended, and tells its sender why.
    pub(super) async fn refuse(self: &Arc<Self>, node: &Arc<Node>, state: &mut State, reason: String) -> Problem {
        let (id, generation) = (self.expected().material.clone(), self.expected().generation);
        tracing::warn!(material = %id, reason, "an upload is refused by the check");
        if let Some(checks) = &node.checks {
            checks.refused().remember(&id, self.expected().owner.clone(), reason.clone());
        }
        let failing = node.failing(&id);
        if let Err(error) = self.clear(node, state).await {
            return disk::problem(&error);
        }
        failing.tell(match node.spoken.load(Ordering::Relaxed) >= BELONGING {
            true => ReplicaReport::Refused { generation, reason: reason.clone() },
            false => ReplicaReport::Failed { generation, reason: reason.clone() },
        });
        check::problem(&reason)
    }

    fn subject(&self, node: &Node, checks: &Checks, blake3: &str, secret: &str) -> Subject {
        let expected = self.expected();
        let id = &expected.material;
        let mut url = format!("{}/v1/materials/{id}/file?check={secret}", node.url);
        if let Some(token) = node.auth.token_for_check(id, checks.within().as_secs() + ADDRESS_SPARE_S) {
            url = format!("{url}&token={token}");
        }
        Subject {
            id: id.clone(),
            name: expected.name.clone(),
            size: self.size(),
            media_type: expected.media_type.clone(),
            blake3: blake3.to_owned(),
            space: expected.belonging.space.clone(),
            case: expected.belonging.case.as_ref().map(ToString::to_string),
            url,
            path: self.path(),
        }
    }

    /// Where its bytes lie.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.incoming.folder().join(FILE)
    }
}

fn not_checked(upload: &Upload, reason: &str) -> Problem {
    let id = &upload.expected().material;
    Problem::new(Code::NotChecked, format!("all of {id} has come, and its check tells nothing yet: {reason}"))
}
