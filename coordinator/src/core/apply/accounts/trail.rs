//! Who did what: an entry for each command that was carried out for somebody. What the cluster does by itself is not in it.

use super::super::next;
use crate::core::{
    audit::describe,
    command::{Outcome, Proposal},
    draft::Draft,
    tables::{Audit, AuditRecord},
    view::ViewError,
};
use microtome_proto::limits::AUDIT_MAX;

/// Notes what was carried out, and forgets the oldest entry where there are as many as are kept.
pub(in super::super) fn note(draft: &mut Draft<'_>, proposal: &Proposal, outcome: &Outcome) -> Result<(), ViewError> {
    let Some(by) = &proposal.by else { return Ok(()) };
    let Some(deed) = describe(&proposal.command, outcome) else { return Ok(()) };
    let sequence = next(draft, |meta| &mut meta.audit_last)?;
    let record = AuditRecord {
        at: proposal.at,
        by: by.name.clone(),
        address: by.address.clone(),
        act: deed.act.into_owned(),
        object: deed.object,
        detail: deed.detail,
    };
    draft.put::<Audit>(&sequence, &record)?;
    if let Some(oldest) = sequence.checked_sub(AUDIT_MAX) {
        draft.remove::<Audit>(&oldest);
    }
    Ok(())
}
