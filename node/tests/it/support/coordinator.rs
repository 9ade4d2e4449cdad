//! A coordinator that answers as the test wants and writes down what it is told.

use super::{
    HANGS_AFTER,
    runs::{self, SeenOfRuns},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use microtome_proto::{
    ClusterId, Code, MaterialId, NodeId, Problem,
    internal::{
        Counting, Heartbeat, HeartbeatAnswer, Inventory, Located, Order, Reader, Register, Registered, ReplicaReport,
        Settled,
    },
    protocol::PROTOCOL,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{sync::Notify, task::JoinHandle};

/// What it was told, and what it is to answer.
#[derive(Default)]
pub struct Seen {
    pub registered: Vec<Register>,
    pub inventories: Vec<Inventory>,
    pub beats: u64,
    pub last_beat: Option<Heartbeat>,
    pub reports: Vec<(MaterialId, ReplicaReport)>,
    pub deleted: Vec<MaterialId>,
    /// Repeated in every answer.
    pub orders: Vec<Order>,
    pub to_be_dropped: Vec<MaterialId>,
    /// Of reads that it was told it wants to hear again.
    pub reads_due: Vec<MaterialId>,
    pub located: BTreeMap<MaterialId, Located>,
    /// Who may read what, by the token's subject.
    pub readers: Vec<(MaterialId, String)>,
    pub runs: SeenOfRuns,
    /// Refuses every report with this.
    pub refuses_reports: Option<Code>,
    /// Refuses every registration with this.
    pub refuses: Option<Code>,
    /// Asks nodes that register for heartbeats as far apart as this; 20 ms where nothing is said.
    pub heartbeat_ms: Option<u64>,
}

pub struct FakeCoordinator {
    url: String,
    seen: Mutex<Seen>,
    changed: Notify,
    /// Inventories are answered while nobody holds it.
    pub hears_inventories: tokio::sync::RwLock<()>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

type Fake = State<Arc<FakeCoordinator>>;

impl FakeCoordinator {
    pub async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Mutex::default(),
            changed: Notify::new(),
            hears_inventories: tokio::sync::RwLock::default(),
            serving: Mutex::default(),
        });
        let router = Router::new()
            .route("/internal/v1/nodes", post(register))
            .route("/internal/v1/nodes/{id}/inventory/begin", post(begin_inventory))
            .route("/internal/v1/nodes/{id}/inventory", post(inventory))
            .route("/internal/v1/nodes/{id}/heartbeat", post(heartbeat))
            .route("/internal/v1/nodes/{id}/replicas/{material}", post(report))
            .route("/internal/v1/materials/{id}", get(locate))
            .route("/internal/v1/materials/{id}/reader", post(read))
            .route("/v1/materials/{id}", delete(remove))
            .merge(runs::routes())
            .with_state(Arc::clone(&fake));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        *fake.serving.lock().unwrap() = Some(serving);
        fake
    }

    /// Nobody listens any more.
    pub fn stop(&self) {
        self.serving.lock().unwrap().take().unwrap().abort();
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    pub fn beats(&self) -> u64 {
        self.seen().beats
    }

    pub fn order(&self, order: Order) {
        self.seen().orders.push(order);
    }

    pub fn locate(&self, id: &MaterialId, holders: &[&str]) {
        let holders = holders.iter().map(|url| (*url).to_owned()).collect();
        self.seen().located.insert(id.clone(), Located { holders, receiving: None, joining: false });
    }

    /// Waits until what it was told fulfils `wanted`.
    pub async fn wait(&self, what: &str, wanted: impl Fn(&Seen) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if wanted(&self.seen()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(HANGS_AFTER, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
    }

    pub async fn wait_for_report(&self, id: &MaterialId, wanted: impl Fn(&ReplicaReport) -> bool) {
        self.wait("a report", |seen| seen.reports.iter().any(|(material, report)| material == id && wanted(report)))
            .await;
    }

    pub async fn wait_for_beats(&self, more: u64) {
        let until = self.beats() + more;
        self.wait("heartbeats", |seen| seen.beats >= until).await;
    }

    pub(super) fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen());
        self.changed.notify_waiters();
    }
}

async fn register(State(fake): Fake, Json(register): Json<Register>) -> Response {
    let refuses = fake.seen().refuses;
    let heartbeat_ms = fake.seen().heartbeat_ms;
    fake.note(|seen| seen.registered.push(register));
    if let Some(code) = refuses {
        return Problem::new(code, "the test wants it").into_response();
    }
    Json(Registered {
        node: NodeId::from_counter(1),
        cluster: ClusterId::from_random(1),
        heartbeat_ms: heartbeat_ms.unwrap_or(20),
        coordinators: vec![fake.url.clone()],
        protocol: PROTOCOL,
    })
    .into_response()
}

async fn begin_inventory(State(fake): Fake) -> Json<Counting> {
    Json(Counting { count: fake.beats() })
}

async fn inventory(State(fake): Fake, Json(page): Json<Inventory>) -> Json<Settled> {
    let _heard = fake.hears_inventories.read().await;
    let drop = fake.seen().to_be_dropped.clone();
    fake.note(|seen| seen.inventories.push(page));
    Json(Settled { drop })
}

async fn heartbeat(State(fake): Fake, Json(beat): Json<Heartbeat>) -> Json<HeartbeatAnswer> {
    let orders = fake.seen().orders.clone();
    fake.note(|seen| {
        seen.beats += 1;
        seen.last_beat = Some(beat);
    });
    let reads_due = fake.seen().reads_due.clone();
    Json(HeartbeatAnswer {
        coordinators: vec![fake.url.clone()],
        leader: 1,
        inventory_wanted: false,
        reads_due,
        orders,
        revoked: None,
    })
}

async fn report(
    State(fake): Fake,
    Path((_, material)): Path<(String, MaterialId)>,
    Json(report): Json<ReplicaReport>,
) -> Response {
    let refuses = fake.seen().refuses_reports;
    fake.note(|seen| seen.reports.push((material, report)));
    match refuses {
        Some(code) => Problem::new(code, "the test wants it").into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn locate(State(fake): Fake, Path(id): Path<MaterialId>) -> Response {
    match fake.seen().located.get(&id) {
        Some(located) => Json(located.clone()).into_response(),
        None => Problem::new(Code::NotFound, "the test knows no such material").into_response(),
    }
}

async fn read(State(fake): Fake, Path(id): Path<MaterialId>, Json(reader): Json<Reader>) -> Response {
    match fake.seen().readers.contains(&(id, reader.name)) {
        true => StatusCode::NO_CONTENT.into_response(),
        false => Problem::new(Code::Forbidden, "the test lets others read").into_response(),
    }
}

async fn remove(State(fake): Fake, Path(id): Path<MaterialId>) -> StatusCode {
    fake.note(|seen| seen.deleted.push(id));
    StatusCode::ACCEPTED
}
