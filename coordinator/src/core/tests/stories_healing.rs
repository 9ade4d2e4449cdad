//! Copies made, kept and dropped as nodes come and go, one story a test.

use super::support::*;
use crate::core::{command::Command, placement::candidates};
use microtome_proto::{
    NodeId,
    internal::{Incoming, Order},
    material::ReplicaState::*,
    node::{Availability, Scheduling},
};

fn best(world: &World, size: u64) -> Vec<NodeId> {
    let found = candidates(&world.view, &world.observed, size, world.now_ms, &world.timing).unwrap();
    found.unwrap_or_default().into_iter().map(|candidate| candidate.node).collect()
}

#[test]
fn a_fresh_upload_gets_its_second_copy() {
    let mut world = World::new();
    let n = world.nodes(2);
    let m = world.stored(5, 2, &[&n[0]]);
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
        sources: vec!["http://node-1:7500".to_owned()],
    };
    assert_eq!(world.orders(&n[1]), [order]);
    world.verify(&m, &n[1], generation);
    assert_eq!((world.plan(), world.orders(&n[1])), (vec![], vec![]));
}

#[test]
fn a_dead_holder_is_replaced_only_once_it_is_down() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1]]);
    world.pass(9, &[&n[1], &n[2]]);
    assert_eq!(world.observed.availability(&n[0], world.now_ms, &world.timing), Availability::Unreachable);
    assert_eq!(world.plan(), []);
    world.pass(1, &[&n[1], &n[2]]);
    assert_eq!(world.observed.availability(&n[0], world.now_ms, &world.timing), Availability::Down);
    assert_eq!(world.plan_and_apply(), [add(&m, &n[2])]);
}

#[test]
fn a_returning_holder_counts_again_and_the_fullest_is_trimmed() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1]]);
    world.pass(10, &[&n[1], &n[2]]);
    world.plan_and_apply();
    let third = world.replica(&m, &n[2]).unwrap().1;
    world.verify(&m, &n[2], third);
    let all = [&n[0], &n[1], &n[2]];
    world.pass(1, &all);
    assert_eq!(world.plan(), [], "not before it has answered for a while: it may come and go");
    world.pass(5, &all);
    world.beat_with(&n[1], report(GIB), Vec::new(), Vec::new());
    let second = world.replica(&m, &n[1]).unwrap().1;
    assert_eq!(world.plan_and_apply(), [free(&m, &n[1], second)]);
    assert_eq!(world.orders(&n[1]), [Order::Drop { material: m.clone(), generation: second }]);
    world.accept(gone(&m, &n[1], second));
    assert_eq!(world.orders(&n[1]), []);
    assert!(world.material(&m).is_settled());
}

#[test]
fn a_copy_that_is_not_needed_any_more_is_dropped_at_once() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1]]);
    world.pass(10, &[&n[1], &n[2]]);
    world.plan_and_apply();
    let generation = world.replica(&m, &n[2]).unwrap().1;
    world.pass(1, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.plan_and_apply(), [free(&m, &n[2], generation)]);
    assert_eq!(world.replica(&m, &n[2]), Some((Dropping, generation)));
}

/// A node was started again with an empty disk, and its copies in the books cost those that others had.
#[test]
fn no_copy_is_dropped_for_one_on_a_node_that_has_not_told_what_it_holds() {
    let mut world = World::new();
    world.knobs.trim_after_ms = 0;
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1], &n[2]]);
    let first = world.replica(&m, &n[0]).unwrap().1;
    world.beat_with(&n[0], report(GIB), Vec::new(), Vec::new());
    world.restart(&n[2]);
    assert_eq!(world.plan(), []);
    world.observed.inventory_settled(&n[2]);
    assert_eq!(world.plan(), [free(&m, &n[0], first)]);
}

#[test]
fn a_copy_under_way_goes_on_until_the_node_that_is_back_has_told_what_it_holds() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1]]);
    world.pass(10, &[&n[1], &n[2]]);
    world.plan_and_apply();
    let generation = world.replica(&m, &n[2]).unwrap().1;
    world.restart(&n[0]);
    world.pass(1, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.plan(), []);
    world.observed.inventory_settled(&n[0]);
    assert_eq!(world.plan(), [free(&m, &n[2], generation)]);
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
    let (added, dropped): (Vec<_>, Vec<_>) =
        planned.iter().partition(|command| matches!(command, Command::AddReplica { .. }));
    assert!(matches!(&added[..], [Command::AddReplica { material, .. }] if *material == m), "{planned:?}");
    assert_eq!(dropped.len(), 10, "{planned:?}");
    let pulls = |node: &NodeId| world.orders(node).iter().filter(|order| matches!(order, Order::Copy { .. })).count();
    assert_eq!(n[1..].iter().map(pulls).sum::<usize>(), 1, "nothing to pull the others from");
}

#[test]
fn copies_spread_over_zones() {
    let mut world = World::new();
    let [a1, a2, b1] = [("a1", "a"), ("a2", "a"), ("b1", "b")].map(|(name, zone)| world.node(name, Some(zone)));
    let m = world.stored(5, 2, &[&a1]);
    // The node in the other zone is nearly full, and chosen all the same.
    world.beat_with(&b1, report(GIB), Vec::new(), Vec::new());
    assert_eq!(world.plan_and_apply(), [add(&m, &b1)]);
    let generation = world.replica(&m, &b1).unwrap().1;
    world.verify(&m, &b1, generation);
    // With a copy too many the zone that has two parts with one, though its disks are emptier.
    let generation = world.assign(&m, &a2);
    world.verify(&m, &a2, generation);
    world.pass(6, &[&a1, &a2]);
    for _ in 0..6 {
        world.beat_with(&b1, report(GIB), Vec::new(), Vec::new());
    }
    world.knobs.trim_after_ms = 0;
    let planned = world.plan();
    assert!(matches!(&planned[..], [Command::DropReplica { node, .. }] if *node != b1), "{planned:?}");
}

#[test]
fn a_node_where_it_failed_is_passed_over_for_a_while() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0]]);
    world.beat_with(&n[2], report(50 * GIB), Vec::new(), Vec::new());
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
    world.beat_with(&n[1], told, vec![Incoming { material, generation, offset: 0 }], Vec::new());
    assert_eq!(world.plan(), []);
    assert_eq!(best(&world, 20 * GIB), [n[0].clone(), n[1].clone()]);
    assert_eq!(best(&world, 21 * GIB), [n[0].clone()]);
}

#[test]
fn candidates_are_nodes_that_work_and_have_room_best_first() {
    let mut world = World::new();
    let n = world.nodes(6);
    world.beat_with(&n[0], report(90 * GIB), Vec::new(), Vec::new());
    let mut busy = report(100 * GIB);
    busy.cpu = 1.0;
    world.beat_with(&n[1], busy, Vec::new(), Vec::new());
    world.beat_with(&n[2], report(5 * GIB), Vec::new(), Vec::new());
    schedule(&mut world, &n[3], Scheduling::Cordoned);
    world.accept(Command::RemoveNode { node: n[4].clone(), force: true });
    world.observed.inventory_began(&n[5], None);
    assert_eq!(best(&world, 10 * GIB), [n[0].clone(), n[1].clone()]);
    world.observed.inventory_settled(&n[5]);
    assert_eq!(best(&world, 10 * GIB)[0], n[5]);
    for _ in 0..6 {
        world.upload(GIB, 1, &n[5]);
    }
    assert_eq!(best(&world, 10 * GIB)[0], n[0], "uploads under way make it less wanted");
    world.pass(3, &[]);
    assert_eq!(best(&world, 1), []);
}

#[test]
fn copies_to_a_dead_node_are_given_up_and_made_elsewhere() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0]]);
    let generation = world.assign(&m, &n[1]);
    world.pass(10, &[&n[0], &n[2]]);
    let planned = world.plan_and_apply();
    assert_eq!(planned, [gone(&m, &n[1], generation), add(&m, &n[2])]);
    // It was only cut off, and still pulls: told to drop what is no longer its.
    world.beat_with(&n[1], report(GIB), vec![Incoming { material: m.clone(), generation, offset: 3 }], Vec::new());
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

#[test]
fn a_node_that_comes_and_goes_starts_no_storm() {
    // Silent for 11 s, back for 2 s, over and over: no copy may be made and dropped with each turn.
    let mut world = World::new();
    let n = world.nodes(4);
    let materials: Vec<_> = (0..5).map(|_| world.stored(5, 2, &[&n[0], &n[1]])).collect();
    let others = [&n[1], &n[2], &n[3]];
    let mut copies = 0;
    for _ in 0..10 {
        for (seconds, is_back) in [(11, false), (2, true)] {
            for _ in 0..seconds {
                let mut beating = others.to_vec();
                beating.extend(is_back.then_some(&n[0]));
                world.pass(1, &beating);
                for command in world.plan() {
                    world.accept(command.clone());
                    if let Command::AddReplica { material, node } = command {
                        copies += 1;
                        let generation = world.replica(&material, &node).unwrap().1;
                        world.verify(&material, &node, generation);
                    }
                }
            }
        }
    }
    assert_eq!(copies, materials.len());
    world.pass(7, &[&n[0], &n[1], &n[2], &n[3]]);
    assert_eq!(world.plan_and_apply().len(), materials.len(), "now that it stays, the surplus goes");
}

#[test]
fn a_leader_that_was_halted_does_not_call_its_nodes_dead() {
    // The leader's process was stopped for a minute. All nodes look silent at once: it was the leader who was deaf.
    let mut world = World::new();
    let n = world.nodes(3);
    world.stored(5, 2, &[&n[0], &n[1]]);
    world.pass(1, &[&n[0], &n[1], &n[2]]);
    world.now_ms += 60_000;
    let availability = |world: &World, i: usize| world.observed.availability(&n[i], world.now_ms, &world.timing);
    assert_eq!(availability(&world, 0), Availability::Up, "also to one who asks before the leader plans again");
    assert_eq!(world.plan(), []);
    world.observed.tick(world.now_ms, &world.timing, world.knobs.failure_pause_ms);
    assert_eq!(world.plan(), []);
    world.pass(1, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.plan(), []);
    world.pass(10, &[&n[1], &n[2]]);
    assert_eq!(world.plan().len(), 1, "but a node that stays silent is");
}

#[test]
fn a_leader_that_is_halted_again_and_again_still_finds_the_dead_node_and_no_other() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1]]);
    world.pass(1, &[&n[0], &n[1], &n[2]]);
    let availability = |world: &World, i: usize| world.observed.availability(&n[i], world.now_ms, &world.timing);
    for _ in 0..4 {
        assert_eq!(world.plan(), [], "it was not silent for long enough while the leader listened");
        world.now_ms += 60_000;
        assert_eq!(availability(&world, 1), Availability::Up);
        world.pass(2, &[&n[1], &n[2]]);
    }
    assert_eq!(availability(&world, 0), Availability::Down);
    assert_eq!(world.plan(), [add(&m, &n[2])]);
}

#[test]
fn a_new_leader_waits_before_it_judges() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1]]);
    world.now_ms += 500_000;
    world.observed = crate::core::observed::Observed::new(world.now_ms);
    let availability = |world: &World, i: usize| world.observed.availability(&n[i], world.now_ms, &world.timing);
    assert_eq!(availability(&world, 0), Availability::Unreachable, "never heard by this leader");
    world.pass(9, &[&n[1], &n[2]]);
    assert_eq!(availability(&world, 1), Availability::Up);
    assert_eq!(world.plan(), []);
    world.pass(1, &[&n[1], &n[2]]);
    assert_eq!(availability(&world, 0), Availability::Down);
    assert_eq!(world.plan(), [add(&m, &n[2])]);
}

#[test]
fn a_lower_population_frees_and_a_higher_one_copies() {
    let mut world = World::new();
    world.knobs.trim_after_ms = 0;
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1]]);
    let update = |population| Command::UpdateMaterial { material: m.clone(), name: None, population: Some(population) };
    world.accept(update(3));
    assert_eq!(world.plan_and_apply(), [add(&m, &n[2])]);
    world.accept(update(1));
    let planned = world.plan_and_apply();
    assert_eq!(planned.len(), 2, "the copy under way and one verified one: {planned:?}");
    assert_eq!(world.material(&m).verified().count(), 1);
}

#[test]
fn the_copy_that_is_furthest_is_kept_when_one_is_too_many() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 3, &[&n[0]]);
    let (first, second) = (world.assign(&m, &n[1]), world.assign(&m, &n[2]));
    let incoming = vec![Incoming { material: m.clone(), generation: second, offset: 4 }];
    world.beat_with(&n[2], report(GIB), incoming, Vec::new());
    world.accept(Command::UpdateMaterial { material: m.clone(), name: None, population: Some(2) });
    assert_eq!(world.plan(), [free(&m, &n[1], first)]);
}

/// Ten nodes with a bad switch went for 15 s every 45 s: each time copies of what they hold were begun, and dropped when
/// they were back.
#[test]
fn a_node_that_comes_and_goes_is_waited_for_longer_each_time() {
    let mut world = World::new();
    let n = world.nodes(4);
    world.stored(5, 2, &[&n[0], &n[1]]);
    let others = [&n[1], &n[2], &n[3]];
    let mut silence = |seconds| {
        let planned = world.work(seconds, &others);
        world.work(20, &[&n[0], &n[1], &n[2], &n[3]]);
        planned.len()
    };
    assert_eq!(silence(15), 1, "the first time nobody knows that it comes back");
    assert_eq!((silence(15), silence(25)), (0, 1), "then it is waited for 20 s");
    assert_eq!((silence(35), silence(45)), (0, 1), "then for 40 s");
    assert_eq!((silence(75), silence(85), silence(85)), (0, 1, 1), "and never for more than 80 s");
    world.work(3_700, &[&n[0], &n[1], &n[2], &n[3]]);
    assert_eq!(world.work(11, &others).len(), 1, "a node that was steady for an hour is as good as any");
}
