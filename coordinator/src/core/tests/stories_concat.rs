//! Files that are put together from parts: what is acknowledged, where it happens, and what becomes of the parts.

use super::support::*;
use crate::core::{
    command::{Command, Outcome},
    joins,
    placement::{self, NoCandidate},
    settle::settle,
    tables::{Joining, Meta},
    view::Typed as _,
};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId,
    internal::Order,
    material::{MaterialState, Owner},
    node::Scheduling,
    page::PageQuery,
    protocol,
};

fn ids(parts: &[&MaterialId]) -> Vec<MaterialId> {
    parts.iter().map(|part| (*part).clone()).collect()
}

/// So many nodes; three parts of 5 bytes on the first of them, and what is to be put together from them there.
fn joining(nodes: usize) -> (World, Vec<NodeId>, [MaterialId; 3], MaterialId, Generation) {
    let mut world = World::new();
    let n = world.nodes(nodes);
    let parts = [0; 3].map(|_| world.part(5, &n[0]));
    let (whole, generation) = world.join(&parts.each_ref(), &n[0]);
    (world, n, parts, whole, generation)
}

/// What a node is told to put together.
fn ordered(world: &World, node: &NodeId) -> Vec<(MaterialId, Vec<MaterialId>)> {
    let joins = world.orders(node).into_iter().filter_map(|order| match order {
        Order::Join { wanted, parts } => Some((wanted.material, parts)),
        _ => None,
    });
    joins.collect()
}

fn state(world: &World, material: &MaterialId) -> MaterialState {
    world.scene().material(material).unwrap().unwrap().state
}

#[test]
fn parts_are_shown_to_nobody_and_what_is_put_together_is() {
    let (mut world, n, parts, whole, generation) = joining(1);
    let listed = |world: &World| {
        let page = world.scene().materials(&PageQuery::default()).unwrap();
        page.items.into_iter().map(|material| material.id).collect::<Vec<_>>()
    };
    let counted = |world: &World| {
        let overview = world.scene().overview().unwrap();
        (overview.materials, overview.bytes)
    };
    assert_eq!((listed(&world), counted(&world)), (vec![whole.clone()], (1, 15)));
    assert!(world.scene().is_hidden(&parts[0]).unwrap() && !world.scene().is_hidden(&whole).unwrap());
    assert_eq!(world.refused(want(&parts[0], 2)), Code::NotFound);
    assert_eq!(world.refused(create_run(None, ids(&[&parts[0]]))), Code::NotFound);

    let shown = world.scene().material(&whole).unwrap().unwrap();
    assert_eq!((shown.state, shown.size, shown.upload_url), (MaterialState::Receiving, 15, None));
    assert_eq!(ordered(&world, &n[0]), [(whole.clone(), parts.to_vec())]);
    world.beat_receiving(&n[0], &whole, generation, 7);
    assert_eq!(ordered(&world, &n[0]).len(), 1, "until it is met");

    world.verify(&whole, &n[0], generation);
    assert!(ordered(&world, &n[0]).is_empty());
    let drops = world.orders(&n[0]).into_iter().filter(|order| matches!(order, Order::Drop { .. })).count();
    assert_eq!(drops, 3, "the parts go with their end");
    for part in &parts {
        let generation = world.generation(part, &n[0]);
        world.accept(gone(part, &n[0], generation));
        assert!(!world.exists(part));
    }
    assert_eq!((listed(&world), counted(&world)), (vec![whole.clone()], (1, 15)));
    assert_eq!(world.material(&whole).concat_header().as_deref(), Some(GIVEN), "its head tells it for life");
}

#[test]
fn what_cannot_be_put_together_is_refused_with_the_part_that_is_wrong() {
    let (mut world, n, parts, whole, _) = joining(1);
    let (free, other) = (world.part(5, &n[0]), world.stored(5, 1, &[&n[0]]));
    let Outcome::Material { material: begun, .. } = world.accept(create_part(5, &n[0])) else { panic!() };
    let mut refused = |parts: &[&MaterialId]| {
        let (code, detail) = match world.apply(join(&ids(parts), &n[0])) {
            Outcome::Refused { code, detail } => (code, detail),
            outcome => panic!("{outcome:?}"),
        };
        assert!(parts.last().is_none_or(|last| code == Code::BadRequest || detail.contains(last.as_str())), "{detail}");
        code
    };
    assert_eq!(refused(&[]), Code::BadRequest);
    assert_eq!(refused(&[&free, &free]), Code::BadRequest);
    assert_eq!(refused(&[&free, &other]), Code::BadRequest, "it is no part");
    assert_eq!(refused(&[&free, &"m-none".parse().unwrap()]), Code::NotFound);
    assert_eq!(refused(&[&free, &begun]), Code::Conflict, "it has not all its bytes yet");
    assert_eq!(refused(&[&free, &parts[0]]), Code::Conflict, "it belongs to another");
    let large = [0; 2].map(|_| world.part(1 << 40, &n[0]));
    assert_eq!(world.refused(join(&large, &n[0])), Code::TooLarge);
    assert_eq!(world.material(&free).taken_by(), None, "a refusal takes nothing");
    assert_eq!(world.material(&parts[0]).taken_by(), Some(&whole));
}

#[test]
fn who_asks_again_is_given_the_same() {
    let (mut world, n, parts, whole, generation) = joining(2);
    let again = Outcome::Material { material: whole, generation, existed: true };
    assert_eq!(world.accept(join(&parts, &n[1])), again, "also without a key, while it is put together");
    let reversed: Vec<_> = parts.iter().rev().cloned().collect();
    assert_eq!(world.refused(join(&reversed, &n[0])), Code::Conflict);

    let parts = [world.part(5, &n[0])];
    let keyed = with_key("key", join(&parts, &n[0]));
    let Outcome::Material { material, generation, existed: false } = world.accept(keyed.clone()) else { panic!() };
    world.verify(&material, &n[0], generation);
    let again = Outcome::Material { material, generation, existed: true };
    assert_eq!(world.accept(keyed), again, "with a key also when its parts are gone");
    assert_eq!(world.refused(with_key("key", create(5, 1, &n[0]))), Code::Conflict, "the key is used");
}

/// From 201 on nothing but the end of the whole may take a part.
#[test]
fn a_part_that_is_taken_up_is_deleted_with_the_whole_only() {
    let (mut world, n, parts, whole, _) = joining(2);
    assert_eq!(world.refused(delete(&parts[1])), Code::Conflict);
    world.work(300, &[&n[0], &n[1]]);
    assert!(parts.iter().all(|part| world.material(part).taken_by() == Some(&whole)));
    world.accept(delete(&whole));
    assert!(parts.iter().chain([&whole]).all(|it| world.material(it).is_deleted()));
    assert_eq!(world.orders(&n[0]).len(), 4, "both are freed");
    let alone = world.part(5, &n[0]);
    world.accept(delete(&alone));
}

#[test]
fn other_bytes_than_were_announced_end_it_with_its_parts() {
    let mut world = World::new();
    let n = world.nodes(1);
    let parts = [world.part(5, &n[0])];
    let mut command = join(&parts, &n[0]);
    let Command::JoinParts { blake3, .. } = &mut command else { panic!() };
    *blake3 = Some("another".to_owned());
    let Outcome::Material { material, generation, .. } = world.accept(command) else { panic!() };
    assert_eq!(world.refused(verified(&material, &n[0], generation, 5)), Code::HashMismatch);
    assert!(world.material(&material).is_deleted() && world.material(&parts[0]).is_deleted());
}

#[test]
fn parts_on_other_nodes_are_copied_to_where_they_are_put_together() {
    let mut world = World::new();
    let n = world.nodes(3);
    let parts = [world.part(50, &n[0]), world.part(5, &n[1]), world.part(5, &n[2])];
    let candidates = joins::candidates(&world.view, &world.observed, &parts, world.now_ms, &world.timing).unwrap();
    assert_eq!(candidates.unwrap().unwrap()[0].node, n[0], "where the most bytes are");
    let (whole, generation) = world.join(&parts.each_ref(), &n[0]);
    assert_eq!(ordered(&world, &n[0]), []);
    let mut planned = world.plan_and_apply();
    planned.sort_by_key(|command| format!("{command:?}"));
    let mut expected = vec![add(&parts[1], &n[0]), add(&parts[2], &n[0])];
    expected.sort_by_key(|command| format!("{command:?}"));
    assert_eq!(planned, expected);
    world.arrive(&parts[1], &n[0]);
    assert_eq!(ordered(&world, &n[0]), [], "one is still on its way");
    world.arrive(&parts[2], &n[0]);
    assert_eq!(ordered(&world, &n[0]), [(whole.clone(), parts.to_vec())]);
    assert_eq!(world.work(60, &[&n[0], &n[1], &n[2]]), [], "no copy of a part is one too many until then");
    world.verify(&whole, &n[0], generation);
    assert!(n.iter().all(|node| !world.orders(node).is_empty()), "all copies of parts are freed");
}

#[test]
fn a_node_that_cannot_put_it_together_gives_way_to_another() {
    let (mut world, n, parts, whole, generation) = joining(2);
    // It has no room, say.
    world.observed.replica_failed(&whole, &n[0], world.now_ms);
    world.accept(gone(&whole, &n[0], generation));
    assert_eq!((state(&world, &whole), world.material(&whole).replicas.len()), (MaterialState::Unavailable, 0));
    assert_eq!(world.plan(), [add(&whole, &n[1])]);
    world.accept(add(&whole, &n[1]));
    assert_eq!(state(&world, &whole), MaterialState::Receiving);
    assert_eq!(copies(&world.plan_and_apply()), 3);
    for part in &parts {
        world.arrive(part, &n[1]);
    }
    assert_eq!(ordered(&world, &n[1]).len(), 1);
}

#[test]
fn a_place_is_left_only_where_the_parts_are_elsewhere() {
    let (mut world, n, parts, whole, generation) = joining(2);
    world.pass(60, &[&n[1]]);
    assert_eq!((world.plan(), state(&world, &whole)), (vec![], MaterialState::Unavailable), "it may come back");
    world.pass(1, &[&n[0], &n[1]]);
    world.observed.inventory_settled(&n[0]);
    assert_eq!((ordered(&world, &n[0]).len(), state(&world, &whole)), (1, MaterialState::Receiving));

    for part in &parts {
        world.copy(part, &n[1]);
    }
    world.pass(60, &[&n[1]]);
    let planned = world.plan_and_apply();
    assert_eq!(planned, [Command::MoveUpload { material: whole.clone(), generation, node: n[1].clone() }]);
    assert_eq!(ordered(&world, &n[1]).len(), 1);
    // What the first node has made of it meanwhile does not count.
    world.restart(&n[0]);
    let held = parts.iter().map(|part| held(part, world.generation(part, &n[0]), 5));
    let mut held: Vec<_> = held.chain([self::held(&whole, generation, 15)]).collect();
    held.sort_by(|a, b| a.material.cmp(&b.material));
    assert_eq!(world.settle(&n[0], &page(held)), [whole]);
}

#[test]
fn with_the_last_copy_of_a_part_it_is_unavailable_until_it_is_deleted() {
    let (mut world, n, parts, whole, _) = joining(2);
    world.accept(remove(&n[0], true));
    world.work(5, &[&n[1]]);
    assert_eq!(state(&world, &whole), MaterialState::Unavailable);
    assert!(parts.iter().all(|part| world.material(part).taken_by() == Some(&whole)));
    world.accept(delete(&whole));
    world.work(5, &[&n[1]]);
    assert!(parts.iter().chain([&whole]).all(|it| !world.exists(it)));
}

/// A node that is started anew tells all that it holds: of what it has not begun to put together nothing is lost.
#[test]
fn an_inventory_without_it_leaves_it_where_it_is() {
    let (mut world, n, parts, whole, generation) = joining(1);
    world.restart(&n[0]);
    let mut held: Vec<_> = parts.iter().map(|part| held(part, world.generation(part, &n[0]), 5)).collect();
    held.sort_by(|a, b| a.material.cmp(&b.material));
    assert_eq!(world.settle(&n[0], &page(held.clone())), []);
    assert_eq!(world.generation(&whole, &n[0]), generation);
    // It was whole, and nobody had heard of it.
    held.push(self::held(&whole, generation, 15));
    held.sort_by(|a, b| a.material.cmp(&b.material));
    let (commands, _) = settle(&world.view, &n[0], &page(held)).unwrap();
    commands.into_iter().for_each(|command| drop(world.accept(command)));
    assert_eq!(state(&world, &whole), MaterialState::Ready);
    assert!(parts.iter().all(|part| world.material(part).is_deleted()));
}

#[test]
fn a_node_that_is_drained_ends_it_or_gives_it_away() {
    let (mut world, n, _, whole, generation) = joining(2);
    schedule(&mut world, &n[0], Scheduling::Draining);
    world.work(5, &[&n[0], &n[1]]);
    assert_eq!(ordered(&world, &n[0]).len(), 1, "it has all parts");
    world.verify(&whole, &n[0], generation);
    world.work(20, &[&n[0], &n[1]]);
    assert_eq!(world.material(&whole).replicas.iter().map(|it| &it.node).collect::<Vec<_>>(), [&n[1]]);
}

#[test]
fn where_no_node_has_room_the_parts_are_given_back() {
    let (mut world, n, parts, whole, generation) = joining(1);
    let release = |generation| Command::ReleaseParts { material: whole.clone(), generation };
    assert_eq!(world.refused(release(Generation(generation.0 + 1))), Code::StaleGeneration);
    world.accept(release(generation));
    assert!(!world.exists(&whole) && parts.iter().all(|part| world.material(part).taken_by().is_none()));
    assert!(world.view.scan_keys::<Joining>(&[], None).next().is_none());
    let (again, generation) = world.join(&parts.each_ref(), &n[0]);
    world.verify(&again, &n[0], generation);
    let late = Command::ReleaseParts { material: again.clone(), generation };
    assert_eq!(world.refused(late), Code::StaleGeneration, "it is whole");
}

#[test]
fn a_senders_parts_go_to_one_node_as_long_as_it_has_room() {
    let mut world = World::new();
    let n = world.nodes(4);
    let of = |world: &World, size, sender: &str| {
        let sent = (size, sender);
        let found = placement::candidates_of_part(&world.view, &world.observed, sent, world.now_ms, &world.timing);
        found.unwrap().map(|found| found.into_iter().map(|it| it.node).collect::<Vec<_>>())
    };
    let first = of(&world, 5, "lab|10.0.0.7").unwrap();
    assert_eq!(first.len(), 4);
    // Whatever comes and goes meanwhile.
    for nth in 0..20 {
        world.upload(GIB, 1, &n[nth % 4]);
        assert_eq!(of(&world, 5 + nth as u64, "lab|10.0.0.7").unwrap(), first);
    }
    world.beat_as(&first[0], report(GIB));
    assert_eq!(of(&world, 2 * GIB, "lab|10.0.0.7").unwrap(), first[1..]);
    world.beat(&first[0]);
    let others: std::collections::BTreeSet<_> =
        (0..50).map(|nth| of(&world, 5, &format!("lab|10.0.1.{nth}")).unwrap()[0].clone()).collect();
    assert_eq!(others.len(), 4, "senders are spread");
}

#[test]
fn nodes_and_coordinators_of_the_version_before_have_nothing_to_do_with_it() {
    let mut world = World::new();
    let n = world.nodes(2);
    let part = world.part(5, &n[0]);
    let old = |free| microtome_proto::node::NodeReport { protocol: 2, ..report(free) };
    for node in &n {
        world.beat_as(node, old(100 * GIB));
    }
    let sent = (5, "sender");
    let found = placement::candidates_of_part(&world.view, &world.observed, sent, world.now_ms, &world.timing);
    assert_eq!(found.unwrap(), Err(NoCandidate::Older));
    let parts = std::slice::from_ref(&part);
    let found = joins::candidates(&world.view, &world.observed, parts, world.now_ms, &world.timing).unwrap();
    assert_eq!(found, Some(Err(NoCandidate::Older)));
    // A part that has to leave its node waits for one that hides it.
    schedule(&mut world, &n[0], Scheduling::Draining);
    assert_eq!(world.plan(), []);
    world.beat(&n[1]);
    assert_eq!(world.plan(), [add(&part, &n[1])]);

    let release = Command::ReleaseParts { material: part.clone(), generation: Generation(1) };
    for command in [create_part(5, &n[0]), join(&[part], &n[0]), release] {
        assert_eq!(command.protocol(), protocol::CONCATENATION);
    }
    let meta = world.view.get_record::<Meta>(&()).unwrap().unwrap();
    assert_eq!(meta.protocol(), protocol::PROTOCOL);
}

#[test]
fn only_own_parts_are_put_together_and_what_others_asked_for_is_not_told() {
    let mut world = World::new();
    let n = world.nodes(1);
    let other = Owner { name: "eve".to_owned(), ..lab() };
    let Outcome::Material { material: part, generation, .. } = world.accept(owned(&lab(), create_part(5, &n[0])))
    else {
        panic!()
    };
    world.accept(verified(&part, &n[0], generation, 5));
    let wanted = with_key("key", join(&[part], &n[0]));
    assert_eq!(world.refused(owned(&other, wanted.clone())), Code::NotFound);
    let Outcome::Material { material, .. } = world.accept(owned(&lab(), wanted.clone())) else { panic!() };
    assert_eq!(world.material(&material).owner, Some(lab()));
    assert_eq!(world.refused(owned(&other, wanted)), Code::Conflict, "the key is another's");

    let made = with_key("another", create(7, 1, &n[0]));
    world.accept(owned(&lab(), made.clone()));
    assert_eq!(world.refused(owned(&other, made)), Code::Conflict, "the key is another's");
    let ownerless = world.part(5, &n[0]);
    assert_eq!(world.refused(owned(&lab(), join(std::slice::from_ref(&ownerless), &n[0]))), Code::NotFound);
    world.accept(join(&[ownerless], &n[0]));
}
