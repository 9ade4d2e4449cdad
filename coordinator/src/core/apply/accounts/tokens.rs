//! Tokens that were taken back, each until it ends by itself.

use super::{
    super::{Applied, Stop, meta, refuse},
    sessions::TIDIED_MAX,
};
use crate::core::{
    command::Outcome,
    draft::Draft,
    tables::{Meta, Revoked},
    view::{Typed as _, ViewError},
};
use microtome_proto::{Code, SessionId, Timestamp, limits::REVOKED_MAX};

pub(super) fn revoke(draft: &mut Draft<'_>, at: Timestamp, token: &str, until: Timestamp) -> Applied {
    let token = token.to_owned();
    if draft.get_record::<Revoked>(&token)?.is_some() {
        return Ok(Outcome::Done);
    }
    if is_full(draft) {
        tidy(draft, at)?;
    }
    if is_full(draft) {
        let detail = format!(
            "{REVOKED_MAX} tokens are taken back already, and none of them has ended by itself: change the secret or the key \
             instead, with which all tokens end"
        );
        return refuse(Code::Conflict, detail);
    }
    draft.put::<Revoked>(&token, &until)?;
    changed(draft)?;
    Ok(Outcome::Done)
}

/// The same of all that was made for a session, by its id. Where there is no room nodes take them until they end.
pub(super) fn take_back_session(
    draft: &mut Draft<'_>,
    at: Timestamp,
    session: &SessionId,
    until: Timestamp,
) -> Result<(), Stop> {
    if until > at && !is_full(draft) {
        draft.put::<Revoked>(&session.to_string(), &until)?;
        changed(draft)?;
    }
    Ok(())
}

fn is_full(draft: &Draft<'_>) -> bool {
    draft.scan_keys::<Revoked>(&[], None).nth(REVOKED_MAX - 1).is_some()
}

/// Forgets those that have ended by themselves.
pub(super) fn tidy(draft: &mut Draft<'_>, at: Timestamp) -> Applied {
    let mut ended = Vec::new();
    for entry in draft.scan_records::<Revoked>(&[], None) {
        let (token, until) = entry?;
        ended.extend((until <= at).then_some(token));
    }
    ended.truncate(TIDIED_MAX);
    for token in &ended {
        draft.remove::<Revoked>(token);
    }
    if !ended.is_empty() {
        changed(draft)?;
    }
    Ok(Outcome::Done)
}

fn changed(draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut meta = meta(draft)?;
    meta.revoked_version += 1;
    draft.put::<Meta>(&(), &meta).map_err(|error: ViewError| Stop::View(error))
}
