//! Runs as the API shows them.

use super::{PresentError, Scene, page::page_of};
use crate::core::{
    access::Principal,
    tables::{Materials, RunRecord, Runs},
    view::{Typed, ViewError},
};
use microtome_proto::{
    RunId,
    internal::RunBeat,
    page::{Page, PageQuery},
    run::{Progress, Run, RunState},
};

impl Scene<'_> {
    /// A run.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn run(&self, id: &RunId) -> Result<Option<Run>, ViewError> {
        self.view.get_record::<Runs>(id)?.map(|record| self.present_run(id.clone(), record)).transpose()
    }

    /// Runs, the newest first: those that somebody has submitted or may read all inputs of.
    ///
    /// # Errors
    /// Where the state cannot be read or the query is not understood.
    pub fn runs(&self, asker: &Principal, query: &PageQuery) -> Result<Page<Run>, PresentError> {
        let everything = asker.is_administrator(self.view)?;
        let is_shown = |_: &RunId, run: &RunRecord| Ok(everything || asker.rights_on_run(self.view, run)?.read);
        let (entries, next_cursor) = page_of::<Runs>(self.view, &[], query, is_shown)?;
        let items = entries.into_iter().map(|(id, record)| self.present_run(id, record)).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor })
    }

    fn present_run(&self, id: RunId, record: RunRecord) -> Result<Run, ViewError> {
        let beat = self.beat_of(&id, &record);
        let progress = match record.state {
            RunState::Done => Progress { value: 1.0, label: "done".to_owned() },
            _ => beat.map(|beat| beat.progress.clone()).unwrap_or_default(),
        };
        let reason = match record.state {
            RunState::Waiting => Some(self.waits_for(&record)?),
            _ => record.reason,
        };
        Ok(Run {
            id,
            pipeline: record.pipeline,
            name: record.name,
            inputs: record.inputs,
            parameters: record.parameters,
            state: record.state,
            progress,
            node: record.node,
            attempt: record.attempt,
            attempts: record.attempts,
            outputs: record.outputs,
            result: record.result,
            reason,
            bytes_moved: beat.map_or(record.bytes_moved, |beat| beat.bytes_moved),
            created_at: record.created_at,
            started_at: record.started_at,
            ended_at: record.ended_at,
        })
    }

    /// What the node that carries a run out last said of it.
    fn beat_of(&self, id: &RunId, record: &RunRecord) -> Option<&RunBeat> {
        if record.state.is_final() {
            return None;
        }
        let beat = self.observed.seen(record.node.as_ref()?)?.runs.get(id)?;
        (beat.attempt == record.attempt).then_some(beat)
    }

    fn waits_for(&self, record: &RunRecord) -> Result<String, ViewError> {
        for input in &record.inputs {
            let material = self.view.get_record::<Materials>(input)?;
            if material.is_none_or(|material| material.blake3.is_none()) {
                return Ok(format!("waits for input {input}, which is still arriving"));
            }
        }
        let waits = "waits for a free slot on a node that holds its inputs";
        Ok(match &record.reason {
            Some(reason) => format!("{waits}; attempt {} ended: {reason}", record.attempts),
            None => waits.to_owned(),
        })
    }
}
