//! Uploads whose length is told later.

use crate::support::{TestNode, bytes, code, hash, material, number, reserve};
use microtome_proto::{
    Generation, MaterialId,
    internal::{ReplicaReport, SIZE_DEFERRED},
    limits::MATERIAL_SIZE_MAX,
};
use reqwest::StatusCode;

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
