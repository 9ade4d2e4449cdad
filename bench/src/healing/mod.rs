//! Healing: the coordinator's real planning over a simulated cluster of many nodes and materials, on a virtual clock. Bytes
//! are only counted, so hours pass in seconds, and the same seed makes the same hours again.

mod cluster;
mod nodes;
mod scenario;
mod tally;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::Serialize;

use crate::books::Size;
use crate::report;
use scenario::{Kind, Outcome};

#[derive(Debug, Args)]
pub(crate) struct Healing {
    /// Nodes, a tenth of them in each zone
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(40..=10_000))]
    nodes: u32,
    /// Materials, most of them with two copies, every tenth with three
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    materials: u32,
    /// Where all chance comes from: the same seed, the same hours
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// What happens to the cluster [default: one after the other]
    #[arg(long)]
    scenario: Vec<Kind>,
    /// Results as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Results {
    nodes: u32,
    materials: u32,
    seed: u64,
    outcomes: Vec<Outcome>,
}

/// Plays the scenarios, and fails where one broke a rule.
pub(crate) fn run(options: &Healing) -> anyhow::Result<()> {
    let Healing { nodes, materials, seed, .. } = *options;
    let kinds = if options.scenario.is_empty() { Kind::ALL.to_vec() } else { options.scenario.clone() };
    let mut outcomes = Vec::new();
    for kind in kinds {
        report::note(&format!("{kind}: {nodes} nodes, {materials} materials, seed {seed}"));
        outcomes.push(scenario::play(kind, Size { nodes, materials }, seed).context("the books cannot be read")?);
    }
    let broken: Vec<_> = outcomes.iter().flat_map(|outcome| outcome.tally.broken.clone()).collect();
    if options.json {
        report::json(&Results { nodes, materials, seed, outcomes })?;
    } else {
        report::table(HEADER, outcomes.iter().map(row).collect())?;
    }
    ensure!(broken.is_empty(), "rules were broken: {}", broken.join("; "));
    Ok(())
}

const HEADER: &[&str] = &[
    "scenario",
    "healed after s",
    "calm after s",
    "copied GiB",
    "least GiB",
    "ratio",
    "dropped in vain",
    "out of reach",
    "disks used before %",
    "after %",
    "rounds",
    "CPU of a round ms",
    "worst",
    "commands",
    "heartbeats ms/s",
];

fn row(outcome: &Outcome) -> Vec<String> {
    let Outcome { kind, tally, before, after, healed_s, calm_s, heartbeats } = outcome;
    let or_none =
        |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
    let ms = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    vec![
        kind.to_string(),
        or_none(*healed_s, 0),
        format!("{calm_s:.0}"),
        format!("{:.0}", gib(tally.copied)),
        format!("{:.0}", gib(tally.least)),
        or_none(tally.ratio(), 3),
        tally.in_vain.to_string(),
        tally.out_of_reach.to_string(),
        before.to_string(),
        after.to_string(),
        tally.rounds.to_string(),
        ms(tally.planning / tally.rounds.max(1)),
        ms(tally.planning_worst),
        tally.commands.to_string(),
        ms(*heartbeats),
    ]
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Plays a scenario, in which no rule may be broken.
    fn play(kind: Kind, size: Size, seed: u64) -> Outcome {
        let outcome = scenario::play(kind, size, seed).unwrap();
        assert_eq!(outcome.tally.broken, [""; 0], "{kind} from seed {seed}");
        outcome
    }

    /// Hardly a byte is moved that need not be, nothing is dropped, and it is done in good time.
    fn heals_well(kind: Kind, size: Size, seed: u64, within_s: f64) {
        let outcome = play(kind, size, seed);
        let tally = &outcome.tally;
        assert!(tally.least > 0 && tally.copied as f64 <= 1.1 * tally.least as f64, "{kind}, {seed}: {tally:?}");
        assert!(outcome.healed_s.is_some_and(|after| after <= within_s), "{kind}, {seed}: {:?}", outcome.healed_s);
        assert_eq!(tally.in_vain, 0, "{kind}, {seed}: {tally:?}");
    }

    #[test]
    fn a_lost_node_is_healed_with_what_it_takes() {
        let size = Size { nodes: 60, materials: 20_000 };
        heals_well(Kind::Node, size, 1, 90.0);
        heals_well(Kind::Node, size, 2, 90.0);
    }

    #[test]
    fn a_lost_zone_is_healed_with_what_it_takes() {
        heals_well(Kind::Zone, Size { nodes: 60, materials: 3_000 }, 1, 120.0);
    }

    #[test]
    fn nodes_that_flap_have_their_copies_made_no_more_than_once() {
        let size = Size { nodes: 60, materials: 3_000 };
        let outcome = play(Kind::Flap, size, 1);
        let copies_of_ten = 10 * u64::from(size.materials) * 21 / 10 / u64::from(size.nodes);
        assert!(outcome.tally.in_vain <= copies_of_ten, "{:?}", outcome.tally);
    }

    #[test]
    fn the_same_seed_makes_the_same_hours() {
        let size = Size { nodes: 40, materials: 1_000 };
        let play = |seed| {
            let outcome = play(Kind::Node, size, seed);
            (outcome.tally.copied, outcome.tally.commands, outcome.tally.rounds, outcome.healed_s)
        };
        assert_eq!(play(3), play(3));
        assert_ne!(play(3), play(4));
    }
}
