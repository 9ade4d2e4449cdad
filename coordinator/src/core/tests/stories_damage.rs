//! Copies that the disk damaged: they do not count, they are not given away, and they count again when they are mended.

use super::support::*;
use crate::core::{command::Command, settle::settle};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId,
    internal::{Inventory, Order},
    limits::DAMAGED_MAX,
    material::{MaterialState, ReplicaState::*},
};

fn damaged(material: &MaterialId, node: &NodeId, generation: Generation) -> Command {
    Command::ReplicaDamaged { material: material.clone(), node: node.clone(), generation }
}

/// The node tells from its next heartbeat on that its copy is damaged.
fn damage(world: &mut World, material: &MaterialId, node: &NodeId) {
    let generation = world.generation(material, node);
    world.damaged.insert(node.clone(), vec![(material.clone(), generation)]);
    world.beat(node);
}

fn mend(world: &mut World, node: &NodeId) {
    world.damaged.remove(node);
    world.beat(node);
}

fn shown(world: &World, material: &MaterialId) -> (MaterialState, u32, Vec<String>) {
    let shown = world.scene().material(material).unwrap().unwrap();
    (shown.state, shown.population_live, world.scene().located(material).unwrap().unwrap().holders)
}

#[test]
fn a_damaged_copy_does_not_count_until_it_is_mended_and_is_not_made_anew_meanwhile() {
    let (mut world, n, m) = World::replicated(3);
    n.iter().for_each(|node| world.beat(node));
    damage(&mut world, &m, &n[0]);
    let own = world.generation(&m, &n[0]);
    assert_eq!(world.plan_and_apply(), [damaged(&m, &n[0], own)]);
    assert_eq!(world.replica(&m, &n[0]), Some((Damaged, own)));
    assert_eq!(shown(&world, &m), (MaterialState::Degraded, 1, vec![url("node-2")]), "readers go to the whole one");
    world.pass(60, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.plan(), [], "its node mends it from the other one");
    mend(&mut world, &n[0]);
    assert_eq!(world.plan_and_apply(), [verified(&m, &n[0], own, 5)]);
    assert_eq!(shown(&world, &m).0, MaterialState::Ready);
}

#[test]
fn a_damaged_copy_whose_node_gives_it_up_or_dies_is_made_elsewhere() {
    let (mut world, n, m) = World::replicated(3);
    n.iter().for_each(|node| world.beat(node));
    damage(&mut world, &m, &n[0]);
    world.plan_and_apply();
    let own = world.generation(&m, &n[0]);

    let mut given_up = World { view: world.view.clone(), observed: world.observed.clone(), ..World::new() };
    given_up.accept(gone(&m, &n[0], own));
    given_up.observed.replica_failed(&m, &n[0], 0);
    given_up.damaged.clear();
    given_up.beat(&n[0]);
    assert_eq!(given_up.plan_and_apply(), [add(&m, &n[2])]);

    world.pass(20, &[&n[1], &n[2]]);
    assert_eq!(world.plan_and_apply(), [add(&m, &n[2])]);
    let copy = world.generation(&m, &n[2]);
    world.verify(&m, &n[2], copy);
    // It comes back, still damaged: there are enough without it.
    world.pass(20, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.plan_and_apply(), [free(&m, &n[0], own)]);
}

#[test]
fn the_only_copy_that_can_be_read_is_kept_and_served_though_it_is_damaged() {
    let (mut world, n, m) = World::replicated(3);
    world.knobs.trim_after_ms = 0;
    n.iter().for_each(|node| world.beat(node));
    damage(&mut world, &m, &n[0]);
    world.plan_and_apply();
    let (own, other) = (world.generation(&m, &n[0]), world.generation(&m, &n[1]));
    world.pass(20, &[&n[0], &n[2]]);
    assert_eq!(world.plan(), [], "there is nothing whole to copy from");
    assert_eq!(shown(&world, &m), (MaterialState::Degraded, 0, vec![url("node-1")]));
    world.accept(gone(&m, &n[1], other));
    assert_eq!(world.plan(), []);
    assert_eq!(world.refused(free(&m, &n[0], own)), Code::Conflict);
    assert_eq!(world.refused(add(&m, &n[2])), Code::Conflict);
}

/// What it has proven of it is as good as from a whole one.
#[test]
fn a_copy_under_way_goes_on_from_a_damaged_one() {
    let (mut world, n, m) = World::lacking(3);
    n.iter().for_each(|node| world.beat(node));
    assert_eq!(world.plan_and_apply(), [add(&m, &n[1])]);
    damage(&mut world, &m, &n[0]);
    world.plan_and_apply();
    let orders = world.orders(&n[1]);
    assert!(matches!(&orders[..], [Order::Copy { sources, .. }] if *sources == [url("node-1")]), "{orders:?}");
}

#[test]
fn after_a_restart_a_copy_stays_damaged_until_its_node_says_otherwise() {
    let (mut world, n, m) = World::replicated(2);
    n.iter().for_each(|node| world.beat(node));
    damage(&mut world, &m, &n[0]);
    world.plan_and_apply();
    let own = world.generation(&m, &n[0]);

    world.accept(register("node-1", None));
    world.observed.registered(&n[0], world.now_ms, world.at(), &report(GIB), &world.timing);
    let page = page(vec![held(&m, own, 5)]);
    let (commands, answer) = settle(&world.view, &n[0], &page).unwrap();
    assert_eq!((commands, answer.drop), (vec![], vec![]));
    world.observed.inventory_settled(&n[0]);
    assert_eq!(world.plan(), [], "it has not said anything of it yet");
    world.beat(&n[0]);
    assert_eq!(world.plan(), [], "it is damaged still");
    mend(&mut world, &n[0]);
    assert_eq!(world.plan_and_apply(), [verified(&m, &n[0], own, 5)]);

    // One whose disk was wiped of it is lost, damaged or not.
    damage(&mut world, &m, &n[0]);
    world.plan_and_apply();
    let empty = Inventory { held: Vec::new(), ..page };
    let (mut commands, _) = settle(&world.view, &n[0], &empty).unwrap();
    world.accept(commands.remove(0));
    assert_eq!(world.replica(&m, &n[0]), None);
}

#[test]
fn what_a_node_says_of_an_assignment_that_has_ended_changes_nothing() {
    let (mut world, n, m) = World::replicated(2);
    let old = world.generation(&m, &n[0]);
    world.accept(gone(&m, &n[0], old));
    let new = world.assign(&m, &n[0]);
    world.verify(&m, &n[0], new);
    world.damaged.insert(n[0].clone(), vec![(m.clone(), old), ("m-other".parse().unwrap(), old)]);
    n.iter().for_each(|node| world.beat(node));
    assert_eq!(world.plan(), []);
    assert_eq!(world.refused(damaged(&m, &n[0], old)), Code::StaleGeneration);
}

/// A node told of its damaged copy, the only one, a hash that was not the material's, and the books forgot that bytes were
/// there.
#[test]
fn a_damaged_copy_that_is_told_with_another_hash_stays_damaged() {
    let mut world = World::new();
    let n = world.nodes(1);
    let m = world.stored(5, 1, &[&n[0]]);
    let g = world.generation(&m, &n[0]);
    world.accept(damaged(&m, &n[0], g));
    let blake3 = "another".to_owned();
    let wrong = Command::ReplicaVerified { material: m.clone(), node: n[0].clone(), generation: g, size: 5, blake3 };
    assert_eq!(world.refused(wrong), Code::HashMismatch);
    assert_eq!(world.replica(&m, &n[0]), Some((Damaged, g)));
}

/// A disk had damaged more copies than a heartbeat names: those that were left out counted as mended.
#[test]
fn a_copy_that_its_node_has_no_room_to_name_stays_damaged() {
    let mut world = World::new();
    world.knobs.commands_max = 2 * DAMAGED_MAX;
    let n = world.nodes(2);
    n.iter().for_each(|node| world.beat(node));
    let mut all: Vec<_> = (0..DAMAGED_MAX + 2).map(|_| world.stored(5, 2, &[&n[0], &n[1]])).collect();
    all.sort_unstable();
    let own = |world: &World, i: usize| world.generation(&all[i], &n[0]);
    let (first, last) = (0, DAMAGED_MAX + 1);
    for i in [first, last] {
        world.accept(damaged(&all[i], &n[0], own(&world, i)));
    }
    let mut told: Vec<_> = (1..last).map(|i| (all[i].clone(), own(&world, i))).collect();
    world.damaged.insert(n[0].clone(), told.clone());
    world.beat(&n[0]);
    let mut expected: Vec<_> = (1..last).map(|i| damaged(&all[i], &n[0], own(&world, i))).collect();
    expected.push(verified(&all[first], &n[0], own(&world, first), 5));
    assert_eq!(world.plan_and_apply(), expected, "the first one would have been named");
    assert_eq!(world.replica(&all[last], &n[0]).unwrap().0, Damaged);
    // One is mended, and there is room in the list for the last one if it were damaged.
    told.remove(0);
    world.damaged.insert(n[0].clone(), told);
    world.beat(&n[0]);
    let whole = [1, last].map(|i| verified(&all[i], &n[0], own(&world, i), 5));
    assert_eq!(world.plan_and_apply(), whole);
}
