//! Users: made known, changed, shut out, gone. One who can log in and administers the cluster there always is, once there
//! was any user.

use super::{
    super::{Applied, Stop, earlier, key_reused, meta, next, refuse},
    sessions, teams,
};
use crate::core::{
    command::Outcome,
    draft::Draft,
    tables::{Hidden, RequestRecord, Requests, UserRecord, Users, UsersByName},
    view::{Typed as _, ViewError},
};
use microtome_proto::{Code, SessionId, Timestamp, UserId, limits::USER_NAME_CHARS_MAX};

pub(super) struct Wanted<'a> {
    pub(super) request: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) service: bool,
    pub(super) administrator: bool,
    pub(super) password: Option<&'a Hidden>,
}

pub(super) struct Changes<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) password: Option<&'a Hidden>,
    pub(super) administrator: Option<bool>,
    pub(super) disabled: Option<bool>,
}

pub(super) fn first(draft: &mut Draft<'_>, at: Timestamp, name: &str, password: &Hidden) -> Applied {
    if meta(draft)?.user_last > 0 {
        return refuse(Code::Conflict, "there is a user already");
    }
    let wanted = Wanted { request: None, name, service: false, administrator: true, password: Some(password) };
    create(draft, at, &wanted)
}

pub(super) fn create(draft: &mut Draft<'_>, at: Timestamp, wanted: &Wanted<'_>) -> Applied {
    if let Some(earlier) = earlier(draft, wanted.request)? {
        let RequestRecord::User(user) = earlier else { return key_reused() };
        let record = known(draft, &user)?;
        let is_same = record.name == wanted.name
            && record.service == wanted.service
            && record.administrator == wanted.administrator;
        return if is_same { Ok(Outcome::User { user }) } else { key_reused() };
    }
    check_name(wanted.name)?;
    if wanted.service == wanted.password.is_some() {
        return refuse(Code::BadRequest, "a service account has tokens, everybody else has a password");
    }
    let user = UserId::from_counter(next(draft, |meta| &mut meta.user_last)?);
    take_name(draft, &user, wanted.name)?;
    let record = UserRecord {
        name: wanted.name.to_owned(),
        service: wanted.service,
        administrator: wanted.administrator,
        disabled: false,
        password: wanted.password.cloned(),
        request: wanted.request.map(str::to_owned),
        created_at: at,
    };
    draft.put::<Users>(&user, &record)?;
    if let Some(request) = wanted.request {
        draft.put::<Requests>(&request.to_owned(), &RequestRecord::User(user.clone()))?;
    }
    Ok(Outcome::User { user })
}

pub(super) fn update(draft: &mut Draft<'_>, at: Timestamp, user: &UserId, changes: &Changes<'_>) -> Applied {
    let before = known(draft, user)?;
    let mut after = before.clone();
    if let Some(name) = changes.name
        && name != before.name
    {
        check_name(name)?;
        draft.remove::<UsersByName>(&before.name.to_lowercase());
        take_name(draft, user, name)?;
        name.clone_into(&mut after.name);
    }
    after.administrator = changes.administrator.unwrap_or(before.administrator);
    after.disabled = changes.disabled.unwrap_or(before.disabled);
    if let Some(password) = changes.password {
        if before.service {
            return refuse(Code::Conflict, format!("{user} is a service account: it has tokens and no password"));
        }
        after.password = Some(password.clone());
    }
    if heads(&before) && !heads(&after) {
        another_heads(draft, user)?;
    }
    draft.put::<Users>(user, &after)?;
    if after.password != before.password || (after.disabled && !before.disabled) {
        sessions::shut_out(draft, at, user)?;
    }
    Ok(Outcome::User { user: user.clone() })
}

pub(super) fn change_password(
    draft: &mut Draft<'_>,
    user: &UserId,
    proven: &Hidden,
    password: &Hidden,
    keep: Option<&SessionId>,
) -> Applied {
    let before = enabled(draft, user)?;
    must_be_proven(&before, proven)?;
    draft.put::<Users>(user, &UserRecord { password: Some(password.clone()), ..before })?;
    sessions::end_others(draft, user, keep)?;
    Ok(Outcome::User { user: user.clone() })
}

pub(super) fn delete(draft: &mut Draft<'_>, at: Timestamp, user: &UserId) -> Applied {
    let record = known(draft, user)?;
    if heads(&record) {
        another_heads(draft, user)?;
    }
    teams::leave_all(draft, user)?;
    sessions::shut_out(draft, at, user)?;
    draft.remove::<UsersByName>(&record.name.to_lowercase());
    if let Some(request) = &record.request {
        draft.remove::<Requests>(request);
    }
    draft.remove::<Users>(user);
    Ok(Outcome::Done)
}

/// A user who is there.
pub(super) fn known(draft: &Draft<'_>, user: &UserId) -> Result<UserRecord, Stop> {
    match draft.get_record::<Users>(user)? {
        Some(record) => Ok(record),
        None => refuse(Code::NotFound, format!("there is no user {user}")),
    }
}

/// A user who is not shut out.
pub(super) fn enabled(draft: &Draft<'_>, user: &UserId) -> Result<UserRecord, Stop> {
    let record = known(draft, user)?;
    match record.disabled {
        true => refuse(Code::Conflict, format!("{user} is shut out: let them in first")),
        false => Ok(record),
    }
}

/// Refuses where the password has changed since it was held against this hash.
pub(super) fn must_be_proven(record: &UserRecord, proven: &Hidden) -> Result<(), Stop> {
    let present = record.password.as_ref().map(|hash| blake3::hash(hash.0.as_bytes()).to_hex());
    match present.is_some_and(|present| *present == *proven.0) {
        true => Ok(()),
        false => refuse(Code::WrongLogin, "the password was changed a moment ago"),
    }
}

/// Whether somebody can log in and do everything.
fn heads(record: &UserRecord) -> bool {
    record.administrator && !record.disabled && !record.service
}

fn another_heads(draft: &Draft<'_>, user: &UserId) -> Result<(), Stop> {
    let mut others = draft.scan_records::<Users>(&[], None);
    let found = others.find_map(|entry| match entry {
        Ok((other, record)) => (other != *user && heads(&record)).then_some(Ok(())),
        Err(error) => Some(Err(error)),
    });
    match found.transpose().map_err(|error: ViewError| Stop::View(error))? {
        Some(()) => Ok(()),
        None => refuse(
            Code::Conflict,
            format!(
                "{user} is the last one who can log in and administer the cluster: make another administrator first"
            ),
        ),
    }
}

fn take_name(draft: &mut Draft<'_>, user: &UserId, name: &str) -> Result<(), Stop> {
    let key = name.to_lowercase();
    match draft.get_record::<UsersByName>(&key)? {
        Some(other) if other != *user => refuse(Code::Conflict, format!("the name '{name}' is taken")),
        _ => Ok(draft.put::<UsersByName>(&key, user)?),
    }
}

fn check_name(name: &str) -> Result<(), Stop> {
    let fits = (1..=USER_NAME_CHARS_MAX).contains(&name.chars().count());
    if !fits || name.chars().any(char::is_control) || name.trim() != name || name.parse::<UserId>().is_ok() {
        let detail = format!("a user's name has 1 to {USER_NAME_CHARS_MAX} characters, and is not of an id's form");
        return refuse(Code::BadRequest, detail);
    }
    Ok(())
}
