//! `cases`: what a team works on.

use crate::{
    commands::{Context, every, materials},
    config::parse_duration,
    terminal::{note, time},
};
use clap::{Args, Subcommand};
use comfy_table::Cell;
use microtome_proto::{
    CaseId, TeamId,
    account::{Case, CreateCase, PatchCase},
};
use std::time::Duration;

/// Lists cases, makes them, and deletes them with all that belongs to them.
#[derive(Debug, Subcommand)]
pub(crate) enum Cases {
    /// List the cases of your teams
    List {
        /// Of this team only
        #[arg(long, value_name = "TEAM")]
        team: Option<TeamId>,
    },
    /// Make a case; 'microtome put --case' sends files there
    Add(Add),
    /// Show a case
    Show {
        /// The case
        case: CaseId,
    },
    /// List the materials of a case
    Ls {
        /// The case
        case: CaseId,
    },
    /// Change a case's name or description
    Set {
        /// The case
        case: CaseId,
        /// Its new name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// What it is about
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Delete a case, with all its materials
    Rm {
        /// The case
        case: CaseId,
    },
}

/// See [`Cases::Add`].
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Whose it is
    team: TeamId,
    /// Its name
    name: String,
    /// What it is about
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// After how long its materials are deleted: 90s, 30m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires_in: Option<Duration>,
    /// After how long without a reader they are
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    idle_expires_in: Option<Duration>,
}

/// Runs one of them.
pub(crate) async fn run(context: &Context, command: Cases) -> anyhow::Result<()> {
    let cluster = &context.cluster;
    match command {
        Cases::List { team } => list(context, team).await,
        Cases::Add(Add { team, name, description, expires_in, idle_expires_in }) => {
            let wanted = CreateCase {
                team,
                name,
                description,
                expires_in_s: expires_in.map(|time| time.as_secs()),
                idle_expires_in_s: idle_expires_in.map(|time| time.as_secs()),
            };
            shown(context, &cluster.create_case(&wanted).await?)
        }
        Cases::Show { case } => shown(context, &cluster.case(&case).await?),
        Cases::Ls { case } => {
            let all = every(async |query| cluster.materials_of_case(&case, &query).await).await?;
            materials::show_list(context, &all)
        }
        Cases::Set { case, name, description } => {
            let patch = PatchCase { name, description, ..PatchCase::default() };
            shown(context, &cluster.patch_case(&case, &patch).await?)
        }
        Cases::Rm { case } => {
            cluster.delete_case(&case).await?;
            note(&format!("{case} is deleted, and its materials are being freed"));
            Ok(())
        }
    }
}

async fn list(context: &Context, team: Option<TeamId>) -> anyhow::Result<()> {
    let cases = every(async |query| context.cluster.cases(team.as_ref(), &query).await).await?;
    if context.terminal.json {
        return context.terminal.document(&cases);
    }
    let rows = cases.iter().map(|case| {
        vec![Cell::new(&case.id), Cell::new(&case.team), Cell::new(&case.name), Cell::new(time(case.created_at))]
    });
    context.terminal.table(&["ID", "TEAM", "NAME", "SINCE"], rows.collect(), &[])
}

fn shown(context: &Context, case: &Case) -> anyhow::Result<()> {
    if context.terminal.json {
        return context.terminal.document(case);
    }
    let seconds = |seconds: Option<u64>| seconds.map(|seconds| format!("{seconds} s"));
    let mut pairs = vec![
        ("case", case.id.to_string()),
        ("name", case.name.clone()),
        ("team", case.team.to_string()),
        ("made by", case.created_by.clone()),
        ("since", time(case.created_at)),
    ];
    pairs.extend(Some(case.description.clone()).filter(|text| !text.is_empty()).map(|text| ("about", text)));
    pairs.extend(seconds(case.expires_in_s).map(|text| ("materials end after", text)));
    pairs.extend(seconds(case.idle_expires_in_s).map(|text| ("unread after", text)));
    context.terminal.pairs(&pairs)
}
