//! Small disks that fill: by uploads that race, and by somebody else.

use crate::support::{Seen, TestNode, bytes, code, config, flip, material, number, reserve, small_disk::SmallDisk};
use microtome_proto::{
    Generation,
    internal::{Order, ReplicaReport},
};
use reqwest::StatusCode;
use std::{fs, io::Write as _, sync::Arc};

const MIB: u64 = 1 << 20;
const DISK: u64 = 64 * MIB;
const RESERVE: u64 = 8 * MIB;

async fn start(folder: &Arc<tempfile::TempDir>) -> TestNode {
    let coordinator = crate::support::FakeCoordinator::start().await;
    let mut config = config(folder.path(), coordinator.url());
    config.reserve_bytes = Some(RESERVE);
    let node = TestNode::start_with(config, Arc::clone(folder), Arc::clone(&coordinator)).await;
    coordinator.wait_for_beats(1).await;
    node
}

#[tokio::test]
async fn racing_uploads_cannot_overfill_a_disk() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let Some(_disk) = SmallDisk::mount(folder.path(), DISK) else { return };
    let node = start(&folder).await;
    let size = 12 * MIB;
    let asked: Vec<_> = (0..12).map(|nth| reserve(&material(nth), size)).collect();
    let answers = futures_util::future::join_all(asked.iter().map(|wanted| node.reserve(wanted))).await;
    let taken: Vec<_> = (0..12).filter(|&nth| answers[nth].status() == StatusCode::NO_CONTENT).collect();
    assert_eq!(taken.len() as u64, (DISK - RESERVE) / size, "as many as there is room for");
    for answer in answers.into_iter().filter(|answer| answer.status() != StatusCode::NO_CONTENT) {
        assert_eq!(answer.status(), StatusCode::INSUFFICIENT_STORAGE);
        assert_eq!(code(answer).await, "no_space");
    }
    let sent = taken.iter().map(|&nth| {
        let id = material(nth as u32);
        node.patch(&id, 0, bytes(size as usize, nth as u64)).send()
    });
    for answer in futures_util::future::join_all(sent).await {
        assert_eq!(answer.unwrap().status(), StatusCode::NO_CONTENT, "what was promised fits");
    }
}

#[tokio::test]
async fn a_disk_that_somebody_else_fills_takes_nothing_new_and_comes_back_by_itself() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let Some(_disk) = SmallDisk::mount(folder.path(), DISK) else { return };
    let node = start(&folder).await;
    let (old, id, other) = (material(1), material(2), material(3));
    node.put(&old, &bytes(2 << 20, 1)).await;
    let data = bytes(20 << 20, 2);
    node.reserve(&reserve(&id, data.len() as u64)).await;
    assert_eq!(node.patch(&id, 0, data[..10 << 20].to_vec()).send().await.unwrap().status(), StatusCode::NO_CONTENT);

    // Less than half of the reserve is left.
    let foreign = folder.path().join("foreign");
    fs::write(&foreign, vec![1; (DISK - 12 * MIB - RESERVE / 2 + MIB) as usize]).unwrap();
    node.coordinator
        .wait("a full disk", |seen| seen.last_beat.as_ref().is_some_and(|beat| beat.report.disk_full))
        .await;
    // Little, so that the answer does not come before all of it is sent.
    let refused = node.patch(&id, 10 << 20, data[10 << 20..][..1000].to_vec()).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(code(refused).await, "no_space");
    assert_eq!(node.reserve(&reserve(&other, 1000)).await.status(), StatusCode::INSUFFICIENT_STORAGE);
    let offset = node.offset(&id).await;
    assert!((10 << 20..data.len() as u64).contains(&offset), "what has arrived is kept: {offset}");
    assert_eq!(node.file(&old).await.status(), StatusCode::OK, "it is read");
    let report = node.coordinator.seen().last_beat.clone().unwrap().report;
    assert_eq!(report.room(), 0);

    // Deletes go through on a disk that has no byte left.
    let mut filling = fs::File::options().append(true).open(&foreign).unwrap();
    while filling.write_all(&[1; 4096]).is_ok() {}
    drop(filling);
    node.coordinator.order(Order::Drop { material: old.clone(), generation: Generation(1) });
    let is_dropped = |report: &ReplicaReport| matches!(report, ReplicaReport::Dropped { .. });
    node.coordinator.wait_for_report(&old, is_dropped).await;

    fs::remove_file(&foreign).unwrap();
    node.coordinator.wait("room", |seen| seen.last_beat.as_ref().is_some_and(|beat| !beat.report.disk_full)).await;
    let offset = node.offset(&id).await;
    let rest = node.patch(&id, offset, data[offset as usize..].to_vec()).send().await.unwrap();
    assert_eq!((rest.status(), number(&rest, "upload-offset")), (StatusCode::NO_CONTENT, data.len() as u64));
    assert!(node.file(&id).await.bytes().await.unwrap() == data);
}

/// Where not a byte is left, the damage of a copy cannot be listed. That there is some is known after a restart all the same:
/// the cluster would count it, and drop others on its word.
#[tokio::test]
async fn damage_that_is_met_on_a_full_disk_is_known_after_a_restart() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let Some(_disk) = SmallDisk::mount(folder.path(), DISK) else { return };
    let node = start(&folder).await;
    let id = material(1);
    node.put(&id, &bytes(1 << 20, 1)).await;
    let mut filling = fs::File::create(folder.path().join("foreign")).unwrap();
    while filling.write_all(&[1; 4096]).is_ok() {}
    flip(&node.path(&id, "file"), 100_000);
    assert_eq!(node.part(&id, 100_000, 10).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let is_damaged =
        |seen: &Seen| seen.last_beat.as_ref().is_some_and(|beat| beat.damaged == [(id.clone(), Generation(1))]);
    node.coordinator.wait("the damage", is_damaged).await;
    node.stop().await;
    let node = start(&folder).await;
    node.coordinator.wait("it is known", is_damaged).await;

    // Of all the others it is known when all of it has been read, and of this one when it is right.
    fs::remove_file(folder.path().join("foreign")).unwrap();
    flip(&node.path(&id, "file"), 100_000);
    node.coordinator.wait("it is whole", |seen| !is_damaged(seen)).await;
    assert!(!node.path(&id, "damaged.json").exists());
}
