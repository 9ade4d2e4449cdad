//! `run` and `runs`: analysis where the slides are.

use super::{Context, every};
use crate::{
    config::parse_pair,
    progress::Progress,
    terminal::{name_of, note, state, time},
};
use anyhow::bail;
use clap::Args;
use comfy_table::Cell;
use microtome_client::Cluster;
use microtome_proto::{
    MaterialId, RunId,
    run::{CreateRun, Run as RunInfo, RunState},
};
use serde_json::{Map, Value};
use std::time::Duration;

/// How often a run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs a pipeline.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The pipeline: tissue, for example
    pipeline: String,
    /// The materials to work on
    #[arg(required = true)]
    ids: Vec<MaterialId>,
    /// A parameter; the value is JSON, or else a text
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = parse_pair)]
    parameters: Vec<(String, String)>,
    /// What to call the run
    #[arg(long)]
    name: Option<String>,
    /// Wait for its end, and tell what it found
    #[arg(long)]
    follow: bool,
}

/// Starts a run.
pub(crate) async fn run(context: &Context, options: Run) -> anyhow::Result<()> {
    let parameters: Map<_, _> = options
        .parameters
        .into_iter()
        .map(|(key, text)| (key, serde_json::from_str(&text).unwrap_or(Value::String(text))))
        .collect();
    let wanted = CreateRun {
        pipeline: options.pipeline,
        name: options.name,
        inputs: options.ids,
        parameters: Value::Object(parameters),
    };
    let mut run = context.cluster.create_run(&wanted).await?;
    if options.follow {
        run = tokio::select! {
            run = follow(&context.cluster, &run.id, &wanted.pipeline) => run?,
            signal = tokio::signal::ctrl_c() => {
                signal?;
                bail!("no longer following {}, which goes on: 'microtome runs' shows it", run.id);
            }
        };
    }
    if context.terminal.json {
        context.terminal.document(&run)?;
    } else if options.follow {
        print(context, &run)?;
    } else {
        context.terminal.line(run.id.as_str())?;
    }
    ended_well(&run)
}

/// Waits for the end of a run, showing how far it is.
pub(crate) async fn follow(cluster: &Cluster, id: &RunId, name: &str) -> anyhow::Result<RunInfo> {
    let progress = Progress::of_fraction(name);
    loop {
        let run = cluster.run(id).await?;
        if run.state.is_final() {
            return Ok(run);
        }
        let node = run.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        let label = if run.progress.label.is_empty() { name_of(&run.state) } else { run.progress.label.clone() };
        progress.set_fraction(run.progress.value, &format!("{label}{node}"));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// An error where a run has ended without having done its work.
pub(crate) fn ended_well(run: &RunInfo) -> anyhow::Result<()> {
    let reason = run.reason.as_deref().unwrap_or("no reason was given");
    match run.state {
        RunState::Error => bail!("the run {} failed: {reason}", run.id),
        RunState::Canceled => bail!("the run {} was cancelled", run.id),
        _ => Ok(()),
    }
}

fn print(context: &Context, run: &RunInfo) -> anyhow::Result<()> {
    let found = match &run.result {
        Some(Value::Object(found)) => found.clone(),
        _ => Map::new(),
    };
    let mut pairs = vec![
        ("run", run.id.to_string()),
        ("state", name_of(&run.state)),
        ("node", run.node.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string)),
        ("attempts", run.attempts.to_string()),
        ("bytes moved", run.bytes_moved.to_string()),
    ];
    if let (Some(start), Some(end)) = (run.started_at, run.ended_at) {
        pairs.push(("took", format!("{:.1} s", end.millis_since(start) as f64 / 1000.0)));
    }
    pairs.extend(found.iter().map(|(name, value)| (name.as_str(), value.to_string())));
    let outputs: Vec<_> =
        run.outputs.iter().map(|output| (output.name.as_str(), output.material.to_string())).collect();
    pairs.extend(outputs);
    context.terminal.pairs(&pairs)
}

/// Lists the runs.
pub(crate) async fn list(context: &Context) -> anyhow::Result<()> {
    let runs = every(async |query| context.cluster.runs(&query).await).await?;
    if context.terminal.json {
        return context.terminal.document(&runs);
    }
    if runs.is_empty() {
        note("no runs yet: 'microtome run tissue ID' starts one");
        return Ok(());
    }
    let row = |run: &RunInfo| {
        vec![
            Cell::new(&run.id),
            Cell::new(&run.pipeline),
            Cell::new(&run.name),
            state(&run.state),
            Cell::new(format!("{:.0} %", run.progress.value * 100.0)),
            Cell::new(run.node.as_ref().map_or("–", |node| node.as_str())),
            Cell::new(run.inputs.iter().map(MaterialId::as_str).collect::<Vec<_>>().join(" ")),
            Cell::new(time(run.created_at)),
        ]
    };
    let header = ["ID", "PIPELINE", "NAME", "STATE", "DONE", "NODE", "INPUTS", "CREATED"];
    context.terminal.table(&header, runs.iter().map(row).collect(), &[4])
}
