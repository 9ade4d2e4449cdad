//! Copies that are too many, and what becomes of those that are to be freed, one story a test.

use super::support::*;
use crate::core::{command::Command, observed::Observed};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId,
    internal::Order,
    material::{MaterialState, ReplicaState::*},
};

/// One of two holders is down, and a third node makes a copy in place of what was there.
fn replacing() -> (World, Vec<NodeId>, MaterialId) {
    let (mut world, n, m) = World::replicated(3);
    world.pass(10, &[&n[1], &n[2]]);
    assert_eq!(world.plan_and_apply(), [add(&m, &n[2])]);
    (world, n, m)
}

#[test]
fn a_returning_holder_counts_again_and_the_fullest_is_trimmed() {
    let (mut world, n, m) = replacing();
    world.arrive(&m, &n[2]);
    let all = [&n[0], &n[1], &n[2]];
    world.pass(1, &all);
    assert_eq!(world.plan(), [], "not before it has answered for a while: it may come and go");
    world.pass(5, &all);
    world.beat_as(&n[1], report(GIB));
    let second = world.generation(&m, &n[1]);
    assert_eq!(world.plan_and_apply(), [free(&m, &n[1], second)]);
    assert_eq!(world.orders(&n[1]), [Order::Drop { material: m.clone(), generation: second }]);
    world.accept(gone(&m, &n[1], second));
    assert_eq!(world.orders(&n[1]), []);
    assert!(world.material(&m).is_settled());
}

#[test]
fn a_copy_that_is_not_needed_any_more_is_dropped_at_once() {
    let (mut world, n, m) = replacing();
    let generation = world.generation(&m, &n[2]);
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
    let first = world.generation(&m, &n[0]);
    world.beat_as(&n[0], report(GIB));
    world.restart(&n[2]);
    assert_eq!(world.plan(), []);
    world.observed.inventory_settled(&n[2]);
    assert_eq!(world.plan(), [free(&m, &n[0], first)]);
}

#[test]
fn a_copy_under_way_goes_on_until_the_node_that_is_back_has_told_what_it_holds() {
    let (mut world, n, m) = replacing();
    let generation = world.generation(&m, &n[2]);
    world.restart(&n[0]);
    world.pass(1, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.plan(), []);
    world.observed.inventory_settled(&n[0]);
    assert_eq!(world.plan(), [free(&m, &n[2], generation)]);
}

#[test]
fn a_lower_population_frees_and_a_higher_one_copies() {
    let (mut world, n, m) = World::replicated(3);
    world.knobs.trim_after_ms = 0;
    world.accept(want(&m, 3));
    assert_eq!(world.plan_and_apply(), [add(&m, &n[2])]);
    world.accept(want(&m, 1));
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
    world.beat_receiving(&n[2], &m, second, 4);
    world.accept(want(&m, 2));
    assert_eq!(world.plan(), [free(&m, &n[1], first)]);
}

/// Three nodes have a copy, and the first one is to free its own: which assignment that is.
fn freeing() -> (World, Vec<NodeId>, MaterialId, Generation) {
    let (mut world, n, m) = World::replicated(3);
    world.copy(&m, &n[2]);
    let leaving = world.generation(&m, &n[0]);
    world.accept(free(&m, &n[0], leaving));
    (world, n, m, leaving)
}

#[test]
fn what_is_being_freed_does_not_count() {
    let (mut world, n, m, _) = freeing();
    let shown = |world: &World| world.scene().material(&m).unwrap().unwrap();
    let holders = |world: &World| world.scene().located(&m).unwrap().unwrap().holders;
    assert_eq!((shown(&world).state, shown(&world).population_live), (MaterialState::Ready, 2));
    assert_eq!(holders(&world), [url("node-2"), url("node-3")]);
    assert_eq!(world.scene().node(&n[0]).unwrap().unwrap().replicas, 0);
    assert_eq!(world.plan(), [], "it is none too many");

    // Its bytes are there still, but nobody is to rely on them: not even where another copy is lost.
    world.pass(10, &[&n[0], &n[2]]);
    assert_eq!((shown(&world).state, shown(&world).population_live), (MaterialState::Degraded, 1));
    assert_eq!(holders(&world), [url("node-3")]);
    assert_eq!(world.healing().bytes_left, 5);
    assert_eq!(world.plan(), [], "a copy may come there only when this one has gone");
    let fourth = world.node("node-4", None);
    assert_eq!(world.plan_and_apply(), [add(&m, &fourth)]);
    let orders = world.orders(&fourth);
    assert!(matches!(&orders[..], [Order::Copy { sources, .. }] if *sources == [url("node-3")]), "{orders:?}");
}

#[test]
fn what_is_to_be_freed_ends_freed_whatever_comes_between() {
    let (mut world, n, m, leaving) = freeing();
    let order = [Order::Drop { material: m.clone(), generation: leaving }];
    let is_still_to_go = |world: &World| {
        assert_eq!(world.replica(&m, &n[0]), Some((Dropping, leaving)));
        assert_eq!(world.orders(&n[0]), order);
    };
    is_still_to_go(&world);
    // Another leader, which knows nothing of the order.
    world.observed = Observed::new(world.now_ms);
    n.iter().for_each(|node| world.restart(node));
    is_still_to_go(&world);
    // It has not freed it, was started again, and tells that it has it.
    assert_eq!(world.settle(&n[0], &page(vec![held(&m, leaving, 5)])), std::slice::from_ref(&m));
    n.iter().for_each(|node| world.observed.inventory_settled(node));
    is_still_to_go(&world);
    // What it was told before, it says now. And as many copies are wanted as there were.
    assert_eq!(world.refused(verified(&m, &n[0], leaving, 5)), Code::StaleGeneration);
    world.accept(Command::ReplicaDamaged { material: m.clone(), node: n[0].clone(), generation: leaving });
    world.accept(want(&m, 3));
    assert_eq!(world.plan(), []);
    assert_eq!(world.refused(add(&m, &n[0])), Code::Conflict);
    is_still_to_go(&world);
    // It was silent until all took it for lost, and is back.
    world.pass(60, &[&n[1], &n[2]]);
    assert_eq!(world.plan(), []);
    world.pass(10, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.plan(), []);
    is_still_to_go(&world);

    // It says so, or has nothing of it at its next start, or is taken out of the cluster.
    let ends: [&dyn Fn(&mut World); 3] = [
        &|world| drop(world.accept(gone(&m, &n[0], leaving))),
        &|world| assert_eq!(world.settle(&n[0], &page(vec![])), []),
        &|world| {
            world.accept(remove(&n[0], false));
            assert_eq!(world.plan_and_apply(), [gone(&m, &n[0], leaving)]);
        },
    ];
    for end in ends {
        let mut world =
            World { view: world.view.clone(), observed: world.observed.clone(), now_ms: world.now_ms, ..World::new() };
        end(&mut world);
        assert_eq!(world.replica(&m, &n[0]), None);
        assert_eq!(world.orders(&n[0]), []);
    }
}
