//! Uploads that the operator's check accepts, refuses, or says nothing of.

use crate::support::{FakeCoordinator, TestNode, bytes, code, config, hash, material, number, reserve};
use axum::{Json, Router, extract::State, http::StatusCode as Status, response::IntoResponse as _, routing::post};
use microtome_node::CheckConfig;
use microtome_proto::{
    Generation, MaterialId, Problem,
    internal::{Belonging, ReplicaReport, Reserve},
};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

const SIZE: u64 = 3_000_000;

/// A node whose check is a shell script.
async fn node(script: &str) -> TestNode {
    node_on(Arc::new(tempfile::tempdir().unwrap()), FakeCoordinator::start().await, script).await
}

async fn node_on(folder: Arc<tempfile::TempDir>, coordinator: Arc<FakeCoordinator>, script: &str) -> TestNode {
    let program = ["/bin/sh", "-c", script, "check", "{file}"].map(str::to_owned).to_vec();
    start(folder, coordinator, CheckConfig { program, url: None, within: Duration::from_secs(60), at_once: 2 }).await
}

async fn start(folder: Arc<tempfile::TempDir>, coordinator: Arc<FakeCoordinator>, checks: CheckConfig) -> TestNode {
    let beats = coordinator.beats();
    let mut config = config(folder.path(), coordinator.url());
    config.checks = Some(checks);
    let node = TestNode::start_with(config, folder, coordinator).await;
    node.coordinator.wait("a heartbeat", |seen| seen.beats > beats).await;
    node
}

/// Sends all of a file in one request: the answer, when there is one.
async fn send(node: &TestNode, id: &MaterialId, data: &[u8]) -> Response {
    assert_eq!(node.reserve(&reserve(id, data.len() as u64)).await.status(), StatusCode::NO_CONTENT);
    node.patch(id, 0, data.to_vec()).send().await.unwrap()
}

fn is_refused(report: &ReplicaReport) -> bool {
    matches!(report, ReplicaReport::Refused { generation: Generation(1), .. })
}

fn is_verified(report: &ReplicaReport) -> bool {
    matches!(report, ReplicaReport::Verified { .. })
}

fn lies_in_incoming(node: &TestNode, id: &MaterialId) -> bool {
    node.folder.path().join("incoming").join(id.as_str()).exists()
}

#[tokio::test]
async fn a_file_that_is_accepted_is_published_after_its_check_which_sees_all_of_it() {
    let data = bytes(SIZE as usize, 1);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    let script = format!(
        "cp \"$1\" {} && [ $MICROTOME_SIZE = {SIZE} ] && [ \"$MICROTOME_BLAKE3\" = {} ]",
        copy.display(),
        hash(&data)
    );
    let node = node(&script).await;
    let id = material(1);
    assert_eq!(send(&node, &id, &data).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(fs::read(copy).unwrap(), data);
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
    node.coordinator.wait_for_report(&id, is_verified).await;
}

#[tokio::test]
async fn a_file_that_is_refused_is_never_there_and_its_sender_hears_why() {
    let node = node("echo 'Eicar FOUND'; exit 1").await;
    let (id, empty) = (material(1), material(2));
    let answer = send(&node, &id, &bytes(SIZE as usize, 1)).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!((problem.code.as_str(), problem.detail.as_str()), ("refused_by_check", "Eicar FOUND"));
    node.coordinator.wait_for_report(&id, is_refused).await;
    assert!(!lies_in_incoming(&node, &id) && !node.path(&id, "file").exists(), "its bytes are freed");
    assert!(!node.coordinator.seen().reports.iter().any(|(_, report)| is_verified(report)));
    // Who lost the answer asks again; its room is free.
    assert_eq!(node.head(&id).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let again = node.patch(&id, SIZE, "").send().await.unwrap();
    assert_eq!(code(again).await, "refused_by_check");
    assert_eq!(node.file(&id).await.status(), StatusCode::NOT_FOUND);
    let is_free = |seen: &crate::support::Seen| seen.last_beat.as_ref().is_some_and(|it| it.report.disk_promised == 0);
    node.coordinator.wait("its room", is_free).await;
    // What has no bytes has nothing to be checked, and what a run makes is the cluster's own.
    assert_eq!(node.reserve(&reserve(&empty, 0)).await.status(), StatusCode::NO_CONTENT);
    node.coordinator.wait_for_report(&empty, is_verified).await;
    let belonging = Belonging { is_output: true, ..Belonging::default() };
    let output = Reserve { belonging, ..reserve(&material(3), 5) };
    assert_eq!(node.reserve(&output).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(node.patch(&material(3), 0, "bytes").send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

/// The check says nothing until a file appears: nobody is told that the upload is done, and nothing is sent again.
#[tokio::test]
async fn a_check_that_tells_nothing_is_made_again_until_it_tells() {
    let flag = tempfile::tempdir().unwrap();
    let flag = flag.path().join("scanner-runs");
    let node = node(&format!("[ -e {} ] || {{ echo no scanner; exit 127; }}", flag.display())).await;
    let (id, data) = (material(1), bytes(SIZE as usize, 1));
    let answer = send(&node, &id, &data).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!(problem.code.as_str(), "not_checked");
    assert!(problem.detail.contains("127") && problem.detail.contains("no scanner"), "{}", problem.detail);
    let told = |seen: &crate::support::Seen| {
        let incoming = seen.last_beat.iter().flat_map(|beat| &beat.incoming);
        incoming.filter_map(|it| it.check.as_deref()).any(|check| check.starts_with("cannot be checked: "))
    };
    node.coordinator.wait("what it waits for", told).await;
    assert_eq!(node.head(&id).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(node.file(&id).await.status(), StatusCode::NOT_FOUND);
    fs::create_dir_all(flag.parent().unwrap()).unwrap();
    fs::write(&flag, "").unwrap();
    node.coordinator.wait_for_report(&id, is_verified).await;
    assert_eq!(node.offset(&id).await, SIZE);
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
}

/// Waits for a check that has begun: it writes its process id into a file.
async fn begun(mark: &Path) -> String {
    let waiting = async {
        loop {
            match fs::read_to_string(mark) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(crate::support::HANGS_AFTER, waiting).await.unwrap()
}

async fn ended(process: &str) {
    let is_gone = || {
        let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    };
    let waiting = async {
        while !is_gone() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::support::HANGS_AFTER, waiting).await.unwrap();
}

#[tokio::test]
async fn who_ends_an_upload_ends_its_check_and_a_node_that_stops_makes_it_again() {
    let marks = tempfile::tempdir().unwrap();
    let (mark, script) = {
        let mark = marks.path().join("begun");
        (mark.clone(), format!("echo $$ > {}; exec sleep 1000", mark.display()))
    };
    let node = node(&script).await;
    let (deleted, kept, data) = (material(1), material(2), bytes(SIZE as usize, 1));
    let checking = |id: &MaterialId, node: &TestNode| {
        let (request, id) = (node.patch(id, 0, data.clone()), id.clone());
        tokio::spawn(async move { (id, request.send().await) })
    };
    node.reserve(&reserve(&deleted, SIZE)).await;
    let sent = checking(&deleted, &node);
    let process = begun(&mark).await;
    let end = node.request("DELETE", &format!("/v1/uploads/{deleted}")).header("tus-resumable", "1.0.0");
    assert_eq!(end.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    ended(&process).await;
    assert!(!sent.await.unwrap().1.unwrap().status().is_success());
    assert!(!lies_in_incoming(&node, &deleted));

    fs::remove_file(&mark).unwrap();
    node.reserve(&reserve(&kept, SIZE)).await;
    let _sent = checking(&kept, &node);
    let process = begun(&mark).await;
    let (folder, coordinator) = node.stop().await;
    ended(&process).await;
    let node = node_on(folder, coordinator, "exit 0").await;
    node.coordinator.wait_for_report(&kept, is_verified).await;
    assert_eq!(node.file(&kept).await.bytes().await.unwrap(), data);
}

#[tokio::test]
async fn a_check_that_hangs_is_killed_and_no_other_upload_waits_for_it() {
    let marks = tempfile::tempdir().unwrap();
    let mark = marks.path().join("begun");
    let script = format!("[ $MICROTOME_SIZE = 5 ] && exit 0; echo $$ > {}; exec sleep 1000", mark.display());
    let program = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    let checks = CheckConfig { program, url: None, within: Duration::from_secs(3), at_once: 2 };
    let node = start(Arc::new(tempfile::tempdir().unwrap()), FakeCoordinator::start().await, checks).await;
    let (hangs, other) = (material(1), material(2));
    node.reserve(&reserve(&hangs, SIZE)).await;
    let request = node.patch(&hangs, 0, bytes(SIZE as usize, 1));
    let sent = tokio::spawn(request.send());
    let process = begun(&mark).await;
    assert_eq!(send(&node, &other, b"quick").await.status(), StatusCode::NO_CONTENT);
    let answer = sent.await.unwrap().unwrap();
    assert_eq!((answer.status(), code(answer).await.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "not_checked"));
    ended(&process).await;
}

/// What a service is asked, and what it fetches.
#[derive(Default)]
struct Scanner {
    answers: Mutex<Vec<(Status, String)>>,
    asked: Mutex<Vec<(Value, Vec<u8>)>>,
    changed: Notify,
}

async fn scan(State(scanner): State<Arc<Scanner>>, Json(subject): Json<Value>) -> axum::response::Response {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let file = http.get(subject["file"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    scanner.asked.lock().unwrap().push((subject, file.to_vec()));
    scanner.changed.notify_waiters();
    scanner.answers.lock().unwrap().pop().unwrap_or((Status::OK, String::new())).into_response()
}

#[tokio::test]
async fn a_service_is_asked_and_fetches_the_file_by_an_address_of_its_own() {
    let scanner = Arc::<Scanner>::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/scan", listener.local_addr().unwrap());
    let router = Router::new().route("/scan", post(scan)).with_state(Arc::clone(&scanner));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let checks = CheckConfig { program: vec![], url: Some(url), within: Duration::from_secs(60), at_once: 2 };
    let node = start(Arc::new(tempfile::tempdir().unwrap()), FakeCoordinator::start().await, checks).await;
    let data = bytes(SIZE as usize, 1);
    let (refused, delayed) = (material(1), material(2));

    let infected = r#"{"title":"Infected","detail":"Eicar"}"#.to_owned();
    scanner.answers.lock().unwrap().push((Status::UNPROCESSABLE_ENTITY, infected));
    let answer = send(&node, &refused, &data).await;
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!((problem.code.as_str(), problem.detail.as_str()), ("refused_by_check", "Eicar"));
    let (subject, file) = scanner.asked.lock().unwrap().pop().unwrap();
    assert!(file == data, "it saw other bytes");
    assert_eq!(subject["id"], refused.as_str());
    assert_eq!((&subject["size"], &subject["blake3"]), (&SIZE.into(), &hash(&data).into()));
    assert_eq!(node.http.get(subject["file"].as_str().unwrap()).send().await.unwrap().status(), StatusCode::NOT_FOUND);

    scanner.answers.lock().unwrap().push((Status::INTERNAL_SERVER_ERROR, String::new()));
    let answer = send(&node, &delayed, &data).await;
    assert_eq!(code(answer).await, "not_checked");
    node.coordinator.wait_for_report(&delayed, is_verified).await;
    assert_eq!(number(&node.head(&delayed).await, "upload-offset"), SIZE);
}

#[tokio::test]
async fn what_is_put_together_is_checked_whole_and_its_parts_are_not() {
    let node = node("echo whole; exit 1").await;
    let (parts, whole) = ([material(1), material(2)], material(3));
    for part in &parts {
        let wanted = Reserve { concat: Some("partial".to_owned()), ..reserve(part, 5) };
        assert_eq!(node.reserve(&wanted).await.status(), StatusCode::NO_CONTENT);
        assert_eq!(node.patch(part, 0, "bytes").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }
    let given = format!("final;/v1/uploads/{} /v1/uploads/{}", parts[0], parts[1]);
    let wanted = Reserve { concat: Some(given), ..reserve(&whole, 10) };
    node.coordinator.order(microtome_proto::internal::Order::Join { wanted, parts: parts.to_vec() });
    node.coordinator.wait_for_report(&whole, is_refused).await;
    assert_eq!(node.head(&whole).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
}
