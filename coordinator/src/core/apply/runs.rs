//! Runs: waiting → initializing → running → done or error; back to waiting when an attempt ends early; cancelled by a
//! user from any state that is not final. What an attempt made is published once or deleted.

use super::{Applied, Stop, books::store_run, earlier, key_reused, materials, next, next_generation, nodes, refuse};
use crate::core::{
    command::Outcome,
    draft::Draft,
    tables::{Materials, NO_ATTEMPT, RequestRecord, RunRecord, Runs},
    view::Typed,
};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId, RunId, Timestamp,
    limits::{RUN_INPUTS_MAX, RUN_OUTPUTS_MAX},
    material::{Origin, Owner},
    run::{Output, RunState},
};

/// Attempts after which a run that is taken back each time fails: it may well be what kills its nodes.
pub(crate) const ATTEMPTS_MAX: u32 = 10;

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) request: Option<&'a str>,
    pub(super) pipeline: &'a str,
    pub(super) name: &'a str,
    pub(super) inputs: &'a [MaterialId],
    pub(super) parameters: &'a serde_json::Value,
    pub(super) owner: Option<&'a Owner>,
}

/// What an attempt that is done reports.
pub(super) struct Published<'a> {
    pub(super) outputs: &'a [Output],
    pub(super) result: &'a serde_json::Value,
    pub(super) bytes_moved: u64,
}

pub(super) fn create(draft: &mut Draft<'_>, at: Timestamp, wanted: &Wanted<'_>) -> Applied {
    if let Some(earlier) = earlier(draft, wanted.request)? {
        let RequestRecord::Run(run) = earlier else { return key_reused() };
        let record = known(draft, &run)?;
        let is_same = record.pipeline == wanted.pipeline
            && record.inputs == wanted.inputs
            && record.parameters == *wanted.parameters
            && record.owner.as_ref() == wanted.owner;
        return if is_same { Ok(Outcome::Run { run }) } else { key_reused() };
    }
    if wanted.inputs.is_empty() || wanted.inputs.len() > RUN_INPUTS_MAX {
        return refuse(Code::BadRun, format!("{} inputs: a run has 1 to {RUN_INPUTS_MAX}", wanted.inputs.len()));
    }
    for input in wanted.inputs {
        if materials::living(draft, input)?.is_partial() {
            return refuse(Code::NotFound, format!("there is no material {input}"));
        }
    }
    let run = RunId::from_counter(next(draft, |meta| &mut meta.run_last)?);
    let record = RunRecord {
        pipeline: wanted.pipeline.to_owned(),
        name: wanted.name.to_owned(),
        inputs: wanted.inputs.to_vec(),
        parameters: wanted.parameters.clone(),
        owner: wanted.owner.cloned(),
        state: RunState::Waiting,
        node: None,
        attempt: NO_ATTEMPT,
        attempts: 0,
        made: Vec::new(),
        outputs: Vec::new(),
        result: None,
        reason: None,
        bytes_moved: 0,
        request: wanted.request.map(str::to_owned),
        created_at: at,
        started_at: None,
        ended_at: None,
    };
    store_run(draft, &run, None, &record)?;
    Ok(Outcome::Run { run })
}

pub(super) fn assign(draft: &mut Draft<'_>, at: Timestamp, run: &RunId, node: &NodeId) -> Applied {
    let before = known(draft, run)?;
    nodes::member(draft, node)?;
    match before.state {
        RunState::Waiting => {}
        RunState::Initializing if before.node.as_ref() == Some(node) => {
            return Ok(Outcome::Assigned { generation: before.attempt });
        }
        state => return refuse(Code::Conflict, format!("run {run} is {state:?}, not waiting")),
    }
    let attempt = next_generation(draft)?;
    let after = RunRecord {
        state: RunState::Initializing,
        node: Some(node.clone()),
        attempt,
        attempts: before.attempts + 1,
        reason: None,
        started_at: Some(at),
        ..before.clone()
    };
    store_run(draft, run, Some(&before), &after)?;
    Ok(Outcome::Assigned { generation: attempt })
}

pub(super) fn requeue(draft: &mut Draft<'_>, at: Timestamp, run: &RunId, attempt: Generation, reason: &str) -> Applied {
    let before = under_way(draft, run, attempt)?;
    if before.attempts >= ATTEMPTS_MAX {
        let reason = format!("given up after {ATTEMPTS_MAX} attempts, the last one because: {reason}");
        return end(draft, at, run, &before, RunState::Error, Some(reason));
    }
    discard_made(draft, at, &before, &[])?;
    let after = RunRecord {
        state: RunState::Waiting,
        node: None,
        attempt: NO_ATTEMPT,
        made: Vec::new(),
        reason: Some(reason.to_owned()),
        started_at: None,
        ..before.clone()
    };
    store_run(draft, run, Some(&before), &after)?;
    Ok(Outcome::Done)
}

pub(super) fn started(draft: &mut Draft<'_>, run: &RunId, attempt: Generation) -> Applied {
    let before = under_way(draft, run, attempt)?;
    if before.state == RunState::Initializing {
        let after = RunRecord { state: RunState::Running, ..before.clone() };
        store_run(draft, run, Some(&before), &after)?;
    }
    Ok(Outcome::Done)
}

pub(super) fn done(
    draft: &mut Draft<'_>,
    at: Timestamp,
    run: &RunId,
    attempt: Generation,
    published: &Published<'_>,
) -> Applied {
    let before = known(draft, run)?;
    if before.state == RunState::Done && before.attempt == attempt {
        return Ok(Outcome::Done);
    }
    let before = under_way(draft, run, attempt)?;
    for output in published.outputs {
        let record = draft.get_record::<Materials>(&output.material)?.filter(|record| !record.is_deleted());
        match record {
            Some(_) if !before.made.contains(&output.material) => {
                return refuse(
                    Code::BadRun,
                    format!("{} was not made by attempt {attempt} of run {run}", output.material),
                );
            }
            Some(record) if record.blake3.is_none() => {
                return refuse(Code::NotReady, format!("no copy of output {} is verified yet", output.material));
            }
            Some(_) => {}
            None => return refuse(Code::BadRun, format!("output {} does not exist any more", output.material)),
        }
    }
    discard_made(draft, at, &before, published.outputs)?;
    let after = RunRecord {
        state: RunState::Done,
        made: Vec::new(),
        outputs: published.outputs.to_vec(),
        result: Some(published.result.clone()),
        bytes_moved: published.bytes_moved,
        ended_at: Some(at),
        ..before.clone()
    };
    store_run(draft, run, Some(&before), &after)?;
    Ok(Outcome::Done)
}

pub(super) fn failed(draft: &mut Draft<'_>, at: Timestamp, run: &RunId, attempt: Generation, reason: &str) -> Applied {
    let before = known(draft, run)?;
    if before.state == RunState::Error && before.attempt == attempt {
        return Ok(Outcome::Done);
    }
    let is_waiting = before.state == RunState::Waiting && attempt == NO_ATTEMPT;
    let before = if is_waiting { before } else { under_way(draft, run, attempt)? };
    end(draft, at, run, &before, RunState::Error, Some(reason.to_owned()))
}

pub(super) fn cancel(draft: &mut Draft<'_>, at: Timestamp, run: &RunId) -> Applied {
    let before = known(draft, run)?;
    match before.state {
        RunState::Canceled => Ok(Outcome::Done),
        RunState::Done | RunState::Error => refuse(Code::Conflict, format!("run {run} has ended already")),
        _ => end(draft, at, run, &before, RunState::Canceled, None),
    }
}

/// Binds a material to the attempt that makes it: only the present one may make any.
pub(super) fn remember(draft: &mut Draft<'_>, origin: &Origin, material: &MaterialId) -> Result<(), Stop> {
    let before = under_way(draft, &origin.run, origin.attempt)?;
    if before.made.len() >= RUN_OUTPUTS_MAX {
        return refuse(Code::TooLarge, format!("a run makes at most {RUN_OUTPUTS_MAX} materials"));
    }
    let mut after = before.clone();
    after.made.push(material.clone());
    store_run(draft, &origin.run, Some(&before), &after)
}

fn end(
    draft: &mut Draft<'_>,
    at: Timestamp,
    run: &RunId,
    before: &RunRecord,
    state: RunState,
    reason: Option<String>,
) -> Applied {
    discard_made(draft, at, before, &[])?;
    let after = RunRecord { state, made: Vec::new(), reason, ended_at: Some(at), ..before.clone() };
    store_run(draft, run, Some(before), &after)?;
    Ok(Outcome::Done)
}

fn discard_made(draft: &mut Draft<'_>, at: Timestamp, run: &RunRecord, kept: &[Output]) -> Result<(), Stop> {
    for material in &run.made {
        if !kept.iter().any(|output| output.material == *material) {
            materials::discard(draft, at, material)?;
        }
    }
    Ok(())
}

fn known(draft: &Draft<'_>, run: &RunId) -> Result<RunRecord, Stop> {
    match draft.get_record::<Runs>(run)? {
        Some(record) => Ok(record),
        None => refuse(Code::NotFound, format!("there is no run {run}")),
    }
}

/// A run whose present attempt is `attempt`.
fn under_way(draft: &Draft<'_>, run: &RunId, attempt: Generation) -> Result<RunRecord, Stop> {
    let record = known(draft, run)?;
    if record.attempt != attempt || record.state == RunState::Waiting || record.state.is_final() {
        return refuse(Code::StaleGeneration, format!("attempt {attempt} of run {run} has ended"));
    }
    Ok(record)
}
