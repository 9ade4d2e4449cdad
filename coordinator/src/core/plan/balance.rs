//! Copies moved from the fullest nodes to the emptiest, as an operator asked for, until there is nothing left to move.

use super::Scene;
use crate::core::{
    balance::{Balance, Limits, Move, Search},
    command::Command,
    view::ViewError,
};

/// Moves to begin now, or the end where nothing is or can be moved any more. While a node is expected back, or a copy of
/// any kind is on its way, how full the nodes are is not known for good.
pub(super) fn plan(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut balance = Balance::survey(scene.view, scene.roster)?;
    let budget = scene.knobs.copies_max.saturating_sub(balance.copying).min(scene.knobs.commands_max);
    if !balance.waits_for.is_empty() || budget == 0 {
        return Ok(Vec::new());
    }
    let limits = Limits::new(budget, scene.knobs.moves_per_node_max, !balance.moving.is_empty());
    let (view, observed, roster) = (scene.view, scene.observed, scene.roster);
    let moves = balance.moves(&Search { view, observed, roster, limits })?;
    if moves.is_empty() && balance.moving.is_empty() && balance.copying == 0 {
        return Ok(vec![Command::Rebalance { wanted: false }]);
    }
    let begin = |it: Move| Command::MoveReplica { material: it.material, from: it.from, node: it.to };
    Ok(moves.into_iter().map(begin).collect())
}
