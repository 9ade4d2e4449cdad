//! Finding a node for an upload: the best candidate is written into the log, then asked to reserve room; where it
//! refuses or does not answer, the upload moves to the next one. From then on it stays where its sender was told that
//! it is: see [`Control::reserve_again`].

use super::{Control, unreadable};
use crate::core::{
    command::{Actor, Command, Outcome},
    placement::{NoCandidate, candidates, candidates_of_part},
    present::Scene,
    tables::{MaterialRecord, Materials, Nodes, RequestRecord, Requests},
    view::{Typed as _, ViewError},
};
use axum::http::HeaderValue;
use microtome_proto::{
    Code, Generation, MaterialId, NodeId, Problem,
    internal::{Reserve, SIZE_DEFERRED},
    material::{Origin, Owner, Terms},
    node::{Candidate, Lifecycle},
    tus,
};
use std::time::Duration;

/// Nodes asked for one upload.
pub(super) const TRIES_MAX: usize = 4;
/// Time that a node has to reserve.
const RESERVE_WITHIN: Duration = Duration::from_secs(10);

/// A material to be made. Its fields are checked.
#[derive(Debug, Clone)]
pub(crate) struct NewMaterial {
    pub(crate) by: Option<Actor>,
    pub(crate) request: Option<String>,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) size_deferred: bool,
    pub(crate) media_type: String,
    pub(crate) blake3: Option<String>,
    pub(crate) population: u32,
    pub(crate) origin: Option<Origin>,
    /// Who sends it, where it is a part of a file that is put together later: all of them are to be on one node.
    pub(crate) part_from: Option<String>,
    pub(crate) owner: Option<Owner>,
    pub(crate) terms: Terms,
    /// See [`Reserve::metadata`].
    pub(crate) metadata: Option<String>,
}

/// A material that was made.
pub(crate) struct Created {
    /// Its id.
    pub(crate) id: MaterialId,
    /// The same request had made it before.
    pub(crate) existed: bool,
    /// When its upload ends if nothing comes, as the node that receives it says in its header.
    pub(crate) upload_expires: Option<HeaderValue>,
}

/// The node that an upload is assigned to.
pub(super) struct Assigned {
    pub(super) node: NodeId,
    url: String,
    is_member: bool,
    pub(super) generation: Generation,
}

/// Why a node did not reserve.
pub(super) enum NotReserved {
    /// It does not answer, or is no node that does.
    Silent(Problem),
    /// It says why.
    Refused(Problem),
}

impl NotReserved {
    pub(super) fn into_problem(self) -> Problem {
        let (Self::Silent(problem) | Self::Refused(problem)) = self;
        problem
    }
}

impl Control {
    /// Makes a material and reserves room for its upload. Requests with the same key come here one after the other:
    /// while the first one looks for a node nobody has been told of one.
    pub(crate) async fn create(&self, new: NewMaterial) -> Result<Created, Problem> {
        // What has no size yet has some bytes.
        let size = new.size.max(u64::from(new.size_deferred));
        let sender = new.part_from.as_deref();
        let metadata = new.metadata.as_deref();
        let (first, others) = match self.candidates(size, sender)? {
            Ok(mut best) => (best.remove(0).node, best),
            // A request that is repeated needs no candidate, only a name for one.
            Err(why) => match self.earlier_node(new.request.as_ref())? {
                Some(node) => (node, Vec::new()),
                None => return Err(no_place(why, size)),
            },
        };
        let mut others = others.into_iter();
        let command = Command::CreateMaterial {
            request: new.request,
            name: new.name,
            size: new.size,
            size_deferred: new.size_deferred,
            media_type: new.media_type,
            blake3: new.blake3,
            population: new.population,
            origin: new.origin,
            partial: sender.is_some(),
            owner: new.owner,
            terms: new.terms,
            node: first,
        };
        let Outcome::Material { material, existed, .. } = self.group.propose_by(new.by, command).await?.accepted()?
        else {
            return Err(unexpected());
        };
        if existed {
            return self.reserve_again(material, sender, metadata).await;
        }
        let mut refusals = Vec::new();
        while let Some(assigned) = self.assigned(&material)? {
            let refusal = match self.reserve(&material, &assigned, metadata).await {
                Ok(upload_expires) => return Ok(Created { id: material, existed: false, upload_expires }),
                Err(refusal) => refusal.into_problem(),
            };
            // What is empty arrives when it is made, and it is the books that refused it: no other node takes it.
            if matches!(refusal.code, Code::PreconditionFailed | Code::QuotaExceeded) {
                return Err(refusal);
            }
            tracing::warn!(%material, node = %assigned.node, %refusal, "a node did not take an upload");
            let now_ms = self.now_ms();
            self.hear(|observed| observed.replica_failed(&material, &assigned.node, now_ms));
            refusals.push(refusal);
            match others.next().filter(|_| refusals.len() < TRIES_MAX) {
                Some(next) => self.move_upload(&material, assigned.generation, next.node).await?,
                None => break,
            }
        }
        if !self.give_up(&material).await? {
            // It has arrived all the same: the sender had asked twice.
            return Ok(Created { id: material, existed: true, upload_expires: None });
        }
        Err(told_by_all(size, &refusals))
    }

    /// Ends an upload that no node takes, and its material with it; `false` where it has arrived. It gets a new generation
    /// first, which only an upload under way can: one that has become whole meanwhile has the old one and stays.
    async fn give_up(&self, material: &MaterialId) -> Result<bool, Problem> {
        let Some(Assigned { node, generation, .. }) = self.assigned(material)? else {
            // Its node may have ended it itself: it has just told all that it holds, and this was not among it.
            return self.has_arrived(material).map(|has_arrived| !has_arrived);
        };
        let again = Command::MoveUpload { material: material.clone(), generation, node: node.clone() };
        let generation = match self.group.propose(again).await? {
            Outcome::Assigned { generation } => generation,
            Outcome::Refused { code: Code::StaleGeneration, .. } => return Ok(false),
            Outcome::Refused { code: Code::NotFound | Code::Gone, .. } => return Ok(true),
            other => return other.accepted().and_then(|_| Err(unexpected())),
        };
        let gone = Command::ReplicaGone { material: material.clone(), node, generation };
        match self.group.propose(gone).await? {
            Outcome::Refused { code: Code::NotFound | Code::Gone, .. } => Ok(true),
            outcome => outcome.accepted().map(|_| true),
        }
    }

    fn has_arrived(&self, material: &MaterialId) -> Result<bool, Problem> {
        let found =
            self.group.read(|view| view.get_record::<Materials>(material)).map_err(|error| unreadable(&error))?;
        Ok(found.is_some_and(|record| !record.is_deleted() && record.blake3.is_some()))
    }

    pub(super) async fn move_upload(
        &self,
        material: &MaterialId,
        generation: Generation,
        node: NodeId,
    ) -> Result<(), Problem> {
        let now_ms = self.now_ms();
        self.hear(|observed| observed.upload_moved(material, now_ms));
        let command = Command::MoveUpload { material: material.clone(), generation, node };
        match self.group.propose(command).await? {
            // It ended meanwhile, or is elsewhere.
            Outcome::Refused { code: Code::StaleGeneration | Code::Gone | Code::NotFound, detail } => {
                Err(Problem::new(Code::NotReady, detail))
            }
            outcome => outcome.accepted().map(|_| ()),
        }
    }

    /// The caller repeats a request: its first answer was lost, or came and the upload was begun, and may be whole by
    /// now without anyone having heard of it. So it moves on only from a node that says that it has no room for it,
    /// which one says that has nothing of it, and from one that was removed. One that does not answer keeps it; one
    /// that refuses for another reason is asked again when the caller does.
    async fn reserve_again(
        &self,
        material: MaterialId,
        sender: Option<&str>,
        metadata: Option<&str>,
    ) -> Result<Created, Problem> {
        let size = self.record(&material)?.size.max(1);
        let (mut tried, mut refusals, mut upload_expires) = (Vec::new(), Vec::new(), None);
        while let Some(assigned) = self.assigned(&material)? {
            let node = assigned.node.clone();
            if assigned.is_member {
                match self.reserve(&material, &assigned, metadata).await {
                    Ok(expires) => {
                        upload_expires = expires;
                        break;
                    }
                    Err(NotReserved::Refused(refusal)) if refusal.code == Code::NoSpace => refusals.push(refusal),
                    Err(NotReserved::Refused(refusal)) => {
                        return Err(Problem::new(Code::NotReady, format!("{node} says: {}", refusal.detail)));
                    }
                    Err(NotReserved::Silent(silence)) => {
                        tracing::warn!(%material, %node, %silence, "an upload's node does not answer, and keeps it");
                        break;
                    }
                }
            } else {
                refusals.push(Problem::new(Code::Gone, format!("{node} was removed from the cluster")));
            }
            tried.push(node);
            let candidates = self.candidates(size, sender)?.unwrap_or_default();
            let mut others = candidates.into_iter().filter(|other| !tried.contains(&other.node));
            match others.next().filter(|_| refusals.len() < TRIES_MAX) {
                Some(next) => self.move_upload(&material, assigned.generation, next.node).await?,
                None => return Err(told_by_all(size, &refusals)),
            }
        }
        Ok(Created { id: material, existed: true, upload_expires })
    }

    /// Where the upload of a material goes; none where it has arrived.
    pub(super) fn assigned(&self, material: &MaterialId) -> Result<Option<Assigned>, Problem> {
        let found = self.group.read(|view| {
            let Some(record) = view.get_record::<Materials>(material)? else { return Ok(None) };
            let Some(replica) = record.receiving() else { return Ok(None) };
            let (node, generation) = (replica.node.clone(), replica.generation);
            let Some(record) = view.get_record::<Nodes>(&node)? else { return Ok(None) };
            let is_member = record.lifecycle == Lifecycle::Member;
            Ok(Some(Assigned { node, url: record.url, is_member, generation }))
        });
        found.map_err(|error: ViewError| unreadable(&error))
    }

    /// A node of the material that the same request has made before.
    fn earlier_node(&self, request: Option<&String>) -> Result<Option<NodeId>, Problem> {
        let Some(key) = request else { return Ok(None) };
        let found = self.group.read(|view| {
            let Some(RequestRecord::Material(id)) = view.get_record::<Requests>(key)? else { return Ok(None) };
            let record = view.get_record::<Materials>(&id)?;
            Ok(record.and_then(|record| record.replicas.into_iter().next()).map(|replica| replica.node))
        });
        found.map_err(|error: ViewError| unreadable(&error))
    }

    fn candidates(&self, size: u64, sender: Option<&str>) -> Result<Result<Vec<Candidate>, NoCandidate>, Problem> {
        let found = self.scene(|Scene { view, observed, now_ms, timing }| match sender {
            Some(sender) => candidates_of_part(view, observed, (size, sender), now_ms, timing),
            None => candidates(view, observed, size, now_ms, timing),
        });
        found.map_err(|error| unreadable(&error))
    }

    fn record(&self, material: &MaterialId) -> Result<MaterialRecord, Problem> {
        let record =
            self.group.read(|view| view.get_record::<Materials>(material)).map_err(|error| unreadable(&error))?;
        record.ok_or_else(|| {
            Problem::new(Code::NotReady, format!("{material} was deleted meanwhile: it can be made anew"))
        })
    }

    /// Has a node reserve the room; answers when it takes it back if nothing comes.
    pub(super) async fn reserve(
        &self,
        material: &MaterialId,
        assigned: &Assigned,
        metadata: Option<&str>,
    ) -> Result<Option<HeaderValue>, NotReserved> {
        let record = self.record(material).map_err(NotReserved::Refused)?;
        let (concat, belonging) = (record.concat_header(), record.belonging());
        let reserve = Reserve {
            concat,
            material: material.clone(),
            generation: assigned.generation,
            size: if record.lacks_size() { SIZE_DEFERRED } else { record.size },
            name: record.name,
            media_type: record.media_type,
            blake3: record.announced,
            owner: record.owner,
            metadata: metadata.map(str::to_owned),
            belonging,
        };
        let url = format!("{}/internal/v1/uploads", assigned.url);
        let request = self.group.peers().call(reqwest::Method::POST, &url);
        let silent = |error: reqwest::Error| {
            let reason = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
            let detail = format!("{} at {}: {reason}", assigned.node, assigned.url);
            NotReserved::Silent(Problem::new(Code::Unavailable, detail))
        };
        let answer = request.json(&reserve).timeout(RESERVE_WITHIN).send().await.map_err(silent)?;
        if answer.status().is_success() {
            return Ok(answer.headers().get(tus::EXPIRES).cloned());
        }
        let status = answer.status();
        let told = answer.json::<Problem>().await.map(NotReserved::Refused);
        let unread = || Problem::new(Code::Unavailable, format!("{} answers {status}", assigned.node));
        Err(told.unwrap_or_else(|_| NotReserved::Silent(unread())))
    }
}

pub(super) fn no_place(why: NoCandidate, size: u64) -> Problem {
    match why {
        NoCandidate::Silent => Problem::new(Code::NotReady, "no storage node answers: start one with 'microtome node'"),
        NoCandidate::Settling => {
            Problem::new(Code::NotReady, "a storage node has just come up, or still tells what it holds")
        }
        NoCandidate::Full => Problem::new(Code::NoSpace, format!("no node that takes work has {size} bytes left")),
        NoCandidate::Older => {
            Problem::new(Code::Upgrading, "no node that takes work is of the version that puts files together yet")
        }
        NoCandidate::Unreadable => Problem::new(Code::Unavailable, "no node that answers has one of the parts"),
    }
}

pub(super) fn told_by_all(size: u64, refusals: &[Problem]) -> Problem {
    let details: Vec<&str> = refusals.iter().map(|refusal| refusal.detail.as_str()).collect();
    let all_say = |code| !refusals.is_empty() && refusals.iter().all(|refusal| refusal.code == code);
    // An empty file is whole at once, and has the hash of nothing: no other node would say anything else.
    let told = [Code::NoSpace, Code::HashMismatch].into_iter().find(|code| all_say(*code));
    let code = told.unwrap_or(Code::NotReady);
    Problem::new(code, format!("no node took an upload of {size} bytes: {}", details.join("; ")))
}

pub(super) fn unexpected() -> Problem {
    Problem::new(Code::Internal, "a command had an outcome that is not its own")
}
