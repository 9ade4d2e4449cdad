//! Nodes come and go as an operator wants it.

use crate::{
    harness::{Cluster, Place, eventually, loopback, noise, signal},
    slides,
    small_disk::SmallDisk,
};
use microtome_proto::{
    MaterialId, NodeId,
    node::{Availability, Lifecycle, Node},
    page::PageQuery,
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

/// Runs a command that must succeed: what it printed, results and messages.
fn done(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = cluster.command(arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}{err}");
    format!("{out}{err}")
}

/// Runs a command that must fail: its message.
fn refused(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = cluster.command(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn nodes(cluster: &Cluster) -> Vec<Node> {
    eventually("the nodes", || async { Some(cluster.client.nodes(&PageQuery::default()).await.ok()?.items) }).await
}

/// The member of that name.
async fn id_of(cluster: &Cluster, name: &str) -> NodeId {
    let found = nodes(cluster).await.into_iter().find(|node| node.name == name && node.lifecycle == Lifecycle::Member);
    found.expect("it has joined").id
}

/// The node that holds a slide, and a material that is nowhere else, is emptied while a viewer looks at the slide. No tile
/// fails, no byte is lost. Then it is removed: its program ends and says why, does not come back as it was, and joins
/// with an empty folder as another node.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_emptied_under_a_viewer_removed_and_joins_anew() {
    let mut cluster = Cluster::start(1, 3).await;
    let (_, slide_bytes) = slides::drawn(cluster.dir.path(), 3000, 2000);
    let only_bytes = noise(3_000_000, 1);
    for name in ["node-2", "node-3"] {
        assert!(done(&cluster, &["cordon", name]).contains("nothing new goes there"));
    }
    let slide = cluster.put("drawn.svs", &slide_bytes, 2).await.id;
    let only = cluster.put("only.bin", &only_bytes, 1).await.id;
    for name in ["node-2", "node-3"] {
        done(&cluster, &["uncordon", name]);
    }
    cluster.wait_until_whole(&slide).await;
    let first = id_of(&cluster, "node-1").await;

    let message = refused(&cluster, &["remove", "node-1"]);
    assert!(message.contains("exist on no other node") && message.contains("drain"), "{message}");
    let foreseen = done(&cluster, &["remove", "node-1", "--dry-run"]);
    assert!(foreseen.contains("would be refused") && foreseen.contains(only.as_str()), "{foreseen}");
    let foreseen = cluster.command_json(&["drain", first.as_str(), "--dry-run"]);
    assert_eq!(
        (&foreseen["departure"]["to_copy"]["copies"], &foreseen["dry_run"]),
        (&Value::from(2), &Value::Bool(true))
    );

    let (tiles, is_over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let viewer = {
        let (http, tiles, is_over) = (cluster.http.clone(), Arc::clone(&tiles), Arc::clone(&is_over));
        let url = format!("{}/tiles/{slide}/0/1_1.jpg", cluster.coordinators[0].url);
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let answer = http.get(&url).send().await.unwrap();
                // A machine that stands still for a moment may have no leader: a viewer comes again.
                assert!([200, 503].contains(&answer.status().as_u16()), "{answer:?}");
                tiles.fetch_add(u32::from(answer.status() == 200), Ordering::SeqCst);
            }
        })
    };
    let told = done(&cluster, &["drain", "node-1", "--wait"]);
    assert!(told.contains("is drained"), "{told}");
    assert!(done(&cluster, &["nodes"]).contains("drained"));
    eventually("its disk is free", || async {
        (![&slide, &only].iter().any(|id| Cluster::holds(&cluster.nodes[0], id))).then_some(())
    })
    .await;
    assert!(done(&cluster, &["remove", "node-1", "--wait"]).contains("removed from the cluster"));
    let code = eventually("its program ends", || std::future::ready(cluster.nodes[0].ended())).await;
    assert_eq!(code, 1);
    assert!(cluster.nodes[0].log().contains("an operator removed this node"), "{}", cluster.nodes[0].log());
    let seen = tiles.load(Ordering::SeqCst);
    eventually("tiles go on", || std::future::ready((tiles.load(Ordering::SeqCst) > seen + 10).then_some(()))).await;
    is_over.store(true, Ordering::SeqCst);
    viewer.await.unwrap();
    for (id, bytes) in [(&slide, &slide_bytes), (&only, &only_bytes)] {
        let material = cluster.wait_until_whole(id).await;
        assert!(material.replicas.iter().all(|replica| replica.node != first), "{material:?}");
        assert_eq!(cluster.get(&format!("{}/v1/materials/{id}/file", cluster.coordinators[0].url)).await, *bytes);
    }

    cluster.nodes[0].start();
    let code = eventually("it ends again", || std::future::ready(cluster.nodes[0].ended())).await;
    assert_eq!(code, 1);
    fs::remove_dir_all(&cluster.nodes[0].data_dir).unwrap();
    cluster.nodes[0].start();
    cluster.wait_for_nodes(3).await;
    let anew = id_of(&cluster, "node-1").await;
    assert_ne!(anew, first);
    // All nodes lie on one disk here, so they are equally full.
    assert!(done(&cluster, &["rebalance", "--wait"]).contains("equally full"));
    assert!(done(&cluster, &["rebalance", "--cancel"]).contains("not moved"));
    assert!(done(&cluster, &["rebalance", "--cancel", "--json"]).contains(r#""goes_on": false"#));
}

/// A disk died and was replaced: the machine comes back under its old name and address, as another node. The old one's
/// copies are made anew, and it is taken out by its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_is_another_node() {
    let mut cluster = Cluster::start(1, 2).await;
    let bytes = noise(1_000_000, 2);
    let material = cluster.put("kept.bin", &bytes, 2).await.id;
    cluster.wait_until_whole(&material).await;
    let (other, old) = (id_of(&cluster, "node-1").await, id_of(&cluster, "node-2").await);
    an_interrupted_wait_leaves_the_drain_going(&cluster, &old).await;

    cluster.nodes[1].kill();
    fs::remove_dir_all(&cluster.nodes[1].data_dir).unwrap();
    cluster.nodes[1].start();
    cluster.wait_for_nodes(2).await;
    let healed = eventually("a copy on the new node", || async {
        let material = cluster.client.material(&material).await.ok()?;
        let is_anew = |node: &NodeId| *node != old && *node != other;
        (material.population_live == 2).then_some(material.replicas.into_iter().find(|it| is_anew(&it.node))?)
    })
    .await;
    assert_eq!(healed.url, cluster.nodes[1].url);
    let message = refused(&cluster, &["cordon", "node-2"]);
    assert!(message.contains(&format!("{old} or {}", healed.node)), "{message}");
    eventually("the old one is down", || async {
        (cluster.client.node(&old).await.ok()?.availability == Availability::Down).then_some(())
    })
    .await;
    done(&cluster, &["remove", old.as_str()]);
    assert!(done(&cluster, &["cordon", "node-2"]).contains(healed.node.as_str()), "the name is its own now");
    let whole = cluster.wait_until_whole(&material).await;
    assert!(whole.replicas.iter().all(|replica| replica.node != old), "{whole:?}");
    check_file(&cluster, &material, &bytes).await;
}

/// Three nodes have disks of their own, the third a larger one that is empty. Rebalancing tells what it will move, moves that
/// and no more while files are read and written, and ends by itself; how full the disks are then is counted by the
/// kernel, not by us.
#[tokio::test(flavor = "multi_thread")]
async fn copies_are_moved_until_real_disks_are_equally_full() {
    const FILE_LEN: usize = 4 << 20;
    let folder = tempfile::tempdir().unwrap();
    let sizes = [128 << 20, 128 << 20, 256 << 20];
    let places = loopback(1 + sizes.len());
    let (coordinators, nodes) = places.split_at(1);
    let (mut disks, mut on_disks) = (Vec::new(), Vec::new());
    for (place, size) in nodes.iter().zip(sizes) {
        let data_dir = folder.path().join(place.address.replace(':', "-"));
        fs::create_dir(&data_dir).unwrap();
        let Some(disk) = SmallDisk::mount(&data_dir, size) else { return };
        disks.push(disk);
        on_disks.push(Place { address: place.address.clone(), data_dir: Some(data_dir), ..Place::default() });
    }
    let cluster = Cluster::start_at(coordinators, &on_disks, None).await;
    done(&cluster, &["cordon", "node-3"]);
    let mut files = Vec::new();
    for seed in 0..24 {
        let bytes = noise(FILE_LEN, seed);
        files.push((cluster.put("moved.bin", &bytes, 1).await.id, bytes));
    }
    done(&cluster, &["uncordon", "node-3"]);

    let foreseen = cluster.command_json(&["rebalance", "--dry-run"]);
    assert_eq!((&foreseen["dry_run"], &foreseen["evens_out"]), (&Value::Bool(true), &Value::Bool(true)), "{foreseen}");
    let copies = foreseen["to_move"]["copies"].as_u64().unwrap();
    assert_eq!(foreseen["to_move"]["bytes"], copies * FILE_LEN as u64);
    assert!(copies >= 10, "half of them belong on the larger disk: {foreseen}");
    assert_eq!(nodes_replicas(&cluster, "node-3").await, 0, "nothing was changed");

    let (rebalanced, late) = tokio::join!(
        tokio::task::spawn_blocking({
            let mut program = cluster.program(&["rebalance", "--wait"]);
            move || program.output().unwrap()
        }),
        async {
            for (id, bytes) in &files {
                assert_eq!(
                    cluster.get(&format!("{}/v1/materials/{id}/file", cluster.coordinators[0].url)).await,
                    *bytes
                );
            }
            cluster.put("late.bin", &noise(1000, 99), 1).await.id
        },
    );
    let rebalanced = rebalanced.unwrap();
    let (out, err) = (String::from_utf8_lossy(&rebalanced.stdout), String::from_utf8_lossy(&rebalanced.stderr));
    assert!(rebalanced.status.success() && out.contains("equally full"), "{out}{err}");
    assert!(nodes_replicas(&cluster, "node-3").await.abs_diff(copies) <= 1, "{foreseen}");
    let levels: Vec<f64> = on_disks.iter().map(|place| level(place.data_dir.as_ref().unwrap())).collect();
    let mean = levels.iter().sum::<f64>() / levels.len() as f64;
    // Two per cent of the mean, and logs and books that are no copies.
    assert!(levels.iter().all(|level| (level - mean).abs() < 0.03), "{levels:?}");
    for (id, bytes) in &files {
        let material = cluster.wait_until_whole(id).await;
        assert_eq!(material.replicas.len(), 1);
        assert_eq!(cluster.get(&format!("{}/v1/materials/{id}/file", cluster.coordinators[0].url)).await, *bytes);
    }
    cluster.wait_until_whole(&late).await;
}

async fn nodes_replicas(cluster: &Cluster, name: &str) -> u64 {
    let id = id_of(cluster, name).await;
    eventually("the node", || async { Some(cluster.client.node(&id).await.ok()?.replicas) }).await
}

/// The fraction of the disk that is used, by `df`.
fn level(folder: &Path) -> f64 {
    let output = Command::new("df").args(["--output=used,size"]).arg(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers[0] / numbers[1]
}

/// With two nodes and two copies wanted a drain comes to no end. Who waits for it may stop waiting, or is told, and may
/// cancel it.
async fn an_interrupted_wait_leaves_the_drain_going(cluster: &Cluster, node: &NodeId) {
    let mut program = cluster.program(&["drain", node.as_str(), "--wait"]);
    let waiting = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("it is being drained", || async { cluster.client.node(node).await.ok()?.drain }).await;
    signal(waiting.id(), "INT");
    let output = waiting.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && message.contains(&format!("uncordon {node}")), "{message}");
    let drain = cluster.client.node(node).await.unwrap().drain.unwrap();
    assert_eq!(drain.copies, 1);
    assert!(done(cluster, &["nodes"]).contains("draining: 1 copy"));
    let message = refused(cluster, &["drain", node.as_str(), "--wait"]);
    assert!(message.contains("every other node that takes work has a copy already"), "{message}");
    done(cluster, &["uncordon", node.as_str()]);
    assert_eq!(cluster.client.node(node).await.unwrap().drain, None);
}

async fn check_file(cluster: &Cluster, id: &MaterialId, bytes: &[u8]) {
    for node in &cluster.nodes {
        assert_eq!(cluster.get(&format!("{}/v1/materials/{id}/file", node.url)).await, bytes);
    }
}
