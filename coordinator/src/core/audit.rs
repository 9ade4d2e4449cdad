//! What a command was, in the words of the trail of who did what.

use super::command::{AccountCommand, Command, Life, Outcome, SpaceCommand};
use microtome_proto::node::Scheduling;
use std::borrow::Cow;

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// What: `delete_material`.
    pub act: Cow<'static, str>,
    /// To what: an id or a name.
    pub object: String,
    /// What else is to be told of it.
    pub detail: String,
}

impl Deed {
    fn new(act: impl Into<Cow<'static, str>>, object: &(impl ToString + ?Sized)) -> Self {
        Self { act: act.into(), object: object.to_string(), detail: String::new() }
    }

    fn with(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// What was done; none of what was refused, of what changed nothing that matters to anybody, and of what nobody asks for.
pub fn describe(command: &Command, outcome: &Outcome) -> Option<Deed> {
    if matches!(outcome, Outcome::Refused { .. }) {
        return None;
    }
    Some(match command {
        Command::CreateMaterial { name, size, terms, .. } => {
            let place = terms.case.as_ref().map(|case| format!(", {case}"));
            let place = place.or(terms.space.as_ref().map(|space| format!(", space {space}"))).unwrap_or_default();
            made("create_material", outcome)?.with(format!("{name}, {size} bytes{place}"))
        }
        Command::JoinParts { name, parts, .. } => {
            made("create_material", outcome)?.with(format!("{name}, of {} parts", parts.len()))
        }
        Command::UpdateMaterial { material, .. } => Deed::new("update_material", material),
        Command::DeleteMaterial { material } => Deed::new("delete_material", material),
        Command::CreateRun { pipeline, inputs, .. } => {
            let inputs: Vec<_> = inputs.iter().take(10).map(ToString::to_string).collect();
            made("create_run", outcome)?.with(format!("{pipeline} on {}", inputs.join(", ")))
        }
        Command::CancelRun { run } => Deed::new("cancel_run", run),
        Command::ScheduleNode { node, scheduling } => {
            let act = match scheduling {
                Scheduling::Active => "uncordon_node",
                Scheduling::Cordoned => "cordon_node",
                Scheduling::Draining => "drain_node",
            };
            Deed::new(act, node)
        }
        Command::RemoveNode { node, force } => {
            Deed::new("remove_node", node).with(if *force { "by force" } else { "" })
        }
        Command::Rebalance { wanted } => Deed::new(if *wanted { "rebalance" } else { "stop_rebalance" }, ""),
        Command::Account(command) => return of_accounts(command, outcome),
        Command::Space(SpaceCommand::Describe { space, .. }) => Deed::new("describe_space", space),
        Command::Space(SpaceCommand::Forget { space }) => Deed::new("delete_space", space),
        Command::Space(SpaceCommand::RemoveFile { space, key, material }) => {
            Deed::new("delete_material", material).with(format!("{key}, space {space}"))
        }
        Command::Life(Life::Set { material, .. }) => Deed::new("update_material", material),
        _ => return None,
    })
}

fn of_accounts(command: &AccountCommand, outcome: &Outcome) -> Option<Deed> {
    Some(match command {
        AccountCommand::FirstUser { name, .. } => made("create_user", outcome)?.with(name),
        AccountCommand::CreateUser { name, service, administrator, .. } => {
            let kind = if *service { ", service account" } else { "" };
            let rank = if *administrator { ", administrator" } else { "" };
            made("create_user", outcome)?.with(format!("{name}{kind}{rank}"))
        }
        AccountCommand::UpdateUser { user, name, password, administrator, disabled } => {
            let told = [
                name.as_ref().map(|name| format!("name {name}")),
                password.as_ref().map(|_| "password".to_owned()),
                administrator.map(|is_so| format!("administrator {is_so}")),
                disabled.map(|is_so| format!("disabled {is_so}")),
            ];
            Deed::new("update_user", user).with(told.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
        AccountCommand::ChangePassword { user, .. } => Deed::new("change_password", user),
        AccountCommand::DeleteUser { user } => Deed::new("delete_user", user),
        AccountCommand::StartSession { session, .. } => Deed::new("login", session),
        AccountCommand::StartTokenSession { session, user, label, .. } => {
            Deed::new("create_token", user).with(format!("{label}, {session}"))
        }
        AccountCommand::RefreshSession { session, .. } => match outcome {
            Outcome::Stolen { user } => Deed::new("end_session", user)
                .with(format!("{session}: its refresh token came a second time, and may be stolen")),
            _ => return None,
        },
        AccountCommand::EndSession { user, session } => Deed::new("end_session", user).with(session.to_string()),
        AccountCommand::RevokeToken { bearer, .. } => Deed::new("revoke_token", bearer),
        AccountCommand::Note { act, object } => Deed::new(act.clone(), object),
        AccountCommand::Tidy => return None,
        AccountCommand::CreateTeam { name, .. } => made("create_team", outcome)?.with(name),
        AccountCommand::UpdateTeam { team, .. } => Deed::new("update_team", team),
        AccountCommand::DeleteTeam { team } => Deed::new("delete_team", team),
        AccountCommand::SetMember { team, user, role } => Deed::new("set_member", team).with(format!("{user}: {role}")),
        AccountCommand::RemoveMember { team, user } => Deed::new("remove_member", team).with(user.to_string()),
        AccountCommand::CreateCase { team, name, .. } => made("create_case", outcome)?.with(format!("{name}, {team}")),
        AccountCommand::UpdateCase { case, .. } => Deed::new("update_case", case),
        AccountCommand::DeleteCase { case } => Deed::new("delete_case", case),
    })
}

/// What came of it; none where the same was asked for before.
fn made(act: &'static str, outcome: &Outcome) -> Option<Deed> {
    Some(match outcome {
        Outcome::Material { existed: true, .. } => return None,
        Outcome::Material { material, .. } => Deed::new(act, material),
        Outcome::Run { run } => Deed::new(act, run),
        Outcome::User { user } => Deed::new(act, user),
        Outcome::Team { team } => Deed::new(act, team),
        Outcome::Case { case } => Deed::new(act, case),
        _ => return None,
    })
}
