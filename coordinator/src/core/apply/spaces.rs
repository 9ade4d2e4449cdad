//! Spaces: described, their quotas kept, and which material stands under which key.
//!
//! A key changes hands in the entry that brings the first verified copy of its new material: whoever asks before is sent to
//! the old one, whoever asks after to the new one, and the old one stays a while for those who are on their way to it.

use super::{Applied, Stop, books::store_material, materials::discard, refuse};
use crate::core::{
    access,
    command::{Outcome, SpaceCommand},
    draft::Draft,
    tables::{
        ByHash, Keys, MaterialRecord, Materials, OwnerTotals, SpaceRecord, SpaceTotals, Spaces, TotalsRecord,
        owner_text,
    },
    view::{Table, Typed as _, ViewError},
};
use microtome_proto::{
    Code, MaterialId, Timestamp,
    limits::SPACE_MEMBERS_MAX,
    material::{Condition, Owner, Terms},
    space::{DescribeSpace, PatchSpace},
};

/// How long a file that was overwritten is still there for who was sent to it before.
const OVERWRITTEN_STAYS_MS: u64 = 60_000;

pub(super) fn apply(draft: &mut Draft<'_>, at: Timestamp, command: &SpaceCommand) -> Applied {
    match command {
        SpaceCommand::Describe { space, patch, anew } => describe(draft, at, space, patch, *anew),
        SpaceCommand::Forget { space } => forget(draft, space),
        SpaceCommand::RemoveFile { space, key, material } => remove_file(draft, at, (space, key), material),
    }
}

fn describe(draft: &mut Draft<'_>, at: Timestamp, name: &String, patch: &PatchSpace, anew: bool) -> Applied {
    let described = draft.get_record::<Spaces>(name)?;
    if described.is_none() && !anew {
        return refuse(Code::NotFound, format!("there is no space '{name}' that was described"));
    }
    let created_at = described.as_ref().and_then(|space| space.created_at).or(Some(at));
    let before = described.filter(|_| !anew).unwrap_or_else(|| access::undescribed(name));
    let after = patch.applied_to(DescribeSpace {
        visibility: before.visibility,
        members: before.members,
        quota_bytes: before.quota_bytes,
        quota_bytes_per_owner: before.quota_bytes_per_owner,
        expires_in_s: before.expires_in_s,
        idle_expires_in_s: before.idle_expires_in_s,
    });
    if after.members.len() > SPACE_MEMBERS_MAX {
        let detail = format!("{} members: a space has at most {SPACE_MEMBERS_MAX}", after.members.len());
        return refuse(Code::BadRequest, detail);
    }
    let record = SpaceRecord {
        visibility: after.visibility,
        members: after.members,
        quota_bytes: after.quota_bytes,
        quota_bytes_per_owner: after.quota_bytes_per_owner,
        expires_in_s: after.expires_in_s,
        idle_expires_in_s: after.idle_expires_in_s,
        created_at,
    };
    draft.put::<Spaces>(name, &record)?;
    Ok(Outcome::Done)
}

fn forget(draft: &mut Draft<'_>, name: &String) -> Applied {
    if draft.get_record::<Spaces>(name)?.is_none() {
        return refuse(Code::NotFound, format!("there is no space '{name}' that was described"));
    }
    let held = draft.get_record::<SpaceTotals>(name)?.unwrap_or_default();
    if held.replicas > 0 {
        let detail = format!("{} materials lie in the space '{name}': delete them first", held.replicas);
        return refuse(Code::Conflict, detail);
    }
    draft.remove::<Spaces>(name);
    Ok(Outcome::Done)
}

fn remove_file(
    draft: &mut Draft<'_>,
    at: Timestamp,
    (space, key): (&String, &String),
    material: &MaterialId,
) -> Applied {
    match draft.get_record::<Keys>(&(space.clone(), key.clone()))? {
        Some(present) if present == *material => {
            discard(draft, at, material)?;
            Ok(Outcome::Done)
        }
        Some(_) => refuse(Code::PreconditionFailed, format!("another file stands under '{key}' by now")),
        None => refuse(Code::NotFound, format!("there is no file under '{key}' in the space '{space}'")),
    }
}

/// Refuses what is to be made where its key's condition does not hold already, or its bytes are too many for its space.
pub(super) fn must_admit(draft: &Draft<'_>, terms: &Terms, owner: Option<&Owner>, bytes: u64) -> Result<(), Stop> {
    must_hold(draft, terms)?;
    must_fit(draft, terms, owner, bytes)
}

fn must_hold(draft: &Draft<'_>, terms: &Terms) -> Result<(), Stop> {
    let (Some(space), Some(key), Some(condition)) = (&terms.space, &terms.key, &terms.condition) else { return Ok(()) };
    let present = match draft.get_record::<Keys>(&(space.clone(), key.clone()))? {
        Some(id) => draft.get_record::<Materials>(&id)?.and_then(|record| record.blake3),
        None => None,
    };
    if condition.holds(present.as_deref()) {
        return Ok(());
    }
    // Which one it is those are not told who only drop files off: with its hash they could overwrite it.
    let stands = match (condition, &present) {
        (Condition::Nothing, _) => "a file stands",
        (_, None) => "no file stands",
        (_, Some(_)) => "another file stands",
    };
    refuse(Code::PreconditionFailed, format!("{stands} under '{key}' in the space '{space}'"))
}

/// Bytes count from when they are announced: uploads that race for the rest of a quota do not get it twice.
fn must_fit(draft: &Draft<'_>, terms: &Terms, owner: Option<&Owner>, bytes: u64) -> Result<(), Stop> {
    let Some(name) = &terms.space else { return Ok(()) };
    let Some(space) = draft.get_record::<Spaces>(name)? else { return Ok(()) };
    let refused = |whose: &str, held: u64, quota: u64| {
        let detail = format!("{whose} the space '{name}' has {held} of {quota} bytes, and {bytes} more are announced");
        refuse(Code::QuotaExceeded, detail)
    };
    if let Some(quota) = space.quota_bytes {
        let held = draft.get_record::<SpaceTotals>(name)?.unwrap_or_default().bytes;
        if held.saturating_add(bytes) > quota {
            return refused("", held, quota);
        }
    }
    if let (Some(quota), Some(owner)) = (space.quota_bytes_per_owner, owner) {
        let of_owner = (name.clone(), owner_text(owner));
        let held = draft.get_record::<OwnerTotals>(&of_owner)?.unwrap_or_default().bytes;
        if held.saturating_add(bytes) > quota {
            return refused("its owner's share of", held, quota);
        }
    }
    Ok(())
}

/// The first verified copy of a material is there. With it the material stands under its key, and what stood there before
/// has an end; or it is deleted, and why is answered: its length, which was told last, is too much for the space, or what was
/// to stand under the key does not. The material itself is for the caller to store.
pub(super) fn arrive(
    draft: &mut Draft<'_>,
    at: Timestamp,
    id: &MaterialId,
    before: &MaterialRecord,
    after: &mut MaterialRecord,
) -> Result<Option<(Code, String)>, Stop> {
    if before.blake3.is_some() {
        return Ok(None);
    }
    let fits = match before.lacks_size() {
        true => must_fit(draft, &after.terms, after.owner.as_ref(), after.size),
        false => Ok(()),
    };
    match fits.and_then(|()| must_hold(draft, &after.terms)) {
        Err(Stop::Refused(code, detail)) => {
            after.deleted_at = Some(at);
            return Ok(Some((code, detail)));
        }
        other => other?,
    }
    let (Some(space), Some(key)) = (&after.terms.space, &after.terms.key) else { return Ok(None) };
    let place = (space.clone(), key.clone());
    if let Some(old) = draft.get_record::<Keys>(&place)?
        && let Some(record) = draft.get_record::<Materials>(&old)?
    {
        let ends = at.plus_millis(OVERWRITTEN_STAYS_MS);
        let mut overwritten = record.clone();
        overwritten.terms.expires_at = Some(overwritten.terms.expires_at.map_or(ends, |earlier| earlier.min(ends)));
        store_material(draft, at, &old, Some(&record), overwritten)?;
    }
    draft.put::<Keys>(&place, id)?;
    Ok(None)
}

/// What is deleted stands under its key no more.
pub(super) fn depart(draft: &mut Draft<'_>, id: &MaterialId, before: &MaterialRecord) -> Result<(), ViewError> {
    let (Some(space), Some(key)) = (&before.terms.space, &before.terms.key) else { return Ok(()) };
    let place = (space.clone(), key.clone());
    if draft.get_record::<Keys>(&place)?.as_ref() == Some(id) {
        draft.remove::<Keys>(&place);
    }
    Ok(())
}

/// Where a material that has arrived is found by its hash.
pub(super) fn by_hash(id: &MaterialId, record: &MaterialRecord) -> Option<<ByHash as Table>::Key> {
    let hash = record.blake3.clone().filter(|_| !record.is_deleted() && !record.is_partial())?;
    Some((record.terms.space.clone().unwrap_or_default(), hash, id.clone()))
}

/// Keeps the sums over a space, and over what one owner has there.
pub(super) fn sum(
    draft: &mut Draft<'_>,
    before: Option<&MaterialRecord>,
    after: Option<&MaterialRecord>,
) -> Result<(), ViewError> {
    let counted = |record: Option<&MaterialRecord>| {
        let record = record.filter(|record| !record.is_deleted() && !record.is_partial())?;
        let space = record.terms.space.clone()?;
        Some((space, record.owner.as_ref().map(owner_text), record.size))
    };
    let (old, new) = (counted(before), counted(after));
    if old == new {
        return Ok(());
    }
    for (change, is_new) in [(old, false), (new, true)] {
        let Some((space, owner, size)) = change else { continue };
        if let Some(owner) = owner {
            add::<OwnerTotals>(draft, &(space.clone(), owner), size, is_new)?;
        }
        add::<SpaceTotals>(draft, &space, size, is_new)?;
    }
    Ok(())
}

fn add<T: Table<Record = TotalsRecord>>(
    draft: &mut Draft<'_>,
    key: &T::Key,
    size: u64,
    is_new: bool,
) -> Result<(), ViewError> {
    let held = draft.get_record::<T>(key)?.unwrap_or_default();
    let TotalsRecord { replicas, bytes } = held;
    let held = match is_new {
        true => TotalsRecord { replicas: replicas + 1, bytes: bytes + size },
        false => TotalsRecord { replicas: replicas.saturating_sub(1), bytes: bytes.saturating_sub(size) },
    };
    match held == TotalsRecord::default() {
        true => draft.remove::<T>(key),
        false => draft.put::<T>(key, &held)?,
    }
    Ok(())
}
