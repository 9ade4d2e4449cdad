//! What is done next: mostly about something that exists.

use super::{Model, Step};
use crate::core::{
    command::{AccountCommand, Command, Life, SpaceCommand},
    tables::{Ends, Hidden, MaterialRecord, Materials, Runs, TeamRole},
    tests::support::*,
    view::Typed,
};
use microtome_proto::{
    CaseId, Generation, MaterialId, NodeId, SessionId, TeamId, Timestamp, UserId,
    material::{Condition, Origin, Terms},
    node::Scheduling,
    run::Output,
    space::PatchSpace,
};

/// Mostly nowhere, often in one of two spaces, sometimes under one of three keys, and then sometimes on a condition.
fn terms(b: u8, c: u8) -> Terms {
    let space = c.is_multiple_of(2).then(|| format!("space {}", b % 2));
    let key = space.as_ref().filter(|_| c.is_multiple_of(4)).map(|_| format!("a/{}", b % 3));
    let condition = key.as_ref().and_then(|_| match b / 8 % 6 {
        0 => Some(Condition::Nothing),
        1 => Some(Condition::Something),
        2 => Some(Condition::AnyOf(vec!["announced".to_owned()])),
        _ => None,
    });
    Terms { space, key, condition, ..Terms::default() }
}

impl Model {
    /// A command that is mostly about something that exists, with a generation that is mostly right.
    pub(super) fn command(&self, step: Step) -> Command {
        let [kind, a, b, c] = step.to_le_bytes();
        let pick = |n: u8, len: usize| usize::from(n) % len.max(1);
        let node = self.nodes[pick(b, self.nodes.len())].clone();
        // Mostly one of the latest: the old ones are settled or gone.
        let recent = self.materials.len().saturating_sub(12);
        let material = self.materials.get(recent + pick(a, self.materials.len() - recent)).cloned();
        let material = material.unwrap_or_else(|| "m-none".parse().unwrap());
        let recent = self.runs.len().saturating_sub(4);
        let run = self.runs.get(recent + pick(a, self.runs.len() - recent)).cloned();
        let run = run.unwrap_or_else(|| "r-99999".parse().unwrap());
        let record = self.record(&material);
        let of_replica = record.as_ref().and_then(|record| record.replica(&node)).map(|replica| replica.generation);
        let generation = match of_replica {
            Some(generation) if c % 8 != 0 => generation,
            _ => Generation(u64::from(c) % (self.meta.generation_last + 2)),
        };
        let running = self.view.get_record::<Runs>(&run).unwrap();
        let attempt = match &running {
            Some(running) if c % 8 != 0 => running.attempt,
            _ => Generation(u64::from(c) % (self.meta.generation_last + 2)),
        };
        let size = record.as_ref().map_or(3, |record| record.size);
        let request = (c % 4 == 0).then(|| format!("key {}", b % 16));
        let kind = kind % 86;
        if kind >= 62 {
            return self.account(kind, a, b, c, request);
        }
        match kind {
            0..=3 => Command::CreateMaterial {
                request,
                name: "x".to_owned(),
                size: u64::from(c % 3),
                size_deferred: c % 7 == 0,
                media_type: "a/b".to_owned(),
                blake3: (c % 5 == 0).then(|| "announced".to_owned()),
                population: u32::from(c % 4),
                origin: (c % 6 == 0).then_some(Origin { run, attempt }),
                partial: false,
                owner: (c % 5 == 0).then(lab),
                terms: self.terms(b, c),
                node,
            },
            4 => Command::MoveUpload { material, generation, node: self.nodes[pick(c, self.nodes.len())].clone() },
            5 => Command::UpdateMaterial { material, name: None, population: Some(u32::from(c % 4)) },
            6 => Command::DeleteMaterial { material },
            7..=12 => Command::AddReplica { material, node },
            13..=20 => Command::ReplicaVerified {
                blake3: if c % 16 == 1 { "wrong".to_owned() } else { hash(&material) },
                size: if c % 16 == 2 { size + 1 } else { size },
                material,
                node,
                generation,
            },
            21..=23 => Command::DropReplica { material, node, generation },
            24 => Command::ReplicaGone { material, node, generation },
            25 => Command::ReplicaDamaged { material, node, generation },
            26 => {
                let had = self.assigned.get(&(material.clone(), node.clone()));
                let had = had.and_then(|had| had.get(pick(c, had.len()))).filter(|_| c % 3 != 0);
                Command::SettleNode {
                    held: had.map(|generation| held(&material, *generation, size)).into_iter().collect(),
                    lost: if c % 2 == 0 { vec![(material, generation)] } else { Vec::new() },
                    node,
                }
            }
            27 => Command::CreateRun {
                request,
                pipeline: "p".to_owned(),
                name: "p".to_owned(),
                inputs: vec![material],
                parameters: serde_json::Value::Null,
                owner: (c % 3 == 0).then(lab),
            },
            28..=30 => Command::AssignRun { run, node },
            31 => Command::RequeueRun { run, attempt, reason: "x".to_owned() },
            32 => Command::RunStarted { run, attempt },
            33..=34 => Command::RunDone {
                run,
                attempt,
                outputs: match running.map(|running| running.made) {
                    Some(made) if c % 2 == 0 => {
                        made.into_iter().map(|material| Output { name: "o".to_owned(), material }).collect()
                    }
                    _ => Vec::new(),
                },
                result: serde_json::Value::Null,
                bytes_moved: 0,
            },
            35 => Command::RunFailed { run, attempt, reason: "x".to_owned() },
            36 if c % 3 == 0 => Command::CancelRun { run },
            37 if self.nodes.len() < 12 => register(&format!("node-{}", b % 16), None),
            38 => Command::ScheduleNode {
                node,
                scheduling: [Scheduling::Active, Scheduling::Cordoned, Scheduling::Draining][pick(c, 3)],
            },
            39 if c % 64 == 0 => Command::RemoveNode { node, force: c % 128 == 0 },
            40 => Command::MoveReplica { material, from: node, node: self.nodes[pick(c, self.nodes.len())].clone() },
            41 => Command::Rebalance { wanted: c % 2 == 0 },
            42..=43 => Command::CreateMaterial {
                request,
                name: "part".to_owned(),
                size: u64::from(c % 3),
                size_deferred: c % 7 == 0,
                media_type: "a/b".to_owned(),
                blake3: None,
                population: 1,
                origin: None,
                partial: true,
                owner: (c % 4 == 0).then(lab),
                terms: Terms::default(),
                node,
            },
            // Mostly of parts that are whole, and then sometimes of what is none.
            44..=45 => Command::JoinParts {
                request,
                name: "joined".to_owned(),
                media_type: "a/b".to_owned(),
                blake3: (c % 5 == 0).then(|| "announced".to_owned()),
                population: u32::from(c % 4),
                parts: self.parts(usize::from(1 + c % 3), (c % 8 == 0).then_some(material)),
                given: format!("final;{}", c % 3),
                owner: (c % 8 == 0).then(lab),
                terms: self.terms(b, c),
                node,
            },
            46 if c % 4 == 0 => Command::ReleaseParts { material, generation },
            47..=49 => self.arrives(c, true).unwrap_or_else(|| add(&material, &node)),
            50 => self.arrives(c, false).unwrap_or_else(|| add(&material, &node)),
            51..=52 => self.meets_a_taken_part(c, node.clone()).unwrap_or_else(|| add(&material, &node)),
            53 => Command::Space(SpaceCommand::Describe {
                space: format!("space {}", b % 2),
                patch: PatchSpace {
                    quota_bytes: Some((c % 3 != 0).then(|| u64::from(a % 16))),
                    quota_bytes_per_owner: (c % 2 == 0).then(|| Some(u64::from(a % 8))),
                    ..PatchSpace::default()
                },
                anew: c % 8 < 6,
            }),
            54 => Command::Space(SpaceCommand::Forget { space: format!("space {}", b % 2) }),
            55 => self.file_removed(c).unwrap_or(Command::AddReplica { material, node }),
            56 => self.arrives_under_a_key(c).unwrap_or(Command::AddReplica { material, node }),
            57 => Command::Life(Life::End { due: self.due(c) }),
            58..=59 => Command::Life(Life::Use { reads: vec![(material, self.later(c % 16))] }),
            60 => Command::Life(Life::Set {
                material,
                name: None,
                population: None,
                expires_at: (c % 3 == 0).then(|| (c % 2 == 0).then(|| self.later(c % 32))),
                idle_s: (c % 4 == 0).then(|| (c % 8 == 0).then_some(1 + u64::from(c % 3))),
            }),
            61 => Command::Life(Life::Refuse { material, node, generation }),
            _ => Command::AddReplica { material, node },
        }
    }

    /// A file is removed from its key; sometimes one that stands there no more.
    fn file_removed(&self, c: u8) -> Option<Command> {
        let (material, record) = self.one_of(c, |record| record.terms.key.is_some())?;
        let (space, key) = (record.terms.space?, record.terms.key?);
        Some(Command::Space(SpaceCommand::RemoveFile { space, key, material }))
    }

    fn arrives_under_a_key(&self, c: u8) -> Option<Command> {
        let is_wanted = |record: &MaterialRecord| record.terms.key.is_some() && record.receiving().is_some();
        let (material, record) = self.one_of(c, is_wanted)?;
        let place = record.receiving()?;
        Some(verified(&material, &place.node, place.generation, record.size))
    }

    /// A time around this one: a step takes a hundredth of a second.
    fn later(&self, tens: u8) -> Timestamp {
        self.at().plus_millis(u64::from(tens) * 100).minus_millis(500)
    }

    pub(super) fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.steps * 10)
    }

    fn terms(&self, b: u8, c: u8) -> Terms {
        let expires_at = c.is_multiple_of(3).then(|| self.later(c % 32));
        Terms { expires_at, idle_s: c.is_multiple_of(4).then_some(1), ..terms(b, c) }
    }

    /// What is due by now, and something that is not.
    fn due(&self, c: u8) -> Vec<(MaterialId, Timestamp)> {
        let mut due: Vec<_> = self.view.scan_keys::<Ends>(&[], None).map(|key| key.unwrap()).collect();
        due.retain(|(ends_at, _)| c.is_multiple_of(4) || *ends_at <= self.at());
        due.into_iter()
            .take(2)
            .map(|(ends_at, id)| (id, ends_at.minus_millis(u64::from(c.is_multiple_of(5)))))
            .collect()
    }

    /// A command about users, teams and cases, mostly such as exist.
    fn account(&self, kind: u8, a: u8, b: u8, c: u8, request: Option<String>) -> Command {
        fn pick<T: Clone>(all: &[T], n: u8) -> Option<T> {
            all.get(usize::from(n) % all.len().max(1)).cloned()
        }
        let user = pick(&self.users, a).unwrap_or_else(|| UserId::from_counter(9_999));
        let team = pick(&self.teams, b).unwrap_or_else(|| TeamId::from_counter(9_999));
        let case = pick(&self.cases, b).unwrap_or_else(|| CaseId::from_counter(9_999));
        let session = SessionId::from_random(u128::from(c % 16));
        let is_so = |bit: u8| (c & bit != 0).then_some(c & 16 != 0);
        let role = if c.is_multiple_of(2) { TeamRole::Member } else { TeamRole::Administrator };
        Command::Account(match kind {
            62..=63 => AccountCommand::CreateUser {
                request,
                name: format!("user {}", c % 32),
                service: c.is_multiple_of(4),
                administrator: c.is_multiple_of(3),
                password: (!c.is_multiple_of(4)).then(|| Hidden("x".to_owned())),
            },
            64 => AccountCommand::UpdateUser {
                user,
                name: c.is_multiple_of(5).then(|| format!("USER {}", b % 32)),
                password: None,
                administrator: is_so(1),
                disabled: is_so(2),
            },
            65 if c.is_multiple_of(4) => AccountCommand::DeleteUser { user },
            66 => AccountCommand::StartTokenSession {
                session,
                user,
                label: "x".to_owned(),
                ends_at: Timestamp::from_millis(self.steps + i64::from(b)),
            },
            67 => AccountCommand::EndSession { user, session },
            68 => AccountCommand::Tidy,
            69..=70 => AccountCommand::CreateTeam { request, name: "team".to_owned(), administrator: user },
            71..=74 => AccountCommand::SetMember { team, user, role },
            75..=76 => AccountCommand::RemoveMember { team, user },
            77 if c.is_multiple_of(4) => AccountCommand::DeleteTeam { team },
            78..=79 => AccountCommand::CreateCase {
                request,
                team,
                name: "case".to_owned(),
                description: String::new(),
                created_by: "x".to_owned(),
                expires_in_s: None,
                idle_expires_in_s: None,
            },
            80 if c.is_multiple_of(4) => AccountCommand::DeleteCase { case },
            _ => {
                let node = self.nodes[usize::from(a) % self.nodes.len()].clone();
                let mut command = create(u64::from(c % 3), u32::from(c % 3), &node);
                if let Command::CreateMaterial { terms, .. } = &mut command {
                    terms.case = Some(case);
                }
                return command;
            }
        })
    }

    /// So many parts that could be put together, the latest first, and another material besides.
    fn parts(&self, count: usize, other: Option<MaterialId>) -> Vec<MaterialId> {
        let is_free = |id: &&MaterialId| {
            let record = self.record(id).filter(|record| record.is_partial() && !record.is_deleted());
            record.is_some_and(|record| record.blake3.is_some() && record.taken_by().is_none())
        };
        self.materials.iter().rev().filter(is_free).take(count).cloned().chain(other).collect()
    }

    /// A material of a kind: else hardly any would be met before it is deleted.
    fn one_of(&self, c: u8, kind: impl Fn(&MaterialRecord) -> bool) -> Option<(MaterialId, MaterialRecord)> {
        let all = self.view.scan_records::<Materials>(&[], None).map(Result::unwrap);
        let all: Vec<_> = all.filter(|(_, record)| !record.is_deleted() && kind(record)).collect();
        all.get(usize::from(c) % all.len().max(1)).cloned()
    }

    /// A part arrives, or what is put together is so.
    fn arrives(&self, c: u8, is_part: bool) -> Option<Command> {
        let is_wanted = |record: &MaterialRecord| match is_part {
            true => record.is_partial() && record.receiving().is_some(),
            false => record.joining().is_some(),
        };
        let (material, record) = self.one_of(c, is_wanted)?;
        Some(match record.receiving() {
            Some(place) => verified(&material, &place.node, place.generation, record.size),
            None => add(&material, &self.nodes[usize::from(c) % self.nodes.len()]),
        })
    }

    /// What may happen to a part that was taken up, and what must not.
    fn meets_a_taken_part(&self, c: u8, node: NodeId) -> Option<Command> {
        let (material, record) = self.one_of(c, |record| record.taken_by().is_some())?;
        let replica = record.replicas.get(usize::from(c) % record.replicas.len().max(1));
        Some(match (c / 8 % 5, replica) {
            (0, Some(it)) => free(&material, &it.node, it.generation),
            (1, Some(it)) => gone(&material, &it.node, it.generation),
            (2, Some(it)) => {
                Command::SettleNode { node: it.node.clone(), lost: vec![(material, it.generation)], held: Vec::new() }
            }
            (3, _) => delete(&material),
            _ => add(&material, &node),
        })
    }
}
