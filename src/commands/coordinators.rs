//! `coordinators`: who belongs to the group that agrees on one log, changed while it works.

use super::Context;
use crate::terminal::note;
use clap::{Args, Subcommand};
use microtome_client::check_address;
use microtome_proto::{
    CoordinatorId,
    cluster::{AddCoordinator, Coordinator},
    operation::How,
};

/// Takes coordinators in and out while the cluster works. 'microtome cluster' lists them.
#[derive(Debug, Subcommand)]
pub(crate) enum Coordinators {
    /// Take in a coordinator that runs with an empty data folder: it is brought up to date, and gets its vote then
    Add(Add),
    /// Take a coordinator out for good; then stop its program
    Remove(Remove),
}

/// See [`Coordinators::Add`].
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its number, which nobody had
    id: CoordinatorId,
    /// Where it runs
    #[arg(value_parser = check_address)]
    url: String,
    /// Tell whether it could be taken in, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// See [`Coordinators::Remove`].
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Its number
    id: CoordinatorId,
    /// Tell whether the others could go on without it, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Changes them, and says who they are then.
pub(crate) async fn run(context: &Context, command: Coordinators) -> anyhow::Result<()> {
    let how = |dry_run| How { dry_run, force: false };
    let (all, done, dry_run) = match command {
        Coordinators::Add(Add { id, url, dry_run }) => {
            let all = context.cluster.add_coordinator(&AddCoordinator { id, url }, how(dry_run)).await?;
            (all, format!("coordinator {id} belongs to the cluster; list it in every server's 'coordinators'"), dry_run)
        }
        Coordinators::Remove(Remove { id, dry_run }) => {
            let all = context.cluster.remove_coordinator(id, how(dry_run)).await?;
            let done = format!(
                "coordinator {id} does not belong to the cluster any more: stop its program, and take it out of every \
                 server's 'coordinators'"
            );
            (all, done, dry_run)
        }
    };
    if context.terminal.json {
        return context.terminal.document(&all);
    }
    note(if dry_run { "that can be done; nothing was changed" } else { &done });
    let list = |one: &Coordinator| format!("{} {}", one.id, one.url);
    context.terminal.line(&all.iter().map(list).collect::<Vec<_>>().join("\n"))
}
