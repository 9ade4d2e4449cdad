//! Uploads from outside: tus 1.0.0, and what survives what.

use crate::support::{HANGS_AFTER, TestNode, bytes, code, config, hash, material, number, reserve};
use futures_util::StreamExt as _;
use microtome_proto::{Code, Generation, MaterialId, internal::ReplicaReport, internal::Reserve};
use reqwest::{Body, StatusCode};
use std::{convert::Infallible, time::Duration};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::mpsc};

const MIB: usize = 1 << 20;

/// A body that is sent piece by piece as the test wants, and ends when the sender is dropped.
fn slow_body() -> (mpsc::Sender<Vec<u8>>, Body) {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>(1);
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(piece), receiver))
    });
    (sender, Body::wrap_stream(pieces.boxed()))
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(HANGS_AFTER, waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Waits until the node has written so many bytes. Asking it instead would end a writer that hears nothing for a second,
/// with what is still on its way.
async fn wait_until_written(node: &TestNode, id: &MaterialId, wanted: u64) {
    let file = node.folder.path().join("incoming").join(id.as_str()).join("file");
    eventually("the bytes are written", async || std::fs::metadata(&file).is_ok_and(|file| file.len() >= wanted)).await;
}

#[tokio::test]
async fn a_file_in_pieces_becomes_a_verified_copy() {
    let node = TestNode::start().await;
    let (id, data) = (material(1), bytes(5 * MIB + 12_345, 1));
    let wanted = Reserve { blake3: Some(hash(&data).to_uppercase()), ..reserve(&id, data.len() as u64) };
    assert_eq!(node.reserve(&wanted).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(node.reserve(&wanted).await.status(), StatusCode::NO_CONTENT, "a repetition changes nothing");

    let mut at = 0;
    for len in [1, 1000, 3 * MIB, 16_383, 0, MIB + 5, data.len()] {
        let end = (at + len).min(data.len());
        let response = node.patch(&id, at as u64, data[at..end].to_vec()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(number(&response, "upload-offset"), end as u64);
        assert_eq!(response.headers()["tus-resumable"], "1.0.0");
        at = end;
    }
    let expected = ReplicaReport::Verified { generation: Generation(1), size: data.len() as u64, blake3: hash(&data) };
    node.coordinator.wait_for_report(&id, |report| *report == expected).await;

    let head = node.head(&id).await;
    assert_eq!(head.status(), StatusCode::OK, "who lost the last answer learns that it is done");
    assert_eq!(number(&head, "upload-offset"), data.len() as u64);
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
    let plain = node.folder.path().join("materials").join(id.as_str()).join("file");
    assert_eq!(std::fs::read(plain).unwrap(), data, "any tool can open it");
}

#[tokio::test]
async fn an_upload_goes_on_after_a_proper_stop_and_after_a_crash() {
    let node = TestNode::start().await;
    let (id, data) = (material(2), bytes(3 * MIB + 777, 2));
    node.reserve(&reserve(&id, data.len() as u64)).await;
    node.patch(&id, 0, data[..2 * MIB + 100].to_vec()).send().await.unwrap();

    let crashed = node.crashed().await;
    let told = (2 * MIB + 100) as u64;
    assert_eq!(crashed.offset(&id).await, told, "what was told is durable");
    let last = crashed.patch(&id, told, data[told as usize..].to_vec()).send().await.unwrap();
    assert_eq!(last.status(), StatusCode::NO_CONTENT);
    assert_eq!(crashed.file(&id).await.bytes().await.unwrap(), data);

    let (folder, coordinator) = node.stop().await;
    let node = TestNode::start_on(folder, coordinator).await;
    assert_eq!(node.offset(&id).await, told);
    let promised = node.coordinator.seen().last_beat.as_ref().unwrap().report.disk_promised;
    assert!(promised >= data.len() as u64 - told, "room for the rest is promised again, {promised}");
    node.patch(&id, told, data[told as usize..].to_vec()).send().await.unwrap();
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
}

/// The machine loses its power while bytes stream in: the copy of the folder is torn as a disk would be.
#[tokio::test]
async fn a_crash_in_the_middle_of_a_request_loses_nothing_that_was_told() {
    let node = TestNode::start().await;
    let (id, data) = (material(3), bytes(8 * MIB, 3));
    node.reserve(&reserve(&id, data.len() as u64)).await;
    node.patch(&id, 0, data[..MIB].to_vec()).send().await.unwrap();
    let (sender, body) = slow_body();
    let sending = tokio::spawn(node.patch(&id, MIB as u64, body).send());
    for piece in data[MIB..6 * MIB].chunks(100_000) {
        sender.send(piece.to_vec()).await.unwrap();
    }
    let crashed = node.crashed().await;
    let offset = crashed.offset(&id).await;
    assert!(offset >= MIB as u64, "{offset}");
    let last = crashed.patch(&id, offset, data[offset as usize..].to_vec()).send().await.unwrap();
    assert_eq!(last.status(), StatusCode::NO_CONTENT);
    assert_eq!(crashed.file(&id).await.bytes().await.unwrap(), data);
    drop(sender);
    let _ = sending.await;
}

/// A client that was killed: what it sent stays, and is told only once it is durable.
#[tokio::test]
async fn a_connection_that_ends_early_keeps_what_came() {
    let node = TestNode::start().await;
    let (id, data) = (material(4), bytes(4 * MIB, 4));
    node.reserve(&reserve(&id, data.len() as u64)).await;
    let sent = 2 * MIB + 11;
    let head = format!(
        "PATCH /v1/uploads/{id} HTTP/1.1\r\nHost: node\r\nContent-Length: {}\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n\r\n",
        data.len()
    );
    let mut connection = TcpStream::connect(node.url.trim_start_matches("http://")).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&data[..sent]).await.unwrap();
    // As when its process dies: the system delivers what it has taken.
    drop(connection);
    wait_until_written(&node, &id, sent as u64).await;
    assert_eq!(node.offset(&id).await, sent as u64);
    node.patch(&id, sent as u64, data[sent..].to_vec()).send().await.unwrap();
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
}

/// The older request hangs on a dead connection that the server knows nothing of.
#[tokio::test]
async fn the_newer_writer_takes_over_and_the_older_is_told() {
    let node = TestNode::start().await;
    let (id, data) = (material(5), bytes(3 * MIB, 5));
    node.reserve(&reserve(&id, data.len() as u64)).await;
    let (sender, body) = slow_body();
    let older = tokio::spawn(node.patch(&id, 0, body).send());
    sender.send(data[..MIB].to_vec()).await.unwrap();
    wait_until_written(&node, &id, MIB as u64).await;
    // HEAD ends a writer that has fallen silent, and tells what is durable then.
    eventually("the older is ended", async || node.offset(&id).await == MIB as u64).await;
    let older = older.await.unwrap().unwrap();
    assert_eq!(older.status(), StatusCode::LOCKED);

    let (second, body) = slow_body();
    let silent = tokio::spawn(node.patch(&id, MIB as u64, body).send());
    second.send(data[MIB..MIB + 1].to_vec()).await.unwrap();
    let newer = node.patch(&id, MIB as u64, data[MIB..].to_vec()).send().await.unwrap();
    drop(second);
    let silent = silent.await.unwrap().unwrap();
    // Which of the two came first is the network's affair: one is fenced, and no byte is mixed.
    match newer.status() {
        StatusCode::NO_CONTENT => assert!(silent.status().is_client_error()),
        StatusCode::CONFLICT => assert_eq!(silent.status(), StatusCode::LOCKED),
        // Something of it had come by then, or nothing.
        StatusCode::LOCKED => assert!(matches!(silent.status(), StatusCode::CONFLICT | StatusCode::NO_CONTENT)),
        other => panic!("{other}"),
    }
    if newer.status() != StatusCode::NO_CONTENT {
        let offset = node.offset(&id).await;
        node.patch(&id, offset, data[offset as usize..].to_vec()).send().await.unwrap();
    }
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
}

#[tokio::test]
async fn every_mistake_has_its_status_and_changes_nothing() {
    let node = TestNode::start().await;
    let (id, data) = (material(6), bytes(100_000, 6));
    node.reserve(&reserve(&id, data.len() as u64)).await;
    node.patch(&id, 0, data[..50_000].to_vec()).send().await.unwrap();
    let path = format!("/v1/uploads/{id}");
    let typed = || {
        let request = node.request("PATCH", &path).header("content-type", "application/offset+octet-stream");
        request.header("tus-resumable", "1.0.0").body("x")
    };

    let cases = [
        (node.patch(&id, 49_999, data[49_999..].to_vec()), 409, "offset_mismatch"),
        (node.patch(&id, 50_001, data[50_001..].to_vec()), 409, "offset_mismatch"),
        (node.patch(&id, 50_000, vec![0; 50_001]), 413, "too_large"),
        (node.patch(&id, u64::MAX, vec![0; 10]), 413, "too_large"),
        (node.request("PATCH", &path).header("tus-resumable", "1.0.0").body("x"), 415, "unsupported_media_type"),
        (node.request("PATCH", &path).header("upload-offset", "50000"), 412, "tus_version"),
        (typed().header("upload-offset", "x"), 400, "bad_request"),
        (typed().header("upload-offset", "-1"), 400, "bad_request"),
        (typed(), 400, "bad_request"),
        (node.request("PUT", &path).header("tus-resumable", "1.0.0"), 405, "method_not_allowed"),
        (node.request("GET", &path), 503, "unavailable"),
        (node.request("DELETE", &path).header("tus-resumable", "0.2.2"), 412, "tus_version"),
        (node.request("PATCH", "/v1/uploads/x").header("tus-resumable", "1.0.0"), 400, "bad_request"),
        (node.patch(&material(99), 0, "x"), 404, "not_found"),
    ];
    for (number, (request, status, expected)) in cases.into_iter().enumerate() {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "case {number}");
        if expected == "tus_version" {
            assert_eq!(response.headers()["tus-version"], "1.0.0");
        }
        assert_eq!(code(response).await, expected, "case {number}");
        assert_eq!(node.offset(&id).await, 50_000, "case {number}");
    }
    assert_eq!(node.head(&material(99)).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_body_without_a_length_may_not_go_beyond_the_end_either() {
    let node = TestNode::start().await;
    let id = material(7);
    node.reserve(&reserve(&id, 100_000)).await;
    let (sender, body) = slow_body();
    let sending = tokio::spawn(node.patch(&id, 0, body).send());
    sender.send(vec![1; 60_000]).await.unwrap();
    sender.send(vec![2; 60_000]).await.unwrap();
    drop(sender);
    let response = sending.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(node.offset(&id).await <= 100_000);
    assert!(node.coordinator.seen().reports.is_empty(), "it is not taken for whole");
}

#[tokio::test]
async fn options_and_the_method_override_are_spoken() {
    let node = TestNode::start().await;
    let id = material(8);
    node.reserve(&reserve(&id, 10)).await;
    let path = format!("/v1/uploads/{id}");
    let options = node.request("OPTIONS", &path).header("tus-resumable", "9").send().await.unwrap();
    assert_eq!(options.status(), StatusCode::NO_CONTENT);
    assert_eq!(options.headers()["tus-version"], "1.0.0");
    assert_eq!(options.headers()["tus-extension"], microtome_proto::tus::EXTENSIONS);
    assert!(number(&options, "tus-max-size") > 0);

    let patched = node
        .request("POST", &path)
        .header("x-http-method-override", "PATCH")
        .header("tus-resumable", "1.0.0")
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", "0")
        .body("0123456789")
        .send()
        .await
        .unwrap();
    assert_eq!(patched.status(), StatusCode::NO_CONTENT);
    let head = node.request("POST", &path).header("x-http-method-override", "HEAD").send().await.unwrap();
    assert_eq!(head.headers()["upload-length"], "10");
    assert_eq!(head.headers()["cache-control"], "no-store");
    let metadata = microtome_proto::tus::parse_metadata(head.headers()["upload-metadata"].to_str().unwrap()).unwrap();
    assert_eq!(metadata["filename"], "Präparat 7.svs");
}

#[tokio::test]
async fn an_empty_file_is_complete_when_it_is_announced() {
    let node = TestNode::start().await;
    let id = material(9);
    assert_eq!(node.reserve(&reserve(&id, 0)).await.status(), StatusCode::NO_CONTENT);
    node.coordinator.wait_for_report(&id, |report| matches!(report, ReplicaReport::Verified { size: 0, .. })).await;
    assert_eq!(node.offset(&id).await, 0);
    assert_eq!(node.patch(&id, 0, "").send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), "");
}

#[tokio::test]
async fn bytes_with_another_hash_than_announced_are_refused_and_gone() {
    let node = TestNode::start().await;
    let (id, data) = (material(10), bytes(100_000, 10));
    let wanted = Reserve { blake3: Some(hash(b"something else")), ..reserve(&id, data.len() as u64) };
    node.reserve(&wanted).await;
    let response = node.patch(&id, 0, data.clone()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(code(response).await, "hash_mismatch");
    node.coordinator.wait_for_report(&id, |report| matches!(report, ReplicaReport::Failed { .. })).await;
    assert_eq!(node.head(&id).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(node.file(&id).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(std::fs::read_dir(node.folder.path().join("incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_its_first_byte() {
    let node = TestNode::start().await;
    let response = node.reserve(&reserve(&material(11), 1 << 60)).await;
    assert_eq!(response.status().as_u16(), 507);
    assert_eq!(code(response).await, "no_space");
    // What is promised to one is not promised to another.
    let beat = node.coordinator.seen().last_beat.clone().unwrap();
    let most = beat.report.disk_free / 10 * 9;
    assert_eq!(node.reserve(&reserve(&material(12), most)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(node.reserve(&reserve(&material(13), most)).await.status().as_u16(), 507);
    let ended = node.request("DELETE", &format!("/v1/uploads/{}", material(12))).header("tus-resumable", "1.0.0");
    assert_eq!(ended.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(node.reserve(&reserve(&material(13), most)).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn delete_ends_the_upload_and_its_material() {
    let node = TestNode::start().await;
    let id = material(14);
    node.reserve(&reserve(&id, 100)).await;
    node.patch(&id, 0, vec![0; 50]).send().await.unwrap();
    let delete = || node.request("DELETE", &format!("/v1/uploads/{id}")).header("tus-resumable", "1.0.0").send();
    assert_eq!(delete().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(node.coordinator.seen().deleted, std::slice::from_ref(&id));
    assert_eq!(node.head(&id).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(delete().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(std::fs::read_dir(node.folder.path().join("incoming")).unwrap().count(), 0);
}

/// The sender hears of success although no coordinator does: the copy is durable, and the report goes on.
#[tokio::test]
async fn an_upload_is_acknowledged_without_a_coordinator() {
    let node = TestNode::start().await;
    let (id, data) = (material(15), bytes(100_000, 15));
    node.reserve(&reserve(&id, data.len() as u64)).await;
    node.coordinator.stop();
    let response = node.patch(&id, 0, data.clone()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
}

/// Its assignment ended while it was on its way: what nobody counts is not acknowledged.
#[tokio::test]
async fn an_upload_that_the_coordinators_do_not_take_is_not_acknowledged() {
    let node = TestNode::start().await;
    let id = material(12);
    node.reserve(&reserve(&id, 10)).await;
    {
        let mut seen = node.coordinator.seen();
        seen.refuses_reports = Some(Code::StaleGeneration);
        seen.to_be_dropped = vec![id.clone()];
    }
    let last = node.patch(&id, 0, "0123456789").send().await.unwrap();
    assert_eq!(last.status(), StatusCode::GONE);
    assert_eq!(code(last).await, "gone");
}

/// What a coordinator has heard it may tell the sender at once, and the machine may stop at that moment.
#[tokio::test]
async fn a_reservation_is_durable_when_it_is_answered() {
    let node = TestNode::start().await;
    let (id, data) = (material(21), bytes(100_000, 21));
    assert_eq!(node.reserve(&reserve(&id, data.len() as u64)).await.status(), StatusCode::NO_CONTENT);
    let crashed = node.crashed().await;
    assert_eq!(crashed.offset(&id).await, 0);
    let promised = crashed.coordinator.seen().last_beat.as_ref().unwrap().report.disk_promised;
    assert_eq!(promised, data.len() as u64);
    crashed.patch(&id, 0, data.clone()).send().await.unwrap();
    assert!(crashed.file(&id).await.bytes().await.unwrap() == data);
}

/// That there is no room lets the coordinators give an upload to another node, and what has arrived here would be lost: it is
/// said only where nothing has.
#[tokio::test]
async fn that_there_is_no_room_is_said_only_where_nothing_of_it_is_here() {
    let node = TestNode::start().await;
    let (begun, whole, new) = (material(22), material(23), material(24));
    node.reserve(&reserve(&begun, 1000)).await;
    node.patch(&begun, 0, vec![1; 10]).send().await.unwrap();
    node.put(&whole, &[2; 10]).await;
    let (folder, coordinator) = node.stop().await;
    let mut config = config(folder.path(), coordinator.url());
    config.reserve_bytes = Some(u64::MAX);
    let beats = coordinator.beats();
    let node = TestNode::start_with(config, folder, coordinator).await;
    node.coordinator.wait("a heartbeat", |seen| seen.beats > beats).await;
    let answer = async |id: &MaterialId, generation: u64, size: u64| {
        let answer = node.reserve(&Reserve { generation: Generation(generation), ..reserve(id, size) }).await;
        if answer.status() == StatusCode::NO_CONTENT { "here".to_owned() } else { code(answer).await }
    };
    assert_eq!(answer(&new, 1, 1000).await, "no_space");
    assert_eq!(answer(&begun, 1, 1000).await, "here");
    assert_eq!(answer(&begun, 0, 1000).await, "stale_generation");
    assert_eq!(answer(&whole, 1, 10).await, "here");
    assert_eq!(answer(&whole, 2, 10).await, "not_ready");
    assert_eq!(node.offset(&begun).await, 10);
    // What came under an older assignment is not wanted any more, and its room may be what lacks.
    assert_eq!(answer(&begun, 2, 1000).await, "no_space");
    assert!(!node.folder.path().join("incoming").join(begun.as_str()).exists());
    assert_eq!(node.head(&begun).await.status(), StatusCode::NOT_FOUND);
}
