//! Uploads whose length is told later.

use crate::support::{
    FakeCoordinator, TestNode, bytes, code, config, hash, material, number, reserve, small_disk::SmallDisk,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use microtome_proto::{
    Generation, MaterialId,
    internal::{ReplicaReport, SIZE_DEFERRED},
    limits::MATERIAL_SIZE_MAX,
};
use reqwest::StatusCode;
use std::sync::Arc;

const GROUP: usize = 16 << 10;

async fn announced(node: &TestNode, id: &MaterialId) {
    assert_eq!(node.reserve(&reserve(id, SIZE_DEFERRED)).await.status(), StatusCode::NO_CONTENT);
}

/// The end falls before, on and behind the borders of groups, of blocks, of what one checkpoint holds: what was told as
/// durable before stays, also over a crash, and the hash is the file's.
#[tokio::test]
async fn the_length_may_come_with_the_last_bytes_or_after_them() {
    let node = TestNode::start().await;
    let lens = [0, 1, GROUP - 1, GROUP, GROUP + 1, 3 * GROUP, 16 << 20, (16 << 20) + 5, (65 << 20) + 9];
    for (number_of, len) in lens.into_iter().enumerate() {
        let (id, data) = (material(number_of as u32), bytes(len, number_of as u64));
        announced(&node, &id).await;
        let first = len - len / 3;
        let patched = node.patch(&id, 0, data[..first].to_vec()).send().await.unwrap();
        assert_eq!(number(&patched, "upload-offset"), first as u64);
        let head = node.head(&id).await;
        assert_eq!((number(&head, "upload-offset"), number(&head, "upload-defer-length")), (first as u64, 1));
        assert!(!head.headers().contains_key("upload-length"));

        let at = if number_of % 2 == 0 {
            first
        } else {
            node.patch(&id, first as u64, data[first..].to_vec()).send().await.unwrap();
            assert_eq!(number(&node.head(&id).await, "upload-defer-length"), 1, "nobody knows that this was all");
            len
        };
        let crashed = if len < 1 << 20 { Some(node.crashed().await) } else { None };
        for node in [Some(&node), crashed.as_ref()].into_iter().flatten() {
            let last =
                node.patch(&id, at as u64, data[at..].to_vec()).header("upload-length", len).send().await.unwrap();
            assert_eq!(last.status(), StatusCode::NO_CONTENT, "{len}: {}", last.text().await.unwrap());
            let expected = ReplicaReport::Verified { generation: Generation(1), size: len as u64, blake3: hash(&data) };
            node.coordinator.wait_for_report(&id, |report| *report == expected).await;
            assert!(node.file(&id).await.bytes().await.unwrap() == data, "{len}");
        }
    }
    let promised = node
        .coordinator
        .wait("all room back", |seen| seen.last_beat.as_ref().is_some_and(|beat| beat.report.disk_promised == 0));
    promised.await;
}

/// Room is promised for what comes, not for what may come, and given back with what is not kept.
#[tokio::test]
async fn as_much_room_is_taken_as_there_are_bytes() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let Some(_disk) = SmallDisk::mount(folder.path(), 100 << 20) else { return };
    let coordinator = FakeCoordinator::start().await;
    let mut config = config(folder.path(), coordinator.url());
    config.reserve_bytes = Some(8 << 20);
    let node = TestNode::start_with(config, Arc::clone(&folder), Arc::clone(&coordinator)).await;
    coordinator.wait_for_beats(1).await;
    let (id, idle, data) = (material(1), material(2), bytes(70 << 20, 1));
    for id in [&idle, &id] {
        announced(&node, id).await;
        node.patch(id, 0, data[..1].to_vec()).send().await.unwrap();
    }
    let right = format!("blake3 {}", STANDARD.encode(blake3::hash(&data[1..]).as_bytes()));
    let wrong = format!("blake3 {}", STANDARD.encode([0; 32]));
    for (checksum, status) in [(&wrong, 460), (&wrong, 460), (&right, 204)] {
        let sent = node.patch(&id, 1, data[1..].to_vec()).header("upload-checksum", checksum).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), status);
        node.head(&id).await;
        let beats = coordinator.beats() + 1;
        coordinator
            .wait("no promise", |seen| {
                seen.beats > beats && seen.last_beat.as_ref().is_some_and(|beat| beat.report.disk_promised == 0)
            })
            .await;
    }
    let last = node.patch(&id, data.len() as u64, "").header("upload-length", data.len()).send().await.unwrap();
    assert_eq!(last.status(), StatusCode::NO_CONTENT);
    let too_much = node.patch(&idle, 1, vec![0; 40 << 20]).send().await.unwrap();
    assert_eq!(code(too_much).await, "no_space");
    assert!(node.offset(&idle).await > 10 << 20, "what there was room for is kept");
}

/// Told once, it stays: over a restart, and whatever a later request says.
#[tokio::test]
async fn a_length_is_told_once() {
    let node = TestNode::start().await;
    let (id, data) = (material(1), bytes(100_000, 1));
    announced(&node, &id).await;
    node.patch(&id, 0, data[..50_000].to_vec()).send().await.unwrap();
    let with = |node: &TestNode, length: u64| node.patch(&id, 50_000, "").header("upload-length", length).send();
    for (length, status) in [(49_999, 400), (MATERIAL_SIZE_MAX + 1, 413), (MATERIAL_SIZE_MAX, 507)] {
        let refused = with(&node, length).await.unwrap();
        assert_eq!(refused.status().as_u16(), status, "{length}");
        assert_eq!(number(&node.head(&id).await, "upload-defer-length"), 1);
    }
    let elsewhere = node.patch(&id, 49_000, "").header("upload-length", 100_000).send().await.unwrap();
    assert_eq!(code(elsewhere).await, "offset_mismatch");
    assert_eq!(with(&node, 100_000).await.unwrap().status(), StatusCode::NO_CONTENT);
    let (folder, coordinator) = node.stop().await;
    let node = TestNode::start_on(folder, coordinator).await;
    assert_eq!(number(&node.head(&id).await, "upload-length"), 100_000);
    announced(&node, &id).await;
    assert_eq!(with(&node, 100_001).await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(node.patch(&id, 50_000, vec![0; 50_001]).send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let last = node.patch(&id, 50_000, data[50_000..].to_vec()).header("upload-length", 100_000).send().await.unwrap();
    assert_eq!(last.status(), StatusCode::NO_CONTENT);
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
}
