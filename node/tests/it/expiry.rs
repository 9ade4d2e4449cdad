//! Uploads that nobody goes on with.

use crate::support::{FakeCoordinator, TestNode, bytes, config, material, number, reserve};
use microtome_proto::{Generation, internal::ReplicaReport};
use reqwest::StatusCode;
use std::{
    fs::File,
    sync::Arc,
    time::{Duration, SystemTime},
};

const SIZE: u64 = 3_000_000;

#[tokio::test]
async fn an_upload_that_gets_nothing_ends_and_gives_back_its_room() {
    let (folder, coordinator) = (Arc::new(tempfile::tempdir().unwrap()), FakeCoordinator::start().await);
    let mut config = config(folder.path(), coordinator.url());
    config.uploads_expire_after = Some(Duration::from_secs(1));
    let node = TestNode::start_with(config, folder, coordinator).await;
    node.coordinator.wait_for_beats(1).await;
    let (left, whole) = (material(1), material(2));
    let data = bytes(SIZE as usize, 1);
    let reserved = node.reserve(&reserve(&left, SIZE)).await;
    assert!(reserved.headers().contains_key("upload-expires"));
    let patched = node.patch(&left, 0, data[..1_000_000].to_vec()).send().await.unwrap();
    assert!(patched.headers()["upload-expires"].to_str().unwrap().ends_with(" GMT"));
    assert!(node.head(&left).await.headers().contains_key("upload-expires"));
    node.put(&whole, &data).await;
    assert!(!node.head(&whole).await.headers().contains_key("upload-expires"));

    let is_failed = |report: &ReplicaReport| match report {
        ReplicaReport::Failed { generation, reason } => {
            assert_eq!(*generation, Generation(1));
            assert!(reason.contains("1000000 of 3000000 bytes"), "{reason}");
            true
        }
        _ => false,
    };
    node.coordinator.wait_for_report(&left, is_failed).await;
    node.coordinator
        .wait("its room", |seen| seen.last_beat.as_ref().is_some_and(|beat| beat.report.disk_promised == 0))
        .await;
    assert!(!node.folder.path().join("incoming").join(left.as_str()).exists());
    assert_eq!(node.patch(&left, 1_000_000, "late").send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(node.file(&whole).await.bytes().await.unwrap(), data);
}

/// The time goes on while the node is stopped, and a sender that is slow is none that has gone away.
#[tokio::test]
async fn the_time_goes_on_over_a_restart_and_only_where_nothing_comes() {
    let node = TestNode::start().await;
    let (old, slow) = (material(3), material(4));
    for id in [&old, &slow] {
        node.reserve(&reserve(id, SIZE)).await;
        node.patch(id, 0, vec![1; 100]).send().await.unwrap();
    }
    assert!(!node.head(&old).await.headers().contains_key("upload-expires"), "it never does");
    let (folder, coordinator) = node.stop().await;
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    for entry in folder.path().join("incoming").join(old.as_str()).read_dir().unwrap() {
        File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(hour_ago).unwrap();
    }
    // A start in between changes nothing of it.
    let node = TestNode::start_on(folder, coordinator).await;
    for id in [&old, &slow] {
        assert_eq!(node.offset(id).await, 100);
    }
    let (folder, coordinator) = node.stop().await;
    let mut config = config(folder.path(), coordinator.url());
    // A part of it is left to each after a start.
    config.uploads_expire_after = Some(Duration::from_secs(24));
    let node = TestNode::start_with(config, folder, coordinator).await;
    let is_failed = |report: &ReplicaReport| matches!(report, ReplicaReport::Failed { .. });
    node.coordinator.wait_for_report(&old, is_failed).await;
    let head = node.head(&slow).await;
    assert_eq!((head.status(), number(&head, "upload-offset")), (StatusCode::OK, 100));
}
