//! A node as its users and its coordinator see it: real sockets, a real folder, and a coordinator that says what the
//! test wants.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

pub mod coordinator;
pub mod runs;
pub mod small_disk;

pub use coordinator::{FakeCoordinator, Seen};

use microtome_node::{Config, NodeError, run};
use microtome_proto::{
    Generation, MaterialId,
    internal::{Belonging, Reserve},
    token::Settings,
};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode, redirect::Policy};
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// No step of a test takes this long unless it hangs.
pub const HANGS_AFTER: Duration = Duration::from_secs(240);

pub struct TestNode {
    pub url: String,
    pub http: Client,
    pub coordinator: Arc<FakeCoordinator>,
    pub folder: Arc<tempfile::TempDir>,
    stop: CancellationToken,
    running: JoinHandle<Result<(), NodeError>>,
}

pub fn config(folder: &Path, coordinator: &str) -> Config {
    Config {
        listen: "127.0.0.1:0".to_owned(),
        url: None,
        data_dir: folder.to_owned(),
        coordinators: vec![coordinator.to_owned()],
        name: Some("test".to_owned()),
        zone: None,
        labels: BTreeMap::new(),
        auth: Settings::default(),
        tls: Default::default(),
        reserve_bytes: Some(0),
        uploads_expire_after: None,
        checks: None,
        runs_max: 1,
        scrub_bytes_per_s: 0,
        scrub_every: Duration::from_secs(86_400),
    }
}

impl TestNode {
    /// A new node with a coordinator of its own.
    pub async fn start() -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().unwrap()), FakeCoordinator::start().await).await
    }

    /// A node on a folder, registered with `coordinator`.
    pub async fn start_on(folder: Arc<tempfile::TempDir>, coordinator: Arc<FakeCoordinator>) -> Self {
        let beats = coordinator.beats();
        let config = config(folder.path(), coordinator.url());
        let node = Self::start_with(config, folder, Arc::clone(&coordinator)).await;
        coordinator.wait("a heartbeat", |seen| seen.beats > beats).await;
        node
    }

    /// The same without waiting for the coordinator.
    pub async fn start_with(config: Config, folder: Arc<tempfile::TempDir>, coordinator: Arc<FakeCoordinator>) -> Self {
        let stop = CancellationToken::new();
        let (ready, address) = oneshot::channel::<SocketAddr>();
        let running = tokio::spawn(run(config, stop.clone(), ready));
        let url = format!("http://{}", address.await.expect("the node starts"));
        let http = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { url, http, coordinator, folder, stop, running }
    }

    /// Stops it properly.
    pub async fn stop(self) -> (Arc<tempfile::TempDir>, Arc<FakeCoordinator>) {
        self.stop.cancel();
        drop(self.http);
        tokio::time::timeout(HANGS_AFTER, self.running).await.expect("it stops").unwrap().unwrap();
        (self.folder, self.coordinator)
    }

    /// A node on a copy of the folder as it is at this moment, as if the machine had lost its power now. The file's
    /// bytes are copied first: later writes may be missing while what was written down after them is there.
    pub async fn crashed(&self) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for folder in ["materials", "incoming"] {
            copy_folder(&self.folder.path().join(folder), &copy.path().join(folder));
        }
        fs::copy(self.folder.path().join("node.json"), copy.path().join("node.json")).unwrap();
        Self::start_on(Arc::new(copy), FakeCoordinator::start().await).await
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.url))
    }

    pub async fn reserve(&self, reserve: &Reserve) -> Response {
        self.request("POST", "/internal/v1/uploads").json(reserve).send().await.unwrap()
    }

    pub async fn head(&self, id: &MaterialId) -> Response {
        self.request("HEAD", &format!("/v1/uploads/{id}")).send().await.unwrap()
    }

    pub async fn offset(&self, id: &MaterialId) -> u64 {
        let response = self.head(id).await;
        assert_eq!(response.status(), StatusCode::OK);
        number(&response, "upload-offset")
    }

    pub fn patch(&self, id: &MaterialId, offset: u64, body: impl Into<Body>) -> RequestBuilder {
        self.request("PATCH", &format!("/v1/uploads/{id}"))
            .header("tus-resumable", "1.0.0")
            .header("content-type", "application/offset+octet-stream")
            .header("upload-offset", offset)
            .body(body)
    }

    /// Uploads `data` in one request; it becomes a copy of the material.
    pub async fn put(&self, id: &MaterialId, data: &[u8]) {
        assert_eq!(self.reserve(&reserve(id, data.len() as u64)).await.status(), StatusCode::NO_CONTENT);
        let response = self.patch(id, 0, data.to_vec()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }

    /// A file in the folder of a copy that is whole.
    pub fn path(&self, id: &MaterialId, name: &str) -> PathBuf {
        self.folder.path().join("materials").join(id.as_str()).join(name)
    }

    /// `len` bytes of the file, from `from` on.
    pub async fn part(&self, id: &MaterialId, from: usize, len: usize) -> Response {
        let range = format!("bytes={from}-{}", from + len - 1);
        self.request("GET", &format!("/v1/materials/{id}/file")).header("range", range).send().await.unwrap()
    }

    pub async fn file(&self, id: &MaterialId) -> Response {
        self.request("GET", &format!("/v1/materials/{id}/file")).send().await.unwrap()
    }
}

pub fn reserve(id: &MaterialId, size: u64) -> Reserve {
    Reserve {
        material: id.clone(),
        generation: Generation(1),
        size,
        name: "Präparat 7.svs".to_owned(),
        media_type: "image/tiff".to_owned(),
        blake3: None,
        concat: None,
        owner: None,
        metadata: None,
        belonging: Belonging::default(),
    }
}

pub fn material(number: u32) -> MaterialId {
    format!("m-{number:010}").parse().unwrap()
}

/// Bytes that do not repeat.
pub fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut data = vec![0; len];
    blake3::Hasher::new_keyed(blake3::hash(&seed.to_le_bytes()).as_bytes()).finalize_xof().fill(&mut data);
    data
}

pub fn hash(data: &[u8]) -> String {
    blake3::hash(data).to_hex().to_string()
}

pub fn number(response: &Response, name: &str) -> u64 {
    response.headers()[name].to_str().unwrap().parse().unwrap()
}

/// The code in a problem's body.
pub async fn code(response: Response) -> String {
    let problem: serde_json::Value = response.json().await.unwrap();
    problem["code"].as_str().unwrap().to_owned()
}

/// The disk flips a bit.
pub fn flip(path: &Path, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let mut entries: Vec<_> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort_by_key(|path| path.file_name().unwrap() != "file");
    for path in entries {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            // One that is renamed at this moment is one that was not there.
            let _ = fs::copy(&path, &target);
        }
    }
}
