//! Nodes emptied and taken out as an operator wants it, one story a test.

use super::support::*;
use crate::core::{
    command::Command,
    departure::{Way, departure},
    operate::foresee,
};
use microtome_proto::{
    Code, NodeId,
    material::{MaterialState, ReplicaState::*},
    node::{Drain, Scheduling},
    operation::{Amount, Departure, How, NoPlace, Operation, Unplaced},
};

fn foreseen(world: &World, node: &NodeId, way: Way) -> Departure {
    departure(&world.scene(), node, way).unwrap()
}

fn shown(world: &World, node: &NodeId) -> Drain {
    world.scene().node(node).unwrap().unwrap().drain.unwrap()
}

fn amount(copies: u64, bytes: u64) -> Amount {
    Amount { copies, bytes }
}

#[test]
fn a_node_is_emptied_only_as_copies_stand_elsewhere() {
    let (mut world, n, m) = World::replicated(3);
    world.knobs.trim_after_ms = 0;
    schedule(&mut world, &n[0], Scheduling::Draining);
    assert_eq!(world.plan_and_apply(), [add(&m, &n[2])]);
    world.arrive(&m, &n[2]);
    let old = world.generation(&m, &n[0]);
    assert_eq!(world.plan_and_apply(), [free(&m, &n[0], old)]);
    world.accept(gone(&m, &n[0], old));
    assert!(world.material(&m).is_settled());
    // Where there is no other place its copies stay.
    schedule(&mut world, &n[1], Scheduling::Draining);
    assert_eq!(world.plan(), []);
    schedule(&mut world, &n[1], Scheduling::Active);
    assert_eq!(world.plan(), []);
}

#[test]
fn a_node_is_not_emptied_on_the_word_of_one_that_has_just_started() {
    let mut world = World::new();
    world.knobs.trim_after_ms = 0;
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1], &n[2]]);
    let old = world.generation(&m, &n[0]);
    schedule(&mut world, &n[0], Scheduling::Draining);
    world.restart(&n[2]);
    assert_eq!(world.plan(), []);
    world.observed.inventory_settled(&n[2]);
    assert_eq!(world.plan(), [free(&m, &n[0], old)]);
}

/// Nobody looked again at what a node that was being emptied holds once it had told of it: the drain never ended.
#[test]
fn a_drain_goes_on_when_its_node_was_started_again() {
    let mut world = World::new();
    world.knobs.trim_after_ms = 0;
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1], &n[2]]);
    let old = world.generation(&m, &n[0]);
    for scheduling in [Scheduling::Draining, Scheduling::Cordoned] {
        schedule(&mut world, &n[0], scheduling);
        world.restart(&n[0]);
        assert_eq!(world.plan(), []);
        world.observed.inventory_settled(&n[0]);
        assert_eq!(world.plan(), [free(&m, &n[0], old)]);
    }
}

#[test]
fn a_removed_node_is_replaced_and_forgotten_but_not_as_the_only_holder() {
    let (mut world, n, m) = World::replicated(3);
    let only = world.stored(5, 1, &[&n[0]]);
    world.accept(remove(&n[0], true));
    let old = world.generation(&m, &n[0]);
    assert_eq!(world.plan_and_apply(), [gone(&m, &n[0], old), add(&m, &n[2])]);
    assert!(world.replica(&only, &n[0]).is_some(), "the books go on telling where its bytes were");
}

#[test]
fn a_drain_tells_before_what_it_does_and_then_does_it_to_the_end() {
    let mut world = World::new();
    let n = world.nodes(4);
    for i in 0..9 {
        world.stored(GIB, 2, &[&n[0], &n[1 + i % 3]]);
    }
    world.stored(3 * GIB, 1, &[&n[0]]);
    world.stored(GIB, 2, &[&n[1], &n[2]]);
    let told = foreseen(&world, &n[0], Way::Drained);
    assert_eq!((told.held, told.to_copy), (amount(10, 12 * GIB), amount(10, 12 * GIB)));
    assert_eq!((told.only_here, told.room), (amount(1, 3 * GIB), 300 * GIB));
    assert_eq!((told.unplaced, told.uploads, told.seconds), (vec![], 0, None));

    schedule(&mut world, &n[0], Scheduling::Draining);
    assert_eq!((shown(&world, &n[0]).copies, shown(&world, &n[0]).bytes_left), (10, 12 * GIB));
    let all = [&n[0], &n[1], &n[2], &n[3]];
    let planned = world.work(10, &all);
    assert_eq!(copies(&planned), 10, "{planned:?}");
    assert!(shown(&world, &n[0]).is_done(), "{:?}", shown(&world, &n[0]));
    assert_eq!(world.plan(), []);
    let told = foreseen(&world, &n[0], Way::Removed);
    assert!(!told.loses() && told.held == amount(0, 0));
    world.accept(remove(&n[0], false));
    assert_eq!(world.scene().node(&n[0]).unwrap().unwrap().drain, None);
    assert_eq!(world.plan(), []);
}

#[test]
fn a_drain_shows_its_pace_and_what_holds_it_up() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(1_000, 2, &[&n[0], &n[1]]);
    let (upload, receiving) = world.upload(5, 1, &n[0]);
    let run = world.submit(&[&m]);
    world.assign_run(&run, &n[0]);
    schedule(&mut world, &n[0], Scheduling::Draining);
    world.plan_and_apply();
    let generation = world.generation(&m, &n[2]);
    for offset in [0, 100, 200] {
        world.now_ms += 1_000;
        world.beat_receiving(&n[2], &m, generation, offset);
        world.beat(&n[0]);
        world.beat(&n[1]);
    }
    let drain = shown(&world, &n[0]);
    assert_eq!((drain.copies, drain.uploads, drain.runs, drain.bytes_left), (1, 1, 1, 800));
    assert_eq!((drain.bytes_per_s, drain.seconds_left), (100.0, Some(8.0)));
    assert_eq!(foreseen(&world, &n[0], Way::Drained).seconds, Some(10.0), "at the pace of what is copied now");
    world.verify(&m, &n[2], generation);
    world.work(10, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.replica(&m, &n[0]).unwrap().0, Verified, "a run works on it");
    world.accept(Command::CancelRun { run });
    world.verify(&upload, &n[0], receiving);
    world.work(10, &[&n[0], &n[1], &n[2]]);
    assert!(world.replica(&upload, &n[0]).is_none(), "what arrives in a drain is moved, too");
    assert!(shown(&world, &n[0]).is_done());
}

#[test]
fn a_drain_without_room_goes_as_far_as_it_can() {
    let mut world = World::new();
    let n = world.nodes(3);
    world.beat_as(&n[2], report(25 * GIB));
    let materials: Vec<_> = (0..4).map(|_| world.stored(10 * GIB, 2, &[&n[0], &n[1]])).collect();
    let told = foreseen(&world, &n[0], Way::Drained);
    assert_eq!(told.to_copy, amount(2, 20 * GIB));
    assert_eq!(told.unplaced, [Unplaced { why: NoPlace::NoRoom, amount: amount(2, 20 * GIB) }]);
    schedule(&mut world, &n[0], Scheduling::Draining);
    for _ in 0..10 {
        world.now_ms += 1_000;
        let moved = materials.iter().filter(|id| world.replica(id, &n[2]).is_some_and(|it| it.0 == Verified)).count();
        world.beat_as(&n[2], report((25 - 10 * moved as u64) * GIB));
        world.beat(&n[0]);
        world.beat(&n[1]);
        world.carry_out();
    }
    let drain = shown(&world, &n[0]);
    assert_eq!((drain.copies, drain.bytes_left, drain.seconds_left), (2, 20 * GIB, None));
    // A node more, and it goes on by itself.
    let fourth = world.node("node-4", None);
    world.work(10, &[&n[0], &n[1], &n[2], &fourth]);
    assert!(shown(&world, &n[0]).is_done());
}

#[test]
fn with_fewer_nodes_than_copies_wanted_nothing_is_given_up() {
    let (mut world, n, m) = World::replicated(2);
    let told = foreseen(&world, &n[0], Way::Drained);
    assert_eq!(told.unplaced, [Unplaced { why: NoPlace::NoNode, amount: amount(1, 5) }]);
    schedule(&mut world, &n[0], Scheduling::Draining);
    assert_eq!(world.work(10, &[&n[0], &n[1]]), []);
    assert_eq!(world.material(&m).verified().count(), 2);
}

#[test]
fn a_cancelled_drain_leaves_everything_where_it_is() {
    let (mut world, n, m) = World::replicated(3);
    schedule(&mut world, &n[0], Scheduling::Draining);
    assert_eq!(world.plan_and_apply(), [add(&m, &n[2])]);
    let generation = world.generation(&m, &n[2]);
    schedule(&mut world, &n[0], Scheduling::Active);
    assert_eq!(world.plan_and_apply(), [free(&m, &n[2], generation)], "the copy under way is none too few any more");
    assert_eq!(world.replica(&m, &n[0]).unwrap().0, Verified);
}

#[test]
fn a_node_that_comes_and_goes_during_a_drain_costs_no_copy() {
    // The other holder is silent for 11 s, back for 2 s, over and over, while the first is emptied.
    let mut world = World::new();
    let n = world.nodes(4);
    let materials: Vec<_> = (0..5).map(|_| world.stored(5, 2, &[&n[0], &n[1]])).collect();
    schedule(&mut world, &n[0], Scheduling::Draining);
    let mut begun = 0;
    for _ in 0..6 {
        for (seconds, is_back) in [(11, false), (2, true)] {
            let mut beating = vec![&n[0], &n[2], &n[3]];
            beating.extend(is_back.then_some(&n[1]));
            begun += copies(&world.work(seconds, &beating));
            for material in &materials {
                let elsewhere = world.material(material).verified().filter(|replica| replica.node != n[0]).count();
                let here = world.material(material).replica(&n[0]).is_some();
                assert!(elsewhere >= 2 || here, "{:?}", world.material(material));
            }
        }
    }
    assert_eq!(begun, 2 * materials.len(), "one for the node that is emptied, one for the one that was down");
    world.work(10, &[&n[0], &n[1], &n[2], &n[3]]);
    assert!(shown(&world, &n[0]).is_done());
    assert!(materials.iter().all(|material| world.material(material).is_settled()));
}

#[test]
fn what_lives_nowhere_else_keeps_its_node_unless_it_is_meant() {
    let mut world = World::new();
    let n = world.nodes(3);
    let only = world.stored(7, 1, &[&n[0]]);
    let both = world.stored(5, 2, &[&n[0], &n[1]]);
    let act = |world: &World, force| {
        let how = How { dry_run: true, force };
        foresee(&world.scene(), &n[0], Operation::Remove, how).unwrap().unwrap()
    };
    let (told, refusal) = act(&world, false);
    let departure = told.departure.unwrap();
    assert_eq!((departure.held, departure.only_here), (amount(2, 12), amount(1, 7)));
    assert_eq!((departure.to_copy, departure.only_here_materials), (amount(1, 5), vec![only.clone()]));
    let refusal = refusal.unwrap();
    assert_eq!((refusal.code, Some(&refusal.detail)), (Code::Conflict, told.refusal.as_ref()));
    assert!(
        refusal.detail.contains("on no other node (1, 7 bytes in all)")
            && refusal.way_out.contains("microtome drain n-1 --wait")
    );
    assert_eq!(world.refused(remove(&n[0], false)), Code::Conflict, "also where nobody asked before");
    assert_eq!(act(&world, true).1, None);
    world.accept(remove(&n[0], true));
    world.work(3, &[&n[1], &n[2]]);
    assert_eq!(world.material(&both).verified().count(), 2);
    assert_eq!(world.scene().material(&only).unwrap().unwrap().state, MaterialState::Unavailable);
    // Again: it is removed already, which is all that was wanted. But it cannot be given work any more.
    let (again, refusal) = act(&world, false);
    assert_eq!((again.changes, again.departure, refusal), (false, None, None));
    let (_, refusal) = foresee(&world.scene(), &n[0], Operation::Uncordon, How::default()).unwrap().unwrap();
    assert_eq!(refusal.unwrap().code, Code::Gone);
    assert_eq!(foresee(&world.scene(), &"n-9".parse().unwrap(), Operation::Drain, How::default()).unwrap(), None);
}

#[test]
fn a_holder_that_is_down_is_not_relied_on() {
    let mut world = World::new();
    let n = world.nodes(2);
    world.stored(5, 2, &[&n[0], &n[1]]);
    let (upload, _) = world.upload(9, 1, &n[0]);
    assert_eq!(foreseen(&world, &n[0], Way::Removed).only_here, amount(0, 0));
    world.pass(10, &[&n[0]]);
    let told = foreseen(&world, &n[0], Way::Removed);
    assert_eq!((told.only_here, told.uploads), (amount(1, 5), 1));
    assert_eq!(world.refused(remove(&n[0], false)), Code::Conflict, "its upload would be broken off");
    world.accept(Command::DeleteMaterial { material: upload });
    world.accept(remove(&n[0], false));
}

#[test]
fn the_last_copy_on_a_member_is_not_dropped_for_one_on_a_removed_node() {
    // A surplus copy was to go, and the drop was on its way when the other holder was removed.
    let mut world = World::new();
    let n = world.nodes(2);
    let m = world.stored(5, 1, &[&n[0], &n[1]]);
    let second = world.generation(&m, &n[1]);
    world.accept(remove(&n[0], false));
    assert_eq!(world.refused(free(&m, &n[1], second)), Code::Conflict);
    assert_eq!(world.refused(remove(&n[1], false)), Code::Conflict);
}
