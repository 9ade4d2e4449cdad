//! The wanted number of copies comes about, comes back, and is trimmed.

use crate::harness::{Cluster, blake3, eventually, noise};
use microtome_proto::{
    material::{MaterialState, PatchMaterial},
    node::Availability,
    page::PageQuery,
};

/// A holder dies while readers read: no reader meets an error or a wrong byte, the third node takes a copy, and when the
/// dead one returns, one copy too many is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_copy_is_made_again_and_a_surplus_one_is_trimmed() {
    let mut cluster = Cluster::start(1, 3).await;
    let bytes = noise(5_000_000, 1);
    let material = cluster.put("tissue.bin", &bytes, 2).await;
    let before = cluster.wait_until_whole(&material.id).await;
    assert_eq!(before.population_live, 2);
    assert_eq!(before.blake3.as_deref(), Some(blake3(&bytes).as_str()));

    let lost = before.replicas[0].clone();
    cluster.node_at(&lost.url).kill();
    let file = format!("{}/v1/materials/{}/file", cluster.coordinators[0].url, material.id);
    let healed = eventually("two live copies without the dead node", || async {
        // Any reader that starts now is sent to a live copy, or hears that it should come back.
        if let Ok(answer) = cluster.http.get(&file).send().await
            && answer.status() == 200
        {
            assert_eq!(answer.bytes().await.unwrap(), bytes);
        }
        let now = cluster.client.material(&material.id).await.ok()?;
        // Until its silence is noticed, the dead one counts too.
        let is_lost = now.replicas.iter().any(|replica| replica.live && replica.url == lost.url);
        (!is_lost && now.population_live == 2 && now.state == MaterialState::Ready).then_some(now)
    })
    .await;
    assert_eq!(healed.replicas.iter().filter(|replica| replica.live).count(), 2);

    cluster.node_at(&lost.url).start();
    cluster.wait_for_nodes(3).await;
    let trimmed = eventually("two copies of three", || async {
        let now = cluster.client.material(&material.id).await.ok()?;
        (now.replicas.len() == 2 && now.population_live == 2).then_some(now)
    })
    .await;
    let holders = || cluster.nodes.iter().filter(|node| Cluster::holds(node, &material.id)).count();
    eventually("the bytes of the third copy are freed", || async { (holders() == 2).then_some(()) }).await;
    for replica in &trimmed.replicas {
        let url = format!("{}/v1/materials/{}/file", replica.url, material.id);
        assert_eq!(cluster.get(&url).await, bytes);
    }
}

/// A node that stands still is unreachable, then down, then up again, and loses nothing by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_unreachable_then_down_then_back() {
    let cluster = Cluster::start(1, 2).await;
    let silent = cluster.client.nodes(&PageQuery::default()).await.unwrap().items;
    let silent = silent.iter().find(|node| node.url == cluster.nodes[0].url).unwrap().id.clone();
    let availability = || async { Some(cluster.client.node(&silent).await.ok()?.availability) };
    cluster.nodes[0].signal("STOP");
    for wanted in [Availability::Unreachable, Availability::Down] {
        eventually(&format!("{wanted:?}"), || async { (availability().await? == wanted).then_some(()) }).await;
    }
    cluster.nodes[0].signal("CONT");
    eventually("up", || async { (availability().await? == Availability::Up).then_some(()) }).await;
}

/// More copies, fewer copies, none: as the user says.
#[tokio::test(flavor = "multi_thread")]
async fn the_population_follows_its_owner() {
    let cluster = Cluster::start(1, 3).await;
    let material = cluster.put("a.bin", &noise(300_000, 2), 1).await;
    for wanted in [3, 2] {
        let patch = PatchMaterial { population: Some(wanted), ..PatchMaterial::default() };
        cluster.client.patch_material(&material.id, &patch).await.unwrap();
        eventually(&format!("{wanted} copies"), || async {
            let now = cluster.client.material(&material.id).await.ok()?;
            (now.replicas.len() == wanted as usize && now.population_live == wanted).then_some(())
        })
        .await;
    }
    cluster.client.delete_material(&material.id).await.unwrap();
    cluster.wait_until_gone(&material.id).await;
}

/// A material is deleted while one of its holders is away. When the node returns with its copy, the copy goes, and the
/// material does not rise from the dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_material_does_not_return_with_its_node() {
    let mut cluster = Cluster::start(1, 2).await;
    let material = cluster.put("gone.bin", &noise(200_000, 3), 2).await;
    cluster.wait_until_whole(&material.id).await;
    cluster.nodes[1].kill();
    cluster.client.delete_material(&material.id).await.unwrap();
    eventually("freed on the node that is there", || async {
        (!Cluster::holds(&cluster.nodes[0], &material.id)).then_some(())
    })
    .await;
    assert!(Cluster::holds(&cluster.nodes[1], &material.id), "the node that is away still has its copy");
    cluster.nodes[1].start();
    eventually("freed on the node that returned", || async {
        (!Cluster::holds(&cluster.nodes[1], &material.id)).then_some(())
    })
    .await;
    let page = cluster.client.materials(&PageQuery::default()).await.unwrap();
    assert!(page.items.iter().all(|other| other.id != material.id || other.state == MaterialState::Deleting));
}

/// A started node appears with the real size of its disk, although it knew one coordinator only.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_registers_itself_and_reports_its_disk() {
    let cluster = Cluster::start(3, 1).await;
    let (node, report) = eventually("the leader has its report", || async {
        let mut node = cluster.client.nodes(&PageQuery::default()).await.ok()?.items.remove(0);
        let report = node.report.take()?;
        Some((node, report))
    })
    .await;
    let disk = rustix::fs::statvfs(&cluster.nodes[0].data_dir).unwrap();
    assert_eq!(report.disk_total, disk.f_blocks * disk.f_frsize);
    let free = disk.f_bavail * disk.f_frsize;
    assert!(report.disk_free.abs_diff(free) < 2 << 30, "{} and {free}", report.disk_free);
    assert!(report.memory_total > 0 && report.memory_free > 0);
    assert_eq!((node.name.as_str(), node.version.as_str()), ("node-1", env!("CARGO_PKG_VERSION")));
}
