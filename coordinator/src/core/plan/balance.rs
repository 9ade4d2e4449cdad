//! Copies moved from the fullest nodes to the emptiest, as an operator asked for, until there is nothing left to move.

use super::Scene;
use crate::core::{
    balance::{Balance, Limits},
    command::Command,
    view::ViewError,
};

/// Moves to begin now, or the end where nothing is or can be moved any more. While a node is expected back its absence
/// says nothing about the balance.
pub(super) fn plan(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut balance = Balance::survey(scene.view, scene.roster)?;
    let budget = scene.knobs.copies_max.saturating_sub(balance.copying).min(scene.knobs.commands_max);
    if !balance.waits_for.is_empty() || budget == 0 {
        return Ok(Vec::new());
    }
    let limits = Limits::new(budget, scene.knobs.moves_per_node_max);
    let moves = balance.moves(scene.view, scene.observed, scene.roster, &limits)?;
    if moves.is_empty() && balance.moving.is_empty() {
        return Ok(vec![Command::Rebalance { wanted: false }]);
    }
    let begin =
        |it: crate::core::balance::Move| Command::MoveReplica { material: it.material, from: it.from, node: it.to };
    Ok(moves.into_iter().map(begin).collect())
}
