//! Telling nodes at once that there is something for them to do, of which they would hear with their next heartbeat.
//!
//! It owns the calls under way. It decides nothing and nothing relies on it: a call that is lost costs a part of a
//! heartbeat's time.

use super::Control;
use crate::{
    core::{roster::Roster, view::ViewError},
    raft::network::Peers,
};
use microtome_proto::NodeId;
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinHandle, time::timeout};

/// Calls under way in the whole cluster.
const CALLS_MAX: usize = 64;
/// How long one may take, with its turn among the others: later than that the heartbeat has brought the orders.
const WITHIN: Duration = Duration::from_secs(1);

/// The calls under way. It outlives a coordinator that stops by as much as one of them may take, and so keeps nothing
/// of it open.
pub(super) struct Prompts {
    peers: Arc<Peers>,
    under_way: Mutex<BTreeSet<NodeId>>,
    turns: Semaphore,
}

impl Control {
    /// Has those of the nodes that answer ask for their orders now. Returns at once.
    pub(crate) fn prompt<'n>(&self, nodes: impl IntoIterator<Item = &'n NodeId>) {
        let found = self.scene(|scene| {
            let roster = Roster::of(scene.view, scene.observed, scene.now_ms, scene.timing, nodes)?;
            let up = roster.iter().filter(|(_, peer)| peer.is_up());
            Ok::<_, ViewError>(up.map(|(node, peer)| (node.clone(), peer.record.url.clone())).collect::<Vec<_>>())
        });
        match found {
            Ok(up) => up.into_iter().for_each(|(node, url)| drop(self.prompts.call(node, url))),
            Err(error) => tracing::error!(%error, "cannot read the state"),
        }
    }
}

impl Prompts {
    pub(super) fn new(peers: Arc<Peers>) -> Arc<Self> {
        Arc::new(Self { peers, under_way: Mutex::default(), turns: Semaphore::new(CALLS_MAX) })
    }

    /// Calls a node, unless that is being done already. What it gives back ends with the call.
    fn call(self: &Arc<Self>, node: NodeId, url: String) -> Option<JoinHandle<()>> {
        if !self.under_way.lock().insert(node.clone()) {
            return None;
        }
        let prompts = Arc::clone(self);
        Some(tokio::spawn(async move {
            match timeout(WITHIN, prompts.post(&url)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%node, %error, "a node was not told that it has orders"),
                Err(_) => tracing::debug!(%node, "a node was not told in time that it has orders"),
            }
            prompts.under_way.lock().remove(&node);
        }))
    }

    async fn post(&self, url: &str) -> reqwest::Result<()> {
        // Never closed.
        let _turn = self.turns.acquire().await;
        let request = self.peers.call(reqwest::Method::POST, &format!("{url}/internal/v1/orders/due"));
        request.send().await?.error_for_status().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing::post};
    use microtome_proto::protocol::PROTOCOL;
    use std::{collections::BTreeMap, future::pending};
    use tokio::sync::mpsc;

    /// A node that hangs is not called anew by each round.
    #[tokio::test]
    async fn a_node_has_one_call_at_a_time() {
        let (called, mut calls) = mpsc::unbounded_channel();
        let orders_due = post(move || {
            called.send(()).unwrap();
            pending::<()>()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/internal/v1/orders/due", orders_due);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

        let peers = Peers::new(1, BTreeMap::new(), None, PROTOCOL, Default::default()).unwrap();
        let prompts = Prompts::new(Arc::new(peers));
        let node: NodeId = "n-1".parse().unwrap();
        for _ in 0..2 {
            let mut begun: Vec<_> = (0..5).filter_map(|_| prompts.call(node.clone(), url.clone())).collect();
            calls.recv().await.unwrap();
            begun.pop().unwrap().await.unwrap();
            assert!(begun.is_empty() && calls.is_empty());
        }
        server.abort();
    }
}
