//! Copies made where some lack, one story a test.

use super::support::*;
use crate::core::{command::Command, placement::NoCandidate};
use microtome_proto::{
    NodeId,
    internal::{Incoming, Order},
    material::ReplicaState::*,
    node::{Availability, Scheduling},
};

#[test]
fn a_fresh_upload_gets_its_second_copy() {
    let (mut world, n, m) = World::lacking(2);
    assert_eq!(world.plan_and_apply(), [add(&m, &n[1])]);
    let (state, generation) = world.replica(&m, &n[1]).unwrap();
    assert_eq!(state, Copying);
    let order = Order::Copy {
        material: m.clone(),
        generation,
        size: 5,
        blake3: hash(&m),
        name: "slide.svs".to_owned(),
        media_type: "image/tiff".to_owned(),
        sources: vec![url("node-1")],
        concat: None,
        owner: None,
    };
    assert_eq!(world.orders(&n[1]), [order]);
    world.verify(&m, &n[1], generation);
    assert_eq!((world.plan(), world.orders(&n[1])), (vec![], vec![]));
}

#[test]
fn a_dead_holder_is_replaced_only_once_it_is_down() {
    let (mut world, n, m) = World::replicated(3);
    world.pass(9, &[&n[1], &n[2]]);
    assert_eq!(world.availability(&n[0]), Availability::Unreachable);
    assert_eq!(world.plan(), []);
    world.pass(1, &[&n[1], &n[2]]);
    assert_eq!(world.availability(&n[0]), Availability::Down);
    assert_eq!(world.plan_and_apply(), [add(&m, &n[2])]);
}

#[test]
fn the_lowest_population_comes_first() {
    let mut world = World::new();
    let n = world.nodes(4);
    let better = world.stored(5, 3, &[&n[0], &n[1]]);
    let worse = world.stored(5, 3, &[&n[0]]);
    world.knobs.copies_max = 1;
    let planned = world.plan_and_apply();
    assert!(matches!(&planned[..], [Command::AddReplica { material, .. }] if *material == worse), "{planned:?}");
    world.knobs.copies_max = 3;
    let planned = world.plan_and_apply();
    assert_eq!(planned.len(), 2);
    assert!(
        planned.iter().any(|command| matches!(command, Command::AddReplica { material, .. } if *material == better))
    );
}

#[test]
fn copies_are_bounded_per_node_and_overall() {
    let mut world = World::new();
    let n = world.nodes(3);
    for _ in 0..20 {
        world.stored(5, 2, &[&n[0]]);
    }
    world.knobs.copies_per_node_max = 3;
    assert_eq!(world.plan_and_apply().len(), 6);
    world.knobs.copies_per_node_max = 100;
    world.knobs.copies_max = 10;
    assert_eq!(world.plan_and_apply().len(), 4);
}

#[test]
fn copies_whose_sources_died_do_not_block_the_others() {
    // Ten copies wait for a holder that is down: they must not use up what may be under way, nor their nodes' share of it.
    let mut world = World::new();
    let n = world.nodes(4);
    for _ in 0..10 {
        world.stored(5, 2, &[&n[0]]);
    }
    world.knobs.copies_max = 10;
    assert_eq!(world.plan_and_apply().len(), 10);
    world.pass(10, &[&n[1], &n[2], &n[3]]);
    let m = world.stored(5, 2, &[&n[1]]);
    let planned = world.plan_and_apply();
    let is_of_m = |command: &Command| matches!(command, Command::AddReplica { material, .. } if *material == m);
    assert!(copies(&planned) == 1 && planned.iter().any(is_of_m), "{planned:?}");
    assert_eq!(planned.len(), 1 + 10, "{planned:?}");
    let pulls = |node: &NodeId| world.orders(node).iter().filter(|order| matches!(order, Order::Copy { .. })).count();
    assert_eq!(n[1..].iter().map(pulls).sum::<usize>(), 1, "nothing to pull the others from");
}

#[test]
fn copies_spread_over_zones() {
    let mut world = World::new();
    let [a1, a2, b1] = [("a1", "a"), ("a2", "a"), ("b1", "b")].map(|(name, zone)| world.node(name, Some(zone)));
    let m = world.stored(5, 2, &[&a1]);
    // The node in the other zone is nearly full, and chosen all the same.
    world.beat_as(&b1, report(GIB));
    assert_eq!(world.plan_and_apply(), [add(&m, &b1)]);
    world.arrive(&m, &b1);
    // With a copy too many the zone that has two parts with one, though its disks are emptier.
    world.copy(&m, &a2);
    world.pass(6, &[&a1, &a2]);
    for _ in 0..6 {
        world.beat_as(&b1, report(GIB));
    }
    world.knobs.trim_after_ms = 0;
    let planned = world.plan();
    assert!(matches!(&planned[..], [Command::DropReplica { node, .. }] if *node != b1), "{planned:?}");
}

#[test]
fn a_node_where_it_failed_is_passed_over_for_a_while() {
    let (mut world, n, m) = World::lacking(3);
    world.beat_as(&n[2], report(50 * GIB));
    assert_eq!(world.plan(), [add(&m, &n[1])]);
    world.observed.replica_failed(&m, &n[1], world.now_ms);
    assert_eq!(world.plan(), [add(&m, &n[2])]);
    world.observed.replica_failed(&m, &n[2], world.now_ms);
    assert_eq!(world.plan(), []);
    world.pass(60, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.plan().len(), 1);
}

#[test]
fn a_node_is_not_promised_more_than_it_has() {
    let mut world = World::new();
    let n = world.nodes(2);
    for _ in 0..3 {
        world.stored(40 * GIB, 2, &[&n[0]]);
    }
    assert_eq!(world.plan_and_apply().len(), 2, "two fit in 100 GiB");
    // The node begins with the first: its promise now stands in its own report.
    let (material, generation) = match &world.orders(&n[1])[0] {
        Order::Copy { material, generation, .. } => (material.clone(), *generation),
        order => panic!("{order:?}"),
    };
    let mut told = report(100 * GIB);
    told.disk_promised = 40 * GIB;
    world.beat_with(&n[1], told, vec![Incoming { material, generation, offset: 0, check: None }], Vec::new());
    assert_eq!(world.plan(), []);
    assert_eq!(world.candidates(20 * GIB).unwrap(), [n[0].clone(), n[1].clone()]);
    assert_eq!(world.candidates(21 * GIB).unwrap(), [n[0].clone()]);
}

#[test]
fn candidates_are_nodes_that_work_and_have_room_best_first() {
    let mut world = World::new();
    let n = world.nodes(6);
    world.beat_as(&n[0], report(90 * GIB));
    let mut busy = report(100 * GIB);
    busy.cpu = 1.0;
    world.beat_as(&n[1], busy);
    world.beat_as(&n[2], report(5 * GIB));
    schedule(&mut world, &n[3], Scheduling::Cordoned);
    world.accept(remove(&n[4], true));
    world.observed.inventory_began(&n[5], None);
    assert_eq!(world.candidates(10 * GIB).unwrap(), [n[0].clone(), n[1].clone()]);
    world.observed.inventory_settled(&n[5]);
    assert_eq!(world.candidates(10 * GIB).unwrap()[0], n[5]);
    for _ in 0..6 {
        world.upload(GIB, 1, &n[5]);
    }
    assert_eq!(world.candidates(10 * GIB).unwrap()[0], n[0], "uploads under way make it less wanted");
    world.pass(3, &[]);
    assert_eq!(world.candidates(1), Err(NoCandidate::Silent));
}

#[test]
fn copies_to_a_dead_node_are_given_up_and_made_elsewhere() {
    let (mut world, n, m) = World::lacking(3);
    let generation = world.assign(&m, &n[1]);
    world.pass(10, &[&n[0], &n[2]]);
    let planned = world.plan_and_apply();
    assert_eq!(planned, [gone(&m, &n[1], generation), add(&m, &n[2])]);
    // It was only cut off, and still pulls: told to drop what is no longer its.
    world.beat_receiving(&n[1], &m, generation, 3);
    assert_eq!(world.orders(&n[1]), [Order::Drop { material: m, generation }]);
}

#[test]
fn an_upload_on_a_dead_node_waits_for_it() {
    let mut world = World::new();
    let n = world.nodes(2);
    let (m, generation) = world.upload(5, 2, &n[0]);
    world.pass(60, &[&n[1]]);
    assert_eq!(world.plan(), []);
    assert_eq!(world.replica(&m, &n[0]), Some((Receiving, generation)));
}
