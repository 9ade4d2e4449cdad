//! A node that is a few lines of axum.

use super::{PATIENCE, Server, eventually, http, send, tell};
use axum::{Router, http::StatusCode, routing::post};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId, Problem,
    internal::{
        Counting, Heartbeat, HeartbeatAnswer, Incoming, Inventory, Order, Register, Registered, Reserve, RunBeat,
        Settled,
    },
    node::NodeReport,
    protocol::PROTOCOL,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

/// A node that reserves as it is told and heartbeats when it is told.
pub struct FakeNode {
    pub id: NodeId,
    pub url: String,
    pub instance: String,
    pub reserved: Arc<Mutex<Vec<Reserve>>>,
    prompts: watch::Sender<usize>,
    answer: Arc<Mutex<Result<StatusCode, Problem>>>,
    server: JoinHandle<()>,
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeNode {
    /// Starts it, and makes it known to `coordinator`.
    pub async fn join(coordinator: &Server, name: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (reserved, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Ok(StatusCode::NO_CONTENT))));
        let (kept, given) = (Arc::clone(&reserved), Arc::clone(&answer));
        let prompts = watch::Sender::new(0);
        let counted = prompts.clone();
        let reserve = post(move |axum::Json(reserve): axum::Json<Reserve>| async move {
            kept.lock().unwrap().push(reserve);
            given.lock().unwrap().clone()
        });
        let orders_due = post(move || async move {
            counted.send_modify(|prompts| *prompts += 1);
            StatusCode::NO_CONTENT
        });
        let router = Router::new().route("/internal/v1/uploads", reserve).route("/internal/v1/orders/due", orders_due);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let instance = format!("{:032x}", rand::random::<u128>());
        let register = Register {
            instance: instance.clone(),
            cluster: None,
            name: name.to_owned(),
            url: url.clone(),
            zone: None,
            labels: BTreeMap::new(),
            version: "0.1.0".to_owned(),
            protocol: PROTOCOL,
            report: report(),
        };
        let registered: Registered = tell(coordinator, "/internal/v1/nodes", &register).await;
        let node = Self { id: registered.node, url, instance, reserved, prompts, answer, server };
        node.inventory(coordinator).await;
        node
    }

    /// What it says to reservations from now on.
    pub fn answer(&self, status: StatusCode) {
        *self.answer.lock().unwrap() = Ok(status);
    }

    /// It refuses reservations from now on.
    pub fn refuse(&self, code: Code) {
        *self.answer.lock().unwrap() = Err(Problem::new(code, "as the test wants it"));
    }

    /// It does not answer any more.
    pub async fn go_away(&mut self) {
        self.server.abort();
        (&mut self.server).await.unwrap_err();
    }

    /// Waits until it was told once more than so many times that there is something for it to do; how often it was.
    pub async fn prompted(&self, before: usize) -> usize {
        let mut prompts = self.prompts.subscribe();
        let told = timeout(PATIENCE, prompts.wait_for(|prompts| *prompts > before)).await;
        *told.expect("no call that orders are due").unwrap()
    }

    /// Begins to count what it holds.
    pub async fn begin_inventory(&self, coordinator: &Server) -> Counting {
        tell(coordinator, &format!("/internal/v1/nodes/{}/inventory/begin", self.id), &()).await
    }

    /// Tells that it holds nothing.
    pub async fn inventory(&self, coordinator: &Server) -> Settled {
        let page = Inventory { after: None, held: vec![], last: true, incoming: vec![], count: None };
        tell(coordinator, &format!("/internal/v1/nodes/{}/inventory", self.id), &page).await
    }

    pub async fn beat(&self, coordinator: &Server) -> HeartbeatAnswer {
        self.beat_with(coordinator, vec![], vec![]).await
    }

    pub async fn beat_with(
        &self,
        coordinator: &Server,
        incoming: Vec<Incoming>,
        runs: Vec<RunBeat>,
    ) -> HeartbeatAnswer {
        let beat =
            Heartbeat { instance: self.instance.clone(), report: report(), incoming, runs, ..Heartbeat::default() };
        tell(coordinator, &format!("/internal/v1/nodes/{}/heartbeat", self.id), &beat).await
    }

    /// Beats until it gets such an order, and so do others.
    async fn ordered(
        &self,
        coordinator: &Server,
        what: &str,
        others: &[&FakeNode],
        is_it: impl Fn(&Order) -> bool,
    ) -> Order {
        eventually(what, || async {
            for other in others {
                other.beat(coordinator).await;
            }
            self.beat(coordinator).await.orders.into_iter().find(&is_it)
        })
        .await
    }

    /// Beats until it is told to make a copy.
    pub async fn ordered_copy(&self, coordinator: &Server) -> (MaterialId, Generation) {
        let is_copy = |order: &Order| matches!(order, Order::Copy { .. });
        match self.ordered(coordinator, "an order to copy", &[], is_copy).await {
            Order::Copy { material, generation, .. } => (material, generation),
            order => panic!("{order:?}"),
        }
    }

    /// Beats, as others do, until it is told to free a copy, and says that it did; of which material.
    pub async fn frees(&self, coordinator: &Server, others: &[&FakeNode]) -> MaterialId {
        let is_drop = |order: &Order| matches!(order, Order::Drop { .. });
        match self.ordered(coordinator, "an order to free", others, is_drop).await {
            Order::Drop { material, generation } => {
                self.dropped(coordinator, &material, generation).await;
                material
            }
            order => panic!("{order:?}"),
        }
    }

    /// Tells that it has nothing of a copy any more.
    async fn dropped(&self, coordinator: &Server, material: &MaterialId, generation: Generation) {
        self.replica(coordinator, material, &json!({ "report": "dropped", "generation": generation })).await;
    }

    /// Tells that a copy is whole.
    pub async fn verified(&self, coordinator: &Server, material: &MaterialId, generation: Generation, size: u64) {
        let report = json!({
            "report": "verified", "generation": generation, "size": size, "blake3": "ab".repeat(32),
        });
        self.replica(coordinator, material, &report).await;
    }

    async fn replica(&self, coordinator: &Server, material: &MaterialId, report: &serde_json::Value) {
        let url = format!("{}/internal/v1/nodes/{}/replicas/{material}", coordinator.url, self.id);
        let answer = send(coordinator.as_server(http().post(url)).json(report)).await;
        let status = answer.status();
        assert_eq!(status, StatusCode::NO_CONTENT, "{}", answer.text().await.unwrap());
    }
}

/// What a node tells of itself that has much room.
pub fn report() -> NodeReport {
    NodeReport {
        disk_total: 1 << 40,
        disk_free: 1 << 39,
        memory_total: 1 << 33,
        protocol: PROTOCOL,
        ..NodeReport::default()
    }
}
