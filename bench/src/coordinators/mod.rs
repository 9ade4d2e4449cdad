//! Coordinators: what a write of a group of three costs and how long it is without a leader, beside etcd in the same
//! minutes; and what one costs that keeps books of a million materials and hears a thousand nodes.

mod beats;
mod etcd;
mod group;
mod large;
mod lists;
mod ours;
mod show;
mod silence;
mod writes;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::Common;
use crate::books::Size;
use crate::report::note;
use group::Group;
use large::Large;
use lists::Listed;
use silence::Silence;
use writes::Written;

#[derive(Debug, Args)]
pub(crate) struct Coordinators {
    /// What is measured [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    only: Vec<What>,
    /// An etcd [default: the one that is installed]
    #[arg(long, value_name = "FILE", default_value = "etcd")]
    etcd: PathBuf,
    /// Numbers of connections to write with
    #[arg(long, default_values_t = [1, 8, 64], value_delimiter = ',', value_name = "N,…",
          value_parser = clap::value_parser!(u16).range(1..=512))]
    connections: Vec<u16>,
    /// How long each measurement of writes takes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Nodes in the large books, each of which heartbeats every second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(40..=10_000))]
    nodes: u32,
    /// Materials in the large books
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    materials: u32,
    #[command(flatten)]
    common: Common,
}

/// The parts of this benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Durable writes
    Writes,
    /// The time without a leader
    Leader,
    /// A coordinator with large books
    Large,
    /// Lists of materials, of small and of large books
    Lists,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    writes: Vec<Written>,
    leader: Vec<Silence>,
    large: Option<Large>,
    lists: Vec<Listed>,
}

pub(crate) async fn run(options: &Coordinators) -> anyhow::Result<()> {
    let program = options.common.program()?;
    let temporary = options.common.temporary()?;
    let is_wanted = |what| options.only.is_empty() || options.only.contains(&what);
    let mut report = Report::default();
    if is_wanted(What::Writes) || is_wanted(What::Leader) {
        let mut groups = vec![Group::ours(&program, &temporary.path().join("microtome")).await?];
        groups.extend(Group::etcd(&options.etcd, &temporary.path().join("etcd"))?);
        for group in &groups {
            group.wait_until_whole().await?;
        }
        if is_wanted(What::Writes) {
            report.writes = writes::measure(&groups, options).await?;
        }
        if is_wanted(What::Leader) {
            for round in 0..options.common.rounds {
                note(&format!("a leader is killed, round {} of {}", round + 1, options.common.rounds));
                for group in &mut groups {
                    report.leader.push(silence::measure(group, round).await?);
                }
            }
        }
    }
    if is_wanted(What::Large) {
        let size = Size { nodes: options.nodes, materials: options.materials };
        report.large = Some(large::measure(&program, &temporary.path().join("large"), size).await?);
    }
    if is_wanted(What::Lists) {
        let size = Size { nodes: options.nodes, materials: options.materials };
        let folder = temporary.path().join("lists");
        report.lists = lists::measure(&program, &folder, size, options.common.rounds).await?;
    }
    show::show(&report, options.common.json)
}
