//! The books change here and nowhere else: `apply` turns a proposal from the log into changes and an outcome.
//!
//! A pure function of the view and the proposal, so that every coordinator comes to the same state. A refused command
//! changes nothing. A report that is repeated succeeds and changes nothing; one about an assignment that has ended is
//! refused with `stale_generation`. Indexes and sums (see [`super::tables`]) follow from each record's old and new
//! form in `books`, never by hand.

mod accounts;
mod books;
mod concat;
mod life;
mod materials;
mod nodes;
mod replicas;
mod runs;
mod spaces;

pub(super) use replicas::with_held;

use super::{
    command::{Command, Outcome, Proposal},
    draft::Draft,
    tables::{Meta, MetaRecord, RequestRecord, Requests},
    view::{Change, Typed, View, ViewError},
};
use microtome_proto::{Code, Generation};

/// Applies a proposal: the changes, to be written in one batch in key order, and what the proposer is told.
///
/// # Errors
/// Where the state cannot be read: nothing may be applied until it is rebuilt.
pub fn apply(view: &dyn View, proposal: &Proposal) -> Result<(Vec<Change>, Outcome), ViewError> {
    let mut draft = Draft::new(view);
    match dispatch(&mut draft, proposal) {
        Ok(outcome) => {
            accounts::note(&mut draft, proposal, &outcome)?;
            Ok((draft.into_changes(), outcome))
        }
        Err(Stop::Refused(code, detail)) => Ok((Vec::new(), Outcome::Refused { code, detail })),
        Err(Stop::View(error)) => Err(error),
    }
}

/// Why a command goes no further.
enum Stop {
    Refused(Code, String),
    View(ViewError),
}

impl From<ViewError> for Stop {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

type Applied = Result<Outcome, Stop>;

fn refuse<T>(code: Code, detail: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Refused(code, detail.into()))
}

fn dispatch(draft: &mut Draft<'_>, proposal: &Proposal) -> Applied {
    let at = proposal.at;
    match &proposal.command {
        Command::Found { cluster, name } => nodes::found(draft, cluster, name),
        Command::RaiseProtocol { protocol } => nodes::raise_protocol(draft, *protocol),
        Command::RegisterNode { instance, name, url, zone, labels, version } => {
            let told = nodes::Told { name, url, zone: zone.as_deref(), labels, version };
            nodes::register(draft, at, instance, &told)
        }
        Command::ScheduleNode { node, scheduling } => nodes::schedule(draft, node, *scheduling),
        Command::RemoveNode { node, force } => nodes::remove(draft, node, *force),
        Command::Rebalance { wanted } => nodes::rebalance(draft, at, *wanted),
        Command::SettleNode { node, lost, held } => replicas::settle(draft, at, node, lost, held),
        Command::CreateMaterial {
            request,
            name,
            size,
            size_deferred,
            media_type,
            blake3,
            population,
            origin,
            partial,
            owner,
            terms,
            node,
        } => {
            let wanted = materials::Wanted {
                request: request.as_deref(),
                name,
                size: *size,
                size_deferred: *size_deferred,
                media_type,
                blake3: blake3.as_deref(),
                population: *population,
                origin: origin.as_ref(),
                partial: *partial,
                owner: owner.as_ref(),
                terms,
            };
            materials::create(draft, at, &wanted, node)
        }
        Command::JoinParts { request, name, media_type, blake3, population, parts, given, owner, terms, node } => {
            let (request, blake3) = (request.as_deref(), blake3.as_deref());
            let wanted = concat::Wanted {
                request,
                name,
                media_type,
                blake3,
                population: *population,
                parts,
                given,
                owner: owner.as_ref(),
                terms,
            };
            concat::join(draft, at, &wanted, node)
        }
        Command::ReleaseParts { material, generation } => concat::release(draft, at, material, *generation),
        Command::MoveUpload { material, generation, node } => {
            materials::move_upload(draft, at, material, *generation, node)
        }
        Command::UpdateMaterial { material, name, population } => {
            materials::update(draft, at, material, name.as_deref(), *population)
        }
        Command::DeleteMaterial { material } => materials::delete(draft, at, material),
        Command::AddReplica { material, node } => replicas::add(draft, at, material, node, None),
        Command::MoveReplica { material, from, node } => replicas::add(draft, at, material, node, Some(from)),
        Command::ReplicaVerified { material, node, generation, size, blake3 } => {
            replicas::verified(draft, at, material, node, *generation, (*size, blake3))
        }
        Command::ReplicaDamaged { material, node, generation } => {
            replicas::damaged(draft, at, material, node, *generation)
        }
        Command::DropReplica { material, node, generation } => replicas::free(draft, at, material, node, *generation),
        Command::ReplicaGone { material, node, generation } => replicas::gone(draft, at, material, node, *generation),
        Command::Account(command) => accounts::dispatch(draft, at, command),
        Command::CreateRun { request, pipeline, name, inputs, parameters, owner } => {
            let (request, owner) = (request.as_deref(), owner.as_ref());
            let wanted = runs::Wanted { request, pipeline, name, inputs, parameters, owner };
            runs::create(draft, at, &wanted)
        }
        Command::AssignRun { run, node } => runs::assign(draft, at, run, node),
        Command::RequeueRun { run, attempt, reason } => runs::requeue(draft, at, run, *attempt, reason),
        Command::RunStarted { run, attempt } => runs::started(draft, run, *attempt),
        Command::RunDone { run, attempt, outputs, result, bytes_moved } => {
            let published = runs::Published { outputs, result, bytes_moved: *bytes_moved };
            runs::done(draft, at, run, *attempt, &published)
        }
        Command::RunFailed { run, attempt, reason } => runs::failed(draft, at, run, *attempt, reason),
        Command::CancelRun { run } => runs::cancel(draft, at, run),
        Command::Space(command) => spaces::apply(draft, at, command),
        Command::Life(command) => life::apply(draft, at, command),
    }
}

fn meta(draft: &Draft<'_>) -> Result<MetaRecord, ViewError> {
    Ok(draft.get_record::<Meta>(&())?.unwrap_or_default())
}

/// The next number of a counter, used up from now on.
fn next(draft: &mut Draft<'_>, counter: impl Fn(&mut MetaRecord) -> &mut u64) -> Result<u64, ViewError> {
    let mut meta = meta(draft)?;
    let last = counter(&mut meta);
    *last += 1;
    let number = *last;
    draft.put::<Meta>(&(), &meta)?;
    Ok(number)
}

fn next_generation(draft: &mut Draft<'_>) -> Result<Generation, ViewError> {
    next(draft, |meta| &mut meta.generation_last).map(Generation)
}

/// What the caller's `Idempotency-Key` was used for before.
fn earlier(draft: &Draft<'_>, request: Option<&str>) -> Result<Option<RequestRecord>, ViewError> {
    match request {
        Some(request) => draft.get_record::<Requests>(&request.to_owned()),
        None => Ok(None),
    }
}

fn key_reused<T>() -> Result<T, Stop> {
    refuse(Code::Conflict, "the Idempotency-Key was used before, for something else")
}
