//! Users, sessions, teams and cases, and what is written of who did what.

mod cases;
mod sessions;
mod teams;
mod tokens;
mod trail;
mod users;

pub(super) use cases::{empty, must_live};
pub(super) use trail::note;

use super::{Applied, Stop, refuse};
use crate::core::{
    command::{AccountCommand, Outcome},
    draft::Draft,
};
use microtome_proto::{Code, Timestamp, limits::NAME_LEN_MAX};

pub(super) fn dispatch(draft: &mut Draft<'_>, at: Timestamp, command: &AccountCommand) -> Applied {
    match command {
        AccountCommand::FirstUser { name, password } => users::first(draft, at, name, password),
        AccountCommand::CreateUser { request, name, service, administrator, password } => {
            let wanted = users::Wanted {
                request: request.as_deref(),
                name,
                service: *service,
                administrator: *administrator,
                password: password.as_ref(),
            };
            users::create(draft, at, &wanted)
        }
        AccountCommand::UpdateUser { user, name, password, administrator, disabled } => {
            let changes = users::Changes {
                name: name.as_deref(),
                password: password.as_ref(),
                administrator: *administrator,
                disabled: *disabled,
            };
            users::update(draft, at, user, &changes)
        }
        AccountCommand::ChangePassword { user, proven, password, keep } => {
            users::change_password(draft, user, proven, password, keep.as_ref())
        }
        AccountCommand::DeleteUser { user } => users::delete(draft, at, user),
        AccountCommand::StartSession { session, user, proven, refresh, ends_at, rehashed } => {
            let login = sessions::Login { proven, refresh, rehashed: rehashed.as_ref() };
            sessions::start(draft, at, session, user, *ends_at, &login)
        }
        AccountCommand::StartTokenSession { session, user, label, ends_at } => {
            sessions::start_token(draft, at, session, user, *ends_at, label)
        }
        AccountCommand::RefreshSession { session, old, new, ends_at } => {
            sessions::refresh(draft, at, session, old, new, *ends_at)
        }
        AccountCommand::EndSession { user, session } => sessions::end(draft, at, user, session),
        AccountCommand::RevokeToken { token, until, .. } => tokens::revoke(draft, at, token, *until),
        AccountCommand::Note { .. } => Ok(Outcome::Done),
        AccountCommand::Tidy => {
            sessions::tidy(draft, at)?;
            tokens::tidy(draft, at)
        }
        AccountCommand::CreateTeam { request, name, administrator } => {
            teams::create(draft, at, request.as_deref(), name, administrator)
        }
        AccountCommand::UpdateTeam { team, name } => teams::update(draft, team, name.as_deref()),
        AccountCommand::DeleteTeam { team } => teams::delete(draft, team),
        AccountCommand::SetMember { team, user, role } => teams::set_member(draft, team, user, *role),
        AccountCommand::RemoveMember { team, user } => teams::remove_member(draft, team, user),
        AccountCommand::CreateCase {
            request,
            team,
            name,
            description,
            created_by,
            expires_in_s,
            idle_expires_in_s,
        } => {
            let wanted = cases::Wanted {
                request: request.as_deref(),
                team,
                name,
                description,
                created_by,
                lives: (*expires_in_s, *idle_expires_in_s),
            };
            cases::create(draft, at, &wanted)
        }
        AccountCommand::UpdateCase { case, name, description, expires_in_s, idle_expires_in_s } => {
            let texts = (name.as_deref(), description.as_deref());
            cases::update(draft, case, texts, (*expires_in_s, *idle_expires_in_s))
        }
        AccountCommand::DeleteCase { case } => cases::delete(draft, at, case),
    }
}

/// A name that people see: a team's, a case's, what a token is for.
fn check_text(what: &str, text: &str) -> Result<(), Stop> {
    if text.is_empty() || text.len() > NAME_LEN_MAX {
        return refuse(Code::BadRequest, format!("{what} has 1 to {NAME_LEN_MAX} bytes"));
    }
    Ok(())
}
