//! Coordinators die; what they acknowledged does not.

use crate::harness::{Cluster, eventually, noise};
use microtome_proto::{MaterialId, page::PageQuery};
use std::collections::BTreeSet;

async fn leader(cluster: &Cluster) -> usize {
    eventually("a leader", || async {
        let info = cluster.client.cluster().await.ok()?;
        let led = usize::try_from(info.leader).ok()? - 1;
        cluster.coordinators[led].runs().then_some(led)
    })
    .await
}

async fn names(cluster: &Cluster) -> BTreeSet<String> {
    let page = cluster.client.materials(&PageQuery { limit: Some(1000), cursor: None }).await.unwrap();
    page.items.into_iter().map(|material| material.name).collect()
}

/// The leader is killed three times over, with SIGKILL, while clients write. Every acknowledged write is there at the
/// end, on every coordinator, and the killed ones come back with what they had.
#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_when_leaders_die() {
    let mut cluster = Cluster::start(3, 1).await;
    let mut written = BTreeSet::new();
    for round in 0..3 {
        let led = leader(&cluster).await;
        for i in 0..5 {
            let name = format!("write-{round}-{i}.bin");
            cluster.put(&name, &noise(1000, i), 1).await;
            written.insert(name);
        }
        cluster.coordinators[led].kill();
        // The two that are left elect a new leader and take writes.
        let name = format!("orphan-{round}.bin");
        cluster.put(&name, &noise(1000, 9), 1).await;
        written.insert(name);
        cluster.coordinators[led].start();
    }
    assert_eq!(names(&cluster).await, written);
    // Each alone answers for all: ask them one by one.
    for server in &cluster.coordinators {
        let own = microtome_client::Cluster::new(vec![server.url.clone()], None);
        eventually(&format!("{} answers", server.name), || async {
            let page = own.materials(&PageQuery { limit: Some(1000), cursor: None }).await.ok()?;
            (page.items.len() == written.len()).then_some(())
        })
        .await;
    }
}

/// All coordinators die at once, as in a power cut of the rack, and start again.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_starts_again_with_what_it_had() {
    let mut cluster = Cluster::start(3, 2).await;
    let bytes = noise(50_000, 5);
    let material = cluster.put("kept.bin", &bytes, 2).await;
    cluster.wait_until_whole(&material.id).await;
    let id = cluster.client.cluster().await.unwrap().id;
    cluster.coordinators.iter_mut().for_each(|server| server.kill());
    // Nodes need no coordinator to serve what they hold.
    for node in &cluster.nodes {
        assert_eq!(cluster.get(&format!("{}/v1/materials/{}/file", node.url, material.id)).await, bytes);
    }
    cluster.coordinators.iter_mut().for_each(|server| server.start());
    let same = cluster.wait_until_whole(&material.id).await;
    assert_eq!((same.name.as_str(), same.blake3), ("kept.bin", material.blake3));
    assert_eq!(cluster.client.cluster().await.unwrap().id, id);
    // Ids go on where they were.
    let next = cluster.put("next.bin", &bytes, 1).await;
    assert_ne!(next.id, material.id);
}

/// One coordinator alone is a cluster, too; killed at any moment it has what it acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn one_coordinator_alone_keeps_its_word() {
    let mut cluster = Cluster::start(1, 1).await;
    let mut acknowledged: Vec<MaterialId> = Vec::new();
    for round in 0..4 {
        acknowledged.push(cluster.put(&format!("{round}.bin"), &noise(10, round), 1).await.id);
        cluster.coordinators[0].kill();
        cluster.coordinators[0].start();
        cluster.wait_for_nodes(1).await;
    }
    for id in &acknowledged {
        cluster.client.material(id).await.unwrap();
    }
}
