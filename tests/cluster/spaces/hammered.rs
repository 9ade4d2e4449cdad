//! One key, read without a pause while it is overwritten and a node dies.

use super::address;
use crate::harness::{Cluster, noise};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

const VERSIONS: u64 = 50;
const SIZE: usize = 300_000;

/// The version's number, and bytes that no other version has.
fn version(number: u64) -> Vec<u8> {
    [number.to_be_bytes().to_vec(), noise(SIZE, number)].concat()
}

/// Reads until it is told to stop; answers how often it did. Nobody there just now is no answer, all else must be a version
/// as a whole, and none older than what was acknowledged before it was asked for.
async fn read(url: String, acknowledged: Arc<AtomicU64>, over: Arc<AtomicBool>) -> u64 {
    let http = Cluster::fresh_http();
    let mut reads = 0;
    while !over.load(Ordering::Acquire) {
        let least = acknowledged.load(Ordering::Acquire);
        let Ok(answer) = http.get(&url).send().await else { continue };
        let status = answer.status().as_u16();
        if status == 503 {
            continue;
        }
        assert_eq!(status, 200, "{}", answer.text().await.unwrap_or_default());
        // The node may die while it sends.
        let Ok(bytes) = answer.bytes().await else { continue };
        let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
        assert!(bytes == version(number), "a mix, of {} bytes, that begins as version {number}", bytes.len());
        assert!(number >= least, "version {number} after {least} was acknowledged");
        reads += 1;
    }
    reads
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_key_see_the_old_or_the_new_also_while_a_node_is_down() {
    let mut cluster = Cluster::start(3, 3).await;
    let (acknowledged, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let write = async |cluster: &Cluster, number: u64| {
        let url = address(cluster, number as usize % 3, "lab", "P/6/9107.pdf");
        loop {
            let sent = cluster.http.put(&url).body(version(number)).send().await;
            match sent.map(|answer| answer.status().as_u16()) {
                Ok(201 | 204) => break,
                Ok(status) => assert_eq!(status, 503),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        acknowledged.store(number, Ordering::Release);
    };
    write(&cluster, 1).await;
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let url = address(&cluster, reader % 3, "lab", "P/6/9107.pdf");
            tokio::spawn(read(url, Arc::clone(&acknowledged), Arc::clone(&over)))
        })
        .collect();
    for number in 2..=VERSIONS {
        match number {
            20 => cluster.nodes[0].kill(),
            40 => cluster.nodes[0].start(),
            _ => {}
        }
        write(&cluster, number).await;
    }
    over.store(true, Ordering::Release);
    for reader in readers {
        let reads = reader.await.unwrap();
        assert!(reads >= 10, "{reads} reads");
    }
    assert!(cluster.get(&address(&cluster, 0, "lab", "P/6/9107.pdf")).await == version(VERSIONS));
}
