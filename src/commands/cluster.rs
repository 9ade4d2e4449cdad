//! `nodes` and `cluster`: how the servers do.

use super::{Context, every, foresight::time, rebalance, scaling};
use crate::terminal::{self, note, size, state};
use comfy_table::{Cell, Color};
use microtome_proto::{
    cluster::{Checks, Cluster, Healing},
    node::{Lifecycle, Node, NodeReport, Scheduling},
    protocol::PROTOCOL,
};

/// Lists the storage nodes.
pub(crate) async fn nodes(context: &Context) -> anyhow::Result<()> {
    let nodes = every(async |query| context.cluster.nodes(&query).await).await?;
    if context.terminal.json {
        return context.terminal.document(&nodes);
    }
    if nodes.is_empty() {
        note("no nodes yet: 'microtome node' starts one");
        return Ok(());
    }
    let rows = nodes.iter().map(row).collect();
    let header =
        ["ID", "NAME", "STATE", "WORK", "ZONE", "COPIES", "STORED", "FREE", "DISK", "CHECKED", "CPU", "LOAD", "URL"];
    context.terminal.table(&header, rows, &[5, 6, 7, 8, 10, 11])
}

fn row(node: &Node) -> Vec<Cell> {
    let report = node.report.as_ref();
    let told = |text: Option<String>| Cell::new(text.unwrap_or_else(|| "–".to_owned()));
    let work = match (node.lifecycle, node.scheduling, &node.drain) {
        (Lifecycle::Removed, _, _) => state(&node.lifecycle),
        (_, Scheduling::Active, _) => Cell::new("yes"),
        (_, _, Some(drain)) => Cell::new(scaling::left(drain)).fg(Color::Yellow),
        (_, other, None) => state(&other),
    };
    vec![
        Cell::new(&node.id),
        Cell::new(&node.name),
        state(&node.availability),
        work,
        told(node.zone.clone()),
        Cell::new(node.replicas),
        told(report.map(|report| size(report.stored))),
        report.map_or_else(|| Cell::new("–"), free),
        told(report.map(|report| size(report.disk_total))),
        report.map_or_else(|| Cell::new("–"), checked),
        told(report.map(|report| format!("{:.0} %", report.cpu * 100.0))),
        told(report.map(|report| format!("{:.2}", report.load))),
        Cell::new(&node.url),
    ]
}

fn free(report: &NodeReport) -> Cell {
    let free = size(report.disk_free);
    if report.disk_full { Cell::new(format!("full ({free})")).fg(Color::Red) } else { Cell::new(free) }
}

/// What is known to be damaged, or else how far the scrub is.
fn checked(report: &NodeReport) -> Cell {
    match (&report.scrub, report.damaged) {
        (_, damaged @ 1..) => Cell::new(format!("{damaged} damaged")).fg(Color::Red),
        (None, 0) => Cell::new("not yet"),
        (Some(scrub), 0) => match scrub.finished_at {
            Some(at) => Cell::new(terminal::time(at)),
            None => Cell::new(format!("{} %", 100 * scrub.read / (scrub.read + scrub.left).max(1))),
        },
    }
}

/// The version that answers, and whether all coordinators work by what it speaks.
fn version(cluster: &Cluster) -> String {
    match cluster.protocol {
        PROTOCOL.. => cluster.version.clone(),
        older => format!(
            "{}, working by protocol {older}: what protocol {PROTOCOL} brought waits until all coordinators are upgraded",
            cluster.version
        ),
    }
}

/// Shows the cluster.
pub(crate) async fn cluster(context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster.cluster().await?;
    if context.terminal.json {
        return context.terminal.document(&cluster);
    }
    let healing = &cluster.healing;
    let healing = if healing.materials == 0 && healing.copies == 0 {
        "nothing".to_owned()
    } else {
        let (materials, copies, left) = (healing.materials, healing.copies, left(healing));
        format!("{materials} materials, {copies} copies under way, {left}")
    };
    let mut pairs = vec![
        ("cluster", format!("{} ({})", cluster.name, cluster.id)),
        ("version", version(&cluster)),
        ("nodes", format!("{} of {} answer", cluster.nodes_up, cluster.nodes)),
        ("materials", format!("{}, {}", cluster.materials, size(cluster.bytes))),
        ("healing", healing),
    ];
    if cluster.auth == Checks::Off {
        pairs.push((
            "tokens",
            "NOT CHECKED: whoever reaches a server may do everything (set 'secret' under [auth])".to_owned(),
        ));
    }
    pairs.extend(cluster.rebalance.as_ref().map(|moving| ("rebalance", rebalance::left(moving))));
    pairs.push(("leader", format!("coordinator {} in term {}", cluster.leader, cluster.term)));
    context.terminal.pairs(&pairs)?;
    let rows = cluster.coordinators.iter().map(|coordinator| {
        let what = match (coordinator.leader, coordinator.live) {
            (true, _) => Cell::new("leads").fg(Color::Green),
            (false, true) => Cell::new("follows").fg(Color::Green),
            (false, false) => Cell::new("silent").fg(Color::Red),
        };
        let lag = coordinator.lag.map_or_else(|| "–".to_owned(), |lag| lag.to_string());
        vec![Cell::new(coordinator.id), what, Cell::new(lag), Cell::new(&coordinator.url)]
    });
    context.terminal.line("")?;
    context.terminal.table(&["COORDINATOR", "STATE", "BEHIND", "URL"], rows.collect(), &[2])
}

/// What the cluster still has to copy, how fast it does, and how long that takes.
pub(crate) fn left(healing: &Healing) -> String {
    let time = healing.seconds_left.map(|seconds| format!(", {} left", time(seconds)));
    let (bytes, rate) = (size(healing.bytes_left), size(healing.bytes_per_s as u64));
    format!("{bytes} to copy at {rate}/s{}", time.unwrap_or_default())
}
