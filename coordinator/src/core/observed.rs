//! What the leader knows from heartbeats: who answers, how full and how busy each node is, how far copies and runs are,
//! and what failed lately. Never stored; a new leader starts with nothing and waits before it judges.
//!
//! Times are milliseconds of the caller's monotonic clock, whatever its zero is.

use super::uses::Told;
use microtome_proto::{
    Generation, MaterialId, NodeId, RunId, Timestamp,
    internal::{Heartbeat, RunBeat},
    node::{Availability, NodeReport},
};
use std::collections::BTreeMap;

/// How long silence may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A node that was silent for this long is unreachable: nothing new is placed there.
    pub unreachable_after_ms: u64,
    /// A node that was silent for this long is down: its copies no longer count. One that has come back lately is waited
    /// for longer, see [`Seen::returns`].
    pub down_after_ms: u64,
}

/// A node that has answered for so long is steady: what was before is forgotten.
const STEADY_AFTER_MS: u64 = 3_600_000;
/// How long a node may take to tell of an upload that it was chosen for.
pub(super) const UPLOAD_UNTOLD_MS: u64 = 60_000;
/// How often the patience with a node doubles.
const RETURNS_MAX: u32 = 3;

impl Default for Timing {
    fn default() -> Self {
        Self { unreachable_after_ms: 3_000, down_after_ms: 10_000 }
    }
}

/// The time that the leader spent listening: the clock by which silence is counted.
///
/// A gap between two signs of the leader's own life counts for no more than half of `unreachable_after_ms`: in a longer
/// one the leader itself was halted (a paused process or machine), and it was the leader who was deaf. A halt so makes no
/// node look dead that lives, and gives no time again to one that is dead.
#[derive(Debug, Clone, Default, PartialEq)]
struct Listening {
    ms: u64,
    until_ms: u64,
}

impl Listening {
    /// How long the leader has listened by now.
    fn at(&self, now_ms: u64, timing: &Timing) -> u64 {
        self.ms + now_ms.saturating_sub(self.until_ms).min(timing.unreachable_after_ms / 2)
    }

    /// The leader is alive now. How long it has listened.
    fn advance(&mut self, now_ms: u64, timing: &Timing) -> u64 {
        self.ms = self.at(now_ms, timing);
        self.until_ms = self.until_ms.max(now_ms);
        self.ms
    }
}

/// How far a copy or an upload was at the last heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// Its assignment.
    pub generation: Generation,
    /// Bytes that are durable.
    pub offset: u64,
    /// Its pace, smoothed over a few heartbeats.
    pub bytes_per_s: f64,
    /// What it waits for though all of it has come.
    pub check: Option<String>,
}

/// A node as it was last heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// When, by the leader's monotonic clock.
    pub beat_ms: u64,
    /// How long the leader had listened then, in milliseconds.
    heard_ms: u64,
    /// When, by the calendar.
    pub beat_at: Timestamp,
    /// Since when it has answered without a longer silence.
    pub up_since_ms: u64,
    /// How often it came back after it was called down, since it was last steady. Each time it is waited for twice as
    /// long, up to eight times: a node that comes and goes would otherwise have copies made and dropped each time.
    pub returns: u32,
    /// What it said of itself.
    pub report: NodeReport,
    /// Copies and uploads under way there.
    pub incoming: BTreeMap<MaterialId, Arrival>,
    /// Copies there of which something is damaged, each with its assignment; none before the node's first heartbeat.
    pub damaged: Option<BTreeMap<MaterialId, Generation>>,
    /// Runs under way there.
    pub runs: BTreeMap<RunId, RunBeat>,
    /// Who reads what there; none before the node's first heartbeat.
    pub uses: Option<Told>,
    /// Whether what it holds agrees with the books: not between a registration and the last page of its inventory.
    pub settled: bool,
}

impl Seen {
    fn recent_returns(&self) -> u32 {
        let is_steady = self.beat_ms.saturating_sub(self.up_since_ms) >= STEADY_AFTER_MS;
        if is_steady { 0 } else { self.returns }
    }

    /// How long a silence has to be before it is called down.
    fn down_after_ms(&self, timing: &Timing) -> u64 {
        timing.down_after_ms.saturating_mul(1 << self.recent_returns().min(RETURNS_MAX))
    }

    /// Its returns, when it is heard again at a time by the clock of listening.
    fn returns_at(&self, heard_ms: u64, timing: &Timing) -> u32 {
        let was_down = heard_ms.saturating_sub(self.heard_ms) >= self.down_after_ms(timing);
        self.recent_returns().saturating_add(u32::from(was_down))
    }
}

/// The leader's memory of its nodes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    nodes: BTreeMap<NodeId, Seen>,
    replica_failures: BTreeMap<(MaterialId, NodeId), u64>,
    run_refusals: BTreeMap<(RunId, NodeId), u64>,
    /// Uploads that were given to another node lately.
    uploads_moved: BTreeMap<MaterialId, u64>,
    /// Nodes that count what they hold, and nothing was heard since that changes it.
    counting: BTreeMap<NodeId, u64>,
    listening: Listening,
    /// When this leader began.
    since_ms: u64,
    /// Rounds of planning, so that those who take turns know whose it is.
    rounds: u64,
}

impl Observed {
    /// The memory of one that begins to lead.
    pub fn new(now_ms: u64) -> Self {
        Self { listening: Listening { ms: 0, until_ms: now_ms }, since_ms: now_ms, ..Self::default() }
    }

    /// A node registered: it has just started and owes its inventory.
    pub fn registered(&mut self, node: &NodeId, now_ms: u64, at: Timestamp, report: &NodeReport, timing: &Timing) {
        let heard_ms = self.listening.advance(now_ms, timing);
        let returns = self.nodes.get(node).map_or(0, |before| before.returns_at(heard_ms, timing));
        self.counting.remove(node);
        self.nodes.insert(
            node.clone(),
            Seen {
                beat_ms: now_ms,
                heard_ms,
                beat_at: at,
                up_since_ms: now_ms,
                returns,
                report: report.clone(),
                incoming: BTreeMap::new(),
                damaged: None,
                runs: BTreeMap::new(),
                uses: None,
                settled: false,
            },
        );
    }

    /// A heartbeat. A node that this leader has not heard before settled with an earlier one.
    pub fn beat(&mut self, node: &NodeId, now_ms: u64, at: Timestamp, beat: &Heartbeat, timing: &Timing) {
        let heard_ms = self.listening.advance(now_ms, timing);
        let before = self.nodes.remove(node);
        let up_since_ms = match &before {
            Some(seen) if heard_ms.saturating_sub(seen.heard_ms) <= timing.unreachable_after_ms => seen.up_since_ms,
            _ => now_ms,
        };
        let returns = before.as_ref().map_or(0, |seen| seen.returns_at(heard_ms, timing));
        let incoming = beat
            .incoming
            .iter()
            .map(|incoming| {
                let earlier = before.as_ref().and_then(|seen| {
                    let arrival = seen.incoming.get(&incoming.material)?;
                    (arrival.generation == incoming.generation).then_some((arrival, seen.beat_ms))
                });
                let bytes_per_s =
                    earlier.map_or(0.0, |(arrival, beat_ms)| pace(arrival, incoming.offset, now_ms, beat_ms));
                let arrival = Arrival {
                    generation: incoming.generation,
                    offset: incoming.offset,
                    bytes_per_s,
                    check: incoming.check.clone(),
                };
                (incoming.material.clone(), arrival)
            })
            .collect();
        let seen = Seen {
            beat_ms: now_ms,
            heard_ms,
            beat_at: at,
            up_since_ms,
            returns,
            report: beat.report.clone(),
            incoming,
            damaged: Some(beat.damaged.iter().cloned().collect()),
            runs: beat.runs.iter().map(|run| (run.run.clone(), run.clone())).collect(),
            uses: Some(Told::new(&beat.uses, BTreeMap::new())),
            settled: before.map_or(!self.counting.contains_key(node), |seen| seen.settled),
        };
        self.nodes.insert(node.clone(), seen);
    }

    /// Of what the node read, as its heartbeat told a moment ago, this is not in the books yet.
    pub fn read(&mut self, node: &NodeId, due: BTreeMap<MaterialId, Timestamp>) {
        if let Some(told) = self.nodes.get_mut(node).and_then(|seen| seen.uses.as_mut()) {
            told.due = due;
        }
    }

    /// A node begins to count what it holds, under a number of the caller's choice where it is to be told with each page:
    /// until the last one is settled nothing new is placed there, so that what is assigned meanwhile is not taken for lost.
    pub fn inventory_began(&mut self, node: &NodeId, count: Option<u64>) {
        match count {
            Some(count) => self.counting.insert(node.clone(), count),
            None => self.counting.remove(node),
        };
        if let Some(seen) = self.nodes.get_mut(node) {
            seen.settled = false;
        }
    }

    /// What a node tells of one of its copies overtakes what it counted.
    pub fn replica_reported(&mut self, node: &NodeId) {
        self.counting.remove(node);
    }

    /// Whether a page of this count is up to date.
    pub fn is_counting(&self, node: &NodeId, count: u64) -> bool {
        self.counting.get(node) == Some(&count)
    }

    /// The last page of a node's inventory is settled in the books.
    pub fn inventory_settled(&mut self, node: &NodeId) {
        self.counting.remove(node);
        if let Some(seen) = self.nodes.get_mut(node) {
            seen.settled = true;
        }
    }

    /// A node could not make or keep a copy: another node is to have it, for a while at least.
    pub fn replica_failed(&mut self, material: &MaterialId, node: &NodeId, now_ms: u64) {
        self.replica_failures.insert((material.clone(), node.clone()), now_ms);
    }

    /// A node could not carry out a run: another node is to have it, for a while at least.
    pub fn run_refused(&mut self, run: &RunId, node: &NodeId, now_ms: u64) {
        self.run_refusals.insert((run.clone(), node.clone()), now_ms);
    }

    /// An upload goes to another node.
    pub fn upload_moved(&mut self, material: &MaterialId, now_ms: u64) {
        self.uploads_moved.insert(material.clone(), now_ms);
    }

    /// The leader is alive: to be called before each round of planning, at least as often as half of
    /// `unreachable_after_ms`. Forgets failures older than `failure_pause_ms`.
    pub fn tick(&mut self, now_ms: u64, timing: &Timing, failure_pause_ms: u64) {
        self.listening.advance(now_ms, timing);
        self.rounds += 1;
        let recent = |failed_ms: &u64| now_ms.saturating_sub(*failed_ms) < failure_pause_ms;
        self.replica_failures.retain(|_, failed_ms| recent(failed_ms));
        self.run_refusals.retain(|_, failed_ms| recent(failed_ms));
        self.uploads_moved.retain(|_, moved_ms| now_ms.saturating_sub(*moved_ms) < UPLOAD_UNTOLD_MS);
    }

    /// For how long this leader listens.
    pub fn listens_for_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.since_ms)
    }

    /// How many rounds of planning there have been.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// What was last heard of a node.
    pub fn seen(&self, node: &NodeId) -> Option<&Seen> {
        self.nodes.get(node)
    }

    /// How far a copy is on its way to a node, where it was heard of under this assignment.
    pub fn arrival(&self, material: &MaterialId, node: &NodeId, generation: Generation) -> Option<&Arrival> {
        let arrival = self.nodes.get(node)?.incoming.get(material)?;
        (arrival.generation == generation).then_some(arrival)
    }

    /// Whether a copy failed on a node lately.
    pub fn failed_lately(&self, material: &MaterialId, node: &NodeId) -> bool {
        // Asked for each node that could take a copy: no key is made where nothing failed.
        !self.replica_failures.is_empty() && self.replica_failures.contains_key(&(material.clone(), node.clone()))
    }

    /// Whether an upload was given to another node so lately that this one need not have told of it.
    pub fn moved_lately(&self, material: &MaterialId) -> bool {
        self.uploads_moved.contains_key(material)
    }

    /// Whether a node refused a run lately.
    pub fn refused_lately(&self, run: &RunId, node: &NodeId) -> bool {
        self.run_refusals.contains_key(&(run.clone(), node.clone()))
    }

    /// Whether a node answers. One that was never heard may only be told down when it had a full `down_after_ms` to
    /// make itself heard by this leader.
    pub fn availability(&self, node: &NodeId, now_ms: u64, timing: &Timing) -> Availability {
        let seen = self.nodes.get(node);
        let heard_ms = seen.map_or(0, |seen| seen.heard_ms);
        let silence_ms = self.listening.at(now_ms, timing).saturating_sub(heard_ms);
        if silence_ms >= seen.map_or(timing.down_after_ms, |seen| seen.down_after_ms(timing)) {
            Availability::Down
        } else if seen.is_none() || silence_ms >= timing.unreachable_after_ms {
            Availability::Unreachable
        } else {
            Availability::Up
        }
    }
}

/// Half of what the last interval showed, half of what was before.
fn pace(arrival: &Arrival, offset: u64, now_ms: u64, beat_ms: u64) -> f64 {
    let elapsed_ms = now_ms.saturating_sub(beat_ms);
    if elapsed_ms == 0 {
        return arrival.bytes_per_s;
    }
    let moved = offset.saturating_sub(arrival.offset);
    let latest = moved as f64 * 1000.0 / elapsed_ms as f64;
    if arrival.bytes_per_s == 0.0 { latest } else { f64::midpoint(arrival.bytes_per_s, latest) }
}
