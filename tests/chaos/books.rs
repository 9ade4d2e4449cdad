//! What the coordinators' books say while things go wrong, looked at again and again: numbers are given once, and no material
//! that is there loses its last copy.

use crate::{
    harness::{Cluster, token},
    load::{Ledger, PATIENCE},
};
use microtome_client::{ClientError, Cluster as Client};
use microtome_proto::{
    Generation, MaterialId, NodeId, RunId,
    material::{Material, MaterialState, ReplicaState},
    page::PageQuery,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

const PAUSE: Duration = Duration::from_millis(100);

/// Who had a number, as far as it was seen.
#[derive(Default)]
struct Given {
    generations: BTreeMap<Generation, (MaterialId, NodeId)>,
    nodes: BTreeMap<String, NodeId>,
    faults: BTreeSet<String>,
}

impl Given {
    fn look(&mut self, material: &Material) {
        let id = &material.id;
        let is_readable = |state| matches!(state, ReplicaState::Verified | ReplicaState::Damaged);
        let is_there = material.blake3.is_some() && material.state != MaterialState::Deleting;
        if is_there && !material.replicas.iter().any(|replica| is_readable(replica.state)) {
            self.faults.insert(format!("{id} has no copy that counts any more, and nobody deleted it"));
        }
        for replica in &material.replicas {
            let has = (id.clone(), replica.node.clone());
            let had = self.generations.entry(replica.generation).or_insert_with(|| has.clone());
            if *had != has {
                self.faults.insert(format!("generation {} was given twice: {had:?} and {has:?}", replica.generation));
            }
            let node = self.nodes.entry(replica.url.clone()).or_insert_with(|| replica.node.clone());
            if *node != replica.node {
                self.faults.insert(format!("{} was node {node}, and is node {}", replica.url, replica.node));
            }
        }
    }
}

/// Looks until it is stopped.
pub async fn watch(cluster: Client, ledger: Arc<Ledger>) {
    let mut given = Given::default();
    loop {
        tokio::time::sleep(PAUSE).await;
        for material in materials(&cluster).await.unwrap_or_default() {
            given.look(&material);
        }
        ledger.broken.lock().unwrap().append(&mut given.faults);
    }
}

/// A client that gives up soon.
pub fn client(cluster: &Cluster, secret: &str) -> Client {
    let urls = cluster.coordinators.iter().map(|server| server.url.clone()).collect();
    Client::new(urls, Some(token(secret))).with_deadline(PATIENCE)
}

/// All materials in the books.
pub async fn materials(cluster: &Client) -> Result<Vec<Material>, ClientError> {
    let mut found = Vec::new();
    let mut query = PageQuery::default();
    loop {
        let page = cluster.materials(&query).await?;
        found.extend(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return Ok(found);
        }
    }
}

/// All runs in the books.
pub async fn runs(cluster: &Client) -> Result<Vec<RunId>, ClientError> {
    let mut found = Vec::new();
    let mut query = PageQuery::default();
    loop {
        let page = cluster.runs(&query).await?;
        found.extend(page.items.into_iter().map(|run| run.id));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return Ok(found);
        }
    }
}
