//! What happens to a material in the books, one story a test.

use super::support::*;
use crate::core::{
    command::{Command, Outcome},
    tables::{Instances, Meta},
    view::Typed,
};
use microtome_proto::{Code, Generation, MaterialId, NodeId, material::ReplicaState::*, node::Scheduling};

/// The same creation under an `Idempotency-Key`.
fn under_key(key: &str, mut command: Command) -> Command {
    let Command::CreateMaterial { request, .. } = &mut command else { panic!() };
    *request = Some(key.to_owned());
    command
}

#[test]
fn an_upload_arrives_and_its_first_verified_copy_gives_the_hash() {
    let mut world = World::new();
    let n = world.nodes(2);
    let (m, generation) = world.upload(5, 2, &n[0]);
    assert_eq!(world.replica(&m, &n[0]), Some((Receiving, generation)));
    assert_eq!(world.refused(add(&m, &n[1])), Code::Conflict);
    world.verify(&m, &n[0], generation);
    assert_eq!(world.material(&m).blake3, Some(hash(&m)));
    let second = world.assign(&m, &n[1]);
    assert!(second > generation);
    assert_eq!(world.assign(&m, &n[1]), second, "a repeated assignment is the same one");
    world.verify(&m, &n[1], second);
    assert!(world.material(&m).is_settled());
}

#[test]
fn a_lost_answer_does_not_make_a_second_material() {
    // The client's connection broke after the coordinator had committed; it sends the request again.
    let mut world = World::new();
    let n = world.nodes(2);
    let request = |size, node: &NodeId| under_key("key", create(size, 2, node));
    let Outcome::Material { material, generation, existed: false } = world.accept(request(5, &n[0])) else { panic!() };
    let again = world.accept(request(5, &n[1]));
    assert_eq!(again, Outcome::Material { material: material.clone(), generation, existed: true });
    assert_eq!(world.refused(request(6, &n[0])), Code::Conflict, "the key was used for another file");
    assert_eq!(world.refused(create_run(Some("key"), vec![material.clone()])), Code::Conflict);
    // No node took it, or its upload was broken off: the caller that comes again under its key gets a new one at once.
    world.accept(delete(&material));
    let second = world.accept(request(5, &n[1]));
    let Outcome::Material { material: other, generation: later, existed: false } = second else { panic!() };
    assert_ne!(other, material);
    world.accept(gone(&material, &n[0], generation));
    // It arrived and was deleted: the key does not bring it back while its bytes are freed, and is free afterwards.
    world.verify(&other, &n[1], later);
    world.accept(delete(&other));
    assert_eq!(world.refused(request(5, &n[0])), Code::Gone);
    world.accept(gone(&other, &n[1], later));
    let third = world.accept(request(5, &n[0]));
    assert!(matches!(third, Outcome::Material { material, existed: false, .. } if material != other));
}

#[test]
fn bytes_that_are_not_what_was_announced_are_refused_and_leave_nothing() {
    let mut world = World::new();
    let n = world.nodes(1);
    let mut command = create(5, 1, &n[0]);
    let Command::CreateMaterial { blake3, .. } = &mut command else { panic!() };
    *blake3 = Some("announced".to_owned());
    let Outcome::Material { material, generation, .. } = world.accept(command) else { panic!() };
    assert_eq!(world.refused(verified(&material, &n[0], generation, 5)), Code::HashMismatch);
    assert!(!world.exists(&material));
}

/// Its sender did not know how much would come. The log tells no older coordinator of it.
#[test]
fn the_first_copy_tells_a_length_that_was_not_known() {
    let mut world = World::new();
    let n = world.nodes(2);
    let mut command = under_key("key", create(0, 2, &n[0]));
    let Command::CreateMaterial { size_deferred, .. } = &mut command else { panic!() };
    *size_deferred = true;
    assert_eq!((command.protocol(), create(0, 2, &n[0]).protocol()), (2, 1));
    let Outcome::Material { material: m, generation, .. } = world.accept(command.clone()) else { panic!() };
    assert!(world.material(&m).lacks_size());
    world.accept(verified(&m, &n[0], generation, 7));
    let known = world.material(&m);
    assert_eq!((known.size, known.lacks_size()), (7, false));
    assert_eq!(world.accept(command), Outcome::Material { material: m.clone(), generation, existed: true });
    let second = world.assign(&m, &n[1]);
    assert_eq!(world.refused(verified(&m, &n[1], second, 8)), Code::HashMismatch);
    let third = world.assign(&m, &n[1]);
    world.accept(verified(&m, &n[1], third, 7));
    assert!(world.material(&m).is_settled());
}

#[test]
fn a_copy_with_another_hash_or_length_never_counts() {
    let (mut world, n, m) = World::lacking(3);
    let second = world.assign(&m, &n[1]);
    let wrong = Command::ReplicaVerified {
        material: m.clone(),
        node: n[1].clone(),
        generation: second,
        size: 5,
        blake3: "another".to_owned(),
    };
    assert_eq!(world.refused(wrong), Code::HashMismatch);
    assert_eq!(world.replica(&m, &n[1]), None);
    let third = world.assign(&m, &n[2]);
    assert_eq!(world.refused(verified(&m, &n[2], third, 4)), Code::HashMismatch);
    assert_eq!(world.material(&m).verified().count(), 1);
}

#[test]
fn reports_of_an_ended_assignment_are_refused() {
    let (mut world, n, m) = World::lacking(2);
    let first = world.assign(&m, &n[1]);
    world.accept(gone(&m, &n[1], first));
    world.accept(gone(&m, &n[1], first));
    let second = world.assign(&m, &n[1]);
    assert_eq!(world.refused(verified(&m, &n[1], first, 5)), Code::StaleGeneration);
    assert_eq!(world.refused(gone(&m, &n[1], first)), Code::StaleGeneration);
    assert_eq!(world.refused(free(&m, &n[1], first)), Code::StaleGeneration);
    assert_eq!(world.replica(&m, &n[1]), Some((Copying, second)));
}

#[test]
fn verified_copies_are_dropped_only_beyond_the_population() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[0], &n[1], &n[2]]);
    let generation = |world: &World, i: usize| world.generation(&m, &n[i]);
    let (g0, g1, g2) = (generation(&world, 0), generation(&world, 1), generation(&world, 2));
    world.accept(free(&m, &n[0], g0));
    world.accept(free(&m, &n[0], g0));
    assert_eq!(world.refused(free(&m, &n[1], g1)), Code::Conflict);
    world.accept(want(&m, 1));
    world.accept(free(&m, &n[1], g1));
    assert_eq!(world.refused(free(&m, &n[2], g2)), Code::Conflict, "the last verified copy");
    assert_eq!(world.refused(verified(&m, &n[0], g0, 5)), Code::StaleGeneration, "it is to be freed");
    assert_eq!(world.refused(add(&m, &n[0])), Code::Conflict, "not before the node has freed the old one");
    world.accept(gone(&m, &n[0], g0));
    world.assign(&m, &n[0]);
}

#[test]
fn a_deleted_material_goes_with_its_last_copy_and_its_id_stays_unusable() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 3, &[&n[0], &n[1]]);
    let copying = world.assign(&m, &n[2]);
    world.accept(delete(&m));
    world.accept(delete(&m));
    assert!(world.material(&m).replicas.iter().all(|replica| replica.state == Dropping));
    assert_eq!(world.view.get_record::<Meta>(&()).unwrap().unwrap().materials, 0);
    assert_eq!(world.refused(verified(&m, &n[2], copying, 5)), Code::Gone);
    assert_eq!(world.refused(want(&m, 1)), Code::Gone);
    for node in &n {
        // A node that was away confirms later; until then its copy is remembered.
        assert!(world.exists(&m));
        let generation = world.generation(&m, node);
        world.accept(gone(&m, node, generation));
    }
    assert!(!world.exists(&m));
    assert_eq!(world.refused(delete(&m)), Code::NotFound);
    let (other, _) = world.upload(5, 1, &n[0]);
    assert_ne!(other, m);
}

#[test]
fn an_upload_is_moved_before_its_first_byte_and_the_old_place_is_fenced() {
    let mut world = World::new();
    let n = world.nodes(2);
    let (m, first) = world.upload(5, 2, &n[0]);
    let to = |generation, node: usize| Command::MoveUpload { material: m.clone(), generation, node: n[node].clone() };
    let Outcome::Assigned { generation: second } = world.accept(to(first, 1)) else { panic!() };
    assert_eq!(world.replica(&m, &n[1]), Some((Receiving, second)));
    assert_eq!(world.replica(&m, &n[0]), None);
    assert_eq!(world.refused(to(first, 0)), Code::StaleGeneration);
    assert_eq!(world.refused(verified(&m, &n[0], first, 5)), Code::StaleGeneration);
    let Outcome::Assigned { generation: third } = world.accept(to(second, 1)) else { panic!() };
    assert!(third > second, "the same node again, with a new assignment");
}

#[test]
fn an_upload_that_loses_its_only_place_is_deleted() {
    let mut world = World::new();
    let n = world.nodes(1);
    let (m, generation) = world.upload(5, 2, &n[0]);
    world.accept(gone(&m, &n[0], generation));
    assert!(!world.exists(&m));
    let (m, generation) = world.upload(5, 2, &n[0]);
    world.accept(free(&m, &n[0], generation));
    assert!(world.material(&m).is_deleted());
}

/// No node had taken an upload, and it was deleted while a repeated request, answered meanwhile, completed it.
#[test]
fn an_upload_that_is_given_up_goes_unless_it_has_arrived() {
    let mut world = World::new();
    let n = world.nodes(1);
    let again = |material: &MaterialId, generation| Command::MoveUpload {
        material: material.clone(),
        generation,
        node: n[0].clone(),
    };
    let (arrived, generation) = world.upload(5, 1, &n[0]);
    world.verify(&arrived, &n[0], generation);
    assert_eq!(world.refused(again(&arrived, generation)), Code::StaleGeneration);
    let (m, old) = world.upload(5, 1, &n[0]);
    let Outcome::Assigned { generation } = world.accept(again(&m, old)) else { panic!() };
    assert_eq!(world.refused(verified(&m, &n[0], old, 5)), Code::StaleGeneration);
    world.accept(gone(&m, &n[0], generation));
    assert!(!world.exists(&m));
}

#[test]
fn losing_all_copies_is_told_not_hidden() {
    // Both disks die. The record stays: its user must see what was lost.
    let (mut world, n, m) = World::replicated(2);
    for node in &n {
        let generation = world.generation(&m, node);
        world.accept(gone(&m, node, generation));
    }
    assert!(world.exists(&m) && world.material(&m).replicas.is_empty());
    world.accept(delete(&m));
    assert!(!world.exists(&m));
}

#[test]
fn nonsense_is_refused_before_anything_changes() {
    let mut world = World::new();
    let n = world.nodes(1);
    assert_eq!(world.refused(create(5, 0, &n[0])), Code::BadRequest);
    assert_eq!(world.refused(create(5, 17, &n[0])), Code::BadRequest);
    assert_eq!(world.refused(create((1 << 40) + 1, 2, &n[0])), Code::TooLarge);
    assert_eq!(world.refused(create(5, 2, &"n-77".parse().unwrap())), Code::NotFound);
    assert_eq!(world.view.get_record::<Meta>(&()).unwrap().unwrap().generation_last, 0);
    let unknown = "m-unknown".parse().unwrap();
    assert_eq!(world.refused(Command::DeleteMaterial { material: unknown }), Code::NotFound);
}

#[test]
fn a_node_is_the_same_as_long_as_its_instance_is() {
    let mut world = World::new();
    let first = world.node("a", None);
    assert_eq!(world.accept(register("a", Some("hall"))), Outcome::Node { node: first.clone() });
    let second = world.node("b", None);
    assert_ne!(second, first);
    // Removed: its data folder does not come back under the old id.
    world.accept(remove(&first, true));
    assert_eq!(world.refused(register("a", None)), Code::Gone);
    assert_eq!(world.refused(create(5, 1, &first)), Code::Gone);
    let schedule = |node: &_| Command::ScheduleNode { node: Clone::clone(node), scheduling: Scheduling::Cordoned };
    assert_eq!(world.refused(schedule(&first)), Code::Gone);
    world.accept(schedule(&second));
    let known = world.view.get_record::<Instances>(&"instance of a".to_owned()).unwrap();
    assert_eq!(known, Some(first));
    let third = world.node("c", None);
    assert_eq!(third.as_str(), "n-3");
}

#[test]
fn nothing_begins_before_the_cluster_is_founded_and_it_is_founded_once() {
    let mut world = World::new();
    let id = world.view.get_record::<Meta>(&()).unwrap().unwrap().cluster;
    world.accept(Command::Found { cluster: "c-other".parse().unwrap(), name: "other".to_owned() });
    let meta = world.view.get_record::<Meta>(&()).unwrap().unwrap();
    assert_eq!((meta.cluster, meta.name.as_str()), (id, "lab"));
    world.view.clear();
    assert_eq!(world.refused(register("a", None)), Code::NotReady);
}

#[test]
fn generations_come_from_one_counter() {
    let mut world = World::new();
    let n = world.nodes(2);
    let m = world.stored(5, 1, &[&n[0]]);
    let run = world.submit(&[&m]);
    let attempt = world.assign_run(&run, &n[0]);
    let replica = world.assign(&m, &n[1]);
    assert_eq!((attempt, replica), (Generation(2), Generation(3)));
}
