//! Whether a file is there already that somebody is about to send.

use super::{
    access::Principal,
    keys,
    tables::{ByHash, Keys, MaterialRecord, Materials},
    view::{Typed as _, View, ViewError},
};
use microtome_proto::{MaterialId, Timestamp, material::Terms};

/// Equal files in one place that are looked at.
const LOOKS_MAX: usize = 64;

/// What is about to be sent.
#[derive(Debug)]
pub struct Sought<'a> {
    /// Where it is to belong, and how long it is to live.
    pub terms: &'a Terms,
    /// Bytes.
    pub size: u64,
    /// Their hash.
    pub blake3: &'a str,
    /// Copies wanted.
    pub population: u32,
}

/// A material in the same place that has these bytes, lives as long and in as many copies, and is the asker's to read; or, of
/// who only drops files off, their own.
///
/// # Errors
/// Where the state cannot be read.
pub fn same(view: &dyn View, asker: &Principal, sought: &Sought<'_>) -> Result<Option<MaterialId>, ViewError> {
    // What must stand under the key is for the log to say.
    if sought.terms.condition.is_some() {
        return Ok(None);
    }
    let place = keys::texts(sought.terms.space.as_deref().unwrap_or_default(), sought.blake3);
    for entry in view.scan_keys::<ByHash>(&place, None).take(LOOKS_MAX) {
        let (_, _, id) = entry?;
        let Some(record) = view.get_record::<Materials>(&id)? else { continue };
        if fits(view, &id, &record, sought)? && is_theirs(view, asker, &id, &record)? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn fits(view: &dyn View, id: &MaterialId, record: &MaterialRecord, sought: &Sought<'_>) -> Result<bool, ViewError> {
    let (has, wants) = (&record.terms, sought.terms);
    let lives_on = |has: Option<Timestamp>, wants: Option<Timestamp>| {
        has.is_none_or(|has| wants.is_some_and(|wants| has >= wants))
    };
    let is_idle_longer = has.idle_s.is_none_or(|has| wants.idle_s.is_some_and(|wants| has >= wants));
    if record.size != sought.size
        || record.population < sought.population
        || record.verified().next().is_none()
        || (&has.key, &has.case) != (&wants.key, &wants.case)
        || !lives_on(has.expires_at, wants.expires_at)
        || !is_idle_longer
    {
        return Ok(false);
    }
    match (&has.space, &has.key) {
        // One that was overwritten is not what stands there.
        (Some(space), Some(key)) => Ok(view.get_record::<Keys>(&(space.clone(), key.clone()))?.as_ref() == Some(id)),
        _ => Ok(true),
    }
}

fn is_theirs(view: &dyn View, asker: &Principal, id: &MaterialId, record: &MaterialRecord) -> Result<bool, ViewError> {
    let is_own = record.owner.is_some() && record.owner == asker.owner();
    Ok(is_own || asker.rights_on(view, id, record)?.read)
}
