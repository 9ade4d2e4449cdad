//! How materials come to their end, and what keeps them, one story a test.

use super::support::*;
use crate::core::{
    command::{Command, Life, Outcome},
    observed::Observed,
};
use microtome_proto::{
    Code, MaterialId, NodeId, Timestamp,
    internal::{Heartbeat, Order, Read, Uses},
    node::NodeReport,
    protocol,
};

fn set(material: &MaterialId, expires_at: Option<Option<Timestamp>>, idle_s: Option<Option<u64>>) -> Command {
    let material = material.clone();
    Command::Life(Life::Set { material, name: None, population: None, expires_at, idle_s })
}

fn end(material: &MaterialId, ends_at: Timestamp) -> Command {
    Command::Life(Life::End { due: vec![(material.clone(), ends_at)] })
}

/// Two holders of a material that ends after 60 s without a reader: with the tenth that the books may be late, 66 s.
fn idle() -> (World, Vec<NodeId>, MaterialId) {
    let (mut world, n, m) = World::replicated(2);
    world.accept(set(&m, None, Some(Some(60))));
    (world, n, m)
}

/// In `uses` of a node: it was read a moment ago.
fn read_now(world: &mut World, node: &NodeId, material: &MaterialId) {
    let read = Read { material: material.clone(), ago_ms: 0 };
    world.uses.insert(node.clone(), Uses { read: vec![read], ..Uses::default() });
}

fn is_there(world: &World, material: &MaterialId) -> bool {
    world.exists(material) && !world.material(material).is_deleted()
}

#[test]
fn what_has_its_age_ends_then_and_no_sooner() {
    let (mut world, n, m) = World::replicated(2);
    let expires_at = world.at().plus_millis(30_000);
    world.accept(set(&m, Some(Some(expires_at)), None));
    world.pass(29, &[&n[0], &n[1]]);
    assert_eq!(world.plan(), []);
    world.pass(1, &[&n[0], &n[1]]);
    assert_eq!(world.plan_and_apply(), [end(&m, expires_at)]);
    assert!(!is_there(&world, &m));
    let order = |node| Order::Drop { material: m.clone(), generation: world.generation(&m, node) };
    assert_eq!(world.orders(&n[0]), [order(&n[0])]);
    assert_eq!(world.orders(&n[1]), [order(&n[1])]);
}

#[test]
fn an_end_that_was_put_off_between_plan_and_log_does_not_come() {
    let (mut world, n, m) = World::replicated(2);
    let expires_at = world.at().plus_millis(1_000);
    world.accept(set(&m, Some(Some(expires_at)), None));
    world.pass(2, &[&n[0], &n[1]]);
    let planned = world.plan();
    world.accept(set(&m, Some(None), None));
    world.accept(planned[0].clone());
    assert!(is_there(&world, &m) && world.plan().is_empty(), "it never ends now");
    // Nor does a clock that is ahead bring it.
    let later = world.at().plus_millis(60_000);
    world.accept(set(&m, Some(Some(later)), None));
    world.accept(end(&m, later));
    assert!(is_there(&world, &m));
}

#[test]
fn what_nobody_reads_ends_after_its_idle_time_and_a_reader_puts_that_off() {
    let (mut world, n, m) = idle();
    world.pass(50, &[&n[0], &n[1]]);
    read_now(&mut world, &n[1], &m);
    world.pass(1, &[&n[0], &n[1]]);
    let read_at = world.at();
    let use_of = |read_at| Command::Life(Life::Use { reads: vec![(m.clone(), read_at)] });
    assert_eq!(world.plan_and_apply(), [use_of(read_at)]);
    world.uses.clear();
    world.pass(65, &[&n[0], &n[1]]);
    assert_eq!(world.plan(), []);
    world.pass(1, &[&n[0], &n[1]]);
    let planned = world.plan();
    assert_eq!(planned, [end(&m, read_at.plus_millis(66_000))]);
    // Somebody reads it before that is written: it is planned, and does not come.
    let now = world.at();
    world.accept(use_of(now));
    world.accept(planned[0].clone());
    assert!(is_there(&world, &m));
}

#[test]
fn the_books_are_written_to_once_in_a_tenth_of_the_idle_time() {
    let (mut world, n, m) = idle();
    let mut written = 0;
    for _ in 0..120 {
        read_now(&mut world, &n[0], &m);
        world.pass(1, &[&n[0], &n[1]]);
        written += world.plan_and_apply().len();
    }
    assert!((17..=21).contains(&written), "{written}");
    assert!(is_there(&world, &m));
}

#[test]
fn a_node_tells_a_read_again_until_it_is_in_the_books_whoever_leads() {
    let (mut world, n, m) = idle();
    world.pass(30, &[&n[0], &n[1]]);
    let beat = |world: &mut World, ago_ms| {
        let uses = Uses { read: vec![Read { material: m.clone(), ago_ms }], ..Uses::default() };
        let (report, instance) = (report(100 * GIB), String::new());
        let (incoming, damaged, runs) = Default::default();
        world.hear(&n[0], &Heartbeat { instance, report, incoming, damaged, runs, uses, ..Heartbeat::default() })
    };
    assert!(beat(&mut world, 0).contains(&m));
    let read_at = world.at();
    // That leader ends before it has written anything.
    world.observed = Observed::new(world.now_ms);
    world.now_ms += 1_000;
    assert!(beat(&mut world, 1_000).contains(&m));
    assert_eq!(world.plan_and_apply(), [Command::Life(Life::Use { reads: vec![(m.clone(), read_at)] })]);
    world.now_ms += 1_000;
    assert!(!beat(&mut world, 2_000).contains(&m), "it is in the books");
    // Of what does not end by idleness nothing is wanted.
    world.accept(set(&m, None, Some(None)));
    assert!(!beat(&mut world, 0).contains(&m));
    assert_eq!(world.material(&m).used_at, None);
}

#[test]
fn it_does_not_end_before_each_holder_was_heard_behind_its_end() {
    let (mut world, n, _) = idle();
    world.pass(65, &[&n[0], &n[1]]);
    world.now_ms += 1_000;
    world.beat(&n[0]);
    assert_eq!(world.plan(), [], "what the other had to tell of that second is not known");
    world.beat(&n[1]);
    assert_eq!(world.plan().len(), 1);
    // Another leader knows of none of them.
    world.observed = Observed::new(world.now_ms);
    assert_eq!(world.plan(), []);
    world.beat(&n[0]);
    assert_eq!(world.plan(), []);
    world.beat(&n[1]);
    assert_eq!(world.plan().len(), 1);
}

#[test]
fn a_holder_that_is_gone_is_waited_for_as_long_as_it_may_have_served_a_reader() {
    let (mut world, n, _) = idle();
    world.pass(60, &[&n[0], &n[1]]);
    // It serves a reader, and dies before its next heartbeat.
    let heard_ms = world.now_ms;
    world.pass(60, &[&n[0]]);
    assert_eq!(world.plan(), []);
    world.pass(2, &[&n[0]]);
    assert_eq!(world.plan(), []);
    world.pass(1, &[&n[0]]);
    assert_eq!(world.now_ms - heard_ms, 63_000);
    assert_eq!(world.plan().len(), 1);
    // One that was started again may have served one until then.
    let (mut world, n, m) = idle();
    world.pass(60, &[&n[0], &n[1]]);
    world.restart(&n[1]);
    world.observed.inventory_settled(&n[1]);
    world.pass(6, &[&n[0]]);
    let mut knows_for = |seconds: u64| {
        world.uses.insert(n[1].clone(), Uses { known_for_ms: seconds * 1_000, ..Uses::default() });
        world.beat(&n[1]);
        world.plan().len()
    };
    assert_eq!([6, 59, 60].map(&mut knows_for), [0, 0, 1]);
    assert!(is_there(&world, &m));
}

#[test]
fn a_node_of_the_version_before_keeps_what_is_idle_there() {
    let (mut world, n, m) = idle();
    let old = || NodeReport { protocol: protocol::CONCATENATION, ..report(100 * GIB) };
    world.pass(66, &[&n[0]]);
    world.beat_as(&n[1], old());
    assert_eq!(world.plan(), [], "it tells of no reader");
    let expires_at = world.at();
    world.accept(set(&m, Some(Some(expires_at)), None));
    assert_eq!(world.plan().len(), 1);
}

#[test]
fn a_run_keeps_its_inputs_and_what_it_makes() {
    let (mut world, n, m) = World::replicated(2);
    let run = world.submit(&[&m]);
    let attempt = world.assign_run(&run, &n[0]);
    let (made, generation) = world.output(&run, attempt, &n[0]);
    let expires_at = world.at().plus_millis(1_000);
    world.accept(set(&m, Some(Some(expires_at)), None));
    world.accept(set(&made, Some(Some(expires_at)), None));
    world.now_ms += 5_000;
    for node in &n {
        world.beat_with(node, report(100 * GIB), Vec::new(), vec![run_beat(&run, attempt)]);
    }
    let ends = |world: &World| world.plan().into_iter().filter(|it| matches!(it, Command::Life(_))).count();
    assert_eq!(ends(&world), 0);
    // Nor does a plan end it that was made before the run.
    world.accept(end(&m, expires_at));
    assert!(is_there(&world, &m));
    world.accept(verified(&made, &n[0], generation, 10));
    world.accept(Command::CancelRun { run });
    assert_eq!(ends(&world), 1);
    world.plan_and_apply();
    assert!(!is_there(&world, &m) && !is_there(&world, &made));
}

#[test]
fn a_download_keeps_what_it_reads_until_it_ends() {
    let (mut world, n, m) = World::replicated(2);
    let expires_at = world.at().plus_millis(1_000);
    world.accept(set(&m, Some(Some(expires_at)), None));
    world.uses.insert(n[1].clone(), Uses { open: vec![m.clone()], ..Uses::default() });
    world.pass(100, &[&n[0], &n[1]]);
    assert_eq!(world.plan(), []);
    // There are more than it could tell.
    world.uses.insert(n[1].clone(), Uses { more_open: true, ..Uses::default() });
    world.pass(1, &[&n[0], &n[1]]);
    assert_eq!(world.plan(), []);
    world.uses.clear();
    world.pass(1, &[&n[0], &n[1]]);
    assert_eq!(world.plan(), [end(&m, expires_at)]);
}

#[test]
fn a_node_that_could_not_tell_of_all_readers_keeps_what_may_be_among_it() {
    let (mut world, n, m) = idle();
    world.uses.insert(n[1].clone(), Uses { more_read: true, ..Uses::default() });
    world.pass(100, &[&n[0], &n[1]]);
    assert_eq!(world.plan(), []);
    // What ends by age does not ask for readers of the past.
    let expires_at = world.at();
    world.accept(set(&m, Some(Some(expires_at)), None));
    assert_eq!(world.plan().len(), 1);
}

#[test]
fn more_than_a_round_looks_at_come_to_their_end_by_turns() {
    let mut world = World::new();
    let n = world.nodes(1);
    world.knobs.ends_max = 3;
    let all: Vec<_> = (0..10).map(|_| world.stored(5, 1, &[&n[0]])).collect();
    let expires_at = world.at().plus_millis(1_000);
    for m in &all {
        world.accept(set(m, Some(Some(expires_at)), None));
    }
    // Most are being downloaded for as long as anybody looks.
    let open: Vec<_> = all.iter().filter(|m| **m != all[7]).cloned().collect();
    world.uses.insert(n[0].clone(), Uses { open, ..Uses::default() });
    for _ in 0..10 {
        world.pass(1, &[&n[0]]);
        world.plan().into_iter().for_each(|command| drop(world.accept(command)));
    }
    assert_eq!(all.iter().filter(|m| !is_there(&world, m)).collect::<Vec<_>>(), [&all[7]]);
}

#[test]
fn an_upload_ends_by_age_and_never_because_nobody_reads_it() {
    let mut world = World::new();
    let n = world.nodes(1);
    let (m, generation) = world.upload(5, 1, &n[0]);
    world.accept(set(&m, None, Some(Some(1))));
    for _ in 0..100 {
        world.now_ms += 1_000;
        world.beat_receiving(&n[0], &m, generation, 1);
    }
    assert_eq!(world.plan(), []);
    world.accept(verified(&m, &n[0], generation, 5));
    let arrived_at = world.at();
    assert_eq!(world.material(&m).used_at, Some(arrived_at), "from then on it is counted");
    let (other, generation) = world.upload(5, 1, &n[0]);
    let expires_at = world.at();
    world.accept(set(&other, Some(Some(expires_at)), None));
    world.beat_receiving(&n[0], &other, generation, 1);
    assert_eq!(world.plan_and_apply(), [end(&other, expires_at)]);
    assert_eq!(world.orders(&n[0]), [Order::Drop { material: other, generation }]);
}

#[test]
fn what_ended_while_its_holder_was_away_is_freed_there_when_it_is_back() {
    let (mut world, n, m) = World::replicated(2);
    let generations = [world.generation(&m, &n[0]), world.generation(&m, &n[1])];
    let expires_at = world.at().plus_millis(20_000);
    world.accept(set(&m, Some(Some(expires_at)), None));
    world.pass(30, &[&n[0]]);
    assert_eq!(world.plan_and_apply(), [end(&m, expires_at)]);
    world.accept(gone(&m, &n[0], generations[0]));
    assert!(world.exists(&m), "it is known until the last copy is freed");
    assert_eq!(world.settle(&n[1], &page(vec![held(&m, generations[1], 5)])), std::slice::from_ref(&m));
    world.accept(gone(&m, &n[1], generations[1]));
    assert!(!world.exists(&m));
}

#[test]
fn a_file_that_the_check_refuses_ends_and_its_parts_with_it() {
    let mut world = World::new();
    let n = world.nodes(1);
    let refuse = |material: &MaterialId, generation| {
        Command::Life(Life::Refuse { material: material.clone(), node: n[0].clone(), generation })
    };
    let (m, generation) = world.upload(5, 1, &n[0]);
    let again = Command::MoveUpload { material: m.clone(), generation, node: n[0].clone() };
    let Outcome::Assigned { generation: newer } = world.accept(again) else { panic!() };
    assert_eq!(world.refused(refuse(&m, generation)), Code::StaleGeneration);
    world.accept(refuse(&m, newer));
    assert!(!world.exists(&m));
    let (whole, generation) = world.upload(5, 1, &n[0]);
    world.accept(verified(&whole, &n[0], generation, 5));
    assert_eq!(world.refused(refuse(&whole, generation)), Code::StaleGeneration, "it counts");

    let parts: Vec<_> = (0..2).map(|_| world.part(5, &n[0])).collect();
    let (joined, generation) = world.join(&[&parts[0], &parts[1]], &n[0]);
    world.accept(refuse(&joined, generation));
    assert!(!world.exists(&joined));
    assert!(parts.iter().all(|part| !is_there(&world, part)));
}
