//! A run's life, one story a test.

use super::support::*;
use crate::core::{
    command::{Command, Outcome},
    tables::NO_ATTEMPT,
};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId, RunId,
    internal::Order,
    node::NodeReport,
    run::{Output, RunState},
};

fn done(run: &RunId, attempt: Generation, outputs: &[&MaterialId]) -> Command {
    let outputs = outputs.iter().map(|m| Output { name: "mask".to_owned(), material: (*m).clone() }).collect();
    Command::RunDone {
        run: run.clone(),
        attempt,
        outputs,
        result: serde_json::json!({"fraction": 0.5}),
        bytes_moved: 3,
    }
}

fn started(run: &RunId, attempt: Generation) -> Command {
    Command::RunStarted { run: run.clone(), attempt }
}

fn requeue(run: &RunId, attempt: Generation) -> Command {
    Command::RequeueRun { run: run.clone(), attempt, reason: "its node died".to_owned() }
}

fn failed(run: &RunId, attempt: Generation) -> Command {
    Command::RunFailed { run: run.clone(), attempt, reason: "no tissue".to_owned() }
}

fn begun(world: &mut World) -> (Vec<NodeId>, MaterialId, RunId, Generation) {
    let n = world.nodes(2);
    let m = world.stored(5, 2, &[&n[0], &n[1]]);
    let run = world.submit(&[&m]);
    let attempt = world.assign_run(&run, &n[0]);
    (n, m, run, attempt)
}

#[test]
fn a_run_publishes_its_outputs_once() {
    let mut world = World::new();
    let (n, _, run, attempt) = begun(&mut world);
    world.accept(started(&run, attempt));
    world.accept(started(&run, attempt));
    assert_eq!(world.run(&run).state, RunState::Running);
    let (kept, generation) = world.output(&run, attempt, &n[0]);
    let (scratch, _) = world.output(&run, attempt, &n[0]);
    assert_eq!(world.refused(done(&run, attempt, &[&kept])), Code::NotReady, "its bytes are not verified yet");
    world.verify(&kept, &n[0], generation);
    world.accept(done(&run, attempt, &[&kept]));
    world.accept(done(&run, attempt, &[&kept]));
    let record = world.run(&run);
    assert_eq!((record.state, record.outputs.len(), record.bytes_moved), (RunState::Done, 1, 3));
    assert!(!world.material(&kept).is_deleted());
    assert!(world.material(&scratch).is_deleted(), "what was not published goes");
    assert_eq!(world.refused(create_output(&run, attempt, &n[0])), Code::StaleGeneration);
    assert_eq!(world.refused(failed(&run, attempt)), Code::StaleGeneration);
    assert_eq!(world.refused(Command::CancelRun { run }), Code::Conflict);
}

#[test]
fn a_dead_nodes_attempt_is_fenced_and_what_it_made_is_deleted() {
    // The node was cut off, not dead: it finishes and reports while another node works already.
    let mut world = World::new();
    let (n, _, run, first) = begun(&mut world);
    world.accept(started(&run, first));
    let (old, generation) = world.output(&run, first, &n[0]);
    world.verify(&old, &n[0], generation);
    world.accept(requeue(&run, first));
    assert_eq!(world.run(&run).state, RunState::Waiting);
    assert!(world.material(&old).is_deleted());
    let second = world.assign_run(&run, &n[1]);
    for command in [started(&run, first), done(&run, first, &[&old]), failed(&run, first), requeue(&run, first)] {
        assert_eq!(world.refused(command), Code::StaleGeneration);
    }
    assert_eq!(world.refused(create_output(&run, first, &n[0])), Code::StaleGeneration);
    assert_eq!(world.refused(done(&run, second, &[&old])), Code::BadRun, "another attempt's output");
    world.accept(done(&run, second, &[]));
    assert_eq!(world.run(&run).attempts, 2);
}

#[test]
fn transitions_that_make_no_sense_are_conflicts() {
    let mut world = World::new();
    let (n, m, run, attempt) = begun(&mut world);
    let assign = |node: &NodeId| Command::AssignRun { run: run.clone(), node: node.clone() };
    assert_eq!(world.accept(assign(&n[0])), Outcome::Assigned { generation: attempt }, "a repeat");
    assert_eq!(world.refused(assign(&n[1])), Code::Conflict);
    world.accept(started(&run, attempt));
    assert_eq!(world.refused(assign(&n[0])), Code::Conflict);
    world.accept(Command::CancelRun { run: run.clone() });
    world.accept(Command::CancelRun { run: run.clone() });
    assert_eq!(world.refused(assign(&n[0])), Code::Conflict);
    assert_eq!(world.refused(done(&run, attempt, &[])), Code::StaleGeneration);
    let other = world.submit(&[&m]);
    assert_eq!(world.refused(started(&other, NO_ATTEMPT)), Code::StaleGeneration);
    assert_eq!(world.refused(done(&other, NO_ATTEMPT, &[])), Code::StaleGeneration);
    world.accept(failed(&other, NO_ATTEMPT));
    world.accept(failed(&other, NO_ATTEMPT));
    assert_eq!(world.run(&other).state, RunState::Error);
    assert_eq!(world.refused(create_run(None, Vec::new())), Code::BadRun);
    assert_eq!(world.refused(create_run(None, vec!["m-unknown".parse().unwrap()])), Code::NotFound);
}

#[test]
fn a_run_that_kills_every_node_it_meets_is_given_up() {
    let mut world = World::new();
    let (n, _, run, mut attempt) = begun(&mut world);
    for _ in 1..10 {
        world.accept(requeue(&run, attempt));
        attempt = world.assign_run(&run, &n[0]);
    }
    world.accept(requeue(&run, attempt));
    let record = world.run(&run);
    assert_eq!(record.state, RunState::Error);
    assert!(record.reason.unwrap().contains("10 attempts"));
}

#[test]
fn a_run_goes_to_a_holder_and_to_another_one_when_that_dies() {
    let mut world = World::new();
    let n = world.nodes(3);
    let m = world.stored(5, 2, &[&n[1], &n[2]]);
    let run = world.submit(&[&m]);
    let planned = world.plan_and_apply();
    let first = world.run(&run).node.unwrap();
    assert_eq!(planned, [Command::AssignRun { run: run.clone(), node: first.clone() }]);
    assert!(first != n[0], "node 1 has no copy");
    let attempt = world.run(&run).attempt;
    let order = Order::Run {
        run: run.clone(),
        attempt,
        pipeline: "tissue".to_owned(),
        inputs: vec![m],
        parameters: serde_json::json!({}),
    };
    assert_eq!(world.orders(&first), [order]);
    let beat = vec![run_beat(&run, attempt)];
    world.beat_with(&first, report(GIB), Vec::new(), beat.clone());
    assert_eq!(world.orders(&first), [], "it is at it");

    let others: Vec<_> = n.iter().filter(|node| **node != first).collect();
    world.pass(10, &others);
    let planned = world.plan();
    assert!(matches!(&planned[..], [Command::AddReplica { .. }, Command::RequeueRun { .. }]), "{planned:?}");
    for command in planned {
        world.accept(command);
    }
    world.plan_and_apply();
    let second = world.run(&run).node.unwrap();
    assert!(second != first && second != n[0], "the copy there is not whole yet");
    // The first one was only cut off. It is told to stop.
    world.beat_with(&first, report(GIB), Vec::new(), beat);
    assert_eq!(world.orders(&first), [Order::Stop { run, attempt }]);
}

#[test]
fn runs_wait_for_inputs_slots_and_better_luck() {
    let mut world = World::new();
    world.knobs.runs_per_node_max = 1;
    let n = world.nodes(2);
    let (m, generation) = world.upload(5, 1, &n[0]);
    let (first, second) = (world.submit(&[&m]), world.submit(&[&m]));
    assert_eq!(world.plan(), [], "the input is still arriving");
    world.verify(&m, &n[0], generation);
    let node = n[0].clone();
    assert_eq!(world.plan_and_apply(), [Command::AssignRun { run: first.clone(), node: node.clone() }]);
    let attempt = world.run(&first).attempt;
    world.accept(done(&first, attempt, &[]));
    assert_eq!(world.plan_and_apply(), [Command::AssignRun { run: second.clone(), node: node.clone() }]);
    // The node says that it cannot: it is not asked again at once.
    let attempt = world.run(&second).attempt;
    world.observed.run_refused(&second, &node, world.now_ms);
    world.accept(requeue(&second, attempt));
    assert_eq!(world.plan(), []);
    world.pass(60, &[&n[0], &n[1]]);
    assert_eq!(world.plan_and_apply(), [Command::AssignRun { run: second, node }]);
}

/// Each round looked at all that waited, up to the first input that lacked.
#[test]
fn runs_that_cannot_begin_hold_up_no_others() {
    let mut world = World::new();
    world.knobs.waiting_runs_max = 4;
    let n = world.nodes(1);
    let (coming, _) = world.upload(5, 1, &n[0]);
    let m = world.stored(5, 1, &[&n[0]]);
    let blocked: Vec<_> = (0..11).map(|_| world.submit(&[&coming])).collect();
    let last = world.submit(&[&m]);
    // Two are the oldest in each round, two are others, of which there are ten.
    let rounds = (0..5).filter(|_| {
        world.pass(1, &[&n[0]]);
        !world.plan().is_empty()
    });
    assert_eq!(rounds.count(), 1);
    while world.plan().is_empty() {
        world.pass(1, &[&n[0]]);
    }
    assert_eq!(world.plan(), [Command::AssignRun { run: last.clone(), node: n[0].clone() }]);
    // Where all can begin the oldest do.
    for command in [Command::CancelRun { run: last }, Command::DeleteMaterial { material: coming }] {
        world.accept(command);
    }
    world.pass(1, &[&n[0]]);
    let ended: Vec<_> =
        world.plan().into_iter().filter(|command| matches!(command, Command::RunFailed { .. })).collect();
    assert!(
        ended.len() == 4
            && blocked[..2]
                .iter()
                .zip(&ended)
                .all(|(run, command)| { matches!(command, Command::RunFailed { run: failed, .. } if failed == run) }),
        "{ended:?}"
    );
}

#[test]
fn a_waiting_run_whose_input_is_deleted_fails_and_says_so() {
    let mut world = World::new();
    let n = world.nodes(1);
    let (m, _) = world.upload(5, 1, &n[0]);
    let run = world.submit(&[&m]);
    world.accept(delete(&m));
    world.plan_and_apply();
    let record = world.run(&run);
    assert_eq!(record.state, RunState::Error);
    assert!(record.reason.unwrap().contains(m.as_str()));
}

#[test]
fn inputs_on_several_nodes_are_run_where_most_bytes_are() {
    let mut world = World::new();
    let n = world.nodes(3);
    let small = world.stored(5, 1, &[&n[0]]);
    let large = world.stored(50, 1, &[&n[1]]);
    let run = world.submit(&[&small, &large]);
    assert_eq!(world.plan(), [Command::AssignRun { run, node: n[1].clone() }]);
}

/// A node's own number did nothing: each was given two runs at once, also one that was to have none.
#[test]
fn a_node_is_given_as_many_runs_at_once_as_it_takes() {
    let mut world = World::new();
    let n = world.nodes(4);
    let takes = |runs_max| NodeReport { runs_max, ..report(GIB) };
    for (node, runs_max) in n.iter().zip([None, Some(0), Some(1), Some(5)]) {
        world.beat_as(node, takes(runs_max));
        let m = world.stored(5, 1, &[node]);
        (0..9).for_each(|_| drop(world.submit(&[&m])));
    }
    let planned = world.plan_and_apply();
    let given = |node: &NodeId| planned.iter().filter(|command| command.doer() == Some(node)).count();
    assert_eq!(n.iter().map(given).collect::<Vec<_>>(), [2, 0, 1, 5]);
    assert_eq!(planned.len(), 8);
}

#[test]
fn no_run_waits_for_a_node_that_takes_none() {
    let mut world = World::new();
    let n = world.nodes(2);
    let none = NodeReport { runs_max: Some(0), ..report(GIB) };
    world.beat_as(&n[0], none);
    let both = world.stored(5, 2, &[&n[0], &n[1]]);
    let there = world.stored(5, 1, &[&n[0]]);
    let run = world.submit(&[&both, &there]);
    assert_eq!(world.plan(), [Command::AssignRun { run, node: n[1].clone() }], "the other one holds one of the inputs");
}
