//! Coordinators in this process, nodes that are a few lines of axum, and waiting with a deadline.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod books;
mod node;

pub use books::Books;
pub use node::{FakeNode, report};

use axum::Router;
use microtome_coordinator::{Config, CoordinatorError, Tuning, run_tuned};
use microtome_proto::{
    material::Material,
    token::{Claims, Role, now_s},
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Everything that is awaited has come by then, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Asks again and again until there is an answer.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

/// A port that nobody uses, outside the range from which the system takes ports for connections.
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Small, so that snapshots and purges happen after few writes.
pub fn small() -> Tuning {
    Tuning { snapshot_every: 40, kept_entries: 100, ..Tuning::default() }
}

/// A coordinator in this process.
pub struct Server {
    pub config: Config,
    pub url: String,
    pub tuning: Tuning,
    /// Where its folder lies, if that is its own.
    root: Option<tempfile::TempDir>,
    running: Option<(CancellationToken, JoinHandle<Result<(), CoordinatorError>>)>,
}

impl Server {
    /// One by itself, in a folder of its own, which leads.
    pub async fn alone() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self::of_its_own(alone(root.path().join("one")), root).await
    }

    async fn of_its_own(config: Config, root: tempfile::TempDir) -> Self {
        let mut server = Self::start(config, Tuning::default()).await.unwrap();
        server.root = Some(root);
        server.ready().await;
        server
    }

    pub async fn start(config: Config, tuning: Tuning) -> Result<Self, CoordinatorError> {
        let mut server = Self { config, url: String::new(), tuning, root: None, running: None };
        server.start_again().await?;
        Ok(server)
    }

    pub async fn start_again(&mut self) -> Result<(), CoordinatorError> {
        let stop = CancellationToken::new();
        let (ready, listening) = oneshot::channel::<SocketAddr>();
        let run = run_tuned(self.config.clone(), self.tuning, Router::new(), stop.clone(), ready);
        let task = tokio::spawn(run);
        match listening.await {
            Ok(bound) => {
                self.url = format!("http://{bound}");
                self.running = Some((stop, task));
                Ok(())
            }
            Err(_) => Err(task.await.unwrap().unwrap_err()),
        }
    }

    pub async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.cancel();
            task.await.unwrap().unwrap();
        }
    }

    /// The end of a coordinator that stops by itself.
    pub async fn ended(&mut self) -> CoordinatorError {
        let (_, task) = self.running.take().unwrap();
        tokio::time::timeout(PATIENCE, task).await.expect("it goes on").unwrap().unwrap_err()
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub async fn ready(&self) {
        eventually("a leader", || async {
            let answer = http().get(format!("{}/readyz", self.url)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// A number from `/metrics`.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let text = self.as_server(http().get(format!("{}/metrics", self.url))).send().await.ok()?.text().await.ok()?;
        let line = text.lines().find(|line| line.starts_with(&format!("microtome_{name} ")))?;
        line.split(' ').nth(1)?.parse().ok()
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        read(send(self.as_server(http().get(format!("{}{path}", self.url)))).await, StatusCode::OK).await
    }

    /// The same request from another server of the cluster, where tokens are checked.
    pub fn as_server(&self, request: RequestBuilder) -> RequestBuilder {
        match self.config.auth.signer().unwrap() {
            Some(signer) => request.bearer_auth(signer.sign(&Claims::new("node", Role::Server, now_s(), 600)).unwrap()),
            None => request,
        }
    }
}

/// Sends a request as a patient client does: where the answer is that it may come again (503), it does. A leader that
/// was not heard for a moment is elected anew, or asks the others first whether it still leads.
pub async fn send(request: RequestBuilder) -> Response {
    eventually("an answer", || async {
        let answer = request.try_clone().unwrap().send().await.unwrap();
        (answer.status() != StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
    })
    .await
}

/// Checks the status and reads the body.
pub async fn read<T: DeserializeOwned>(answer: Response, status: StatusCode) -> T {
    let found = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A problem's code, after its status was checked.
pub async fn code(answer: Response) -> String {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status);
    problem["code"].as_str().unwrap().to_owned()
}

/// Coordinators that form one cluster.
pub struct Cluster {
    pub servers: Vec<Server>,
    _root: tempfile::TempDir,
}

impl Cluster {
    pub async fn start(count: u64, tuning: Tuning, change: impl Fn(&mut Config)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let configs = configs(root.path(), count, change);
        let mut servers = Vec::new();
        for config in configs {
            servers.push(Server::start(config, tuning).await.unwrap());
        }
        let cluster = Self { servers, _root: root };
        for server in &cluster.servers {
            server.ready().await;
        }
        cluster
    }

    /// The position of the one that leads.
    pub async fn leader(&self) -> usize {
        eventually("one that leads", || async {
            for (index, server) in self.servers.iter().enumerate().filter(|(_, server)| server.is_running()) {
                if server.metric("raft_is_leader").await == Some(1) {
                    return Some(index);
                }
            }
            None
        })
        .await
    }

    pub async fn follower(&self) -> &Server {
        let leader = self.leader().await;
        let others = self.servers.iter().enumerate().filter(|(index, server)| *index != leader && server.is_running());
        others.map(|(_, server)| server).next().unwrap()
    }

    /// Waits until all that run have applied the same entries, more than `least`.
    pub async fn level(&self, least: u64) {
        eventually("all at the same entry", || async {
            let mut applied = Vec::new();
            for server in self.servers.iter().filter(|server| server.is_running()) {
                applied.push(server.metric("raft_last_applied").await?);
            }
            applied.iter().all(|index| *index == applied[0] && *index > least).then_some(())
        })
        .await;
    }

    pub async fn stop(&mut self) {
        for server in &mut self.servers {
            server.stop().await;
        }
    }
}

pub fn configs(root: &Path, count: u64, change: impl Fn(&mut Config)) -> Vec<Config> {
    // All different.
    let mut ports = BTreeSet::new();
    while (ports.len() as u64) < count {
        ports.insert(free_port());
    }
    let all: BTreeMap<u64, String> =
        (1..=count).zip(&ports).map(|(id, port)| (id, format!("http://127.0.0.1:{port}"))).collect();
    (1..=count)
        .zip(&ports)
        .map(|(id, port)| {
            let mut config = alone(root.join(format!("coordinator-{id}")));
            config.id = id;
            config.listen = format!("127.0.0.1:{port}");
            config.coordinators = all.clone();
            change(&mut config);
            config
        })
        .collect()
}

/// One coordinator by itself, on a port of the system's choice. Nodes of tests beat when the test wants it: silence means
/// nothing here.
pub fn alone(data_dir: PathBuf) -> Config {
    Config {
        listen: "127.0.0.1:0".to_owned(),
        data_dir,
        heartbeat_ms: 100,
        unreachable_after_ms: 60_000,
        down_after_ms: 120_000,
        ..Config::default()
    }
}

pub async fn tell<T: DeserializeOwned>(coordinator: &Server, path: &str, body: &impl Serialize) -> T {
    let request = coordinator.as_server(http().post(format!("{}{path}", coordinator.url)));
    read(send(request.json(body)).await, StatusCode::OK).await
}

/// Asks for a new material.
pub async fn create(coordinator: &Server, name: &str, key: &str) -> Response {
    let wanted = json!({ "name": name, "size": 1000 });
    let request = http().post(format!("{}/v1/materials", coordinator.url)).json(&wanted);
    request.header("idempotency-key", key).send().await.unwrap()
}

/// A new material. As a client does, it asks again under the same key where the answer is that it may.
pub async fn created(coordinator: &Server, name: &str, key: &str) -> Material {
    eventually("a new material", || async {
        let answer = create(coordinator, name, key).await;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            return None;
        }
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        Some(answer.json().await.unwrap())
    })
    .await
}

/// A new material, whose upload goes to `node`: it beats until it is heard, also by a leader that has just begun.
pub async fn created_on(node: &FakeNode, coordinator: &Server, name: &str, key: &str) -> Material {
    eventually("a new material", || async {
        node.beat(coordinator).await;
        let answer = create(coordinator, name, key).await;
        (answer.status() != StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    created(coordinator, name, key).await
}

/// A material with one copy, on `node`.
pub async fn ready(coordinator: &Server, node: &FakeNode, name: &str) -> Material {
    let material: Material = created_on(node, coordinator, name, name).await;
    let generation = material.replicas[0].generation;
    assert_eq!(material.replicas[0].node, node.id);
    node.verified(coordinator, &material.id, generation, 1000).await;
    coordinator.get(&format!("/v1/materials/{}", material.id)).await
}
