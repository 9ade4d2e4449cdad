//! Runs as the coordinator sees them.

use crate::support::{FakeCoordinator, TestNode, bytes, coordinator::Seen, material, runs::tissue};
use microtome_proto::{
    Code, Generation, MaterialId, RunId,
    internal::{Order, RunReport},
};
use microtome_slide::synthetic;
use std::sync::OnceLock;

/// A slide, and its tissue fraction.
fn slide() -> &'static (Vec<u8>, f64) {
    static SLIDE: OnceLock<(Vec<u8>, f64)> = OnceLock::new();
    SLIDE.get_or_init(|| {
        let path = tempfile::NamedTempFile::new().unwrap();
        let options = synthetic::Options { width: 3000, height: 2400, seed: 5 };
        let truth = synthetic::write(path.path(), &options, &mut |_| {}).unwrap();
        (std::fs::read(path.path()).unwrap(), truth.tissue_fraction)
    })
}

async fn holding(data: &[u8]) -> (TestNode, MaterialId) {
    let (node, id) = (TestNode::start().await, material(1));
    node.put(&id, data).await;
    (node, id)
}

fn is_done(report: &RunReport) -> bool {
    matches!(report, RunReport::Done { .. })
}

fn nothing_under_way(node: &TestNode) -> bool {
    nothing_runs(&node.coordinator.seen())
}

fn nothing_runs(seen: &Seen) -> bool {
    seen.last_beat.as_ref().is_some_and(|beat| beat.runs.is_empty())
}

#[tokio::test]
async fn tissue_is_found_and_its_outputs_are_materials() {
    let (data, truth) = slide();
    let (node, id) = holding(data).await;
    node.coordinator.order(tissue(1, 5, &[&id]));
    let report = node.coordinator.run_report("the end", is_done).await;
    let RunReport::Done { attempt, outputs, result, bytes_moved } = report else { unreachable!() };
    assert_eq!((attempt, bytes_moved), (Generation(5), 0));
    let fraction = result["fraction"].as_f64().unwrap();
    assert!((fraction - truth).abs() < 0.1, "{fraction} is far from {truth}");
    assert!(result["tissue_mm2"].as_f64().unwrap() > 0.0);
    assert_eq!((result["width"].as_u64(), result["height"].as_u64()), (Some(3000), Some(2400)));

    let names: Vec<_> = outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["mask", "summary"]);
    let mask = node.file(&outputs[0].material).await;
    assert_eq!(mask.headers()["content-type"], "image/png");
    let mask = image::load_from_memory(&mask.bytes().await.unwrap()).unwrap().into_luma8();
    assert_eq!(u64::from(mask.width()), result["mask"]["width"].as_u64().unwrap());
    let white = mask.pixels().filter(|pixel| pixel.0 == [255]).count() as f64;
    assert!((white / f64::from(mask.width() * mask.height()) - fraction).abs() < 1e-9);
    let summary: serde_json::Value = node.file(&outputs[1].material).await.json().await.unwrap();
    assert_eq!(summary, result);

    let created = node
        .coordinator
        .seen()
        .runs
        .created
        .iter()
        .map(|(key, wanted, _)| (key.clone(), wanted.clone()))
        .collect::<Vec<_>>();
    assert_eq!(created[0].0, "r-1-5-mask");
    assert_eq!(created[0].1.name, "Präparat 7 tissue mask.png");
    let origin = created[1].1.origin.clone().unwrap();
    assert_eq!((origin.run, origin.attempt), (RunId::from_counter(1), Generation(5)));

    // The order comes again with each heartbeat: what has ended is not carried out again, and nothing is left behind.
    node.coordinator.wait_for_beats(2).await;
    let is_idle = |seen: &Seen| seen.last_beat.as_ref().is_some_and(|beat| beat.runs.is_empty());
    node.coordinator.wait("its folder is gone, and then the run", is_idle).await;
    node.coordinator.wait_for_beats(5).await;
    let reports = node.coordinator.seen().runs.reports.len();
    assert_eq!(reports, 2, "{:?}", node.coordinator.seen().runs.reports);
    assert!(nothing_under_way(&node));
    assert_eq!(std::fs::read_dir(node.folder.path().join("runs")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_attempt_that_is_carried_out_again_after_a_restart_publishes_once() {
    let (node, id) = holding(&slide().0).await;
    node.coordinator.order(tissue(1, 5, &[&id]));
    let first = node.coordinator.run_report("the end", is_done).await;
    std::fs::create_dir_all(node.folder.path().join("runs/r-1-5/half")).unwrap();
    let (folder, coordinator) = node.stop().await;
    coordinator.seen().runs.reports.clear();
    let node = TestNode::start_on(folder, coordinator).await;
    let second = node.coordinator.run_report("the end again", is_done).await;
    assert_eq!(first, second);
    assert_eq!(node.coordinator.seen().runs.created.len(), 2);
}

#[tokio::test]
async fn failures_are_told_so_that_users_understand() {
    let (node, id) = holding(&bytes(50_000, 4)).await;
    let missing = material(99);
    let run = |number, pipeline: &str, inputs: &[&MaterialId], parameters| Order::Run {
        run: RunId::from_counter(number),
        attempt: Generation(1),
        pipeline: pipeline.to_owned(),
        inputs: inputs.iter().map(|&id| id.clone()).collect(),
        parameters,
    };
    let none = serde_json::json!({});
    node.coordinator.order(run(1, "tissue", &[&id], none.clone()));
    node.coordinator.order(run(2, "tissue", &[&missing], none.clone()));
    node.coordinator.order(run(3, "stain", &[&id], none.clone()));
    node.coordinator.order(run(4, "tissue", &[&id, &id], none));
    node.coordinator.order(run(5, "tissue", &[&id], serde_json::json!({"speed": 9})));
    // One whose answer was late is sent again.
    let told = |seen: &Seen, number| seen.runs.reports.iter().any(|(run, _)| *run == RunId::from_counter(number));
    node.coordinator.wait("five reports", |seen| (1..=5).all(|number| told(seen, number))).await;
    let reports = node.coordinator.seen().runs.reports.clone();
    let of = |number| &reports.iter().find(|(run, _)| *run == RunId::from_counter(number)).unwrap().1;
    for (number, words) in
        [(1, "cannot be read as a slide"), (3, "no pipeline 'stain'"), (4, "one slide, not 2"), (5, "'speed'")]
    {
        let RunReport::Failed { reason, .. } = of(number) else { panic!("{:?}", of(number)) };
        assert!(reason.contains(words), "{reason}");
    }
    let RunReport::Refused { reason, .. } = of(2) else { panic!("{:?}", of(2)) };
    assert!(reason.contains(missing.as_str()), "{reason}");
}

#[tokio::test]
async fn a_stale_attempt_ends_quietly() {
    let (node, id) = holding(&slide().0).await;
    node.coordinator.seen().runs.refuses = Some(Code::StaleGeneration);
    node.coordinator.order(tissue(1, 5, &[&id]));
    node.coordinator.wait("a report", |seen| seen.runs.refused > 0).await;
    node.coordinator.wait("the end", |seen| seen.last_beat.as_ref().is_some_and(|beat| beat.runs.is_empty())).await;
    node.coordinator.wait_for_beats(3).await;
    let seen = node.coordinator.seen();
    assert_eq!((seen.runs.refused, seen.runs.created.len(), seen.runs.reports.len()), (1, 0, 0));
}

#[tokio::test]
async fn a_report_waits_for_a_leader_and_a_stop_ends_the_waiting() {
    let (node, id) = holding(&slide().0).await;
    node.coordinator.seen().runs.refuses = Some(Code::NoLeader);
    node.coordinator.order(tissue(1, 5, &[&id]));
    node.coordinator.wait("two tries", |seen| seen.runs.refused >= 2).await;
    let beat = |seen: &Seen| seen.last_beat.as_ref().map_or(0, |beat| beat.runs.len());
    node.coordinator.wait("the run in a heartbeat", |seen| beat(seen) == 1).await;

    node.coordinator.seen().orders = vec![Order::Stop { run: RunId::from_counter(1), attempt: Generation(5) }];
    node.coordinator.wait("the end", |seen| beat(seen) == 0).await;
    node.coordinator.seen().runs.refuses = None;
    node.coordinator.wait_for_beats(3).await;
    assert!(node.coordinator.seen().runs.reports.is_empty());

    // A newer attempt of the same run starts as if nothing had been.
    node.coordinator.seen().runs.refuses = Some(Code::NoLeader);
    let refused = node.coordinator.seen().runs.refused;
    node.coordinator.seen().orders = vec![tissue(1, 6, &[&id])];
    node.coordinator.wait("a try", |seen| seen.runs.refused > refused).await;
    node.coordinator.seen().runs.refuses = None;
    node.coordinator.run_report("the end", is_done).await;
}

#[tokio::test]
async fn runs_over_the_slots_wait_and_are_told_of() {
    let (node, id) = holding(&slide().0).await;
    node.coordinator.seen().runs.refuses = Some(Code::NoLeader);
    for run in 1..=3 {
        node.coordinator.order(tissue(run, 1, &[&id]));
    }
    let labels = |seen: &Seen| {
        let runs = seen.last_beat.iter().flat_map(|beat| &beat.runs);
        runs.filter(|run| run.progress.label == "waiting for a free slot").count()
    };
    node.coordinator
        .wait("all three in a heartbeat", |seen| {
            seen.last_beat.as_ref().is_some_and(|beat| beat.runs.len() == 3) && labels(seen) >= 2
        })
        .await;
    node.coordinator.seen().runs.refuses = None;
    let ended = |seen: &Seen| seen.runs.reports.iter().filter(|(_, report)| is_done(report)).count();
    node.coordinator.wait("all three", |seen| ended(seen) == 3).await;
}

#[tokio::test]
async fn a_stopping_node_gives_its_runs_back() {
    let (node, id) = holding(&slide().0).await;
    node.coordinator.seen().runs.refuses = Some(Code::NoLeader);
    node.coordinator.order(tissue(1, 5, &[&id]));
    node.coordinator.wait("a try", |seen| seen.runs.refused >= 1).await;
    node.coordinator.seen().runs.refuses = None;
    // Whether it was waiting or had begun: it ends with a report either way.
    let (_, coordinator): (_, std::sync::Arc<FakeCoordinator>) = node.stop().await;
    let reports = coordinator.seen().runs.reports.clone();
    let last = &reports.last().unwrap().1;
    assert!(matches!(last, RunReport::Refused { .. } | RunReport::Done { .. }), "{reports:?}");
}

/// A clock that is wrong, a secret that is not there yet: what may pass ends no attempt, and the books would wait for it.
#[tokio::test]
async fn a_refusal_that_hangs_on_the_clock_is_outlasted() {
    let (node, id) = holding(&slide().0).await;
    node.coordinator.seen().runs.refuses = Some(Code::Unauthorized);
    node.coordinator.order(tissue(1, 5, &[&id]));
    node.coordinator.wait("a report", |seen| seen.runs.refused > 0).await;
    node.coordinator.seen().runs.refuses = None;
    node.coordinator.run_report("the end", is_done).await;
}

/// It was told to stop by one who did not know better: where it is ordered still, it is carried out.
#[tokio::test]
async fn an_attempt_that_was_stopped_by_mistake_is_carried_out_all_the_same() {
    let (node, id) = holding(&slide().0).await;
    node.coordinator.seen().runs.refuses = Some(Code::NoLeader);
    node.coordinator.order(tissue(1, 5, &[&id]));
    node.coordinator.wait("it runs", |seen| seen.last_beat.as_ref().is_some_and(|beat| !beat.runs.is_empty())).await;
    let stop = Order::Stop { run: RunId::from_counter(1), attempt: Generation(5) };
    node.coordinator.seen().orders = vec![stop];
    node.coordinator.wait("the end", |seen| seen.last_beat.as_ref().is_some_and(|beat| beat.runs.is_empty())).await;
    {
        let mut seen = node.coordinator.seen();
        (seen.orders, seen.runs.refuses) = (vec![tissue(1, 5, &[&id])], None);
    }
    node.coordinator.run_report("the end", is_done).await;
}

/// Its output's material has gone, though the attempt is ordered still: it is carried out anew.
#[tokio::test]
async fn an_attempt_whose_output_has_gone_is_carried_out_anew() {
    let (node, id) = holding(&slide().0).await;
    node.coordinator.seen().runs.gone = 1;
    node.coordinator.order(tissue(1, 5, &[&id]));
    node.coordinator.run_report("the end", is_done).await;
    let seen = node.coordinator.seen();
    assert_eq!((seen.runs.gone, seen.runs.created.len()), (0, 2));
}

/// A run that makes more than it may, say: it would be refused on any node, and its user is told why.
#[tokio::test]
async fn an_output_that_the_coordinators_refuse_fails_the_run_with_their_words() {
    let (node, id) = holding(&slide().0).await;
    node.coordinator.seen().runs.refuses_materials = Some(Code::TooLarge);
    node.coordinator.order(tissue(1, 5, &[&id]));
    let is_failed = |report: &RunReport| matches!(report, RunReport::Failed { .. });
    let RunReport::Failed { attempt, reason } = node.coordinator.run_report("a failure", is_failed).await else {
        unreachable!()
    };
    assert_eq!(attempt, Generation(5));
    assert!(reason.contains("'mask'") && reason.contains("the test wants it"), "{reason}");
    node.coordinator.wait("the end", nothing_runs).await;
    assert_eq!(std::fs::read_dir(node.folder.path().join("runs")).unwrap().count(), 0);
}
