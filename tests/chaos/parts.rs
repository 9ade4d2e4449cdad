//! Files that are sent in parts: the last answer acknowledges them, before they are one file.

use crate::{
    harness::{Cluster, token},
    load::{File, LEN_MAX, Ledger, PATIENCE},
};
use microtome_client::Cluster as Client;
use microtome_proto::{Code, MaterialId};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reqwest::{RequestBuilder, Response};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

const PARTS_MAX: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);

pub struct Sender {
    http: reqwest::Client,
    coordinators: Vec<String>,
    token: String,
    ledger: Arc<Ledger>,
}

impl Sender {
    pub fn new(cluster: &Cluster, secret: &str, ledger: Arc<Ledger>) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build().unwrap(),
            coordinators: cluster.coordinators.iter().map(|server| server.url.clone()).collect(),
            token: token(secret),
            ledger,
        }
    }

    pub async fn go_on(self, seed: u64) {
        let mut chance = StdRng::seed_from_u64(seed);
        for nth in 0.. {
            let len = chance.random_range(1..LEN_MAX) >> chance.random_range(0..8);
            let file = File { seed: seed * 100_000 + nth, len, deleting: false, deleted: false };
            let parts = chance.random_range(1..=PARTS_MAX);
            match self.send(&file, parts).await {
                Some(id) => drop(self.ledger.files.lock().unwrap().insert(id, file)),
                None => drop(self.ledger.failed_uploads.fetch_add(1, Ordering::Relaxed)),
            }
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..300))).await;
        }
    }

    /// The material, once it is acknowledged.
    async fn send(&self, file: &File, parts: usize) -> Option<MaterialId> {
        let bytes = file.bytes();
        let mut addresses = Vec::new();
        for piece in bytes.chunks(bytes.len().div_ceil(parts)) {
            let length = piece.len().to_string();
            let place = self.create(&[("Upload-Concat", "partial"), ("Upload-Length", &length)]).await?;
            self.ledger.parts.lock().unwrap().insert(id(&place));
            self.fill(&place, piece).await?;
            addresses.push(place);
        }
        let (concat, key) = (format!("final;{}", addresses.join(" ")), format!("chaos-{}", file.seed));
        // The same key: an answer that was lost is asked for again.
        let headers =
            [("Upload-Concat", concat.as_str()), ("Upload-Metadata", "population Mg=="), ("Idempotency-Key", &key)];
        let whole = id(&self.create(&headers).await?);
        self.ledger.made(&whole);
        Some(whole)
    }

    /// Asks one coordinator after the other; nothing where it is refused, or nobody answers for long.
    async fn create(&self, headers: &[(&str, &str)]) -> Option<String> {
        let started = Instant::now();
        for coordinator in self.coordinators.iter().cycle() {
            let creation = self.http.post(format!("{coordinator}/v1/uploads"));
            let creation = headers.iter().fold(creation, |creation, (name, value)| creation.header(*name, *value));
            match self.ask(creation).await {
                Some(answer) if answer.status() == 201 => {
                    return Some(answer.headers()["location"].to_str().unwrap().to_owned());
                }
                Some(answer) if answer.status().is_client_error() => return None,
                _ if started.elapsed() > PATIENCE => return None,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        None
    }

    /// Sends a part's bytes, from where it stands on.
    async fn fill(&self, place: &str, bytes: &[u8]) -> Option<()> {
        let (started, mut offset) = (Instant::now(), 0);
        while offset < bytes.len() && started.elapsed() < PATIENCE {
            let patch = self.http.patch(place).header("Upload-Offset", offset);
            let patch = patch.header("Content-Type", "application/offset+octet-stream").body(bytes[offset..].to_vec());
            if self.ask(patch).await.is_some_and(|answer| answer.status() == 204) {
                return Some(());
            }
            tokio::time::sleep(PAUSE).await;
            let told = self.ask(self.http.head(place)).await.filter(|answer| answer.status() == 200);
            let told = told.and_then(|answer| answer.headers().get("upload-offset")?.to_str().ok()?.parse().ok());
            offset = told.unwrap_or(offset);
        }
        (offset == bytes.len()).then_some(())
    }

    async fn ask(&self, request: RequestBuilder) -> Option<Response> {
        request.header("Tus-Resumable", "1.0.0").bearer_auth(&self.token).send().await.ok()
    }
}

fn id(place: &str) -> MaterialId {
    place.rsplit('/').next().unwrap().parse().unwrap()
}

/// Nobody takes up what is left of parts: it is deleted. Those that a file has taken up go with its end.
pub async fn tidy(client: &Client, ledger: &Ledger, until: Instant) {
    let parts = ledger.parts.lock().unwrap().clone();
    for part in parts {
        loop {
            match client.delete_material(&part).await {
                Ok(()) => break,
                Err(error) if matches!(error.code(), Some(Code::NotFound | Code::Gone)) => break,
                Err(error) => assert!(Instant::now() < until, "{part} is not taken up and not freed: {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
