//! `rebalance`: nodes made equally full.

use super::{Context, foresight, foresight::time};
use crate::{
    progress::Progress,
    terminal::{note, size},
};
use clap::Args;
use microtome_client::Cluster;
use microtome_proto::{cluster::Rebalance as Moving, operation::How};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How often the cluster is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Moves copies from the fullest nodes to the emptiest.
#[derive(Debug, Args)]
pub(crate) struct Rebalance {
    /// Tell what would be moved, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave the copies where they are from now on
    #[arg(long, conflicts_with_all = ["dry_run", "wait"])]
    cancel: bool,
    /// Wait until nothing is left to be moved
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
}

/// Begins, cancels or foresees it.
pub(crate) async fn run(context: &Context, options: Rebalance) -> anyhow::Result<()> {
    if options.cancel {
        context.cluster.stop_rebalance().await?;
        if context.terminal.json {
            // The answer has no body: this is what `goes_on` would tell.
            return context.terminal.document(&serde_json::json!({ "goes_on": false }));
        }
        note("copies are not moved for the balance's sake any more; those that were moved stay");
        return Ok(());
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = context.cluster.rebalance(How { dry_run: options.dry_run, force: false }).await?;
    if options.wait && told.goes_on {
        tokio::select! {
            ended = until_ended(&context.cluster) => ended?,
            _ = interrupt.recv() => {
                note("rebalancing goes on. 'microtome cluster' shows how far it is, 'microtome rebalance --cancel' ends it");
                return Ok(());
            }
        }
    }
    // After waiting, what still would be moved: nothing, unless somebody cancelled it.
    let told = if options.wait { context.cluster.rebalance(How { dry_run: true, force: false }).await? } else { told };
    if context.terminal.json {
        return context.terminal.document(&told);
    }
    context.terminal.line(&foresight::rebalanced(&told))
}

async fn until_ended(cluster: &Cluster) -> anyhow::Result<()> {
    let mut progress: Option<Progress> = None;
    let mut total = 0;
    while let Some(moving) = cluster.cluster().await?.rebalance {
        total = total.max(moving.bytes_left);
        let bar = progress.get_or_insert_with(|| Progress::of_bytes("rebalance", total));
        bar.grow(total);
        bar.set(total - moving.bytes_left);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// What is still moved, how fast, and how long that takes.
pub(crate) fn left(moving: &Moving) -> String {
    let seconds = moving.seconds_left.map(|seconds| format!(", {} left", time(seconds))).unwrap_or_default();
    format!(
        "{} copies under way, {} to move at {}/s{seconds}; nodes are {:.1} % to {:.1} % full",
        moving.copies,
        size(moving.bytes_left),
        size(moving.bytes_per_s as u64),
        moving.emptiest * 100.0,
        moving.fullest * 100.0
    )
}
