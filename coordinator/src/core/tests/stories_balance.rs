//! Nodes made equally full as an operator wants it, one story a test.

use super::{simulation::Simulation, support::*, virtual_node::DISK};
use crate::core::{
    balance::TOLERANCE,
    command::Command,
    tables::{Meta, Totals},
    view::Typed,
};
use microtome_proto::{NodeId, material::ReplicaState::*, node::Scheduling};

const START: Command = Command::Rebalance { wanted: true };
const END: Command = Command::Rebalance { wanted: false };

fn stored(world: &World, node: &NodeId) -> u64 {
    world.view.get_record::<Totals>(node).unwrap().unwrap_or_default().bytes
}

fn is_wanted(world: &World) -> bool {
    world.view.get_record::<Meta>(&()).unwrap().unwrap().rebalancing_since.is_some()
}

fn moves(planned: &[Command]) -> usize {
    planned.iter().filter(|command| matches!(command, Command::MoveReplica { .. })).count()
}

#[test]
fn few_copies_are_moved_and_then_it_ends() {
    let mut world = World::new();
    world.knobs.trim_after_ms = 0;
    let n = world.nodes(3);
    for (node, count) in [(&n[0], 12), (&n[1], 4), (&n[2], 2)] {
        (0..count).for_each(|_| drop(world.stored(5 * GIB, 1, &[node])));
    }
    let told = world.scene().rebalanced().unwrap();
    assert_eq!((told.to_move.copies, told.to_move.bytes, told.evens_out), (6, 30 * GIB, true));
    assert_eq!(told.nodes.iter().map(|node| node.used).collect::<Vec<_>>(), [0.6, 0.2, 0.1]);
    assert!(told.nodes.iter().all(|node| (node.used_then - 0.3).abs() < 0.001), "{:?}", told.nodes);
    assert_eq!(world.plan(), [], "nobody asked for it");

    world.accept(START);
    let planned = world.plan_and_apply();
    assert_eq!((planned.len(), moves(&planned)), (2, 2), "no more at once than the knobs allow: {planned:?}");
    let shown = world.scene().rebalance().unwrap().unwrap();
    assert_eq!((shown.copies, shown.bytes_left), (2, 28 * GIB), "two under way, and 18 GiB that are too much");
    for command in planned {
        let Command::MoveReplica { material, from, node } = command else { panic!() };
        let generation = world.generation(&material, &node);
        assert_eq!(world.material(&material).verified().count(), 1, "first the copy");
        world.verify(&material, &node, generation);
        assert_eq!(world.material(&material).replica(&from).unwrap().state, Verified);
    }
    let planned = world.work(20, &[&n[0], &n[1], &n[2]]);
    assert_eq!(moves(&planned), 4, "{planned:?}");
    assert_eq!(n.iter().map(|node| stored(&world, node) / GIB).collect::<Vec<_>>(), [30, 30, 30]);
    assert_eq!(planned.last(), Some(&END));
    assert!(!is_wanted(&world) && world.plan().is_empty());
    assert!(world.scene().rebalance().unwrap().is_none());
}

#[test]
fn what_is_nearly_even_is_left_alone() {
    let mut world = World::new();
    let n = world.nodes(2);
    for (node, gib) in [(&n[0], 42), (&n[1], 39)] {
        (0..gib).for_each(|_| drop(world.stored(GIB, 1, &[node])));
    }
    assert_eq!(world.scene().rebalanced().unwrap().to_move.copies, 0);
    world.accept(START);
    assert_eq!(world.plan_and_apply(), [END]);
}

#[test]
fn what_cannot_be_moved_does_not_go_on_for_ever() {
    // One copy, larger than the gap: moved, it would only turn the gap round. And every node has a copy of the others.
    let mut world = World::new();
    let n = world.nodes(2);
    world.stored(50 * GIB, 1, &[&n[0]]);
    world.stored(10 * GIB, 2, &[&n[0], &n[1]]);
    let told = world.scene().rebalanced().unwrap();
    assert_eq!((told.to_move.copies, told.evens_out), (0, false));
    world.accept(START);
    assert_eq!(world.plan_and_apply(), [END]);
}

#[test]
fn what_is_alike_on_two_nodes_does_not_hide_what_can_be_moved() {
    // More copies than are compared in one round have nowhere to go. Behind them are some that have.
    let mut world = World::new();
    world.knobs.trim_after_ms = 0;
    let n = world.nodes(2);
    (0..1_100).for_each(|_| drop(world.stored(GIB / 100, 2, &[&n[0], &n[1]])));
    (0..20).for_each(|_| drop(world.stored(GIB, 1, &[&n[0]])));
    world.accept(START);
    let moved = moves(&world.work(60, &[&n[0], &n[1]]));
    assert!((8..=9).contains(&moved), "{moved}, to within 2 % of the mean");
    assert!(!is_wanted(&world));
}

#[test]
fn zones_stay_apart() {
    let mut world = World::new();
    world.knobs.trim_after_ms = 0;
    let [a1, b1, a2, b2] =
        [("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b")].map(|(name, zone)| world.node(name, Some(zone)));
    let materials: Vec<_> = (0..20).map(|_| world.stored(2 * GIB, 2, &[&a1, &b1])).collect();
    world.accept(START);
    let all = [&a1, &b1, &a2, &b2];
    world.work(60, &all);
    assert!(!is_wanted(&world));
    for node in all {
        assert!((18..=22).contains(&(stored(&world, node) / GIB)), "{}", stored(&world, node));
    }
    for material in &materials {
        let record = world.material(material);
        assert!(record.is_settled());
        let in_a = record.verified().filter(|replica| replica.node == a1 || replica.node == a2).count();
        assert_eq!(in_a, 1, "{record:?}");
    }
}

#[test]
fn what_lacks_comes_first_and_a_move_becomes_a_copy_where_its_source_dies() {
    let mut world = World::new();
    world.knobs.moves_per_node_max = 1;
    let n = world.nodes(3);
    let materials: Vec<_> = (0..10).map(|_| world.stored(5 * GIB, 2, &[&n[0], &n[1]])).collect();
    world.accept(START);
    let planned = world.plan_and_apply();
    let [Command::MoveReplica { material, from, node }] = &planned[..] else { panic!("{planned:?}") };
    assert_eq!(node, &n[2]);
    let others: Vec<_> = n.iter().filter(|other| *other != from).collect();
    world.pass(10, &others);
    let planned = world.plan();
    assert_eq!(moves(&planned), 0, "{planned:?}");
    assert!(!planned.iter().any(|command| matches!(command, Command::DropReplica { .. })), "{planned:?}");
    let (state, generation) = world.replica(material, node).unwrap();
    assert_eq!(state, Copying, "it is needed now");
    world.verify(material, node, generation);
    world.work(30, &others);
    assert!(materials.iter().all(|id| world.material(id).verified().filter(|it| it.node != *from).count() == 2));
}

#[test]
fn a_cordoned_node_and_a_silent_one_are_left_out() {
    let mut world = World::new();
    let n = world.nodes(4);
    (0..10).for_each(|_| drop(world.stored(5 * GIB, 1, &[&n[0]])));
    schedule(&mut world, &n[1], Scheduling::Cordoned);
    world.accept(START);
    world.pass(4, &[&n[0], &n[1], &n[2]]);
    let told = world.scene().rebalanced().unwrap();
    assert_eq!((told.waits_for.as_slice(), world.plan()), (&n[3..], vec![]), "it may be back in a moment");
    world.pass(10, &[&n[0], &n[1], &n[2]]);
    let planned = world.plan_and_apply();
    assert!(moves(&planned) > 0, "{planned:?}");
    assert!(planned.iter().all(|it| matches!(it, Command::MoveReplica { node, .. } if *node == n[2])), "{planned:?}");
}

#[test]
fn a_cancelled_one_gives_up_what_is_under_way() {
    let mut world = World::new();
    let n = world.nodes(2);
    (0..10).for_each(|_| drop(world.stored(5 * GIB, 1, &[&n[0]])));
    world.accept(START);
    let begun = world.plan_and_apply();
    assert_eq!(moves(&begun), 2);
    world.accept(END);
    let planned = world.plan_and_apply();
    assert_eq!(planned.len(), 2);
    assert!(planned.iter().all(|it| matches!(it, Command::DropReplica { node, .. } if *node == n[1])), "{planned:?}");
    assert_eq!(stored(&world, &n[0]), 50 * GIB);
}

#[test]
fn a_node_that_joins_gets_its_share_also_under_a_new_leader() {
    let mut simulation = Simulation::new(3);
    simulation.second();
    for _ in 0..75 {
        simulation.upload(100, 2);
        simulation.second();
    }
    simulation.settle_down(60);
    simulation.join();
    simulation.second();
    simulation.world.accept(START);
    (0..20).for_each(|_| simulation.second());
    simulation.fail_over();
    simulation.settle_down(400);
    assert!(!is_wanted(&simulation.world), "it ended by itself");
    let used: Vec<_> = simulation.nodes.iter().map(|node| node.disk.values().map(|held| held.size).sum()).collect();
    let mean = used.iter().sum::<u64>() as f64 / used.len() as f64;
    let allowed = TOLERANCE * DISK as f64;
    assert!(used.iter().all(|&used| (used as f64 - mean).abs() <= allowed), "{used:?}");
    let moved = simulation.moved_bytes;
    assert!(moved as f64 <= mean, "{moved} bytes moved for {mean} on the new node");
}
