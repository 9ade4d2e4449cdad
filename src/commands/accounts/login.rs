//! `login`, `logout`, `whoami`, `passwd`: who one is to the cluster.

use crate::{
    commands::{Context, password},
    terminal::note,
};
use anyhow::Context as _;
use clap::Args;
use microtome_client::{Credential, Credentials};
use std::{
    io::{BufRead as _, IsTerminal as _},
    path::PathBuf,
};

/// Logs in.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Your name; asked for otherwise
    name: Option<String>,
    /// A file with the password, which is asked for otherwise
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Changes one's own password.
#[derive(Debug, Args)]
pub(crate) struct Passwd {
    /// A file with the present password, which is asked for otherwise
    #[arg(long, value_name = "FILE")]
    old_file: Option<PathBuf>,
    /// A file with the new password, which is asked for otherwise
    #[arg(long, value_name = "FILE")]
    new_file: Option<PathBuf>,
}

/// `login`.
pub(crate) async fn log_in(context: &Context, login: Login) -> anyhow::Result<()> {
    let credentials = Credentials::of_user()
        .context("there is no home to keep the login in: set HOME, or use MICROTOME_TOKEN instead")?;
    let name = match login.name {
        Some(name) => name,
        None => {
            let input = std::io::stdin();
            if input.is_terminal() {
                note("your name:");
            }
            let mut line = String::new();
            input.lock().read_line(&mut line)?;
            line.trim().to_owned()
        }
    };
    let password = password::get(login.password_file.as_deref(), "password: ")?;
    let answer = context.cluster.log_in(&name, &password).await?;
    let user = answer.user.clone();
    credentials.remember(&Credential::new(&context.servers, answer))?;
    if context.terminal.json {
        return context.terminal.document(&user);
    }
    context.terminal.line(&format!("logged in as {} ({})", user.name, user.id))
}

/// `logout`.
pub(crate) async fn log_out(context: &Context) -> anyhow::Result<()> {
    let told = context.cluster.log_out().await;
    if let Some(credentials) = Credentials::of_user() {
        credentials.forget(&context.servers)?;
    }
    told.context("the login is forgotten here, and may go on at the cluster")
}

/// `whoami`.
pub(crate) async fn who(context: &Context) -> anyhow::Result<()> {
    let me = context.cluster.me().await?;
    if context.terminal.json {
        return context.terminal.document(&me);
    }
    let name = me.user.as_ref().map_or_else(|| me.name.clone(), |user| format!("{} ({})", user.name, user.id));
    let role = if me.administrator { "administrator of the cluster".to_owned() } else { me.role.clone() };
    let mut pairs = vec![("name", name), ("role", role)];
    pairs.extend(me.space.map(|space| ("space", space)));
    pairs.extend(me.teams.iter().map(|team| ("team", format!("{} {} ({})", team.team, team.name, team.role))));
    pairs.extend(me.expires_at.map(|at| ("token ends", crate::terminal::time(at))));
    context.terminal.pairs(&pairs)
}

/// `passwd`.
pub(crate) async fn passwd(context: &Context, options: Passwd) -> anyhow::Result<()> {
    let old = password::get(options.old_file.as_deref(), "present password: ")?;
    let new = password::get_new(options.new_file.as_deref(), "new password: ")?;
    context.cluster.change_password(&old, &new).await?;
    note("the password is changed; all other logins have ended");
    Ok(())
}
