//! Random commands, sensible and not, in any order: the invariants hold after each.

mod commands;

use super::{invariants, support::*};
use crate::core::{
    apply::apply,
    command::{AccountCommand, Command, Life, Outcome, Proposal, SpaceCommand},
    tables::{Hidden, MaterialRecord, Materials, Meta, MetaRecord, Nodes, ReplicaRecord, SpaceTotals, Spaces},
    view::{Change, Memory, Typed, View},
};
use microtome_proto::{
    CaseId, Code, Generation, MaterialId, NodeId, RunId, TeamId, Timestamp, UserId, material::ReplicaState,
    node::Lifecycle,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// What to do, and three numbers that choose with what, a byte each.
type Step = u32;

struct Model {
    view: Memory,
    meta: MetaRecord,
    nodes: Vec<NodeId>,
    materials: Vec<MaterialId>,
    runs: Vec<RunId>,
    users: Vec<UserId>,
    teams: Vec<TeamId>,
    cases: Vec<CaseId>,
    removed: HashSet<NodeId>,
    ids: HashSet<String>,
    generations: HashSet<Generation>,
    /// The assignments that each node has had: what it may hold was made under one of them.
    assigned: BTreeMap<(MaterialId, NodeId), Vec<Generation>>,
    steps: i64,
    /// Bytes in each space before the last step.
    held: BTreeMap<String, u64>,
}

impl Model {
    fn new() -> Self {
        let world = World::new();
        let mut model = Self {
            meta: world.view.get_record::<Meta>(&()).unwrap().unwrap(),
            view: world.view,
            nodes: Vec::new(),
            materials: Vec::new(),
            runs: Vec::new(),
            users: Vec::new(),
            teams: Vec::new(),
            cases: Vec::new(),
            removed: HashSet::new(),
            ids: HashSet::new(),
            generations: HashSet::new(),
            assigned: BTreeMap::new(),
            steps: 0,
            held: BTreeMap::new(),
        };
        let (name, password) = ("admin".to_owned(), Hidden("x".to_owned()));
        model.step(Command::Account(AccountCommand::FirstUser { name, password }));
        for name in ["a", "b", "c", "d"] {
            model.step(register(name, None));
        }
        model
    }

    fn record(&self, material: &MaterialId) -> Option<MaterialRecord> {
        self.view.get_record::<Materials>(material).unwrap()
    }

    fn step(&mut self, command: Command) {
        self.steps += 1;
        let proposal = Proposal { at: self.at(), by: None, command };
        let (changes, outcome) = apply(&self.view, &proposal).unwrap();
        if self.steps % 8 == 0 {
            let again = apply(&self.view, &proposal).unwrap();
            assert_eq!(again, (changes.clone(), outcome.clone()), "not deterministic");
        }
        if let Outcome::Refused { code, .. } = &outcome {
            let may_change = matches!(code, Code::HashMismatch | Code::PreconditionFailed | Code::QuotaExceeded);
            let is_report = matches!(proposal.command, Command::ReplicaVerified { .. });
            assert!(changes.is_empty() || may_change && is_report, "refused, and changed: {proposal:?}");
        }
        self.held = self
            .view
            .scan_records::<SpaceTotals>(&[], None)
            .map(|entry| entry.unwrap())
            .map(|(space, sum)| (space, sum.bytes))
            .collect();
        let (before, parts) = (self.touched(&changes), self.parts_taken_up(&changes));
        for (key, record) in changes {
            match record {
                Some(record) => self.view.insert(key, record),
                None => self.view.remove(&key),
            };
        }
        self.counters_only_grow();
        self.what_is_to_be_freed_ends_freed(&proposal.command, &before);
        self.no_bytes_are_given_away(&proposal.command, before);
        self.no_node_takes_bytes_along(&proposal.command, &outcome);
        self.no_part_is_taken_away(&proposal.command, &parts);
        self.quotas_are_kept(&proposal.command);
        if self.steps % 4 == 0 {
            self.repeating_changes_nothing(&proposal);
        }
        self.remember(&proposal.command, &outcome);
    }

    /// The materials that changes are about, as they were.
    fn touched(&self, changes: &[Change]) -> BTreeMap<MaterialId, MaterialRecord> {
        use crate::core::view::Table;
        changes
            .iter()
            .filter(|(key, _)| key[0] == Materials::TAG)
            .filter_map(|(key, _)| Materials::decode(&key[1..]))
            .filter_map(|id| Some((id.clone(), self.record(&id)?)))
            .collect()
    }

    /// The parts that changes are about, of those that were taken up, each with what took it.
    fn parts_taken_up(&self, changes: &[Change]) -> Vec<(MaterialId, MaterialId)> {
        let touched = self.touched(changes).into_iter();
        touched.filter_map(|(id, part)| Some((id, part.taken_by()?.clone()))).collect()
    }

    /// From when it was acknowledged until it is whole, what is put together keeps its parts: they end with it alone.
    fn no_part_is_taken_away(&self, command: &Command, taken_before: &[(MaterialId, MaterialId)]) {
        for (part, taker) in taken_before {
            let after = self.record(part).filter(|record| !record.is_deleted());
            if after.is_some_and(|after| after.taken_by() == Some(taker)) {
                continue;
            }
            let taker_after = self.record(taker);
            let is_whole = taker_after.as_ref().is_some_and(|record| record.blake3.is_some());
            let is_deleted = taker_after.as_ref().is_none_or(MaterialRecord::is_deleted);
            let is_meant = match command {
                Command::DeleteMaterial { material }
                | Command::ReleaseParts { material, .. }
                | Command::Life(Life::Refuse { material, .. }) => material == taker,
                Command::Life(Life::End { due }) => due.iter().any(|(material, _)| material == taker),
                // Other bytes than were announced.
                Command::ReplicaVerified { material, .. } => material == taker,
                Command::SettleNode { .. } => is_whole,
                _ => false,
            };
            assert!(is_meant && (is_whole || is_deleted), "{command:?} took {part} from {taker}: {taker_after:?}");
        }
    }

    fn counters_only_grow(&mut self) {
        let after = self.view.get_record::<Meta>(&()).unwrap().unwrap();
        let before = std::mem::replace(&mut self.meta, after.clone());
        assert!(after.cluster == before.cluster);
        for (before, after) in [
            (before.node_last, after.node_last),
            (before.material_last, after.material_last),
            (before.run_last, after.run_last),
            (before.generation_last, after.generation_last),
            (before.user_last, after.user_last),
            (before.team_last, after.team_last),
            (before.case_last, after.case_last),
        ] {
            assert!(after >= before, "a counter went back");
        }
    }

    /// What a node is to free does not count again: it stays to be freed until its node says that it is gone.
    fn what_is_to_be_freed_ends_freed(&self, command: &Command, before: &BTreeMap<MaterialId, MaterialRecord>) {
        for (id, before) in before {
            let after = self.record(id);
            for leaving in before.replicas.iter().filter(|replica| replica.state == ReplicaState::Dropping) {
                let lost = (id.clone(), leaving.generation);
                if matches!(command, Command::SettleNode { lost: all, .. } if all.contains(&lost)) {
                    continue;
                }
                let left = after.as_ref().and_then(|after| after.replica(&leaving.node));
                let is_so = |left: &ReplicaRecord| (left.state, left.generation) == (leaving.state, leaving.generation);
                assert!(left.is_none_or(is_so), "{command:?} took {leaving:?} of {id} to {left:?}");
            }
        }
    }

    /// Only the truth about disks, or a deletion, may take the last verified copy, or the last one that can be read; a hash
    /// is for life.
    fn no_bytes_are_given_away(&self, command: &Command, before: BTreeMap<MaterialId, MaterialRecord>) {
        let is_loss = matches!(command, Command::ReplicaGone { .. } | Command::SettleNode { .. });
        let is_truth = is_loss || matches!(command, Command::ReplicaDamaged { .. });
        for (id, before) in before {
            let after = self.record(&id);
            if let (Some(old), Some(new)) = (&before.blake3, after.as_ref().and_then(|after| after.blake3.as_ref())) {
                assert_eq!(old, new, "the hash of {id} changed");
            }
            let is_deleted = after.as_ref().is_none_or(|after| after.deleted_at.is_some());
            let verified = after.iter().flat_map(|after| after.verified()).count();
            if before.verified().count() > verified && matches!(command, Command::DropReplica { .. }) {
                let on_members = after.iter().flat_map(|after| after.verified()).filter(|it| self.is_member(&it.node));
                assert!(on_members.count() >= before.population as usize, "{command:?} took {before:?} to {after:?}");
            }
            if before.verified().count() > verified && !is_truth && !is_deleted {
                assert!(verified >= before.population as usize, "{command:?} took {before:?} to {after:?}");
                assert!(verified >= 1);
            }
            if before.readable().next().is_some() && !is_loss && !is_deleted {
                let readable = after.iter().flat_map(|after| after.readable()).count();
                assert!(readable >= 1, "{command:?} took {before:?} to {after:?}");
            }
            if is_deleted && before.deleted_at.is_none() && before.blake3.is_some() {
                let is_over = |due: &[(MaterialId, Timestamp)]| {
                    let ends_at = before.ends_at().filter(|ends_at| *ends_at <= self.at());
                    ends_at.is_some_and(|ends_at| due.contains(&(id.clone(), ends_at)))
                };
                let is_meant = matches!(command, Command::DeleteMaterial { .. })
                    || matches!(command, Command::Space(SpaceCommand::RemoveFile { .. }))
                    || matches!(command, Command::Life(Life::End { due }) if is_over(due))
                    || before.origin.is_some()
                    || before.taken_by().is_some();
                assert!(is_meant, "{command:?} deleted {before:?}");
            }
        }
    }

    /// What is made, or tells its length, fits into its space. A quota that is lowered below what is there takes nothing away.
    fn quotas_are_kept(&self, command: &Command) {
        let space = match command {
            Command::CreateMaterial { terms, .. } | Command::JoinParts { terms, .. } => terms.space.clone(),
            _ => None,
        };
        let Some(space) = space else { return };
        let quota = self.view.get_record::<Spaces>(&space).unwrap().and_then(|space| space.quota_bytes);
        let held = self.view.get_record::<SpaceTotals>(&space).unwrap().unwrap_or_default().bytes;
        let before = self.held.get(&space).copied().unwrap_or_default();
        assert!(quota.is_none_or(|quota| held <= quota) || held <= before, "{command:?}: {held} of {quota:?}");
    }

    /// Unless it is meant, no node goes with the only copy of anything.
    fn no_node_takes_bytes_along(&self, command: &Command, outcome: &Outcome) {
        let (Command::RemoveNode { node, force: false }, Outcome::Done) = (command, outcome) else { return };
        for entry in self.view.scan_records::<Materials>(&[], None) {
            let (id, record) = entry.unwrap();
            let was_there = record.verified().any(|replica| replica.node == *node);
            let is_elsewhere = record.verified().any(|replica| self.is_member(&replica.node));
            assert!(
                !was_there || is_elsewhere || self.removed.contains(node),
                "{command:?} took {id} along: {record:?}"
            );
        }
    }

    fn is_member(&self, node: &NodeId) -> bool {
        self.view.get_record::<Nodes>(node).unwrap().is_some_and(|record| record.lifecycle == Lifecycle::Member)
    }

    fn repeating_changes_nothing(&self, proposal: &Proposal) {
        let is_idempotent = match &proposal.command {
            Command::CreateMaterial { request, .. }
            | Command::CreateRun { request, .. }
            | Command::Account(
                AccountCommand::CreateTeam { request, .. } | AccountCommand::CreateCase { request, .. },
            ) => request.is_some(),
            // Its parts are taken up by now: the same again gives the same, others are refused.
            Command::JoinParts { .. } => true,
            _ => true,
        };
        if is_idempotent {
            for (key, record) in apply(&self.view, proposal).unwrap().0 {
                assert_eq!(View::get(&self.view, &key).unwrap(), record, "a repeat changed something: {proposal:?}");
            }
        }
    }

    fn remember(&mut self, command: &Command, outcome: &Outcome) {
        let assigned = match (command, outcome) {
            (
                Command::CreateMaterial { node, .. } | Command::JoinParts { node, .. },
                Outcome::Material { material, generation, existed: false },
            ) => Some((material, node, generation)),
            (
                Command::AddReplica { material, node }
                | Command::MoveReplica { material, node, .. }
                | Command::MoveUpload { material, node, .. },
                Outcome::Assigned { generation },
            ) => Some((material, node, generation)),
            _ => None,
        };
        if let Some((material, node, generation)) = assigned {
            self.assigned.entry((material.clone(), node.clone())).or_default().push(*generation);
        }
        if let (Command::RemoveNode { node, .. }, Outcome::Done) = (command, outcome) {
            self.removed.insert(node.clone());
        }
        match outcome {
            Outcome::Node { node } if !self.nodes.contains(node) => {
                assert!(self.ids.insert(node.to_string()));
                self.nodes.push(node.clone());
            }
            Outcome::Material { material, generation, existed: false } => {
                assert!(self.ids.insert(material.to_string()), "{material} was used before");
                assert!(self.generations.insert(*generation), "generation {generation} was used before");
                self.materials.push(material.clone());
            }
            Outcome::User { user } if !self.users.contains(user) => self.users.push(user.clone()),
            Outcome::Team { team } if !self.teams.contains(team) => self.teams.push(team.clone()),
            Outcome::Case { case } if !self.cases.contains(case) => self.cases.push(case.clone()),
            Outcome::Run { run } if !self.runs.contains(run) => {
                assert!(self.ids.insert(run.to_string()));
                self.runs.push(run.clone());
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(histories(64))]

    /// Histories of up to 400 commands; with `PROPTEST_CASES=512` more than 100,000 commands in all.
    #[test]
    fn the_books_are_right_after_any_history(steps in proptest::collection::vec(any::<Step>(), 0..=400)) {
        let mut model = Model::new();
        for (nth, step) in steps.iter().enumerate() {
            model.step(model.command(*step));
            // Working everything out anew costs more than the commands themselves.
            if nth % 32 == 0 {
                invariants::check(&model.view);
            }
        }
        invariants::check(&model.view);
    }
}
