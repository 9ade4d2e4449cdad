//! What the leader does by itself: copies made where they lack, dropped where there are too many, given up where their
//! node died, moved where nodes are to be equally full; a place for what is put together; runs handed out and taken back.
//!
//! Each round plans from the books and the leader's eyes as they are, so a command that was refused or lost is simply
//! planned again, and one that was applied is not. What is remembered from round to round ([`Agenda`]) only saves looks:
//! work grows with what has changed and with what is under way, never with what is stored.

mod agenda;
mod balance;
mod cases;
mod copies;
mod damage;
mod ends;
mod examine;
mod healing;
mod joins;
mod runs;

pub use agenda::{Agenda, Touched};

use super::{
    command::Command,
    observed::{Observed, Timing},
    roster::Roster,
    tables::Meta,
    view::{Typed, View, ViewError},
};
use microtome_proto::Timestamp;
use std::mem;

/// How much is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knobs {
    /// Copies under way in the whole cluster.
    pub copies_max: usize,
    /// Copies under way to one node.
    pub copies_per_node_max: usize,
    /// Copies under way to one node, and from one node, for the balance's sake only.
    pub moves_per_node_max: usize,
    /// Runs under way on one node that does not tell how many it takes.
    pub runs_per_node_max: usize,
    /// Waiting runs looked at in one round.
    pub waiting_runs_max: usize,
    /// Commands of one kind in one round.
    pub commands_max: usize,
    /// Materials whose time is over that are looked at in one round.
    pub ends_max: usize,
    /// How long a node where a copy or a run failed is passed over for it.
    pub failure_pause_ms: u64,
    /// How long all holders must have answered before surplus copies are dropped, so that a node that comes and goes
    /// does not have copies made and dropped with it.
    pub trim_after_ms: u64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            copies_max: 256,
            copies_per_node_max: 8,
            moves_per_node_max: 2,
            runs_per_node_max: 2,
            waiting_runs_max: 1_000,
            commands_max: 1_000,
            ends_max: 1_000,
            failure_pause_ms: 60_000,
            trim_after_ms: 5_000,
        }
    }
}

/// The commands to propose now, by the leader's monotonic clock and by the calendar, in this order. The agenda was told what was written before this view; with an empty one
/// the same is planned, after a look at all that is out of order.
///
/// # Errors
/// Where the state cannot be read.
pub fn plan(
    view: &dyn View,
    agenda: &mut Agenda,
    observed: &Observed,
    (now_ms, at): (u64, Timestamp),
    timing: &Timing,
    knobs: &Knobs,
) -> Result<Vec<Command>, ViewError> {
    let roster = Roster::all(view, observed, now_ms, timing)?;
    let meta = view.get_record::<Meta>(&())?.unwrap_or_default();
    let rebalances = meta.rebalancing_since.is_some();
    let scene = Scene { view, observed, roster: &roster, now_ms, at, timing, knobs, rebalances };
    // Whatever goes wrong on the way, what was half looked at is looked at anew.
    let mut remembered = mem::take(agenda);
    let mut commands = plan_all(&scene, &mut remembered)?;
    // What a coordinator does not understand yet waits until it is upgraded.
    commands.retain(|command| command.protocol() <= meta.protocol());
    *agenda = remembered;
    Ok(commands)
}

fn plan_all(scene: &Scene<'_>, agenda: &mut Agenda) -> Result<Vec<Command>, ViewError> {
    let mut commands = damage::plan(scene)?;
    commands.extend(cases::plan(scene)?);
    commands.extend(copies::plan(scene, agenda)?);
    commands.extend(joins::plan(scene)?);
    // What lacks comes first, and a look at the nodes is right only when nothing else is about to change them.
    if scene.rebalances && !commands.iter().any(|command| matches!(command, Command::AddReplica { .. })) {
        commands.extend(balance::plan(scene)?);
    }
    commands.extend(runs::plan(scene)?);
    commands.extend(ends::plan(scene)?);
    Ok(commands)
}

/// What a round of planning looks at.
struct Scene<'a> {
    view: &'a dyn View,
    observed: &'a Observed,
    roster: &'a Roster<'a>,
    now_ms: u64,
    /// The calendar's time, by which materials end.
    at: Timestamp,
    timing: &'a Timing,
    knobs: &'a Knobs,
    /// Whether copies are to be moved so that nodes are equally full.
    rebalances: bool,
}
