//! What users see, one story a test.

use super::support::*;
use crate::core::{access::Principal, command::Command, present::PresentError};
use microtome_proto::{Code, Generation, material::MaterialState, node::Availability, page::PageQuery, run::RunState};

fn query(limit: u32, cursor: Option<String>) -> PageQuery {
    PageQuery { limit: Some(limit), cursor }
}

#[test]
fn a_materials_state_follows_its_copies_and_their_nodes() {
    let mut world = World::new();
    let n = world.nodes(2);
    let (m, generation) = world.upload(5, 2, &n[0]);
    let shown = |world: &World| world.scene().material(&m).unwrap().unwrap();
    let receiving = shown(&world);
    assert_eq!((receiving.state, receiving.population_live), (MaterialState::Receiving, 0));
    assert_eq!(receiving.upload_url, Some(format!("{}/v1/uploads/{m}", url("node-1"))));
    assert_eq!((receiving.view, receiving.replicas[0].offset), (format!("/view/{m}"), None));
    world.beat_receiving(&n[0], &m, generation, 3);
    assert_eq!(shown(&world).replicas[0].offset, Some(3));
    world.beat_receiving(&n[0], &m, Generation(generation.0 + 1), 4);
    assert_eq!(shown(&world).replicas[0].offset, None, "that is of another assignment");
    world.verify(&m, &n[0], generation);
    assert_eq!((shown(&world).state, shown(&world).upload_url), (MaterialState::Degraded, None));
    world.copy(&m, &n[1]);
    assert_eq!((shown(&world).state, shown(&world).population_live), (MaterialState::Ready, 2));
    world.pass(3, &[&n[1]]);
    assert_eq!(shown(&world).state, MaterialState::Degraded);
    assert_eq!(shown(&world).replicas.iter().map(|replica| replica.live).collect::<Vec<_>>(), [false, true]);
    world.pass(3, &[]);
    assert_eq!(shown(&world).state, MaterialState::Unavailable);
    world.accept(delete(&m));
    assert_eq!(shown(&world).state, MaterialState::Deleting);
    assert_eq!(world.scene().located(&m).unwrap(), None);
    assert_eq!(world.scene().material(&"m-unknown".parse().unwrap()).unwrap(), None);
}

#[test]
fn readers_are_sent_to_the_least_busy_holder_that_answers() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 3, &[&n[0], &n[1], &n[2]]);
    let mut busy = report(GIB);
    busy.requests_active = 7;
    world.beat_as(&n[0], busy);
    let holders = |world: &World| world.scene().located(&m).unwrap().unwrap().holders;
    assert_eq!(holders(&world), ["node-2", "node-3", "node-1"].map(url));
    world.pass(3, &[&n[2]]);
    assert_eq!(holders(&world), [url("node-3")]);
    world.pass(3, &[]);
    assert_eq!(holders(&world).len(), 3, "a short silence of all: the reader may try");
    world.pass(10, &[]);
    assert_eq!(holders(&world).len(), 0);
    let (upload, _) = world.upload(5, 2, &n[1]);
    let receiving = |world: &World| world.scene().located(&upload).unwrap().unwrap().receiving;
    assert_eq!(receiving(&world), None, "it is down");
    world.beat(&n[1]);
    assert_eq!(receiving(&world), Some(url("node-2")));
}

#[test]
fn where_no_holder_is_left_readers_are_sent_to_the_copy_that_has_come_furthest() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 3, &[&n[0]]);
    let generations = [world.assign(&m, &n[1]), world.assign(&m, &n[2])];
    for (node, (generation, offset)) in n[1..].iter().zip(generations.into_iter().zip([3, 4])) {
        world.beat_receiving(node, &m, generation, offset);
    }
    let arriving = |world: &World| world.scene().arriving(&m).unwrap();
    assert_eq!(arriving(&world), Some(url("node-3")));
    world.pass(4, &[&n[1]]);
    assert_eq!(arriving(&world), Some(url("node-2")), "the other one does not answer");
    world.accept(delete(&m));
    assert_eq!(arriving(&world), None);
}

#[test]
fn lists_are_paged_newest_first_and_stay_right_while_things_go() {
    let mut world = World::new();
    let n = world.nodes(12);
    let materials: Vec<_> = (0..7).map(|_| world.stored(5, 1, &[&n[0]])).collect();
    let first = world.scene().materials(&query(3, None)).unwrap();
    let ids: Vec<_> = first.items.iter().map(|material| material.id.clone()).collect();
    assert_eq!(ids, [&materials[6], &materials[5], &materials[4]].map(Clone::clone));
    // The entry that the cursor names is deleted and freed, and a new one is made.
    let generation = world.generation(&materials[4], &n[0]);
    world.accept(delete(&materials[4]));
    world.accept(gone(&materials[4], &n[0], generation));
    world.stored(5, 1, &[&n[0]]);
    let second = world.scene().materials(&query(3, first.next_cursor)).unwrap();
    let ids: Vec<_> = second.items.iter().map(|material| material.id.clone()).collect();
    assert_eq!(ids, [&materials[3], &materials[2], &materials[1]].map(Clone::clone));
    let last = world.scene().materials(&query(3, second.next_cursor)).unwrap();
    assert_eq!((last.items.len(), last.next_cursor), (1, None));
    let whole = world.scene().materials(&query(7, None)).unwrap();
    assert_eq!((whole.items.len(), whole.next_cursor), (7, None), "no empty page follows a full one");

    let nodes = world.scene().nodes(&query(11, None)).unwrap();
    assert_eq!(nodes.items[10].id.as_str(), "n-11", "in the order of registration");
    assert_eq!(world.scene().nodes(&query(11, nodes.next_cursor)).unwrap().items[0].id.as_str(), "n-12");

    let runs: Vec<_> = (0..11).map(|_| world.submit(&[&materials[0]])).collect();
    let page = world.scene().runs(&Principal::Administrator, &query(2, None)).unwrap();
    assert_eq!([&page.items[0].id, &page.items[1].id], [&runs[10], &runs[9]]);
    assert_eq!(world.scene().runs(&Principal::Administrator, &query(20, page.next_cursor)).unwrap().items.len(), 9);
}

#[test]
fn nonsense_cursors_and_limits_are_refused() {
    let world = World::new();
    let refused = |query: &PageQuery| match world.scene().materials(query) {
        Err(PresentError::Query(problem)) => problem.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&query(0, None)), Code::BadRequest);
    assert_eq!(refused(&query(1001, None)), Code::BadRequest);
    for cursor in ["", "zz", "00", "ffffffffffffffffff", "../x"] {
        assert_eq!(refused(&query(5, Some(cursor.to_owned()))), Code::BadRequest, "{cursor:?}");
    }
}

#[test]
fn a_run_shows_what_its_node_says_and_what_it_waits_for() {
    let mut world = World::new();
    let n = world.nodes(1);
    let (m, generation) = world.upload(5, 1, &n[0]);
    let run = world.submit(&[&m]);
    let shown = |world: &World| world.scene().run(&run).unwrap().unwrap();
    assert!(shown(&world).reason.unwrap().contains("still arriving"));
    world.verify(&m, &n[0], generation);
    assert!(shown(&world).reason.unwrap().contains("free slot"));
    let attempt = world.assign_run(&run, &n[0]);
    let mut beat = run_beat(&run, attempt);
    beat.bytes_moved = 9;
    world.beat_with(&n[0], report(GIB), Vec::new(), vec![beat]);
    let running = shown(&world);
    assert_eq!((running.state, running.bytes_moved, running.reason), (RunState::Initializing, 9, None));
    assert_eq!(running.progress.label, "half");
    world.accept(Command::RequeueRun { run: run.clone(), attempt, reason: "node n-1 does not answer".to_owned() });
    assert!(shown(&world).reason.unwrap().contains("n-1 does not answer"));
    assert_eq!(shown(&world).progress.label, "", "the ended attempt's progress is no news");
}

#[test]
fn healing_tells_what_lacks_and_how_long_it_still_takes() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(1000, 2, &[&n[0], &n[1]]);
    world.stored(50, 2, &[&n[1], &n[2]]);
    world.upload(77, 2, &n[1]);
    let calm = world.scene().overview().unwrap();
    assert_eq!((calm.nodes, calm.nodes_up, calm.materials, calm.bytes), (3, 3, 3, 1127));
    assert_eq!(world.healing(), Default::default());

    world.pass(10, &[&n[1], &n[2]]);
    let healing = world.healing();
    assert_eq!((healing.materials, healing.copies, healing.bytes_left), (1, 0, 1000));
    assert_eq!(healing.seconds_left, None);
    let generation = world.assign(&m, &n[2]);
    for offset in [0, 100, 200] {
        world.now_ms += 1000;
        world.beat_receiving(&n[2], &m, generation, offset);
        world.beat(&n[1]);
    }
    let healing = world.healing();
    assert_eq!((healing.materials, healing.copies, healing.bytes_left), (1, 1, 800));
    assert_eq!((healing.bytes_per_s, healing.seconds_left), (100.0, Some(8.0)));
    world.verify(&m, &n[2], generation);
    assert_eq!(world.healing(), Default::default());
}

#[test]
fn a_node_shows_what_is_counted_there() {
    let mut world = World::new();
    let n = world.nodes(2);
    world.stored(5, 2, &[&n[0], &n[1]]);
    world.stored(5, 2, &[&n[0]]);
    let shown = world.scene().node(&n[0]).unwrap().unwrap();
    assert_eq!((shown.replicas, shown.availability), (2, Availability::Up));
    assert!(shown.report.is_some() && shown.seen_at == Some(world.at()));
    assert_eq!(world.scene().node(&"n-9".parse().unwrap()).unwrap(), None);
}
