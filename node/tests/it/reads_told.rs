//! What a node tells of its readers.

use crate::support::{Seen, TestNode, bytes, material};
use microtome_proto::MaterialId;
use reqwest::header::IF_NONE_MATCH;

fn reads(seen: &Seen, id: &MaterialId) -> Option<u64> {
    let read = &seen.last_beat.as_ref()?.uses.read;
    read.iter().find(|read| read.material == *id).map(|read| read.ago_ms)
}

fn is_open(seen: &Seen, id: &MaterialId) -> bool {
    seen.last_beat.as_ref().is_some_and(|beat| beat.uses.open.contains(id))
}

#[tokio::test]
async fn a_read_is_told_until_it_need_not_be_told_again() {
    let node = TestNode::start().await;
    let (id, other) = (material(1), material(2));
    for id in [&id, &other] {
        node.put(id, &bytes(100_000, 1)).await;
    }
    node.coordinator.wait_for_beats(2).await;
    assert_eq!(reads(&node.coordinator.seen(), &id), None, "nobody has read it");
    node.coordinator.seen().reads_due = vec![id.clone()];
    let etag = node.file(&id).await.headers()["etag"].clone();
    node.file(&other).await;
    node.coordinator.wait("the reads", |seen| reads(seen, &id).is_some() && reads(seen, &other).is_some()).await;
    // One of them is wanted again, for as long as that is so, and its time goes on.
    node.coordinator.wait("only one", |seen| reads(seen, &other).is_none()).await;
    node.coordinator.wait("its time", |seen| reads(seen, &id).is_some_and(|ago_ms| ago_ms >= 100)).await;
    node.coordinator.seen().reads_due.clear();
    node.coordinator.wait("silence", |seen| reads(seen, &id).is_none()).await;
    // Also one who has it already uses it.
    let known = node.request("GET", &format!("/v1/materials/{id}/file")).header(IF_NONE_MATCH, etag);
    assert_eq!(known.send().await.unwrap().status(), 304);
    node.coordinator.wait("another read", |seen| reads(seen, &id).is_some()).await;
}

#[tokio::test]
async fn a_download_under_way_is_told_until_it_ends() {
    let node = TestNode::start().await;
    let (id, data) = (material(1), bytes(40_000_000, 1));
    node.put(&id, &data).await;
    let mut slow = node.file(&id).await;
    let first = slow.chunk().await.unwrap().unwrap();
    node.coordinator.wait("the download", |seen| is_open(seen, &id)).await;
    node.coordinator.wait_for_beats(5).await;
    assert!(is_open(&node.coordinator.seen(), &id), "it goes on");
    let mut all = first.to_vec();
    while let Some(piece) = slow.chunk().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    assert!(all == data);
    node.coordinator.wait("its end", |seen| !is_open(seen, &id)).await;
}

/// Whoever downloads what is deleted meanwhile gets all of it or an error: never a part that looks like the whole.
#[tokio::test]
async fn a_download_of_what_is_deleted_breaks_off() {
    let node = TestNode::start().await;
    let (id, data) = (material(1), bytes(40_000_000, 1));
    node.put(&id, &data).await;
    let mut slow = node.file(&id).await;
    let mut got = slow.chunk().await.unwrap().unwrap().len();
    node.coordinator.order(microtome_proto::internal::Order::Drop {
        material: id.clone(),
        generation: microtome_proto::Generation(1),
    });
    let is_dropped = |report: &_| matches!(report, microtome_proto::internal::ReplicaReport::Dropped { .. });
    node.coordinator.wait_for_report(&id, is_dropped).await;
    let ended = loop {
        match slow.chunk().await {
            Ok(Some(piece)) => got += piece.len(),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    assert!(!ended || got == data.len(), "{got} bytes, and no error");
    assert!(!ended, "the file is gone");
}
