//! `users`: who may log in, for administrators.

use crate::{
    commands::{Context, every, password},
    config::parse_duration,
    terminal::{note, time},
};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use comfy_table::Cell;
use microtome_proto::{
    SessionId, UserId,
    account::{Confidential, CreateAccessToken, CreateUser, PatchUser, User},
};
use std::{path::PathBuf, time::Duration};

/// Lists users, makes them known, changes them and takes them out. USER is a name or an id.
#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// List the users
    List,
    /// Make somebody known
    Add(Add),
    /// Change a name, a password, what somebody may do, or shut them out
    Set(Set),
    /// Take somebody out: their logins end, and they leave their teams
    Rm {
        /// Who
        user: String,
    },
    /// Make a token for a service account; it is shown once
    Token(Token),
    /// List somebody's logins, or a service account's tokens
    Sessions {
        /// Whose
        user: String,
    },
    /// End a login, or a service account's token
    End {
        /// Whose
        user: String,
        /// As 'microtome users sessions' lists it
        session: SessionId,
    },
}

/// See [`Users::Add`].
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The name by which they log in
    name: String,
    /// They administer the cluster
    #[arg(long)]
    administrator: bool,
    /// It is a program: it has tokens and no password
    #[arg(long, conflicts_with = "password_file")]
    service: bool,
    /// A file with the password, which is asked for otherwise
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// See [`Users::Set`].
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Who
    user: String,
    /// The new name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Whether they administer the cluster
    #[arg(long, value_name = "BOOL")]
    administrator: Option<bool>,
    /// Whether they are shut out
    #[arg(long, value_name = "BOOL")]
    disabled: Option<bool>,
    /// Give them a new password, which is asked for
    #[arg(long)]
    password: bool,
    /// The same from a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// See [`Users::Token`].
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The service account
    user: String,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    label: String,
    /// How long it is valid: 90s, 30m, 12h, 7d
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_duration)]
    expires_in: Duration,
}

/// Runs one of them.
pub(crate) async fn run(context: &Context, command: Users) -> anyhow::Result<()> {
    match command {
        Users::List => list(context).await,
        Users::Add(add) => {
            let password = match add.service {
                true => None,
                false => Some(Confidential(password::get_new(add.password_file.as_deref(), "their password: ")?)),
            };
            let Add { name, administrator, service, .. } = add;
            let wanted = CreateUser { name, password, service, administrator };
            shown(context, &context.cluster.create_user(&wanted).await?)
        }
        Users::Set(set) => {
            let password = match set.password || set.password_file.is_some() {
                true => Some(Confidential(password::get_new(set.password_file.as_deref(), "their new password: ")?)),
                false => None,
            };
            let id = find(context, &set.user).await?;
            let patch =
                PatchUser { name: set.name, password, administrator: set.administrator, disabled: set.disabled };
            shown(context, &context.cluster.patch_user(&id, &patch).await?)
        }
        Users::Rm { user } => {
            let id = find(context, &user).await?;
            context.cluster.delete_user(&id).await?;
            note(&format!("{user} is taken out"));
            Ok(())
        }
        Users::Token(token) => {
            let id = find(context, &token.user).await?;
            let wanted = CreateAccessToken { label: token.label, expires_in_s: token.expires_in.as_secs() };
            let made = context.cluster.create_access_token(&id, &wanted).await?;
            match context.terminal.json {
                true => context.terminal.document(&made),
                false => context.terminal.line(&made.access_token.0),
            }
        }
        Users::Sessions { user } => {
            let id = find(context, &user).await?;
            let sessions = every(async |query| context.cluster.sessions(&id, &query).await).await?;
            if context.terminal.json {
                return context.terminal.document(&sessions);
            }
            let rows = sessions.iter().map(|session| {
                let label = session.label.clone().unwrap_or_default();
                vec![
                    Cell::new(&session.id),
                    Cell::new(time(session.created_at)),
                    Cell::new(time(session.ends_at)),
                    Cell::new(label),
                ]
            });
            context.terminal.table(&["ID", "SINCE", "UNTIL", "LABEL"], rows.collect(), &[])
        }
        Users::End { user, session } => {
            let id = find(context, &user).await?;
            context.cluster.end_session(&id, &session).await?;
            note(&format!("{session} has ended"));
            Ok(())
        }
    }
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let users = every(async |query| context.cluster.users(&query).await).await?;
    if context.terminal.json {
        return context.terminal.document(&users);
    }
    let rows = users.iter().map(|user| {
        let kind = [(user.service, "service"), (user.administrator, "administrator"), (user.disabled, "shut out")];
        let kind: Vec<_> = kind.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| text).collect();
        vec![Cell::new(&user.id), Cell::new(&user.name), Cell::new(kind.join(", ")), Cell::new(time(user.created_at))]
    });
    context.terminal.table(&["ID", "NAME", "KIND", "SINCE"], rows.collect(), &[])
}

fn shown(context: &Context, user: &User) -> anyhow::Result<()> {
    match context.terminal.json {
        true => context.terminal.document(user),
        false => context.terminal.line(&format!("{}  {}", user.id, user.name)),
    }
}

/// A user by id or name.
async fn find(context: &Context, text: &str) -> anyhow::Result<UserId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let users = every(async |query| context.cluster.users(&query).await).await.context("looking for the user")?;
    let wanted = text.to_lowercase();
    match users.into_iter().find(|user| user.name.to_lowercase() == wanted) {
        Some(user) => Ok(user.id),
        None => bail!("there is no user '{text}': 'microtome users list' lists them"),
    }
}
