//! More connections than anybody needs.

use super::wire::address;
use crate::{
    harness::{Cluster, loopback, noise},
    slides,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::TcpStream;
use tokio::io::AsyncReadExt as _;

/// What one connection may cost a server that has nothing to do for it.
const BYTES_PER_CONNECTION: u64 = 40 << 10;
/// Open files that the test needs beside its connections.
const OWN_FILES: u64 = 1_000;

/// So many connections to each server on which nothing is said. They are plain sockets: nothing waits for them here.
fn crowd(count: usize, servers: &[&str]) -> Vec<TcpStream> {
    let all = (0..count).flat_map(|_| servers.iter());
    all.map(|url| TcpStream::connect(address(url)).unwrap()).collect()
}

/// How many of 10,000 connections to each of two servers the system lets this process and those have.
fn as_many_as_possible() -> usize {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum }).unwrap();
    let most = (limits.maximum.unwrap_or(1 << 20).saturating_sub(OWN_FILES) / 2).min(10_000);
    if most < 10_000 {
        eprintln!("the system lets this process have {:?} open files: {most} idle connections to each", limits.maximum);
    }
    most as usize
}

/// Ten thousand that say nothing cost little, keep nobody from anything, and are let go.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_keep_nobody_from_anything() {
    let cluster = Cluster::start(1, 1).await;
    let (node, coordinator) = (&cluster.nodes[0], &cluster.coordinators[0]);
    let (slide, bytes) = slides::drawn(cluster.dir.path(), 1500, 1000);
    let drawn = cluster.put("drawn.svs", &bytes, 1).await;
    let tile = format!("{}/tiles/{}/0/0_0.jpg", node.url, drawn.id);
    cluster.get(&tile).await;
    let before = [node, coordinator].map(|server| server.memory_bytes());
    let count = as_many_as_possible();
    let idle = tokio::task::spawn_blocking({
        let urls = [node.url.clone(), coordinator.url.clone()];
        move || crowd(count, &[&urls[0], &urls[1]])
    });
    let mut idle = idle.await.unwrap();

    // Connections of their own, behind all of those.
    let late = Cluster::fresh_http();
    let mut native = Vec::new();
    slide.native_tile(&bytes, 0, 0, 0, &mut native).unwrap();
    assert_eq!(late.get(&tile).send().await.unwrap().bytes().await.unwrap(), native);
    let material = cluster.put("meanwhile.bin", &noise(5_000_000, 4), 1).await;
    let list = late.get(format!("{}/v1/materials", coordinator.url)).send().await.unwrap();
    assert!(list.text().await.unwrap().contains(material.id.as_str()));
    let after = [node, coordinator].map(|server| server.memory_bytes());
    for ((before, after), server) in before.iter().zip(after).zip([node, coordinator]) {
        let most = before + (64 << 20) + count as u64 * BYTES_PER_CONNECTION;
        assert!(after < most, "{}: {before} bytes before, {after} with {count} connections", server.name);
    }
    for server in [node, coordinator] {
        assert!(!server.log().contains("cannot accept"), "{}", server.name);
    }
    let last = idle.pop().unwrap();
    last.set_nonblocking(true).unwrap();
    let mut last = tokio::net::TcpStream::from_std(last).unwrap();
    assert_eq!(last.read(&mut [0; 1]).await.unwrap(), 0, "one that says nothing is let go");
}

/// A server takes half of what the system gives it, and has the rest for its work: whoever comes then waits for a place, and
/// gets one when an idle connection is let go.
#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_place_for_more_connections_the_next_ones_wait() {
    let mut places = loopback(2);
    for place in &mut places {
        place.prefix = ["sh", "-c", "ulimit -n 256; exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
    }
    let cluster = Cluster::start_at(&places[..1], &places[1..], None).await;
    let (node, coordinator) = (&cluster.nodes[0], &cluster.coordinators[0]);
    let creation = cluster.http.post(format!("{}/v1/uploads", coordinator.url));
    let bytes = noise(20_000_000, 5);
    let created = cluster.send(&creation.header("Tus-Resumable", "1.0.0").header("Upload-Length", bytes.len())).await;
    let url = created.headers()["location"].to_str().unwrap().to_owned();
    let (first, second) = bytes.split_at(1 << 20);
    assert_eq!(cluster.patch(&url, 0, first.to_vec()).await.status(), 204);

    let _idle = crowd(300, &[&node.url, &coordinator.url]);
    // On the connection that it has, or on one that waits.
    assert_eq!(cluster.patch(&url, first.len() as u64, second.to_vec()).await.status(), 204);
    let late = Cluster::fresh_http();
    for server in [node, coordinator] {
        assert_eq!(late.get(format!("{}/healthz", server.url)).send().await.unwrap().status(), 200, "{}", server.name);
    }
    cluster.wait_until_arrived(&url.rsplit('/').next().unwrap().parse().unwrap()).await;
    for server in [node, coordinator] {
        assert!(!server.log().contains("Too many open files"), "{}: {}", server.name, server.log());
    }
}
