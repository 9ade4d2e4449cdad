//! `cordon`, `uncordon`, `drain` and `remove`: what operators do to storage nodes.

use super::{
    Context, every,
    foresight::{self, amount, counted, time},
};
use crate::{
    progress::Progress,
    terminal::{note, size},
};
use anyhow::bail;
use clap::Args;
use microtome_client::Cluster;
use microtome_proto::{
    NodeId,
    node::{Availability, Drain, Lifecycle, Node},
    operation::{How, Operated, Operation},
};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How often a node is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A drain of which nothing moves for this long is looked at more closely.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// A node, and how the act is meant.
#[derive(Debug, Args)]
pub(crate) struct Act {
    /// The node: its id, or its name where no other one has it
    node: String,
    /// Tell what it would do, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait until nothing is left to be moved
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
}

/// A removal.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    act: Act,
    /// Remove it also where copies are lost that exist nowhere else
    #[arg(long)]
    force: bool,
}

/// Carries an act out.
pub(crate) async fn act(context: &Context, operation: Operation, act: Act) -> anyhow::Result<()> {
    carry_out(context, operation, act, false).await
}

/// Takes a node out of the cluster.
pub(crate) async fn remove(context: &Context, options: Remove) -> anyhow::Result<()> {
    carry_out(context, Operation::Remove, options.act, options.force).await
}

async fn carry_out(context: &Context, operation: Operation, act: Act, force: bool) -> anyhow::Result<()> {
    let nodes = every(async |query| context.cluster.nodes(&query).await).await?;
    let node = named(&nodes, &act.node)?;
    let how = How { dry_run: act.dry_run, force };
    // From now on an interrupt ends the waiting, not the act.
    let interrupt = act.wait.then(|| signal(SignalKind::interrupt())).transpose()?;
    let operated = context.cluster.operate(&node, operation, how).await?;
    if context.terminal.json {
        context.terminal.document(&operated)?;
    } else {
        context.terminal.line(&foresight::operated(&operated))?;
    }
    let Some(mut interrupt) = interrupt else { return Ok(()) };
    tokio::select! {
        done = until_done(&context.cluster, &operated) => done,
        _ = interrupt.recv() => {
            note(&format!("it goes on without you: {}", foresight::goes_on(&operated)));
            Ok(())
        }
    }
}

async fn until_done(cluster: &Cluster, operated: &Operated) -> anyhow::Result<()> {
    match operated.operation {
        Operation::Drain => watch_drain(cluster, &operated.node, &operated.name).await,
        Operation::Remove => until_healed(cluster, &operated.name).await,
        Operation::Cordon | Operation::Uncordon => Ok(()),
    }
}

/// The node that the user means: by its id, or by a name that only one member has.
fn named(nodes: &[Node], text: &str) -> anyhow::Result<NodeId> {
    if let Some(node) = nodes.iter().find(|node| node.id.as_str() == text) {
        return Ok(node.id.clone());
    }
    let (members, removed): (Vec<_>, Vec<_>) =
        nodes.iter().filter(|node| node.name == text).partition(|node| node.lifecycle == Lifecycle::Member);
    match (members.as_slice(), removed.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one.id.clone()),
        ([], []) => bail!("there is no node '{text}': 'microtome nodes' lists them"),
        (several, _) => {
            let several = if several.is_empty() { removed.as_slice() } else { several };
            let ids: Vec<_> = several.iter().map(|node| node.id.as_str()).collect();
            bail!("'{text}' is the name of several nodes: say which by its id, {}", ids.join(" or "))
        }
    }
}

/// Waits for the end of a drain.
async fn watch_drain(cluster: &Cluster, node: &NodeId, name: &str) -> anyhow::Result<()> {
    let mut progress: Option<Progress> = None;
    let (mut total, mut last, mut changed) = (0, None, Instant::now());
    loop {
        let Some(drain) = cluster.node(node).await?.drain else {
            bail!("the drain of {name} ({node}) was cancelled, or the node removed, by somebody else");
        };
        if drain.is_done() {
            drop(progress);
            note(&format!("{name} ({node}) is drained: 'microtome remove {node}' takes it out of the cluster"));
            return Ok(());
        }
        if last != Some(drain) {
            (last, changed) = (Some(drain), Instant::now());
        } else if changed.elapsed() >= STUCK_AFTER {
            stuck(cluster, node, name).await?;
            changed = Instant::now();
        }
        // What arrives meanwhile is moved, too.
        total = total.max(drain.bytes_left);
        let bar = progress.get_or_insert_with(|| Progress::of_bytes(&format!("drain of {name}"), total));
        bar.grow(total);
        bar.set(total - drain.bytes_left);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// An error where all that is left has no place to go: waiting longer is of no use.
async fn stuck(cluster: &Cluster, node: &NodeId, name: &str) -> anyhow::Result<()> {
    let how = How { dry_run: true, force: false };
    let Some(departure) = cluster.operate(node, Operation::Drain, how).await?.departure else { return Ok(()) };
    if departure.to_copy.copies == 0
        && departure.only_here.copies == 0
        && cluster.node(node).await?.availability == Availability::Down
    {
        bail!(
            "{name} ({node}) does not answer, and all that it holds stands elsewhere: 'microtome remove {node}' takes it out"
        );
    }
    if departure.unplaced.is_empty() || departure.to_copy.copies > 0 || departure.uploads > 0 {
        return Ok(());
    }
    bail!(
        "{name} ({node}) still has {}: {}. Nothing is lost, and the drain goes on by itself as soon as there is a place: \
         add a node, delete materials or lower their population. 'microtome uncordon {node}' cancels it",
        amount(departure.held),
        foresight::unplaced(&departure),
    )
}

/// Waits until no material lacks a copy any more.
async fn until_healed(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let progress = Progress::of_fraction(&format!("copies of what {name} held"));
    let (mut total, mut last, mut changed) = (0, None, Instant::now());
    loop {
        let healing = cluster.cluster().await?.healing;
        if healing.materials == 0 {
            return Ok(());
        }
        if last.as_ref() != Some(&healing) {
            (last, changed) = (Some(healing.clone()), Instant::now());
        } else if changed.elapsed() >= STUCK_AFTER {
            bail!(
                "{} without as many copies as are wanted, and none is being made: add a node, delete materials or lower \
                 their population",
                counted(healing.materials, "material is", "materials are")
            );
        }
        total = total.max(healing.bytes_left);
        let done = 1.0 - healing.bytes_left as f64 / total.max(1) as f64;
        progress.set_fraction(done, &super::cluster::left(&healing));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What a draining node still has, in a few words.
pub(crate) fn left(drain: &Drain) -> String {
    if drain.is_done() {
        return "drained".to_owned();
    }
    let mut parts = Vec::new();
    if drain.copies > 0 {
        parts.push(format!("{}, {}", counted(drain.copies, "copy", "copies"), size(drain.bytes_left)));
    }
    parts.extend((drain.uploads > 0).then(|| counted(drain.uploads, "upload", "uploads")));
    parts.extend((drain.runs > 0).then(|| counted(drain.runs, "run", "runs")));
    parts.extend(drain.seconds_left.map(time));
    format!("draining: {} left", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use microtome_proto::{Timestamp, node::Scheduling};

    fn node(id: &str, name: &str, lifecycle: Lifecycle) -> Node {
        Node {
            id: id.parse().unwrap(),
            name: name.to_owned(),
            url: "http://127.0.0.1:7500".to_owned(),
            zone: None,
            labels: Default::default(),
            version: "0.1.0".to_owned(),
            availability: Availability::Up,
            scheduling: Scheduling::Active,
            lifecycle,
            registered_at: Timestamp::from_millis(0),
            seen_at: None,
            report: None,
            replicas: 0,
            drain: None,
        }
    }

    #[test]
    fn a_node_is_named_by_its_id_or_by_a_name_that_is_its_own() {
        use Lifecycle::{Member, Removed};
        let nodes = [
            node("n-1", "cellar", Removed),
            node("n-2", "cellar", Member),
            node("n-3", "attic", Member),
            node("n-4", "attic", Member),
            node("n-5", "n-3", Member),
            node("n-6", "shed", Removed),
        ];
        let found = |text: &str| named(&nodes, text).map(|id| id.to_string()).map_err(|error| error.to_string());
        assert_eq!(found("n-1").unwrap(), "n-1");
        assert_eq!(found("cellar").unwrap(), "n-2", "not the one that was removed");
        assert_eq!(found("n-3").unwrap(), "n-3", "an id is no name");
        assert_eq!(found("shed").unwrap(), "n-6");
        assert!(found("attic").unwrap_err().ends_with("n-3 or n-4"));
        assert!(found("roof").unwrap_err().contains("no node 'roof'"));
    }

    #[test]
    fn what_is_left_reads_well() {
        let drain = Drain { copies: 3, bytes_left: 2048, seconds_left: Some(60.0), ..Drain::default() };
        assert_eq!(left(&drain), "draining: 3 copies, 2.0 KiB, 60 seconds left");
        assert_eq!(left(&Drain { uploads: 1, runs: 2, ..Drain::default() }), "draining: 1 upload, 2 runs left");
        assert_eq!(left(&Drain::default()), "drained");
    }
}
