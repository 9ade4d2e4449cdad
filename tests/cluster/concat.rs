//! Files that are put together from parts: sent at once by three senders, and there whatever dies meanwhile.

use crate::harness::{Cluster, blake3, eventually, noise};
use microtome_proto::{
    MaterialId,
    material::{Material, MaterialState},
    page::PageQuery,
};
use std::fs;

/// A part is created by one of the coordinators.
async fn create_part(cluster: &Cluster, coordinator: usize, len: usize) -> String {
    let creation = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[coordinator].url));
    let creation = creation.header("Tus-Resumable", "1.0.0").header("Upload-Concat", "partial");
    location(&cluster.send(&creation.header("Upload-Length", len)).await)
}

fn location(answer: &reqwest::Response) -> String {
    assert_eq!(answer.status(), 201);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

async fn join(cluster: &Cluster, coordinator: usize, parts: &[String]) -> String {
    let creation = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[coordinator].url));
    let creation = creation.header("Upload-Concat", format!("final;{}", parts.join(" ")));
    // Population 2, as a file that is sent in one piece may ask.
    let creation = creation.header("Tus-Resumable", "1.0.0").header("Upload-Metadata", "population Mg==");
    location(&cluster.send(&creation).await)
}

fn id(url: &str) -> MaterialId {
    url.rsplit('/').next().unwrap().parse().unwrap()
}

/// How far an upload is at its node; nothing while that does not answer.
async fn offset(cluster: &Cluster, url: &str) -> Option<usize> {
    let answer = cluster.http.head(url).header("Tus-Resumable", "1.0.0").send().await.ok()?;
    (answer.status() == 200).then(|| answer.headers()["upload-offset"].to_str().unwrap().parse().unwrap())
}

/// It is whole, on two nodes, byte by byte; and nothing is left of its parts.
async fn is_whole(cluster: &Cluster, whole: &MaterialId, bytes: &[u8], parts: &[String]) {
    let material: Material = cluster.wait_until_whole(whole).await;
    assert_eq!(material.blake3.as_deref(), Some(blake3(bytes).as_str()));
    assert_eq!((material.state, material.population), (MaterialState::Ready, 2));
    for replica in &material.replicas {
        assert!(cluster.get(&format!("{}/v1/materials/{whole}/file", replica.url)).await == bytes);
    }
    are_freed(cluster, parts).await;
    let listed = cluster.client.materials(&PageQuery::default()).await.unwrap().items;
    assert!(listed.iter().all(|material| parts.iter().all(|part| material.id != id(part))), "{listed:?}");
}

async fn are_freed(cluster: &Cluster, parts: &[String]) {
    for part in parts {
        let is_left = || cluster.nodes.iter().any(|node| Cluster::holds(node, &id(part)));
        eventually("the parts are freed", || async { (!is_left()).then_some(()) }).await;
    }
}

/// The node is killed while parts arrive, and again while it puts them together; the coordinator that had acknowledged that is
/// killed, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_put_together_whatever_is_killed() {
    let mut cluster = Cluster::start(3, 3).await;
    let bytes = noise(120_000_001, 1);
    let pieces = [&bytes[..40_000_000], &bytes[40_000_000..70_000_003], &bytes[70_000_003..]];
    let mut parts = Vec::new();
    for (nth, piece) in pieces.iter().enumerate() {
        parts.push(create_part(&cluster, nth, piece.len()).await);
    }
    let base = parts[0].split("/v1/").next().unwrap().to_owned();
    assert!(parts.iter().all(|part| part.starts_with(&base)), "a sender's parts are on one node: {parts:?}");
    for (part, piece) in parts.iter().zip(pieces) {
        assert_eq!(cluster.patch(part, 0, piece[..piece.len() / 2].to_vec()).await.status(), 204);
    }
    let node = cluster.node_at(&base);
    node.kill();
    node.start();
    for (part, piece) in parts.iter().zip(pieces) {
        let at = eventually("the node knows the part", || offset(&cluster, part)).await;
        assert!(at <= piece.len() / 2);
        assert_eq!(cluster.patch(part, at as u64, piece[at..].to_vec()).await.status(), 204);
    }
    let whole = join(&cluster, 1, &parts).await;
    let folder = cluster.node_at(&base).data_dir.clone();
    let joined = folder.join("incoming").join(id(&whole).as_str()).join("file");
    let published = folder.join("materials").join(id(&whole).as_str());
    eventually("it has begun", || async {
        (fs::metadata(&joined).is_ok_and(|file| file.len() > 1 << 20) || published.exists()).then_some(())
    })
    .await;
    cluster.node_at(&base).kill();
    // 201 is kept by the books, not by whoever wrote it.
    cluster.coordinators[1].kill();
    cluster.node_at(&base).start();
    is_whole(&cluster, &id(&whole), &bytes, &parts).await;
    let head = cluster.http.head(&whole).header("Tus-Resumable", "1.0.0").send().await.unwrap();
    let header = |name: &str| head.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("upload-concat"), format!("final;{}", parts.join(" ")));
    assert_eq!((header("upload-offset"), header("upload-length")), (bytes.len().to_string(), bytes.len().to_string()));
}

/// Parts end up on two nodes, since the first was drained in between: they come together.
#[tokio::test(flavor = "multi_thread")]
async fn parts_on_two_nodes_come_together() {
    let cluster = Cluster::start(1, 2).await;
    let bytes = noise(3_000_001, 2);
    let (first, second) = bytes.split_at(1_000_000);
    let mut parts = vec![create_part(&cluster, 0, first.len()).await];
    assert_eq!(cluster.patch(&parts[0], 0, first.to_vec()).await.status(), 204);
    let on = cluster.nodes.iter().find(|node| parts[0].starts_with(&node.url)).unwrap().name.clone();
    assert!(cluster.command(&["cordon", &on]).status.success());
    parts.push(create_part(&cluster, 0, second.len()).await);
    assert_eq!(cluster.patch(&parts[1], 0, second.to_vec()).await.status(), 204);
    assert_ne!(parts[0].split("/v1/").next(), parts[1].split("/v1/").next());
    // Only the second node takes new work; the first part has to come there.
    let whole = join(&cluster, 0, &parts).await;
    let material = cluster.wait_until_arrived(&id(&whole)).await;
    assert_eq!(material.blake3.as_deref(), Some(blake3(&bytes).as_str()));
    assert!(cluster.command(&["uncordon", &on]).status.success());
    is_whole(&cluster, &id(&whole), &bytes, &parts).await;
}

/// Whoever deletes what is put together has nothing left of it.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_whole_its_parts_are_deleted() {
    let cluster = Cluster::start(1, 1).await;
    let bytes = noise(100_000, 3);
    let mut parts = Vec::new();
    for piece in bytes.chunks(50_000) {
        parts.push(create_part(&cluster, 0, piece.len()).await);
        assert_eq!(cluster.patch(parts.last().unwrap(), 0, piece.to_vec()).await.status(), 204);
    }
    let whole = join(&cluster, 0, &parts).await;
    let delete = cluster.http.delete(&whole).header("Tus-Resumable", "1.0.0").send().await.unwrap();
    assert_eq!(delete.status(), 204);
    cluster.wait_until_gone(&id(&whole)).await;
    are_freed(&cluster, &parts).await;
}
