//! From one version to the next: what the one before has stored is read, and servers of both work together.

use crate::harness::{Cluster, Place, blake3, eventually, loopback, noise};
use microtome_proto::{
    MaterialId,
    material::{Material, MaterialState},
    page::PageQuery,
    protocol::PROTOCOL,
    run::RunState,
};
use std::{collections::BTreeMap, env, process::Command};

/// The folders of one coordinator and two nodes as version 0.1.0 left them: 5,100 entries in the log and a snapshot; a
/// picture twice, lines of text once, a run's results, an upload under way, of which 65,536 bytes had come. The coordinator
/// was killed, the nodes were stopped.
const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/stored/0.1.0.tar.gz");

/// Lines of 16 bytes: what was uploaded then as text, and in half.
fn lines() -> Vec<u8> {
    (0..6_250).flat_map(|line| format!("{line:015}\n").into_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_version_before_has_stored_is_read() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("tar").args(["-xzf", STORED, "-C"]).arg(dir.path()).status().unwrap().success());
    let mut places = loopback(3);
    for (place, name) in places.iter_mut().zip(["coordinator-1", "node-1", "node-2"]) {
        place.data_dir = Some(dir.path().join("0.1.0").join(name));
    }
    let mut cluster = Cluster::start_at(&places[..1], &places[1..], None).await;
    let all = cluster.client.materials(&PageQuery::default()).await.unwrap().items;
    let named: BTreeMap<&str, &Material> = all.iter().map(|material| (material.name.as_str(), material)).collect();
    assert_eq!(all.len(), 5, "{named:?}");
    for (name, population) in
        [("slide.png", 2), ("lines.txt", 1), ("slide tissue mask.png", 2), ("slide tissue summary.json", 2)]
    {
        let material = cluster.wait_until_whole(&named[name].id).await;
        assert_eq!((material.state, material.population), (MaterialState::Ready, population), "{name}");
        for replica in &material.replicas {
            let bytes = cluster.get(&format!("{}/v1/materials/{}/file", replica.url, material.id)).await;
            assert_eq!(Some(blake3(&bytes)), material.blake3, "{name}");
        }
    }
    assert_eq!(blake3(&lines()), *named["lines.txt"].blake3.as_ref().unwrap());
    let run = cluster.client.runs(&PageQuery::default()).await.unwrap().items.remove(0);
    assert_eq!((run.state, run.name.as_str(), run.outputs.len()), (RunState::Done, "tissue of 0.1.0", 2));
    let node = cluster.nodes[1].url.clone();
    let tile = cluster.ask(&format!("{node}/tiles/{}/0/0_0.jpg", named["slide.png"].id)).await;
    assert_eq!((tile.status().as_u16(), &tile.headers()["content-type"]), (200, &"image/jpeg".parse().unwrap()));

    // The upload goes on where it stood.
    let half = cluster.client.material(&named["half.bin"].id).await.unwrap();
    let url = half.upload_url.unwrap();
    let offset = cluster.http.head(&url).header("Tus-Resumable", "1.0.0").send().await.unwrap();
    assert_eq!(offset.headers()["upload-offset"], "65536");
    assert_eq!(cluster.patch(&url, 65_536, lines()[65_536..].to_vec()).await.status(), 204);
    let whole = cluster.wait_until_whole(&half.id).await;
    assert_eq!(whole.blake3.as_deref(), Some(blake3(&lines()).as_str()));

    // All works by the new protocol, and after one more start, too.
    eventually("the new protocol", || async {
        (cluster.client.cluster().await.ok()?.protocol == PROTOCOL).then_some(())
    })
    .await;
    let new = cluster.put("new.bin", &noise(300_000, 5), 2).await;
    cluster.wait_until_whole(&new.id).await;
    for server in cluster.coordinators.iter_mut().chain(&mut cluster.nodes) {
        server.kill();
        server.start();
    }
    cluster.wait_for_nodes(2).await;
    for id in all.iter().map(|material| &material.id).chain([&new.id]) {
        cluster.wait_until_whole(id).await;
    }
}

/// The program of the version before, for those who have one:
///
/// ```sh
/// MICROTOME_BEFORE=/path/to/microtome-of-protocol-2 cargo test --test cluster upgrade -- --nocapture
/// ```
/// One server after the other is upgraded, coordinators first, while uploads, copies and reads go on in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_upgraded_one_server_after_the_other() {
    let Some(before) = env::var_os("MICROTOME_BEFORE") else {
        eprintln!("left out: MICROTOME_BEFORE names no program of the version before");
        return;
    };
    let mut places = loopback(5);
    places.iter_mut().for_each(|place: &mut Place| place.program = Some(before.clone().into()));
    let mut cluster = Cluster::start_at(&places[..3], &places[3..], None).await;
    let mut stored: Vec<(MaterialId, Vec<u8>)> = Vec::new();
    for upgraded in 0..=5 {
        let bytes = noise(400_000, upgraded);
        let material = cluster.put(&format!("{upgraded}.bin"), &bytes, 2).await;
        stored.push((material.id, bytes));
        for (id, bytes) in &stored {
            let material = cluster.wait_until_whole(id).await;
            for replica in &material.replicas {
                assert!(cluster.get(&format!("{}/v1/materials/{id}/file", replica.url)).await == *bytes, "{id}");
            }
        }
        let mut servers = cluster.coordinators.iter_mut().chain(&mut cluster.nodes);
        let Some(server) = servers.nth(upgraded as usize) else { break };
        server.kill();
        server.upgraded();
        server.start();
        eprintln!("{} is upgraded", server.name);
        drop(servers);
        cluster.wait_for_nodes(2).await;
    }
    assert_eq!(cluster.client.cluster().await.unwrap().protocol, PROTOCOL);
    // What only the new version has.
    let part = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url)).header("Upload-Length", 5);
    let part = part.header("Tus-Resumable", "1.0.0").header("Upload-Concat", "partial");
    assert_eq!(cluster.send(&part).await.status(), 201);
}
