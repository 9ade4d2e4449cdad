//! Faults of many kinds at once, from a seed, under uploads, reads, deletes, analyses: what the cluster promises holds all the while.
//!
//! Each story ends with its sums: acknowledged uploads and how many of them were lost, wrong bytes that were served, how long
//! it took to be whole again. All but the first three must be what they should be.
//!
//! ```sh
//! MICROTOME_CHAOS_SECONDS=600 MICROTOME_CHAOS_SEEDS=1,2,3 cargo test --test chaos -- --nocapture
//! ```
//! A seed gives the same faults in the same order; when exactly they meet whom is the machine's to say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs, unreachable_pub)]

mod books;
mod clocks;
mod faults;
#[path = "../cluster/harness.rs"]
#[allow(dead_code)]
mod harness;
mod load;
mod network;
mod parts;
#[path = "../cluster/preload.rs"]
mod preload;
mod registers;
mod runs;
#[path = "../cluster/slides.rs"]
#[allow(dead_code)]
mod slides;
mod verdict;

use clocks::Clocks;
use faults::Faults;
use harness::{Cluster, Place, loopback};
use load::Load;
use network::Network;
use registers::Registers;
use runs::Runs;
use std::{env, time::Duration};

const COORDINATORS: usize = 3;
const NODES: usize = 4;
/// Servers outside of loopback want a secret.
const SECRET: &str = "a secret for stories about faults";

fn seconds() -> Duration {
    let asked = env::var("MICROTOME_CHAOS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(20))
}

fn seeds(default: &[u64]) -> Vec<u64> {
    let asked = env::var("MICROTOME_CHAOS_SEEDS").ok();
    let asked = asked.map(|text| text.split(',').filter_map(|seed| seed.trim().parse().ok()).collect());
    asked.unwrap_or_else(|| default.to_vec())
}

async fn story(seed: u64, mut places: Vec<Place>, network: Option<&Network>) {
    let clocks = Clocks::new(&mut places);
    let (coordinators, nodes) = places.split_at(COORDINATORS);
    let mut cluster = Cluster::start_at(coordinators, nodes, Some(SECRET)).await;
    let registers = Registers::start(&cluster, SECRET, seed).await;
    let runs = Runs::start(&cluster, SECRET).await;
    let load = Load::start(&cluster, SECRET, seed);
    let mut faults = Faults::new(seed, network, clocks.as_ref());
    faults.go_on(&mut cluster, &load, seconds()).await;
    faults.end(&mut cluster).await;
    let ledger = load.stop().await;
    let (calls, unanswered) = registers.judge(seed).await;
    eprintln!("seed {seed}: {calls} calls of the control API, {unanswered} of them unanswered, have an order");
    let runs = runs.judge(seed).await;
    eprintln!("seed {seed}: {runs} runs submitted, each done once, with the same result");
    verdict::judge(&cluster, SECRET, seed, &ledger, &faults).await;
}

/// Processes that die and stand still, disks that change bytes, clocks that are an hour wrong.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_kept_and_right_whoever_dies() {
    for seed in seeds(&[1, 2]) {
        story(seed, loopback(COORDINATORS + NODES), None).await;
    }
}

/// The same in a network whose links break, both ways and one, are slow and lose packets.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_kept_and_right_whatever_the_network_does() {
    for seed in seeds(&[3, 4]) {
        let Some(network) = Network::new(COORDINATORS + NODES) else { return };
        story(seed, network.places(), Some(&network)).await;
    }
}
