//! Runs: pipelines carried out beside their inputs.
//!
//! It owns the attempts under way on this node and the folder that they work in. Where a run goes, how often it is
//! tried and whether its result counts is decided elsewhere: an order says what should run, and repeats until it is
//! met, so each may come late, twice, or after the attempt has ended. It must never change an input.

mod attempt;
mod otsu;
mod pipeline;
mod progress;
mod publish;
mod tissue;

use crate::Node;
use microtome_proto::{Generation, MaterialId, RunId, internal::RunBeat};
use parking_lot::Mutex;
use progress::Handle;
use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Semaphore;

/// Attempts that may wait for a slot; an order over the number is taken when it comes again.
const WAITING_MAX: usize = 256;
/// Ended attempts that are remembered: an order that was sent before the report arrived is not carried out again. One whose
/// end nobody has heard of is not remembered: where it is ordered still, it is wanted still.
const ENDED_MAX: usize = 1024;

/// What is to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    pub(crate) run: RunId,
    pub(crate) attempt: Generation,
    pub(crate) pipeline: String,
    pub(crate) inputs: Vec<MaterialId>,
    pub(crate) parameters: serde_json::Value,
}

/// The runs on this node.
pub(crate) struct Runs {
    folder: PathBuf,
    most: usize,
    slots: Semaphore,
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    active: HashMap<RunId, (Generation, Handle)>,
    ended: VecDeque<(RunId, Generation)>,
}

impl Runs {
    /// Works in `folder`, which is emptied, with at most `most` runs at once. With 0 none is to come; what was handed
    /// out before, or by coordinators of 0.1.0, is carried out one at a time all the same. Blocks.
    ///
    /// # Errors
    /// Where the folder cannot be emptied or made.
    pub(crate) fn new(folder: &Path, most: usize) -> io::Result<Self> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(folder)?,
        }
        let most = most.min(WAITING_MAX);
        let slots = Semaphore::new(most.max(1));
        Ok(Self { folder: folder.to_owned(), most, slots, attempts: Mutex::default() })
    }

    /// Carries out an order to run, unless it is under way already or has ended. An older attempt of the same run
    /// ends.
    pub(crate) fn start(node: &Arc<Node>, job: Job) {
        let handle = Handle::new(&node.stop);
        if !node.runs.admit(&job, &handle) {
            return;
        }
        let node = Arc::clone(node);
        node.tasks.clone().spawn(async move {
            let is_heard = Box::pin(attempt::carry_out(&node, &job, &handle)).await;
            node.runs.end(&job, is_heard);
        });
    }

    /// Ends an attempt without a report.
    pub(crate) fn stop(&self, run: &RunId, attempt: Generation) {
        if let Some((active, handle)) = self.attempts.lock().active.get(run)
            && *active <= attempt
        {
            handle.stop();
        }
    }

    /// How many may be handed out to this node at once.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How far each attempt is.
    pub(crate) fn beats(&self) -> Vec<RunBeat> {
        let beat = |(run, (attempt, handle)): (&RunId, &(Generation, Handle))| RunBeat {
            run: run.clone(),
            attempt: *attempt,
            progress: handle.progress(),
            // Inputs are read where they lie.
            bytes_moved: 0,
        };
        self.attempts.lock().active.iter().map(beat).collect()
    }

    fn admit(&self, job: &Job, handle: &Handle) -> bool {
        let mut attempts = self.attempts.lock();
        if attempts.ended.iter().any(|(run, attempt)| (run, attempt) == (&job.run, &job.attempt)) {
            return false;
        }
        match attempts.active.get(&job.run) {
            Some((active, _)) if *active >= job.attempt => return false,
            Some((_, older)) => older.stop(),
            None if attempts.active.len() >= WAITING_MAX => return false,
            None => {}
        }
        attempts.active.insert(job.run.clone(), (job.attempt, handle.clone()));
        true
    }

    fn end(&self, job: &Job, is_heard: bool) {
        let mut attempts = self.attempts.lock();
        if attempts.active.get(&job.run).is_some_and(|(active, _)| *active == job.attempt) {
            attempts.active.remove(&job.run);
        }
        if is_heard {
            attempts.ended.push_back((job.run.clone(), job.attempt));
        }
        if attempts.ended.len() > ENDED_MAX {
            attempts.ended.pop_front();
        }
    }

    /// Where an attempt works.
    fn folder_of(&self, job: &Job) -> PathBuf {
        self.folder.join(format!("{}-{}", job.run, job.attempt))
    }
}
