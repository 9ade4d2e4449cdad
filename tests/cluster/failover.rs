//! Coordinators die; what they acknowledged does not.

use crate::harness::{Cluster, client, eventually, noise};
use microtome_client::{ClientError, Cluster as Client};
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

async fn names(client: &Client) -> Result<BTreeSet<String>, ClientError> {
    let page = client.materials(&PageQuery { limit: Some(1000), cursor: None }).await?;
    Ok(page.items.into_iter().map(|material| material.name).collect())
}

/// Waits until the leader hears every coordinator and none lacks an entry of its log.
async fn all_have_the_log(cluster: &Cluster) {
    eventually("every coordinator has the whole log", || async {
        let info = cluster.client.cluster().await.ok()?;
        let whole = info.coordinators.iter().filter(|one| one.live && (one.leader || one.lag == Some(0)));
        (whole.count() == cluster.coordinators.len()).then_some(())
    })
    .await;
}

/// The leader is killed three times over, with SIGKILL, while clients write. The killed ones catch up, and every acknowledged
/// write is there at the end, whichever coordinator is missing.
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
    assert_eq!(names(&cluster.client).await.unwrap(), written);
    // A follower passes reads on to the leader, so asking each tells nothing of what it holds: each is left out instead.
    for missing in 0..cluster.coordinators.len() {
        all_have_the_log(&cluster).await;
        cluster.coordinators[missing].kill();
        let others = cluster.coordinators.iter().filter(|server| server.runs()).map(|server| server.url.clone());
        let others = client(others.collect(), None);
        // Once the others miss it, what they tell of it next time is no memory of before its death.
        eventually(&format!("coordinator {} is missed", missing + 1), || async {
            let info = others.cluster().await.ok()?;
            info.coordinators.iter().any(|one| one.id == missing as u64 + 1 && !one.live).then_some(())
        })
        .await;
        assert_eq!(names(&others).await.unwrap(), written, "without coordinator {}", missing + 1);
        cluster.coordinators[missing].start();
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

/// A node that was told of one coordinator is started again while that one is dead: it has learnt of the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_comes_back_without_the_only_coordinator_that_it_was_told_of() {
    let mut cluster = Cluster::start(3, 1).await;
    cluster.coordinators[0].kill();
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.wait_for_nodes(1).await;
    let material = cluster.put("after", &noise(1000, 1), 1).await;
    assert_eq!(material.population_live, 1);
}
