//! The disk changes what was written: in a material's bytes, in its hash tree, in its manifest. Nobody reads a wrong byte,
//! and everything comes right again.

use crate::harness::{Cluster, Server, eventually, noise};
use microtome_proto::{MaterialId, material::ReplicaState};
use std::{fs, os::unix::fs::FileExt as _};

fn flip(node: &Server, id: &MaterialId, name: &str, offset: u64) {
    let path = node.data_dir.join("materials").join(id.as_str()).join(name);
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 4], offset).unwrap();
}

fn file(url: &str, id: &MaterialId) -> String {
    format!("{url}/v1/materials/{id}/file")
}

/// While a node was away its disk changed bytes, another one's its hash tree.
#[tokio::test(flavor = "multi_thread")]
async fn a_hash_tree_that_is_damaged_comes_from_the_other_copy() {
    let mut cluster = Cluster::start(1, 2).await;
    let bytes = noise(500_000, 34);
    let id = cluster.put("slide.bin", &bytes, 2).await.id;
    cluster.wait_until_whole(&id).await;
    let node = &mut cluster.nodes[0];
    node.kill();
    flip(node, &id, "leaves", 32 * 10);
    flip(node, &id, "file", 10);
    node.start();
    cluster.wait_for_nodes(2).await;
    let answer = cluster.http.get(file(&cluster.nodes[0].url, &id)).send().await.unwrap();
    assert!(answer.bytes().await.unwrap() == bytes);
    cluster.wait_until_whole(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_mended_from_another_one_before_its_reader_notices() {
    let mut cluster = Cluster::start(1, 2).await;
    let bytes = noise(3_000_000, 31);
    let id = cluster.put("slide.bin", &bytes, 2).await.id;
    cluster.wait_until_whole(&id).await;
    // Different places, so that each has what the other one lacks.
    for (nth, node) in cluster.nodes.iter_mut().enumerate() {
        node.kill();
        flip(node, &id, "file", 100_000 + 500_000 * nth as u64);
        node.start();
    }
    cluster.wait_for_nodes(2).await;
    for node in &cluster.nodes {
        let answer = cluster.http.get(file(&node.url, &id)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.bytes().await.unwrap() == bytes, "{}", node.name);
        assert!(fs::read(node.data_dir.join("materials").join(id.as_str()).join("file")).unwrap() == bytes);
    }
    cluster.wait_until_whole(&id).await;
}

/// The only other holder is away: what is damaged is said to be so, to reader and operator, and all else is served. With the
/// other one it comes right by itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mended_is_told_and_mended_when_it_can_be() {
    let mut cluster = Cluster::start(1, 2).await;
    let bytes = noise(1_000_000, 32);
    let id = cluster.put("slide.bin", &bytes, 2).await.id;
    cluster.wait_until_whole(&id).await;
    cluster.nodes.iter_mut().for_each(Server::kill);
    flip(&cluster.nodes[0], &id, "file", 999_999);
    cluster.nodes[0].start();
    cluster.wait_for_nodes(1).await;
    let url = file(&cluster.nodes[0].url, &id);
    let part = |range: &str| cluster.http.get(&url).header("Range", range.to_owned()).send();
    // It is sent to the other one as long as that may answer.
    let answer = eventually("a clear no", || async { part("bytes=999000-").await.ok() }).await;
    assert_eq!(answer.status(), 503, "no wrong byte");
    let replica = eventually("the cluster knows", || async {
        let material = cluster.client.material(&id).await.ok()?;
        material.replicas.into_iter().find(|replica| replica.state == ReplicaState::Damaged)
    })
    .await;
    assert_eq!(replica.url, cluster.nodes[0].url);
    let told = cluster.command(&["show", id.as_str()]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("damaged"), "{told:?}");
    let rest = part("bytes=0-899999").await.unwrap();
    assert!(rest.bytes().await.unwrap() == bytes[..900_000]);

    cluster.nodes[1].start();
    cluster.wait_until_whole(&id).await;
    assert!(cluster.get(&url).await == bytes);
}

/// A manifest that cannot be read is found at the start, and the copy is made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_manifest_is_damaged_is_set_aside_and_made_anew() {
    let mut cluster = Cluster::start(1, 2).await;
    let bytes = noise(400_000, 33);
    let id = cluster.put("slide.bin", &bytes, 2).await.id;
    let before = cluster.wait_until_whole(&id).await;
    cluster.nodes[0].kill();
    flip(&cluster.nodes[0], &id, "manifest.json", 0);
    cluster.nodes[0].start();
    eventually("a new copy", || async {
        let now = cluster.client.material(&id).await.ok()?;
        let of_node = |material: &microtome_proto::material::Material| {
            let replica = material.replicas.iter().find(|replica| replica.url == cluster.nodes[0].url);
            replica.map(|replica| (replica.state, replica.generation))
        };
        let (state, generation) = of_node(&now)?;
        (state == ReplicaState::Verified && Some(generation) > of_node(&before).map(|before| before.1)).then_some(())
    })
    .await;
    assert!(cluster.get(&file(&cluster.nodes[0].url, &id)).await == bytes);
    assert_eq!(fs::read_dir(cluster.nodes[0].data_dir.join("set-aside")).unwrap().count(), 1);
}
