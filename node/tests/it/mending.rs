//! What the disk does to copies, and how that comes right again without anybody noticing.

use crate::support::{FakeCoordinator, HANGS_AFTER, TestNode, bytes, code, config, flip, material};
use microtome_proto::{Generation, MaterialId, internal::ReplicaReport};
use reqwest::StatusCode;
use std::{fs, sync::Arc, time::Duration};

const GROUP: u64 = 16 << 10;
const LEN: usize = 3 << 20;

/// Two nodes that hold the same material and know of one another.
async fn holders(id: &MaterialId, data: &[u8]) -> (TestNode, TestNode) {
    let (one, other) = (TestNode::start().await, TestNode::start().await);
    for node in [&one, &other] {
        node.put(id, data).await;
        node.coordinator.locate(id, &[&one.url, &other.url]);
    }
    (one, other)
}

async fn metric(node: &TestNode, name: &str) -> u64 {
    let text = node.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    line.parse().unwrap()
}

async fn wait_for_damaged(node: &TestNode, damaged: &[(MaterialId, Generation)]) {
    let is_told = |told: &Vec<_>| told == damaged;
    node.coordinator
        .wait("what is damaged", |seen| seen.last_beat.as_ref().is_some_and(|beat| is_told(&beat.damaged)))
        .await;
}

#[tokio::test]
async fn a_reader_gets_the_right_bytes_from_a_damaged_copy_and_it_is_mended() {
    let (id, data) = (material(1), bytes(LEN, 1));
    let (one, _other) = holders(&id, &data).await;
    for offset in [0, 5 * GROUP + 7, LEN as u64 - 1] {
        flip(&one.path(&id, "file"), offset);
    }
    let answer = one.file(&id).await;
    assert_eq!(answer.status(), StatusCode::OK, "it is not sent on");
    assert!(answer.bytes().await.unwrap() == data);
    assert!(fs::read(one.path(&id, "file")).unwrap() == data, "the disk has it right again");
    assert_eq!(metric(&one, "microtome_mended_groups_total").await, 3);
    assert!(metric(&one, "microtome_damaged_reads_total").await > 0);
    wait_for_damaged(&one, &[]).await;
}

#[tokio::test]
async fn two_copies_that_are_damaged_in_different_places_mend_one_another() {
    let (id, data) = (material(1), bytes(LEN, 2));
    let (one, other) = holders(&id, &data).await;
    flip(&one.path(&id, "file"), 3 * GROUP);
    flip(&other.path(&id, "file"), 4 * GROUP);
    let (a, b) = tokio::join!(one.file(&id), other.file(&id));
    assert!(a.bytes().await.unwrap() == data && b.bytes().await.unwrap() == data);
}

/// No wrong byte, no endless wait; and the cluster hears of it.
#[tokio::test]
async fn what_is_damaged_everywhere_is_an_error_and_is_told_until_one_is_whole() {
    let (id, data) = (material(1), bytes(LEN, 3));
    let (one, other) = holders(&id, &data).await;
    for node in [&one, &other] {
        flip(&node.path(&id, "file"), 5);
    }
    let part = |node: &TestNode, range: &str| {
        node.request("GET", &format!("/internal/v1/blobs/{id}/data")).header("range", range.to_owned()).send()
    };
    let answer = part(&one, "bytes=0-9").await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(answer).await, "unavailable");
    wait_for_damaged(&one, &[(id.clone(), Generation(1))]).await;
    wait_for_damaged(&other, &[(id.clone(), Generation(1))]).await;
    let rest = part(&one, &format!("bytes={GROUP}-")).await.unwrap();
    assert!(rest.bytes().await.unwrap() == data[GROUP as usize..], "all else is served");
    let report = one.coordinator.seen().last_beat.clone().unwrap().report;
    assert_eq!((report.damaged, report.mended), (1, 0));

    // Somebody put it right.
    flip(&other.path(&id, "file"), 5);
    for node in [&one, &other] {
        wait_for_damaged(node, &[]).await;
    }
    assert!(one.file(&id).await.bytes().await.unwrap() == data);
}

#[tokio::test]
async fn a_scrub_finds_and_mends_what_nobody_reads_and_goes_on_after_a_restart() {
    let (id, data) = (material(1), bytes(LEN, 4));
    let (one, other) = holders(&id, &data).await;
    let lone = material(0);
    one.put(&lone, &data[..LEN / 2]).await;
    let (folder, coordinator) = one.stop().await;
    let quick = |coordinator: &FakeCoordinator, folder: &tempfile::TempDir| {
        let mut config = config(folder.path(), coordinator.url());
        (config.scrub_bytes_per_s, config.scrub_every) = (1 << 30, Duration::from_secs(86_400));
        config
    };
    let file = folder.path().join("materials").join(id.as_str()).join("file");
    let mut wrong = data.clone();
    wrong[LEN / 2] ^= 1;
    fs::write(&file, &wrong).unwrap();
    // What nobody can mend does not hold up the walk.
    let lonely = folder.path().join("materials").join(lone.as_str()).join("file");
    let mut only = fs::read(&lonely).unwrap();
    only[0] ^= 1;
    fs::write(&lonely, &only).unwrap();
    let config = quick(&coordinator, &folder);
    let one = TestNode::start_with(config, Arc::clone(&folder), Arc::clone(&coordinator)).await;
    coordinator.locate(&id, &[&one.url, &other.url]);
    let is_over = |seen: &crate::support::coordinator::Seen| {
        let beat = seen.last_beat.as_ref();
        beat.and_then(|beat| beat.report.scrub.as_ref()).is_some_and(|scrub| scrub.finished_at.is_some())
    };
    coordinator.wait("a scrub", is_over).await;
    let report = coordinator.seen().last_beat.clone().unwrap().report;
    let scrub = report.scrub.unwrap();
    let read = LEN as u64 + LEN as u64 / 2;
    assert_eq!((scrub.read, scrub.left, scrub.damaged, report.mended), (read, 0, 2, 1));
    wait_for_damaged(&one, &[(lone, Generation(1))]).await;
    assert!(fs::read(&file).unwrap() == data);

    // The next one is due in a day, and the node knows that.
    let (folder, coordinator) = one.stop().await;
    let config = quick(&coordinator, &folder);
    let _one = TestNode::start_with(config, folder, Arc::clone(&coordinator)).await;
    coordinator.wait_for_beats(3).await;
    let again = coordinator.seen().last_beat.clone().unwrap().report.scrub.unwrap();
    assert_eq!((again.started_at, again.finished_at), (scrub.started_at, scrub.finished_at));
}

/// More is damaged than is written down: it is whole only after all of it has been looked at.
#[tokio::test]
async fn a_copy_with_much_damage_counts_when_all_of_it_is_right() {
    let (id, data) = (material(1), bytes(1200 * GROUP as usize, 7));
    let (one, other) = holders(&id, &data).await;
    let (folder, coordinator) = one.stop().await;
    let file = folder.path().join("materials").join(id.as_str()).join("file");
    fs::write(&file, &data[..GROUP as usize]).unwrap();
    coordinator.locate(&id, &[]);
    let one = TestNode::start_on(Arc::clone(&folder), coordinator).await;
    wait_for_damaged(&one, &[(id.clone(), Generation(1))]).await;
    one.coordinator.locate(&id, &[&other.url]);
    wait_for_damaged(&one, &[]).await;
    assert!(fs::read(&file).unwrap() == data);
}

#[tokio::test]
async fn a_copy_whose_file_is_gone_is_given_up_and_reported() {
    let (id, data) = (material(1), bytes(LEN, 5));
    let (one, other) = holders(&id, &data).await;
    fs::remove_file(one.path(&id, "file")).unwrap();
    let answer = one.file(&id).await;
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(answer.headers()["location"].to_str().unwrap().starts_with(&other.url));
    let is_failed = |report: &ReplicaReport| matches!(report, ReplicaReport::Failed { generation: Generation(1), .. });
    // As long as the books count it the other one may be dropped on its word.
    wait_for_damaged(&one, &[(id.clone(), Generation(1))]).await;
    assert!(one.path(&id, "manifest.json").exists());
    one.coordinator.locate(&id, &[&other.url]);
    one.coordinator.wait_for_report(&id, is_failed).await;
    assert!(!one.path(&id, "manifest.json").exists());
    assert_eq!(fs::read_dir(one.folder.path().join("set-aside")).unwrap().count(), 1);
    wait_for_damaged(&one, &[]).await;
}

/// It may be the last one: what is left of it is worth more than nothing.
#[tokio::test]
async fn a_copy_that_no_other_node_has_is_never_given_up() {
    let (id, data) = (material(1), bytes(LEN, 6));
    let node = TestNode::start().await;
    node.put(&id, &data).await;
    node.coordinator.locate(&id, &[&node.url]);
    let (file, beside) = (node.path(&id, "file"), node.folder.path().join("beside"));
    fs::rename(&file, &beside).unwrap();
    assert_eq!(node.file(&id).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    wait_for_damaged(&node, &[(id.clone(), Generation(1))]).await;
    assert!(node.path(&id, "manifest.json").exists());
    let reports = node.coordinator.seen().reports.clone();
    assert!(!reports.iter().any(|(_, report)| matches!(report, ReplicaReport::Failed { .. })), "{reports:?}");
    fs::rename(&beside, &file).unwrap();
    wait_for_damaged(&node, &[]).await;
    assert!(node.file(&id).await.bytes().await.unwrap() == data);
}

/// After a restart the cluster would count the copy, and drop others on its word.
#[tokio::test]
async fn damage_that_the_disk_did_not_take_down_is_written_down_later() {
    let (id, data) = (material(1), bytes(LEN, 8));
    let node = TestNode::start().await;
    node.put(&id, &data).await;
    let note = node.path(&id, "damaged.json");
    fs::create_dir_all(note.join("in the way")).unwrap();
    flip(&node.path(&id, "file"), 5);
    assert_eq!(node.part(&id, 0, 10).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    wait_for_damaged(&node, &[(id.clone(), Generation(1))]).await;
    fs::remove_dir_all(&note).unwrap();
    let written = async {
        while !note.is_file() {
            node.coordinator.wait_for_beats(1).await;
        }
    };
    tokio::time::timeout(HANGS_AFTER, written).await.expect("it is written down");
    let (folder, coordinator) = node.stop().await;
    coordinator.seen().last_beat = None;
    let node = TestNode::start_on(folder, coordinator).await;
    wait_for_damaged(&node, &[(id.clone(), Generation(1))]).await;
    flip(&node.path(&id, "file"), 5);
    wait_for_damaged(&node, &[]).await;
    assert!(!note.exists());
}
