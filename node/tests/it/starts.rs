//! Starting: what is settled on disk, what is refused, and that no coordinator is needed to serve.

use crate::support::{FakeCoordinator, Seen, TestNode, bytes, code, config, material, reserve};
use microtome_node::{Config, NodeError, run};
use microtome_proto::{
    Code, Generation, MaterialId,
    internal::{Order, ReplicaReport},
};
use reqwest::StatusCode;
use std::{fs, sync::Arc};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// The error with which a node ends.
async fn refusal(config: Config) -> NodeError {
    let running = run(config, CancellationToken::new(), oneshot::channel().0);
    tokio::time::timeout(crate::support::HANGS_AFTER, running).await.expect("it ends").unwrap_err()
}

#[tokio::test]
async fn a_folder_is_used_by_one_node_and_a_port_by_one_program() {
    let node = TestNode::start().await;
    let second = config(node.folder.path(), node.coordinator.url());
    let error = refusal(second.clone()).await;
    assert!(matches!(error, NodeError::FolderInUse(_)), "{error}");
    assert!(error.to_string().contains("--data-dir"), "{error}");
    let taken = Config { listen: node.url.replace("http://", ""), ..second };
    let error = refusal(taken).await;
    assert!(matches!(error, NodeError::Listen(_)), "{error}");
}

#[tokio::test]
async fn without_a_secret_it_stays_on_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let open = Config { listen: "0.0.0.0:0".to_owned(), ..config(folder.path(), "http://127.0.0.1:1") };
    let error = refusal(open).await;
    assert!(matches!(error, NodeError::Exposed(_)), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}

#[tokio::test]
async fn a_folder_of_another_cluster_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = FakeCoordinator::start().await;
    coordinator.seen().refuses = Some(Code::WrongCluster);
    let error = refusal(config(folder.path(), coordinator.url())).await;
    assert!(matches!(error, NodeError::Refused(_)), "{error}");
    assert!(error.to_string().contains("empty data folder"), "{error}");
}

#[tokio::test]
async fn a_removed_node_ends_and_says_how_to_join_anew() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = FakeCoordinator::start().await;
    coordinator.seen().refuses = Some(Code::Gone);
    let error = refusal(config(folder.path(), coordinator.url())).await;
    assert!(matches!(error, NodeError::Removed(_)), "{error}");
    assert!(error.to_string().contains("an empty data folder (--data-dir)"), "{error}");
}

#[tokio::test]
async fn a_node_serves_what_it_holds_without_any_coordinator() {
    let node = TestNode::start().await;
    let (id, data) = (material(1), bytes(100_000, 1));
    node.put(&id, &data).await;
    let (folder, coordinator) = node.stop().await;
    coordinator.stop();
    let config = config(folder.path(), coordinator.url());
    let node = TestNode::start_with(config, folder, coordinator).await;
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), data);
    assert_eq!(node.request("GET", "/healthz").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(node.request("GET", "/readyz").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_node_keeps_its_id_and_tells_all_that_it_holds() {
    let node = TestNode::start().await;
    for number in [3, 1, 2] {
        node.put(&material(number), &bytes(10, 1)).await;
    }
    node.reserve(&reserve(&material(4), 100)).await;
    let (folder, coordinator) = node.stop().await;
    let node = TestNode::start_on(folder, coordinator).await;
    let seen = node.coordinator.seen();
    assert_eq!(seen.registered[0].instance, seen.registered[1].instance);
    assert_eq!(seen.registered[0].cluster, None);
    assert!(seen.registered[1].cluster.is_some());
    let inventory = seen.inventories.last().unwrap();
    let told: Vec<_> = inventory.held.iter().map(|held| held.material.clone()).collect();
    assert_eq!(told, [material(1), material(2), material(3)]);
    assert!(inventory.last);
    assert_eq!(inventory.incoming[0].0, material(4));
    let report = &seen.last_beat.as_ref().unwrap().report;
    assert_eq!((report.materials, report.stored), (3, 30));
    assert!(report.disk_total > report.disk_free && report.disk_free > 0 && report.memory_total > 0);
}

#[tokio::test]
async fn orders_that_are_due_come_before_the_next_heartbeat_would() {
    let node = TestNode::start().await;
    node.put(&material(1), &bytes(10, 1)).await;
    let (folder, coordinator) = node.stop().await;
    coordinator.seen().heartbeat_ms = Some(60_000);
    let node = TestNode::start_on(folder, coordinator).await;
    node.coordinator.wait("a heartbeat", |seen| seen.registered.len() == 2 && seen.last_beat.is_some()).await;
    node.coordinator.order(Order::Drop { material: material(1), generation: Generation(1) });
    let told = node.request("POST", "/internal/v1/orders/due").send().await.unwrap();
    assert_eq!(told.status(), StatusCode::NO_CONTENT);
    let is_dropped = |report: &ReplicaReport| matches!(report, ReplicaReport::Dropped { .. });
    node.coordinator.wait_for_report(&material(1), is_dropped).await;
}

/// Somebody was in the folder, or a disk came back with less than it had.
#[tokio::test]
async fn what_is_not_understood_is_set_aside_and_the_rest_is_served() {
    let node = TestNode::start().await;
    let whole = material(1);
    for number in 1..=5 {
        node.put(&material(number), &bytes(50_000, u64::from(number))).await;
    }
    node.reserve(&reserve(&material(6), 100)).await;
    node.reserve(&reserve(&material(7), 100)).await;
    let (folder, coordinator) = node.stop().await;
    let materials = folder.path().join("materials");
    let incoming = folder.path().join("incoming");
    fs::write(materials.join("m-0000000002/manifest.json"), "{}").unwrap();
    fs::remove_file(materials.join("m-0000000003/manifest.json")).unwrap();
    fs::rename(materials.join("m-0000000005"), materials.join("m-0000000015")).unwrap();
    fs::write(materials.join("notes.txt"), "mine").unwrap();
    fs::create_dir(materials.join("Old Slides")).unwrap();
    fs::write(incoming.join("m-0000000006/incoming.json"), "nonsense").unwrap();
    fs::remove_file(incoming.join("m-0000000007/incoming.json")).unwrap();

    let node = TestNode::start_on(folder, coordinator).await;
    assert_eq!(node.file(&whole).await.bytes().await.unwrap(), bytes(50_000, 1));
    let told: Vec<_> = node.coordinator.seen().inventories.last().unwrap().held.clone();
    assert_eq!(told.iter().map(|held| &held.material).collect::<Vec<_>>(), [&whole, &material(4)]);
    let mut aside: Vec<_> = fs::read_dir(node.folder.path().join("set-aside"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.rsplit_once('.').unwrap().0.to_owned())
        .collect();
    aside.sort();
    let expected = ["Old Slides", "m-0000000002", "m-0000000003", "m-0000000006", "m-0000000015", "notes.txt"];
    assert_eq!(aside, expected);
    assert_eq!(fs::read_dir(node.folder.path().join("incoming")).unwrap().count(), 0);
}

/// It may be the last one.
#[tokio::test]
async fn a_copy_that_has_lost_bytes_stays_and_gives_all_others() {
    let node = TestNode::start().await;
    let (short, long, data) = (material(1), material(2), bytes(100_000, 1));
    for id in [&short, &long] {
        node.put(id, &data).await;
    }
    let (folder, coordinator) = node.stop().await;
    let file = |id: &MaterialId| folder.path().join("materials").join(id.as_str()).join("file");
    fs::write(file(&short), &data[..70_000]).unwrap();
    fs::write(file(&long), [&data[..], b"more"].concat()).unwrap();
    let node = TestNode::start_on(Arc::clone(&folder), coordinator).await;
    let is_told =
        |seen: &Seen| seen.last_beat.as_ref().is_some_and(|beat| beat.damaged == [(short.clone(), Generation(1))]);
    node.coordinator.wait("a damaged copy", is_told).await;
    assert_eq!(node.coordinator.seen().inventories.last().unwrap().held.len(), 2);
    assert!(node.file(&long).await.bytes().await.unwrap() == data);
    let part = node.request("GET", &format!("/internal/v1/blobs/{short}/data")).header("range", "bytes=0-65535");
    assert!(part.send().await.unwrap().bytes().await.unwrap() == data[..65_536]);
    assert_eq!(node.file(&short).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(fs::read_dir(folder.path().join("set-aside")).unwrap().count(), 0);
}

/// It stopped between the last byte and the folder's move.
#[tokio::test]
async fn an_upload_that_had_all_its_bytes_becomes_a_copy_at_the_start() {
    let node = TestNode::start().await;
    let (id, data) = (material(1), bytes(40_000, 1));
    node.put(&id, &data).await;
    node.reserve(&reserve(&material(2), data.len() as u64)).await;
    let (folder, _) = node.stop().await;
    let from = folder.path().join("materials/m-0000000001");
    let to = folder.path().join("incoming/m-0000000002");
    for name in ["file", "leaves"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let node = TestNode::start_on(folder, FakeCoordinator::start().await).await;
    node.coordinator.wait_for_report(&material(2), |_| true).await;
    assert_eq!(node.file(&material(2)).await.bytes().await.unwrap(), data);
}

/// What were admitted between the list of what is here and its answer would be taken for lost, and an upload into it with
/// it.
#[tokio::test]
async fn nothing_new_is_admitted_while_the_coordinators_are_told_what_is_here() {
    let (old, new) = (material(1), material(2));
    let node = TestNode::start().await;
    assert_eq!(node.reserve(&reserve(&old, 100)).await.status(), StatusCode::NO_CONTENT);
    let (folder, coordinator) = node.stop().await;
    let silent = coordinator.hears_inventories.write().await;
    let config = config(folder.path(), coordinator.url());
    let node = TestNode::start_with(config, folder, Arc::clone(&coordinator)).await;
    let refused = node.reserve(&reserve(&new, 100)).await;
    assert_eq!((refused.status(), code(refused).await.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "not_ready"));
    assert_eq!(node.reserve(&reserve(&old, 100)).await.status(), StatusCode::NO_CONTENT, "it is here already");
    drop(silent);
    coordinator.wait_for_beats(1).await;
    assert_eq!(node.reserve(&reserve(&new, 100)).await.status(), StatusCode::NO_CONTENT);
}
