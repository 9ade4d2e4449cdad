//! One attempt of a run, from its order to its report.

use super::{
    Job,
    pipeline::{Made, Pipeline, Trouble},
    progress::Handle,
    publish,
};
use crate::{Node, pixels::Opened, reports::is_final};
use microtome_client::ClientError;
use microtome_proto::{Code, NodeId, Problem, internal::RunReport, run::Output};
use std::{path::Path, sync::Arc, time::Duration};

/// Pause between two tries where the coordinators do not answer; the client's own tries come before it.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a stopping node waits for its farewell to be heard.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);
/// Analyses give way to viewers: lower priority for their threads, as `nice` has it.
const NICENESS: i32 = 10;
/// The share of the progress that is computing; the rest is publishing.
const COMPUTING_SHARE: f64 = 0.9;

/// Why an attempt ended without being done.
pub(super) enum Broken {
    /// It was told to stop, or the node stops.
    Stopped,
    /// A newer attempt exists: nobody wants to hear of this one.
    Stale,
    /// An output's material has gone, as it does with an attempt that is over. Where this one is ordered still it is not,
    /// and is carried out anew.
    Gone,
    /// It cannot succeed anywhere. For the user.
    Failed(String),
    /// It cannot be carried out here. For the operator.
    Refused(String),
}

/// Carries out `job` and reports what became of it; whether the coordinators know now that it has ended.
pub(super) async fn carry_out(node: &Node, job: &Job, handle: &Handle) -> bool {
    let Some(me) = node.id() else { return false };
    let folder = node.runs.folder_of(job);
    let broken = attempt(node, &me, job, handle, &folder).await.err();
    if let Err(error) = tokio::fs::remove_dir_all(&folder).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "a run's folder could not be removed");
    }
    let attempt = job.attempt;
    let is_stale = matches!(broken, Some(Broken::Stale));
    let last = match broken {
        None => {
            tracing::info!(run = %job.run, %attempt, "a run is done");
            return true;
        }
        Some(Broken::Failed(reason)) => Some(RunReport::Failed { attempt, reason }),
        Some(Broken::Refused(reason)) => Some(RunReport::Refused { attempt, reason }),
        Some(Broken::Stopped) if node.stop.is_cancelled() => {
            Some(RunReport::Refused { attempt, reason: "the node stops".to_owned() })
        }
        Some(Broken::Stopped | Broken::Stale | Broken::Gone) => None,
    };
    tracing::info!(run = %job.run, %attempt, report = ?last, "attempt ended");
    // What was stopped or is over nobody wants to hear of.
    let Some(last) = last else { return is_stale };
    // When the node stops there is little time, and silence means the same a little later.
    match tokio::time::timeout(FAREWELL_WITHIN, report(node, &me, job, &last)).await {
        Ok(reported) => reported.is_ok(),
        Err(_) => handle.unless_stopped(report(node, &me, job, &last)).await.is_some_and(|reported| reported.is_ok()),
    }
}

async fn attempt(node: &Node, me: &NodeId, job: &Job, handle: &Handle, folder: &Path) -> Result<(), Broken> {
    let slot = handle.unless_stopped(node.runs.slots.acquire()).await.ok_or(Broken::Stopped)?;
    let _slot = slot.map_err(|_| Broken::Stopped)?;
    handle.begin("starting");
    let pipeline = Pipeline::fitting(&job.pipeline, job.inputs.len(), &job.parameters).map_err(Broken::Failed)?;
    let slide = input(node, job).await?;
    let started = RunReport::Started { attempt: job.attempt };
    handle.unless_stopped(report(node, me, job, &started)).await.ok_or(Broken::Stopped)??;

    handle.begin(pipeline.label());
    let made = compute(pipeline, &slide, job, folder, handle).await?;
    drop(slide);

    handle.begin("publishing");
    let outputs =
        handle.unless_stopped(Box::pin(publish_all(node, job, &made, handle))).await.ok_or(Broken::Stopped)??;
    let done = RunReport::Done { attempt: job.attempt, outputs, result: made.result, bytes_moved: 0 };
    handle.unless_stopped(report(node, me, job, &done)).await.ok_or(Broken::Stopped)?
}

/// The slide to be worked on.
async fn input(node: &Node, job: &Job) -> Result<Arc<Opened>, Broken> {
    let material = job.inputs.first().ok_or_else(|| Broken::Failed("the run has no input".to_owned()))?;
    let blob = node.blobs.get(material).ok_or_else(|| Broken::Refused(format!("{material} is not on this node")))?;
    node.pixels.slide(&blob).await.map_err(|problem| broken(&problem))
}

/// The file's own fault is final; a fault of this node or its copy is not.
fn broken(problem: &Problem) -> Broken {
    let of_the_file = [Code::NotASlide, Code::UnsupportedSlide, Code::DamagedSlide, Code::OutsideSlide, Code::TooLarge];
    let reason = format!("{}: {}", problem.title, problem.detail);
    if of_the_file.contains(&problem.code) { Broken::Failed(reason) } else { Broken::Refused(reason) }
}

/// Works on a thread of its own, which ends when the attempt is stopped: its folder is free afterwards.
async fn compute(
    pipeline: Pipeline,
    slide: &Arc<Opened>,
    job: &Job,
    folder: &Path,
    handle: &Handle,
) -> Result<Made, Broken> {
    let (answer, computed) = tokio::sync::oneshot::channel();
    let (handle, folder, opened) = (handle.clone(), folder.to_owned(), Arc::clone(slide));
    let work = move || {
        give_way();
        let name = &opened.blob().manifest().name;
        let made = std::fs::create_dir_all(&folder).map_err(Trouble::from).and_then(|()| {
            let mut step = |value: f64| handle.step(value * COMPUTING_SHARE);
            pipeline.carry_out(&opened.slide, name, &folder, &mut step)
        });
        let _ = answer.send(made);
    };
    let thread = std::thread::Builder::new().name(format!("run {}", job.run)).spawn(work);
    thread.map_err(|error| Broken::Refused(format!("no thread can be started: {error}")))?;
    match computed.await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(Trouble::Stopped)) => Err(Broken::Stopped),
        Ok(Err(Trouble::Slide(error))) => Err(broken(&slide.problem(&error))),
        Ok(Err(error @ Trouble::Write(_))) => Err(Broken::Refused(error.to_string())),
        Err(_) => Err(Broken::Failed("the pipeline broke off; the node's log tells more".to_owned())),
    }
}

/// On Linux the priority is the thread's own. Where it cannot be lowered the run goes on as it is.
fn give_way() {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}

async fn publish_all(node: &Node, job: &Job, made: &Made, handle: &Handle) -> Result<Vec<Output>, Broken> {
    let mut outputs = Vec::new();
    for (index, file) in made.files.iter().enumerate() {
        let material = publish::publish(node, job, file).await?;
        outputs.push(Output { name: file.output.to_owned(), material });
        let share = (index + 1) as f64 / made.files.len() as f64;
        let _ = handle.step(COMPUTING_SHARE + (1.0 - COMPUTING_SHARE) * share);
    }
    Ok(outputs)
}

/// Tells the coordinators, for as long as it takes.
async fn report(node: &Node, me: &NodeId, job: &Job, report: &RunReport) -> Result<(), Broken> {
    loop {
        let error = match node.cluster.run_report(me, &job.run, report).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if !is_transient(&error) {
            tracing::info!(run = %job.run, attempt = %job.attempt, %error, "the report is not wanted");
            return Err(Broken::Stale);
        }
        tracing::debug!(run = %job.run, %error, "the report did not get through");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the same call may well succeed later.
pub(super) fn is_transient(error: &ClientError) -> bool {
    match error {
        ClientError::Problem(problem) => !is_final(problem.code),
        ClientError::Unreachable { .. } | ClientError::UploadStopped { .. } => true,
        _ => false,
    }
}
