//! Making a material that is put together from parts: a node that has room for it is found before its sender hears that it
//! will be there. From then on planning and orders see to it.

use super::{
    Control,
    placing::{TRIES_MAX, no_place, told_by_all, unexpected},
    unreadable,
};
use crate::core::{
    apply::apply,
    command::{Actor, Command, Outcome, Proposal},
    joins::candidates,
    placement::NoCandidate,
    tables::{Materials, Nodes},
    view::{Typed as _, ViewError},
};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId, Problem, Timestamp,
    material::{Owner, Terms},
    node::Candidate,
};

/// A material to be put together. Its fields are checked.
#[derive(Debug, Clone)]
pub(crate) struct NewJoin {
    pub(crate) by: Option<Actor>,
    pub(crate) request: Option<String>,
    pub(crate) name: String,
    pub(crate) media_type: String,
    pub(crate) blake3: Option<String>,
    pub(crate) population: u32,
    pub(crate) parts: Vec<MaterialId>,
    /// The header that names the parts, as it came.
    pub(crate) given: String,
    pub(crate) owner: Option<Owner>,
    pub(crate) terms: Terms,
    /// See [`Reserve::metadata`](microtome_proto::internal::Reserve::metadata).
    pub(crate) metadata: Option<String>,
}

impl NewJoin {
    fn command(&self, node: NodeId) -> Command {
        let Self { request, name, media_type, blake3, population, parts, given, owner, terms, .. } = self.clone();
        Command::JoinParts { request, name, media_type, blake3, population, parts, given, owner, terms, node }
    }
}

impl Control {
    /// Takes up the parts, and reserves room for the whole on a node. Where none has any the parts are as before.
    pub(crate) async fn join(&self, new: NewJoin) -> Result<MaterialId, Problem> {
        let mut best = match self.places(&new.parts)? {
            Some(Ok(best)) => best.into_iter(),
            Some(Err(why)) => return self.made_before(&new, Some(why)),
            None => return self.made_before(&new, None),
        };
        let first = best.next().ok_or_else(unexpected)?;
        let made = self.group.propose_by(new.by.clone(), new.command(first.node)).await?.accepted()?;
        let Outcome::Material { material, existed, .. } = made else { return Err(unexpected()) };
        if existed {
            return Ok(material);
        }
        let mut refusals = Vec::new();
        let mut last = None;
        while let Some(assigned) = self.assigned(&material)? {
            let refusal = match self.reserve(&material, &assigned, new.metadata.as_deref()).await {
                Ok(_) => {
                    self.prompt([&assigned.node]);
                    return Ok(material);
                }
                Err(refusal) => refusal.into_problem(),
            };
            tracing::warn!(%material, node = %assigned.node, %refusal, "a node does not put a file together");
            let now_ms = self.now_ms();
            self.hear(|observed| observed.replica_failed(&material, &assigned.node, now_ms));
            refusals.push(refusal);
            last = Some(assigned.generation);
            match best.next().filter(|_| refusals.len() < TRIES_MAX) {
                Some(next) => self.move_upload(&material, assigned.generation, next.node).await?,
                None => break,
            }
        }
        let size = self.size_of(&new.parts)?;
        match last {
            Some(generation) if self.release(&material, generation).await? => Err(told_by_all(size, &refusals)),
            // It is whole already: an order was faster.
            _ => Ok(material),
        }
    }

    /// Gives the parts back; `false` where the material is whole, or was placed anew, meanwhile.
    async fn release(&self, material: &MaterialId, generation: Generation) -> Result<bool, Problem> {
        let release = Command::ReleaseParts { material: material.clone(), generation };
        match self.group.propose(release).await? {
            Outcome::Refused { code: Code::StaleGeneration, .. } => Ok(false),
            outcome => outcome.accepted().map(|_| true),
        }
    }

    /// Where there is no place for it: what the books would say to it, which may have it already, or find something wrong
    /// with the parts; only then is it the place.
    fn made_before(&self, new: &NewJoin, why: Option<NoCandidate>) -> Result<MaterialId, Problem> {
        let silent = || no_place(NoCandidate::Silent, 0);
        let foreseen = self.group.read(|view| {
            let Some(node) = view.scan_keys::<Nodes>(&[], None).next().transpose()? else { return Ok(None) };
            let proposal = Proposal { at: Timestamp::now(), by: None, command: new.command(node) };
            apply(view, &proposal).map(|(_, outcome)| Some(outcome))
        });
        let foreseen = foreseen.map_err(|error: ViewError| unreadable(&error))?.ok_or_else(silent)?;
        match foreseen.accepted()? {
            Outcome::Material { material, existed: true, .. } => Ok(material),
            _ => Err(no_place(why.unwrap_or(NoCandidate::Unreadable), self.size_of(&new.parts)?)),
        }
    }

    fn places(&self, parts: &[MaterialId]) -> Result<Option<Result<Vec<Candidate>, NoCandidate>>, Problem> {
        self.scene(|scene| candidates(scene.view, scene.observed, parts, scene.now_ms, scene.timing))
            .map_err(|error| unreadable(&error))
    }

    fn size_of(&self, parts: &[MaterialId]) -> Result<u64, Problem> {
        let size = self.group.read(|view| {
            parts.iter().try_fold(0, |sum: u64, part| {
                let record = view.get_record::<Materials>(part)?;
                Ok(sum.saturating_add(record.map_or(0, |record| record.size)))
            })
        });
        size.map_err(|error: ViewError| unreadable(&error))
    }
}
