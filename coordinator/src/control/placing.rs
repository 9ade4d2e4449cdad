//! Finding a node for an upload: the best candidate is written into the log, then asked to reserve room; where it refuses
//! or does not answer, the upload moves to the next one.

use super::Control;
use crate::core::{
    command::{Command, Outcome},
    placement::candidates,
    tables::{MaterialRecord, Materials, Nodes, RequestRecord, Requests},
    view::{Typed as _, ViewError},
};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId, Problem,
    internal::Reserve,
    material::Origin,
    node::{Availability, Candidate},
};
use std::time::Duration;

/// Nodes asked for one upload.
const TRIES_MAX: usize = 4;
/// Time that a node has to reserve.
const RESERVE_WITHIN: Duration = Duration::from_secs(4);

/// A material to be made. Its fields are checked.
#[derive(Debug, Clone)]
pub(crate) struct NewMaterial {
    pub(crate) request: Option<String>,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) media_type: String,
    pub(crate) blake3: Option<String>,
    pub(crate) population: u32,
    pub(crate) origin: Option<Origin>,
}

/// The node that an upload is assigned to.
struct Assigned {
    node: NodeId,
    url: String,
    generation: Generation,
}

impl Control {
    /// Makes a material and reserves room for its upload. True: the same request had made it before.
    pub(crate) async fn create(&self, new: NewMaterial) -> Result<(MaterialId, bool), Problem> {
        let request = new.request.clone();
        let earlier = request.map(|key| self.group.read(|view| view.get_record::<Requests>(&key)));
        match earlier.transpose().map_err(unreadable)?.flatten() {
            Some(RequestRecord::Material(material)) => return self.reserve_again(material).await,
            Some(RequestRecord::Run(run)) => {
                return Err(Problem::new(Code::Conflict, format!("this Idempotency-Key was used for run {run}")));
            }
            None => {}
        }
        let mut candidates = self.candidates(new.size)?.into_iter();
        let first = candidates.next().ok_or_else(|| self.no_candidate(new.size))?;
        let command = Command::CreateMaterial {
            request: new.request,
            name: new.name,
            size: new.size,
            media_type: new.media_type,
            blake3: new.blake3,
            population: new.population,
            origin: new.origin,
            node: first.node.clone(),
        };
        let Outcome::Material { material, generation, existed } = self.group.propose(command).await?.accepted()? else {
            return Err(unexpected());
        };
        if existed {
            return self.reserve_again(material).await;
        }
        let mut assigned = Assigned { node: first.node, url: first.url, generation };
        let mut refusals = Vec::new();
        loop {
            let refusal = match self.reserve(&material, &assigned).await {
                Ok(()) => return Ok((material, false)),
                Err(refusal) => refusal,
            };
            tracing::warn!(%material, node = %assigned.node, %refusal, "a node did not take an upload");
            let now_ms = self.now_ms();
            self.hear(|observed| observed.replica_failed(&material, &assigned.node, now_ms));
            refusals.push(refusal);
            let next = candidates.next().filter(|_| refusals.len() < TRIES_MAX);
            let Some(next) = next else {
                self.group.propose(Command::DeleteMaterial { material }).await?.accepted()?;
                return Err(told_by_all(new.size, &refusals));
            };
            assigned = self.move_upload(&material, assigned.generation, next).await?;
        }
    }

    async fn move_upload(
        &self,
        material: &MaterialId,
        generation: Generation,
        to: Candidate,
    ) -> Result<Assigned, Problem> {
        let command = Command::MoveUpload { material: material.clone(), generation, node: to.node.clone() };
        match self.group.propose(command).await?.accepted()? {
            Outcome::Assigned { generation } | Outcome::Material { generation, .. } => {
                Ok(Assigned { node: to.node, url: to.url, generation })
            }
            _ => Err(unexpected()),
        }
    }

    /// The caller repeats a request: its first answer was lost, maybe before the node was asked. A node that does not
    /// answer now may have most of the bytes, so the upload stays with it.
    async fn reserve_again(&self, material: MaterialId) -> Result<(MaterialId, bool), Problem> {
        let assigned = self.group.read(|view| {
            let Some(record) = view.get_record::<Materials>(&material)? else { return Ok(None) };
            let Some(replica) = record.receiving() else { return Ok(None) };
            let (node, generation) = (replica.node.clone(), replica.generation);
            Ok(view.get_record::<Nodes>(&node)?.map(|record| Assigned { node, url: record.url, generation }))
        });
        let Some(assigned) = assigned.map_err(unreadable)? else { return Ok((material, true)) };
        let Err(refusal) = self.reserve(&material, &assigned).await else { return Ok((material, true)) };
        if refusal.code == Code::NoSpace {
            let record = self.record(&material)?;
            let others = self.candidates(record.size)?.into_iter().filter(|other| other.node != assigned.node);
            let mut generation = assigned.generation;
            for other in others.take(TRIES_MAX) {
                let moved = self.move_upload(&material, generation, other).await?;
                if self.reserve(&material, &moved).await.is_ok() {
                    break;
                }
                generation = moved.generation;
            }
        }
        Ok((material, true))
    }

    fn candidates(&self, size: u64) -> Result<Vec<Candidate>, Problem> {
        self.scene(|scene| candidates(scene.view, scene.observed, size, scene.now_ms, scene.timing)).map_err(unreadable)
    }

    fn record(&self, material: &MaterialId) -> Result<MaterialRecord, Problem> {
        let record = self.group.read(|view| view.get_record::<Materials>(material)).map_err(unreadable)?;
        record.ok_or_else(|| Problem::new(Code::Gone, format!("{material} was deleted meanwhile")))
    }

    async fn reserve(&self, material: &MaterialId, assigned: &Assigned) -> Result<(), Problem> {
        let record = self.record(material)?;
        let reserve = Reserve {
            material: material.clone(),
            generation: assigned.generation,
            size: record.size,
            name: record.name,
            media_type: record.media_type,
            blake3: record.announced,
        };
        let peers = self.group.peers();
        let request = peers.http().post(format!("{}/internal/v1/uploads", assigned.url));
        let request = match peers.token() {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let silent = |error: reqwest::Error| {
            let reason = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
            Problem::new(Code::Unavailable, format!("{} at {}: {reason}", assigned.node, assigned.url))
        };
        let answer = request.json(&reserve).timeout(RESERVE_WITHIN).send().await.map_err(silent)?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let told = answer.json::<Problem>().await;
        Err(told.unwrap_or_else(|_| Problem::new(Code::Unavailable, format!("{} answers {status}", assigned.node))))
    }

    fn no_candidate(&self, size: u64) -> Problem {
        let any_up = self.scene(|scene| {
            let mut nodes = scene.view.scan_keys::<Nodes>(&[], None).filter_map(Result::ok);
            nodes.any(|node| scene.observed.availability(&node, scene.now_ms, scene.timing) == Availability::Up)
        });
        if any_up {
            Problem::new(Code::NoSpace, format!("no node that takes work has {size} bytes left"))
        } else {
            Problem::new(Code::NotReady, "no storage node answers: start one with 'microtome node'")
        }
    }
}

fn told_by_all(size: u64, refusals: &[Problem]) -> Problem {
    let details: Vec<&str> = refusals.iter().map(|refusal| refusal.detail.as_str()).collect();
    let code =
        if refusals.iter().any(|refusal| refusal.code == Code::NoSpace) { Code::NoSpace } else { Code::NotReady };
    Problem::new(code, format!("no node took an upload of {size} bytes: {}", details.join("; ")))
}

fn unexpected() -> Problem {
    Problem::new(Code::Internal, "a command had an outcome that is not its own")
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn unreadable(error: ViewError) -> Problem {
    crate::http::unreadable(&error)
}
