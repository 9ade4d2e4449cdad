//! `teams`: who works together.

use crate::{
    commands::{Context, every},
    terminal::{note, time},
};
use clap::Subcommand;
use comfy_table::Cell;
use microtome_proto::{
    TeamId,
    account::{CreateTeam, PatchTeam, Team, TeamRole},
};

/// Lists teams, makes them, and says who belongs to them. USER is a name or an id.
#[derive(Debug, Subcommand)]
pub(crate) enum Teams {
    /// List your teams; to administrators of the cluster all
    List,
    /// Make a team, which you administer
    Add {
        /// Its name
        name: String,
        /// Who administers it instead, where you administer the cluster
        #[arg(long, value_name = "USER")]
        administrator: Option<String>,
    },
    /// Show a team and who belongs to it
    Show {
        /// The team
        team: TeamId,
    },
    /// Give a team another name
    Rename {
        /// The team
        team: TeamId,
        /// Its new name
        name: String,
    },
    /// Delete a team that has no cases
    Rm {
        /// The team
        team: TeamId,
    },
    /// Take somebody into a team, or give them another role there
    Put {
        /// The team
        team: TeamId,
        /// Who
        user: String,
        /// member or administrator
        #[arg(long, value_name = "ROLE", default_value = "member")]
        role: TeamRole,
    },
    /// Take somebody out of a team; yourself, to leave it
    Out {
        /// The team
        team: TeamId,
        /// Who
        user: String,
    },
}

/// Runs one of them.
pub(crate) async fn run(context: &Context, command: Teams) -> anyhow::Result<()> {
    let cluster = &context.cluster;
    match command {
        Teams::List => list(context).await,
        Teams::Add { name, administrator } => {
            shown(context, &cluster.create_team(&CreateTeam { name, administrator }).await?)
        }
        Teams::Show { team } => shown(context, &cluster.team(&team).await?),
        Teams::Rename { team, name } => {
            shown(context, &cluster.patch_team(&team, &PatchTeam { name: Some(name) }).await?)
        }
        Teams::Rm { team } => {
            cluster.delete_team(&team).await?;
            note(&format!("{team} is deleted"));
            Ok(())
        }
        Teams::Put { team, user, role } => shown(context, &cluster.put_member(&team, &user, role).await?),
        Teams::Out { team, user } => {
            cluster.remove_member(&team, &user).await?;
            note(&format!("{user} does not belong to {team} any more"));
            Ok(())
        }
    }
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let teams = every(async |query| context.cluster.teams(&query).await).await?;
    if context.terminal.json {
        return context.terminal.document(&teams);
    }
    let rows = teams.iter().map(|team| {
        vec![
            Cell::new(&team.id),
            Cell::new(&team.name),
            Cell::new(team.members.len()),
            Cell::new(time(team.created_at)),
        ]
    });
    context.terminal.table(&["ID", "NAME", "MEMBERS", "SINCE"], rows.collect(), &[2])
}

fn shown(context: &Context, team: &Team) -> anyhow::Result<()> {
    if context.terminal.json {
        return context.terminal.document(team);
    }
    context.terminal.line(&format!("{}  {}", team.id, team.name))?;
    let rows = team.members.iter().map(|one| vec![Cell::new(&one.user), Cell::new(&one.name), Cell::new(one.role)]);
    context.terminal.table(&["USER", "NAME", "ROLE"], rows.collect(), &[])
}
