//! Calls of the system fail: a write, a sync, a rename. strace has them fail, each in its turn in every thread of the program.

use crate::harness::{Bytes, Cluster, Place, loopback, noise};
use microtome_client::Upload;
use microtome_proto::material::{CreateMaterial, ReplicaState};
use std::{fs, process::Command, sync::Arc, time::Duration};

const LEN: usize = 3_000_000;
/// Where calls fail again and again, an upload is given up.
const STANDSTILL_MAX: Duration = Duration::from_secs(3);

/// A call, how it fails, and at which time in a thread first and then how often: a few of many, or with
/// `MICROTOME_CRASH_ALL` all of them.
fn cases() -> Vec<String> {
    if std::env::var_os("MICROTOME_CRASH_ALL").is_none() {
        let few = ["pwrite64:error=EIO:when=1+3", "fdatasync:error=EIO:when=3+4", "rename:error=EIO:when=2+4"];
        return few.map(|case| format!("inject={case}")).to_vec();
    }
    let mut cases = Vec::new();
    for call in ["pwrite64", "fdatasync", "fsync", "rename", "ftruncate", "mkdir", "pread64", "preadv2", "openat"] {
        for error in ["EIO", "ENOSPC"] {
            for when in ["1+3", "2+2", "5+3", "12+5"] {
                cases.push(format!("inject={call}:error={error}:when={when}"));
            }
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_acknowledged_is_right_whichever_call_failed() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        eprintln!("left out: strace has calls fail");
        return;
    }
    for case in cases() {
        let mut places: Vec<Place> = loopback(3);
        let traces = [(); 2].map(|()| tempfile::NamedTempFile::new().unwrap());
        let traced = format!("trace={}", case.split(['=', ':']).nth(1).unwrap());
        for (place, trace) in places[1..].iter_mut().zip(&traces) {
            let to = trace.path().to_str().unwrap();
            let words = ["strace", "-D", "-f", "-qq", "-o", to, "-e", &traced, "-e", &case];
            place.prefix = words.map(str::to_owned).to_vec();
        }
        let (coordinators, nodes) = places.split_at(1);
        let Some(mut cluster) = start(coordinators, nodes).await else {
            eprintln!("{case}: the node does not start");
            continue;
        };
        let mut acknowledged = Vec::new();
        for seed in 0..4 {
            let bytes = noise(LEN >> (2 * seed), seed);
            let wanted = CreateMaterial {
                name: format!("{seed}.bin"),
                size: bytes.len() as u64,
                media_type: None,
                blake3: None,
                population: Some(2),
                origin: None,
            };
            let material = cluster.client.create_material(&wanted).await.unwrap();
            let upload = Upload::new(&cluster.client, &material, Arc::new(Bytes(bytes.clone())), &|_| ()).unwrap();
            if upload.unwrap().with_standstill_max(STANDSTILL_MAX).finish().await.is_ok() {
                acknowledged.push((material.id, bytes));
            }
        }
        // Copies are made meanwhile, as far as that is possible.
        let copies = futures_util::future::join_all(acknowledged.iter().map(|(id, _)| cluster.wait_until_whole(id)));
        let _ = tokio::time::timeout(Duration::from_secs(4), copies).await;
        for node in &mut cluster.nodes {
            node.kill();
            node.without_prefix();
            node.start();
        }
        cluster.wait_for_nodes(2).await;
        for (id, bytes) in &acknowledged {
            // A copy whose disk failed is tried again only after a while.
            let replicas = cluster.wait_until_arrived(id).await.replicas;
            for replica in replicas.iter().filter(|replica| replica.state == ReplicaState::Verified) {
                let found = cluster.get(&format!("{}/v1/materials/{id}/file", replica.url)).await;
                assert!(found == *bytes, "{case}: {id} on {}", replica.url);
            }
        }
        let failed = traces.iter().map(|trace| fs::read_to_string(trace.path()).unwrap().matches("(INJECTED)").count());
        let failed: usize = failed.sum();
        eprintln!("{case}: {failed} calls failed; {} of 4 uploads acknowledged, all of them right", acknowledged.len());
    }
}

/// A node whose very first calls fail may say so and end.
async fn start(coordinators: &[Place], nodes: &[Place]) -> Option<Cluster> {
    tokio::time::timeout(Duration::from_secs(10), Cluster::start_at(coordinators, nodes, None)).await.ok()
}
