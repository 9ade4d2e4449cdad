//! Three coordinators: electing, writing through any of them, losing the leader, catching up.

use crate::common::{
    Cluster, FakeNode, PATIENCE, Server, alone, code, configs, created_on, eventually, free_port, http, read, send,
    small,
};
use axum::{Router, routing::get};
use microtome_coordinator::{CoordinatorError, Tuning};
use microtome_proto::{
    cluster::{Cluster as Info, Coordinator},
    material::Material,
    node::Node,
    page::Page,
    protocol::PROTOCOL,
};
use reqwest::StatusCode;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_through_one_is_read_from_all() {
    let mut cluster = Cluster::start(3, Tuning::default(), |_| ()).await;
    // One is ready with the log's entries; that it is heard the leader knows a moment later.
    let info = eventually("all are heard", || async {
        let info: Info = cluster.servers[0].get("/v1/cluster").await;
        info.coordinators.iter().all(|one| one.live).then_some(info)
    })
    .await;
    assert_eq!(info.coordinators.len(), 3);
    assert!(info.coordinators.iter().all(|one| one.leader == (one.id == info.leader)));
    let node = FakeNode::join(cluster.follower().await, "node a").await;
    for (n, server) in cluster.servers.iter().enumerate() {
        let made: Material = created_on(&node, server, &format!("slide {n}"), &format!("key-{n}")).await;
        assert_eq!(made.upload_url, Some(format!("{}/v1/uploads/{}", node.url, made.id)));
        for reader in &cluster.servers {
            let read: Material = reader.get(&format!("/v1/materials/{}", made.id)).await;
            assert_eq!((read.name, read.id), (format!("slide {n}"), made.id.clone()));
        }
    }
    let page: Page<Material> = cluster.follower().await.get("/v1/materials?limit=2").await;
    assert_eq!(page.items.len(), 2);
    let cursor = page.next_cursor.unwrap();
    let rest: Page<Material> = cluster.follower().await.get(&format!("/v1/materials?cursor={cursor}")).await;
    assert_eq!((rest.items.len(), rest.next_cursor), (1, None));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_leader_is_replaced_and_catches_up_when_it_returns() {
    let mut cluster = Cluster::start(3, Tuning::default(), |_| ()).await;
    let lost = cluster.leader().await;
    let node = FakeNode::join(&cluster.servers[lost], "node a").await;
    let before: Material = created_on(&node, &cluster.servers[lost], "before", "k1").await;
    cluster.servers[lost].stop().await;
    let other = &cluster.servers[(lost + 1) % 3];
    let begin = Instant::now();
    let nodes: Page<Node> = eventually("a new leader", || async {
        let answer = http().get(format!("{}/v1/nodes", other.url)).send().await.unwrap();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(answer.headers()["retry-after"], "1");
            assert_eq!(code(answer).await, "no_leader");
            return None;
        }
        Some(read(answer, StatusCode::OK).await)
    })
    .await;
    assert!(begin.elapsed() < PATIENCE / 3, "{:?}", begin.elapsed());
    assert_eq!(nodes.items[0].id, node.id);
    // The new leader has heard nothing yet: it knows no candidate until the node beats, but forgets nothing.
    let read_back: Material = other.get(&format!("/v1/materials/{}", before.id)).await;
    assert_eq!(read_back.name, "before");
    let after: Material = created_on(&node, other, "after", "k2").await;
    cluster.servers[lost].start_again().await.unwrap();
    cluster.level(3).await;
    let read_back: Material = cluster.servers[lost].get(&format!("/v1/materials/{}", after.id)).await;
    assert_eq!(read_back.name, "after");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_away_for_long_gets_a_snapshot() {
    let mut cluster = Cluster::start(3, small(), |_| ()).await;
    let away = (cluster.leader().await + 1) % 3;
    cluster.servers[away].stop().await;
    let leader = cluster.leader().await;
    let node = FakeNode::join(&cluster.servers[leader], "node a").await;
    let material: Material = created_on(&node, &cluster.servers[leader], "slide", "k").await;
    rename(&cluster, &material, 400).await;
    cluster.servers[away].start_again().await.unwrap();
    cluster.level(400).await;
    let snapshots = cluster.servers[away].config.data_dir.join("snapshots");
    assert!(std::fs::read_dir(snapshots).unwrap().count() > 0);
    // What it was sent is all there: it serves the cluster together with one that has just started from its own disk.
    cluster.stop().await;
    cluster.servers[away].start_again().await.unwrap();
    cluster.servers[leader].start_again().await.unwrap();
    cluster.servers[away].ready().await;
    let read_back: Material = cluster.servers[away].get(&format!("/v1/materials/{}", material.id)).await;
    assert_eq!(read_back.name, "name 399");
    cluster.stop().await;
}

/// Renames a material many times over, wherever the leadership goes meanwhile.
async fn rename(cluster: &Cluster, material: &Material, times: usize) {
    let mut leader = cluster.leader().await;
    for n in 0..times {
        let patch = json!({ "name": format!("name {n}") });
        let answer = loop {
            let url = format!("{}/v1/materials/{}", cluster.servers[leader].url, material.id);
            let answer = http().patch(url).json(&patch).send().await.unwrap();
            if !matches!(answer.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TEMPORARY_REDIRECT) {
                break answer;
            }
            leader = cluster.leader().await;
        };
        let changed: Material = read(answer, StatusCode::OK).await;
        assert_eq!(changed.name, format!("name {n}"));
    }
}

/// A tus client that kept a coordinator's address for its upload sends it gigabytes: whichever coordinator it is, the bytes
/// are sent on to the node and not read.
#[tokio::test(flavor = "multi_thread")]
async fn every_coordinator_sends_an_uploads_bytes_on() {
    let mut cluster = Cluster::start(3, Tuning::default(), |_| ()).await;
    let leader = cluster.leader().await;
    let node = FakeNode::join(&cluster.servers[leader], "node a").await;
    let material: Material = created_on(&node, &cluster.servers[leader], "slide", "k").await;
    for server in &cluster.servers {
        let (address, path) = (server.url.strip_prefix("http://").unwrap(), format!("/v1/uploads/{}", material.id));
        let head = format!("PATCH {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 3000000\r\n\r\n");
        let answer = eventually("an answer", || async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            // Answered before a byte of the body was sent.
            let mut answer = vec![0; 4096];
            let len = stream.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..len]).into_owned();
            (!answer.starts_with("HTTP/1.1 503 ")).then_some(answer)
        })
        .await;
        assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
        assert!(answer.contains(&format!("{}{path}", node.url)), "{answer}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minority_says_so_in_time() {
    let root = tempfile::tempdir().unwrap();
    let config = configs(root.path(), 3, |_| ()).remove(0);
    let mut server = Server::start(config, Tuning::default()).await.unwrap();
    let answer = http().get(format!("{}/readyz", server.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(code(answer).await, "not_ready");
    let answer = http().get(format!("{}/v1/materials", server.url)).send().await.unwrap();
    assert_eq!(code(answer).await, "no_leader");
    let answer = http().get(format!("{}/healthz", server.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    server.stop().await;
}

/// A coordinator came back with an empty disk under its old number: it would have voted again in a term in which it had
/// voted already, and vouched for entries that it no longer had.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_lost_its_folder_is_kept_out() {
    // Who leads must not change meanwhile: a new leader has not heard yet what the missing one had.
    let calm = Tuning { election_ms_min: 5_000, election_ms_max: 8_000, ..Tuning::default() };
    let mut cluster = Cluster::start(3, calm, |_| ()).await;
    let wiped = (cluster.leader().await + 1) % 3;
    cluster.servers[wiped].stop().await;
    std::fs::remove_dir_all(&cluster.servers[wiped].config.data_dir).unwrap();
    cluster.servers[wiped].start_again().await.unwrap();
    assert!(matches!(cluster.servers[wiped].ended().await, CoordinatorError::LostFolder(_)));
    let page: Page<Node> = cluster.servers[cluster.leader().await].get("/v1/nodes").await;
    assert!(page.items.is_empty());
    cluster.stop().await;
}

/// One that joined took no entries: it got its vote all the same, and nothing could be agreed on. Without a vote it
/// could not be taken out, and kept the others from being upgraded.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_got_its_vote_is_taken_out() {
    let mut cluster = Cluster::start(1, Tuning::default(), |_| ()).await;
    let server = &cluster.servers[0];
    // It says who it is, and takes no entries.
    let standing = json!({ "id": 4, "is_member": false, "has_history": false, "leads": false, "knows_asker": false,
                           "protocol": PROTOCOL });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/internal/v1/raft/standing", get(async move || axum::Json(standing)));
    let dumb = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let add = json!({ "id": 4, "url": url });
    let asked = http().post(format!("{}/v1/coordinators", server.url)).json(&add).timeout(Duration::from_secs(1));
    let ids = || async {
        let info: Info = server.get("/v1/cluster").await;
        info.coordinators.iter().map(|one| one.id).collect::<Vec<_>>()
    };
    asked.send().await.unwrap_err();
    eventually("it learns", || async { (ids().await == [1, 4]).then_some(()) }).await;
    dumb.abort();
    for _ in 0..2 {
        let left = send(http().delete(format!("{}/v1/coordinators/4", server.url))).await;
        let left: Vec<Coordinator> = read(left, StatusCode::OK).await;
        assert_eq!(left.iter().map(|one| one.id).collect::<Vec<_>>(), [1]);
    }
    assert_eq!(ids().await, [1]);
    cluster.stop().await;
}

/// A fourth one is taken in while the three work, the leader is taken out, and everything is still there: nobody had to stop.
#[tokio::test(flavor = "multi_thread")]
async fn coordinators_come_and_go_while_the_others_work() {
    let mut cluster = Cluster::start(3, small(), |_| ()).await;
    let node = FakeNode::join(cluster.follower().await, "node a").await;
    let before: Material = created_on(&node, cluster.follower().await, "before", "k1").await;
    let base = cluster.follower().await.url.clone();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let add = |id: u64, query: &str| {
        http().post(format!("{base}/v1/coordinators{query}")).json(&json!({ "id": id, "url": url })).send()
    };
    assert_eq!(code(add(4, "").await.unwrap()).await, "conflict", "nobody answers there");

    let mut config = alone(folder.path().to_owned());
    (config.id, config.listen) = (4, format!("127.0.0.1:{port}"));
    config.coordinators.clone_from(&cluster.servers[0].config.coordinators);
    config.coordinators.insert(4, url.clone());
    let mut fourth = Server::start(config, small()).await.unwrap();
    assert_eq!(code(add(5, "").await.unwrap()).await, "conflict", "it has another number");
    assert_eq!(code(add(0, "").await.unwrap()).await, "bad_request");
    let foreseen: Vec<Coordinator> = read(add(4, "?dry_run=true").await.unwrap(), StatusCode::OK).await;
    assert_eq!(foreseen.len(), 3);
    for _ in 0..2 {
        let all: Vec<Coordinator> = read(add(4, "").await.unwrap(), StatusCode::OK).await;
        assert_eq!(all.iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
    fourth.ready().await;
    let read_back: Material = fourth.get(&format!("/v1/materials/{}", before.id)).await;
    assert_eq!(read_back.name, "before");

    // The leader gives its place away first: who asks again finds the next one.
    let led = cluster.leader().await;
    let left: Vec<Coordinator> = eventually("the leader is taken out", || async {
        let answer = http().delete(format!("{}/v1/coordinators/{}", fourth.url, led + 1)).send().await.unwrap();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE { None } else { Some(read(answer, StatusCode::OK).await) }
    })
    .await;
    assert!(left.len() == 3 && left.iter().all(|one| one.id != led as u64 + 1), "{left:?}");
    cluster.servers[led].stop().await;
    // Two of the three that are left are a majority.
    let away = (led + 1) % 3;
    cluster.servers[away].stop().await;
    let after: Material = eventually("a write", || async {
        let patch =
            http().patch(format!("{}/v1/materials/{}", fourth.url, before.id)).json(&json!({ "name": "after" }));
        let answer = patch.send().await.unwrap();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE { None } else { Some(read(answer, StatusCode::OK).await) }
    })
    .await;
    assert_eq!(after.name, "after");
    // Without a majority none is taken out.
    let last = (led + 2) % 3;
    let refused = http().delete(format!("{}/v1/coordinators/{}", fourth.url, last + 1)).send().await.unwrap();
    assert_eq!(code(refused).await, "conflict");
    fourth.stop().await;
    cluster.stop().await;
}
