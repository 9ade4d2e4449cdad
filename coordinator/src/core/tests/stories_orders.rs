//! Whom a planned command gives something to do.

use super::support::*;
use crate::core::command::Command;
use microtome_proto::{NodeId, internal::Order, node::Scheduling};

/// Plans and applies: the nodes that have something to do by it, each with its orders.
fn doers(world: &mut World) -> Vec<(NodeId, Vec<Order>)> {
    let planned = world.plan_and_apply();
    let doers = planned.iter().filter_map(Command::doer);
    doers.map(|node| (node.clone(), world.orders(node))).collect()
}

#[test]
fn the_nodes_named_by_what_was_planned_find_their_orders() {
    let (mut world, n, m) = World::lacking(2);
    world.knobs.trim_after_ms = 0;
    let is_doer = |doers: &[(NodeId, Vec<Order>)], node: &NodeId| {
        doers.len() == 1 && doers[0].0 == *node && doers[0].1.len() == 1
    };
    let copying = doers(&mut world);
    assert!(is_doer(&copying, &n[1]) && matches!(copying[0].1[0], Order::Copy { .. }), "{copying:?}");
    let generation = world.generation(&m, &n[1]);
    // What has come of a copy is dropped where it is not to be made any more.
    world.beat_receiving(&n[1], &m, generation, 3);
    schedule(&mut world, &n[1], Scheduling::Draining);
    let dropping = doers(&mut world);
    assert!(is_doer(&dropping, &n[1]) && matches!(dropping[0].1[0], Order::Drop { .. }), "{dropping:?}");
    let run = world.submit(&[&m]);
    let running = doers(&mut world);
    assert!(is_doer(&running, &n[0]) && matches!(running[0].1[0], Order::Run { .. }), "{running:?}");
    for command in [Command::CancelRun { run }, Command::DeleteMaterial { material: m }] {
        assert_eq!(command.doer(), None);
    }
}

#[test]
fn a_move_is_for_the_node_that_takes_the_copy() {
    let (from, node) = ("n-1".parse::<NodeId>().unwrap(), "n-2".parse().unwrap());
    let command = Command::MoveReplica { material: "m-abc".parse().unwrap(), from, node };
    assert_eq!(command.doer(), Some(&"n-2".parse().unwrap()));
}
