//! What happens to the cluster, and when it is over.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use microtome_coordinator::core::view::ViewError;
use rand::rngs::StdRng;
use rand::{SeedableRng as _, seq::IteratorRandom as _};
use serde::Serialize;

use super::cluster::Cluster;
use super::nodes::SLOWER;
use super::tally::{Fullness, Tally};
use crate::books::{Size, ZONES};

/// When the first fault comes.
const FAULT_MS: u64 = 10_000;
/// So long after it what a second of heartbeats costs is measured: in the midst of healing.
const HEARTBEATS_MS: u64 = 20_000;
/// It is over when so long nothing has happened and nothing was planned: longer than a node may be silent and than all
/// delays of planning.
const CALM_MS: u64 = 30_000;
/// No scenario takes longer.
const END_MS: u64 = 24 * 3_600_000;
/// Nodes that flap are silent for so long, longer than it takes to be called down...
const AWAY_MS: u64 = 15_000;
/// ... and then answer for so long ...
const BACK_MS: u64 = 30_000;
/// ... so many times.
const FLAPS: u64 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A node dies
    Node,
    /// All nodes of a zone die
    Zone,
    /// Ten nodes die at once
    Ten,
    /// Ten nodes come and go for some minutes
    Flap,
    /// A node dies where every tenth disk is ten times slower than the others
    Slow,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] = [Kind::Node, Kind::Zone, Kind::Ten, Kind::Flap, Kind::Slow];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Node => "a node dies",
            Kind::Zone => "a zone dies",
            Kind::Ten => "ten nodes die",
            Kind::Flap => "ten nodes flap",
            Kind::Slow => "a node dies, slow disks",
        })
    }
}

/// How a scenario went.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) kind: Kind,
    pub(crate) tally: Tally,
    pub(crate) before: Fullness,
    pub(crate) after: Fullness,
    /// From the fault until every material that can be healed has its population again.
    pub(crate) healed_s: Option<f64>,
    /// From the fault until nothing happens any more.
    pub(crate) calm_s: f64,
    /// CPU time of what a second's heartbeats of all nodes ask of the core.
    pub(crate) heartbeats: Duration,
}

/// Something that happens to nodes.
struct Event {
    at_ms: u64,
    nodes: Vec<usize>,
    what: What,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    /// They die.
    Death,
    /// They fall silent, and will be back.
    Silence,
    /// They answer again.
    Return,
}

/// Plays a scenario to its end.
pub(crate) fn play(kind: Kind, size: Size, seed: u64) -> Result<Outcome, ViewError> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::found(size, &mut chance)?;
    if kind == Kind::Slow {
        let nodes = &mut cluster.nodes;
        nodes.iter_mut().skip(3).step_by(10).for_each(|node| node.pace /= SLOWER);
    }
    let mut events = events(kind, cluster.nodes.len(), &mut chance).into_iter().peekable();
    let before = cluster.fullness();
    let (mut busy_ms, mut heartbeats) = (FAULT_MS, Duration::ZERO);
    while cluster.now_ms < END_MS && (events.peek().is_some() || cluster.now_ms < busy_ms + CALM_MS) {
        while let Some(event) = events.next_if(|event| event.at_ms <= cluster.now_ms) {
            match event.what {
                What::Death => cluster.lose(&event.nodes)?,
                What::Silence => cluster.silence(&event.nodes),
                What::Return => cluster.hear_again(&event.nodes),
            }
        }
        if cluster.half_second()? {
            busy_ms = cluster.now_ms;
        }
        if cluster.now_ms == FAULT_MS + HEARTBEATS_MS {
            heartbeats = cluster.second_of_heartbeats()?;
        }
    }
    let after_s = |now_ms: u64| (now_ms - FAULT_MS) as f64 / 1e3;
    Ok(Outcome {
        kind,
        before,
        after: cluster.fullness(),
        healed_s: cluster.tally.healed_ms.map(after_s),
        calm_s: after_s(busy_ms),
        heartbeats,
        tally: cluster.tally,
    })
}

fn events(kind: Kind, nodes: usize, chance: &mut StdRng) -> Vec<Event> {
    let mut some = |count| (0..nodes).choose_multiple(chance, count);
    let death = |nodes| vec![Event { at_ms: FAULT_MS, nodes, what: What::Death }];
    match kind {
        Kind::Node | Kind::Slow => death(some(1)),
        Kind::Zone => death((0..nodes).step_by(ZONES).collect()),
        Kind::Ten => death(some(10)),
        Kind::Flap => {
            let mut events = Vec::new();
            for (nth, node) in some(10).into_iter().enumerate() {
                for flap in 0..FLAPS {
                    let at_ms = FAULT_MS + 3_000 * nth as u64 + flap * (AWAY_MS + BACK_MS);
                    events.push(Event { at_ms, nodes: vec![node], what: What::Silence });
                    events.push(Event { at_ms: at_ms + AWAY_MS, nodes: vec![node], what: What::Return });
                }
            }
            events.sort_by_key(|event| event.at_ms);
            events
        }
    }
}
