//! Sessions: each is a login, or a service account's token, and an access token counts while its session is there.

use super::{
    super::{Applied, Stop, refuse},
    check_text, tokens, users,
};
use crate::core::{
    command::Outcome,
    draft::Draft,
    keys,
    tables::{Hidden, SessionRecord, Sessions, SessionsByEnd, SessionsOfUser, UserRecord, Users},
    view::{Typed as _, ViewError},
};
use microtome_proto::{
    Code, SessionId, Timestamp, UserId,
    limits::SESSIONS_MAX,
    token::{ACCESS_TOKEN_S, LEEWAY_S},
};

/// A refresh token is taken once more for so long: whoever never got the answer to the first time has another try.
const ONCE_MORE_WITHIN_MS: i64 = 30_000;
/// Sessions, and tokens, that are forgotten at a time.
pub(super) const TIDIED_MAX: usize = 1_000;

pub(super) struct Login<'a> {
    pub(super) proven: &'a Hidden,
    pub(super) refresh: &'a str,
    pub(super) rehashed: Option<&'a Hidden>,
}

pub(super) fn start(
    draft: &mut Draft<'_>,
    at: Timestamp,
    session: &SessionId,
    user: &UserId,
    ends_at: Timestamp,
    login: &Login<'_>,
) -> Applied {
    must_be_new(draft, session)?;
    let owner = users::enabled(draft, user)?;
    users::must_be_proven(&owner, login.proven)?;
    if let Some(hash) = login.rehashed {
        draft.put::<Users>(user, &UserRecord { password: Some(hash.clone()), ..owner })?;
    }
    make_room(draft, user)?;
    let record = SessionRecord {
        user: user.clone(),
        label: None,
        refresh: Some(login.refresh.to_owned()),
        refreshed: None,
        overtaken: None,
        refreshed_at: None,
        created_at: at,
        ends_at,
    };
    store(draft, session, None, Some(&record))?;
    Ok(Outcome::Session { session: session.clone(), user: user.clone() })
}

pub(super) fn start_token(
    draft: &mut Draft<'_>,
    at: Timestamp,
    session: &SessionId,
    user: &UserId,
    ends_at: Timestamp,
    label: &str,
) -> Applied {
    must_be_new(draft, session)?;
    check_text("label", label)?;
    if !users::enabled(draft, user)?.service {
        let detail = format!("{user} is a person, who logs in: tokens are made for service accounts");
        return refuse(Code::Conflict, detail);
    }
    if of_user(draft, user)?.len() >= SESSIONS_MAX {
        let detail = format!("{user} has {SESSIONS_MAX} tokens already: end some of them");
        return refuse(Code::Conflict, detail);
    }
    let record = SessionRecord {
        user: user.clone(),
        label: Some(label.to_owned()),
        refresh: None,
        refreshed: None,
        overtaken: None,
        refreshed_at: None,
        created_at: at,
        ends_at,
    };
    store(draft, session, None, Some(&record))?;
    Ok(Outcome::Session { session: session.clone(), user: user.clone() })
}

pub(super) fn refresh(
    draft: &mut Draft<'_>,
    at: Timestamp,
    session: &SessionId,
    old: &str,
    new: &str,
    ends_at: Timestamp,
) -> Applied {
    let ended = || refuse(Code::Unauthorized, "the refresh token counts no more: log in again");
    let Some(before) = draft.get_record::<Sessions>(session)? else { return ended() };
    if before.ends_at <= at {
        return ended();
    }
    let mut after = SessionRecord { refresh: Some(new.to_owned()), ends_at, ..before.clone() };
    if before.refresh.as_deref() == Some(old) {
        after.refreshed = Some(old.to_owned());
        after.refreshed_at = Some(at);
        after.overtaken = None;
    } else if before.overtaken.as_deref() == Some(old) {
        // Two have brought the one before it, and both got an answer: one of them has a copy.
        store(draft, session, Some(&before), None)?;
        take_back(draft, at, session, &before)?;
        return Ok(Outcome::Stolen { user: before.user });
    } else if before.refreshed.as_deref() == Some(old) {
        let since_ms = before.refreshed_at.map(|since| at.as_millis() - since.as_millis());
        if since_ms.is_none_or(|since_ms| since_ms > ONCE_MORE_WITHIN_MS) {
            store(draft, session, Some(&before), None)?;
            take_back(draft, at, session, &before)?;
            return Ok(Outcome::Stolen { user: before.user });
        }
        after.refreshed_at = None;
        after.overtaken = before.refresh.clone();
    } else {
        return ended();
    }
    store(draft, session, Some(&before), Some(&after))?;
    Ok(Outcome::Session { session: session.clone(), user: after.user })
}

pub(super) fn end(draft: &mut Draft<'_>, at: Timestamp, user: &UserId, session: &SessionId) -> Applied {
    match draft.get_record::<Sessions>(session)?.filter(|record| record.user == *user) {
        Some(record) => {
            store(draft, session, Some(&record), None)?;
            // A login's ends within minutes; its own user has ended it.
            if record.label.is_some() {
                take_back(draft, at, session, &record)?;
            }
            Ok(Outcome::Done)
        }
        None => refuse(Code::NotFound, format!("{user} has no session {session}")),
    }
}

/// Ends all sessions of a user at once, also at nodes, which look at no session.
pub(super) fn shut_out(draft: &mut Draft<'_>, at: Timestamp, user: &UserId) -> Result<(), Stop> {
    for (session, record) in of_user(draft, user)? {
        store(draft, &session, Some(&record), None)?;
        take_back(draft, at, &session, &record)?;
    }
    Ok(())
}

/// Has nodes refuse what was made for a session, for as long as it may last.
fn take_back(draft: &mut Draft<'_>, at: Timestamp, id: &SessionId, record: &SessionRecord) -> Result<(), Stop> {
    let until = match record.label {
        Some(_) => record.ends_at,
        None => record.ends_at.min(at.plus_millis((ACCESS_TOKEN_S + LEEWAY_S) * 1000)),
    };
    tokens::take_back_session(draft, at, id, until)
}

/// Ends all sessions of a user, but one.
pub(super) fn end_others(draft: &mut Draft<'_>, user: &UserId, keep: Option<&SessionId>) -> Result<(), Stop> {
    for (session, record) in of_user(draft, user)? {
        if Some(&session) != keep {
            store(draft, &session, Some(&record), None)?;
        }
    }
    Ok(())
}

/// Forgets sessions that have ended by themselves.
pub(super) fn tidy(draft: &mut Draft<'_>, at: Timestamp) -> Result<(), Stop> {
    let ended = draft.scan_keys::<SessionsByEnd>(&[], None).take(TIDIED_MAX);
    let ended: Vec<_> = ended.collect::<Result<_, ViewError>>()?;
    for (_, session) in ended.into_iter().take_while(|(ends_at, _)| *ends_at <= at) {
        if let Some(record) = draft.get_record::<Sessions>(&session)? {
            store(draft, &session, Some(&record), None)?;
        }
    }
    Ok(())
}

/// The oldest one goes where a user has as many as they may.
fn make_room(draft: &mut Draft<'_>, user: &UserId) -> Result<(), Stop> {
    let mut sessions = of_user(draft, user)?;
    if sessions.len() < SESSIONS_MAX {
        return Ok(());
    }
    sessions.sort_by(|(one, a), (other, b)| (a.created_at, one).cmp(&(b.created_at, other)));
    for (session, record) in &sessions[..=sessions.len() - SESSIONS_MAX] {
        store(draft, session, Some(record), None)?;
    }
    Ok(())
}

/// Ids are drawn: one that is there already was drawn twice, or its command came twice.
fn must_be_new(draft: &Draft<'_>, session: &SessionId) -> Result<(), Stop> {
    match draft.get_record::<Sessions>(session)? {
        Some(_) => refuse(Code::Conflict, format!("there is a session {session} already")),
        None => Ok(()),
    }
}

fn of_user(draft: &Draft<'_>, user: &UserId) -> Result<Vec<(SessionId, SessionRecord)>, ViewError> {
    let mut sessions = Vec::new();
    for key in draft.scan_keys::<SessionsOfUser>(&keys::numbered(user.as_str()), None) {
        let (_, session) = key?;
        if let Some(record) = draft.get_record::<Sessions>(&session)? {
            sessions.push((session, record));
        }
    }
    Ok(sessions)
}

fn store(
    draft: &mut Draft<'_>,
    id: &SessionId,
    before: Option<&SessionRecord>,
    after: Option<&SessionRecord>,
) -> Result<(), ViewError> {
    if let Some(before) = before {
        draft.remove::<SessionsOfUser>(&(before.user.clone(), id.clone()));
        draft.remove::<SessionsByEnd>(&(before.ends_at, id.clone()));
        draft.remove::<Sessions>(id);
    }
    if let Some(after) = after {
        draft.put::<Sessions>(id, after)?;
        draft.put::<SessionsOfUser>(&(after.user.clone(), id.clone()), &())?;
        draft.put::<SessionsByEnd>(&(after.ends_at, id.clone()), &())?;
    }
    Ok(())
}
