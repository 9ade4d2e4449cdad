//! A node lists what it holds, and both sides settle the difference: one story a test.

use super::support::*;
use crate::core::{command::Command, orders::misses_upload, placement::NoCandidate, settle::settle};
use microtome_proto::{Generation, internal::Inventory, limits::INVENTORY_PAGE_MAX, material::ReplicaState::*};

#[test]
fn a_restart_with_all_copies_changes_nothing() {
    let (mut world, n, m) = World::replicated(2);
    let (upload, receiving) = world.upload(5, 2, &n[0]);
    let copying = {
        let other = world.stored(5, 2, &[&n[1]]);
        (other.clone(), world.assign(&other, &n[0]))
    };
    let before = world.view.clone();
    let generation = world.generation(&m, &n[0]);
    let mut inventory = page(vec![held(&m, generation, 5)]);
    inventory.incoming = vec![(upload, receiving), copying];
    assert_eq!(world.settle(&n[0], &inventory), []);
    assert!(world.view == before);
}

#[test]
fn copies_that_are_not_there_any_more_are_lost() {
    let (mut world, n, m) = World::replicated(2);
    let (upload, _) = world.upload(5, 2, &n[0]);
    assert_eq!(world.settle(&n[0], &page(Vec::new())), []);
    assert_eq!(world.replica(&m, &n[0]), None);
    assert!(!world.exists(&upload), "an upload whose bytes are gone begins anew");
    assert_eq!(world.plan().len(), 1, "and the lost copy is made again");
}

#[test]
fn deleted_materials_do_not_rise_with_a_returning_node() {
    let (mut world, n, m) = World::replicated(2);
    let [first, second] = [0, 1].map(|i| world.generation(&m, &n[i]));
    world.accept(delete(&m));
    world.accept(gone(&m, &n[1], second));
    assert_eq!(world.settle(&n[0], &page(vec![held(&m, first, 5)])), std::slice::from_ref(&m));
    assert_eq!(world.replica(&m, &n[0]), Some((Dropping, first)), "until the node says that it is free");
    // It freed it and could not say so before it was started again.
    assert_eq!(world.settle(&n[0], &page(Vec::new())), []);
    assert!(!world.exists(&m));
    assert_eq!(world.settle(&n[0], &page(vec![held(&m, first, 5)])), [m]);
}

#[test]
fn what_was_finished_while_no_coordinator_listened_counts() {
    let mut world = World::new();
    let n = world.nodes(2);
    let (m, generation) = world.upload(5, 2, &n[0]);
    assert_eq!(world.settle(&n[0], &page(vec![held(&m, generation, 5)])), []);
    assert_eq!(world.replica(&m, &n[0]), Some((Verified, generation)));
    let copying = world.assign(&m, &n[1]);
    world.settle(&n[1], &page(vec![held(&m, copying, 5)]));
    assert!(world.material(&m).is_settled());
}

#[test]
fn a_proven_copy_counts_though_its_assignment_was_given_up() {
    // The node was cut off while it pulled a copy. The leader gave the assignment up, then the only other holder's disk
    // died. The bytes are on the first one: dropping them for a generation's sake would lose the material.
    let (mut world, n, m) = World::lacking(2);
    let generation = world.assign(&m, &n[1]);
    world.accept(gone(&m, &n[1], generation));
    let first = world.generation(&m, &n[0]);
    world.accept(gone(&m, &n[0], first));
    assert_eq!(world.settle(&n[1], &page(vec![held(&m, generation, 5)])), []);
    assert_eq!(world.replica(&m, &n[1]), Some((Verified, generation)));
}

#[test]
fn a_cluster_that_has_just_come_up_is_not_called_full() {
    let mut world = World::new();
    let found = |world: &World, size| world.candidates(size).map(|best| best.len());
    assert_eq!(found(&world, 5), Err(NoCandidate::Silent));
    let first = world.node("node-1", None);
    assert_eq!(found(&world, 5), Ok(1));
    assert_eq!(found(&world, u64::MAX), Err(NoCandidate::Full));
    world.observed.inventory_began(&first, None);
    assert_eq!(found(&world, 5), Err(NoCandidate::Settling));
    world.observed.inventory_settled(&first);
    assert_eq!(found(&world, u64::MAX), Err(NoCandidate::Full));
    world.pass(60, &[]);
    assert_eq!(found(&world, 5), Err(NoCandidate::Silent));
}

#[test]
fn a_copy_with_other_bytes_is_dropped_and_lost() {
    let (mut world, n, m) = World::replicated(2);
    let generation = world.generation(&m, &n[0]);
    let mut wrong = held(&m, generation, 5);
    wrong.blake3 = "other".to_owned();
    assert_eq!(world.settle(&n[0], &page(vec![wrong])), std::slice::from_ref(&m));
    assert_eq!(world.replica(&m, &n[0]), None);
    let shorter = held(&m, generation, 4);
    assert_eq!(world.settle(&n[1], &page(vec![shorter])), [m]);
}

#[test]
fn an_upload_that_was_moved_away_does_not_count_at_its_old_place() {
    let mut world = World::new();
    let n = world.nodes(2);
    let (m, first) = world.upload(5, 2, &n[0]);
    world.accept(Command::MoveUpload { material: m.clone(), generation: first, node: n[1].clone() });
    let mut inventory = page(Vec::new());
    inventory.incoming = vec![(m.clone(), first)];
    assert_eq!(world.settle(&n[0], &inventory), std::slice::from_ref(&m));
    assert_eq!(world.settle(&n[0], &page(vec![held(&m, first, 5)])), [m]);
}

/// The coordinator went down between writing an upload down and asking its node for room: the books waited for ever.
#[test]
fn an_upload_that_its_node_does_not_tell_of_is_missed_after_a_minute() {
    let mut world = World::new();
    let n = world.nodes(2);
    let misses = |world: &World, i: usize| misses_upload(&world.view, &n[i], &world.observed, world.at()).unwrap();
    let (m, generation) = world.upload(5, 2, &n[0]);
    let other = world.stored(5, 2, &[&n[0]]);
    world.assign(&other, &n[1]);
    world.pass(59, &[&n[0], &n[1]]);
    assert!(!misses(&world, 0), "it may yet hear of it");
    world.pass(1, &[&n[0], &n[1]]);
    assert!(misses(&world, 0));
    assert!(!misses(&world, 1), "a copy is ordered again until it is there");
    for (told, missed) in [(generation, false), (Generation(generation.0 - 1), true)] {
        world.beat_receiving(&n[0], &m, told, 0);
        assert_eq!(misses(&world, 0), missed);
    }
    // It tells of all that it holds, and the sender begins anew.
    let whole = held(&other, world.generation(&other, &n[0]), 5);
    world.settle(&n[0], &page(vec![whole]));
    assert!(!world.exists(&m) && !misses(&world, 0));
}

/// The minute counted from the upload's creation: a node that was given an old one was asked at once, before it was
/// told to receive it, and the upload was taken for lost.
#[test]
fn an_upload_that_was_moved_is_not_missed_at_once() {
    let mut world = World::new();
    let n = world.nodes(2);
    let (m, generation) = world.upload(5, 2, &n[0]);
    world.pass(100, &[&n[0], &n[1]]);
    world.observed.upload_moved(&m, world.now_ms);
    world.accept(Command::MoveUpload { material: m, generation, node: n[1].clone() });
    for (seconds, missed) in [(59, false), (1, true)] {
        world.pass(seconds, &[&n[0], &n[1]]);
        assert_eq!(misses_upload(&world.view, &n[1], &world.observed, world.at()).unwrap(), missed);
    }
}

#[test]
fn a_copy_from_a_future_generation_is_left_alone() {
    // The coordinators were restored from an old backup. What they do not know they must not delete.
    let mut world = World::new();
    let n = world.nodes(1);
    let m = "m-0000000000".parse().unwrap();
    let mut inventory = page(vec![held(&m, Generation(99), 5)]);
    inventory.incoming = vec![("m-1111111111".parse().unwrap(), Generation(98))];
    assert_eq!(world.settle(&n[0], &inventory), []);
}

#[test]
fn each_page_speaks_for_its_own_part() {
    let mut world = World::new();
    let n = world.nodes(1);
    let mut materials: Vec<_> = (0..9).map(|_| world.stored(5, 1, &[&n[0]])).collect();
    materials.sort();
    let held_of = |world: &World, i: usize| held(&materials[i], world.generation(&materials[i], &n[0]), 5);
    // Three pages; materials 1, 5 and 8 are not on the disk any more.
    let part = |after: Option<usize>, held: [usize; 2], last| Inventory {
        after: after.map(|i| materials[i].clone()),
        last,
        ..page(held.map(|i| held_of(&world, i)).to_vec())
    };
    let pages = [part(None, [0, 2], false), part(Some(2), [3, 4], false), part(Some(4), [6, 7], true)];
    for (page, missing) in pages.iter().zip([1, 99, 5]) {
        let (commands, answer) = settle(&world.view, &n[0], page).unwrap();
        assert_eq!(answer.drop, []);
        match &commands[..] {
            [Command::SettleNode { lost, held, .. }] => {
                assert_eq!((lost[0].0.clone(), held), (materials[missing].clone(), &vec![]));
                assert_eq!(lost.len(), if page.last { 2 } else { 1 });
            }
            other => assert_eq!((other, missing), (&[][..], 99)),
        }
    }
}

/// An emptied disk has one page, which speaks for all that the books have there: the command that took a million copies
/// out was too large to be sent to the other coordinators, and nothing that came behind it was, either.
#[test]
fn an_emptied_disk_is_settled_in_parts() {
    let mut world = World::new();
    let n = world.nodes(1);
    let all = INVENTORY_PAGE_MAX + 3;
    (0..all).for_each(|_| drop(world.upload(5, 1, &n[0])));
    let kept = world.stored(5, 1, &[&n[0]]);
    let one = page(vec![held(&kept, world.generation(&kept, &n[0]), 5)]);
    let (commands, _) = settle(&world.view, &n[0], &one).unwrap();
    let parts = commands.iter().map(|command| match command {
        Command::SettleNode { lost, .. } => lost.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(parts.collect::<Vec<_>>(), [INVENTORY_PAGE_MAX, 3]);
    world.settle(&n[0], &one);
    assert!(world.exists(&kept) && world.view.len() < all, "{} records are left", world.view.len());
}
