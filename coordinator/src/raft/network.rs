//! Messages to the other coordinators: JSON over HTTP/1.1, encrypted where there is a secret, one connection per message under way, so that a snapshot or a
//! large batch never holds up a heartbeat.

use super::types::{TypeConfig, Vote};
use crate::store::snapshot::Snapshot;
use bytes::Bytes;
use futures_util::Stream;
use microtome_proto::{ClusterId, CoordinatorId};
use microtome_server::{Auth, Tls};
use openraft::{
    BasicNode, OptionalSend,
    alias::SnapshotOf,
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable},
    network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
        VoteRequest, VoteResponse,
    },
};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::Arc,
    time::Duration,
};
use tokio::task::spawn_blocking;

/// The header that names the coordinator for whom a message is meant.
pub(crate) const TO: &str = "microtome-to";
/// The header with the sender's cluster, once it knows it.
pub(crate) const CLUSTER: &str = "microtome-cluster";
/// The header with the protocol that the sender speaks.
pub(crate) const PROTOCOL: &str = "microtome-protocol";
/// The header with the leader's vote beside a snapshot.
pub(crate) const VOTE: &str = "microtome-vote";

/// Entries have to reach the follower's disk, which takes longer than a heartbeat may.
const APPEND_WITHIN_MIN: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// Bytes of a snapshot read from disk at once.
const CHUNK_LEN: usize = 256 << 10;

type Failure = RPCError<TypeConfig>;

/// How the other coordinators are reached.
pub(crate) struct Peers {
    pub(crate) id: CoordinatorId,
    /// From the configuration; they count more than what the log says.
    urls: BTreeMap<CoordinatorId, String>,
    cluster: Mutex<Option<ClusterId>>,
    /// The protocol that this coordinator speaks.
    pub(crate) protocol: u32,
    auth: Auth,
    tls: Tls,
    http: reqwest::Client,
}

impl Peers {
    pub(crate) fn new(
        id: CoordinatorId,
        urls: BTreeMap<CoordinatorId, String>,
        cluster: Option<ClusterId>,
        protocol: u32,
        (auth, tls): (Auth, Tls),
    ) -> Result<Self, String> {
        let encryption = tls.client_config().map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(encryption)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { id, urls, cluster: Mutex::new(cluster), protocol, auth, tls, http })
    }

    /// Coordinators of the configuration, this one among them.
    pub(crate) fn configured(&self) -> &BTreeMap<CoordinatorId, String> {
        &self.urls
    }

    /// Where a coordinator is: the configuration's word, or else the log's.
    pub(crate) fn url(&self, id: CoordinatorId, node: Option<&BasicNode>) -> Option<String> {
        self.urls.get(&id).cloned().or_else(|| node.map(|node| node.addr.clone()))
    }

    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.cluster.lock().clone()
    }

    pub(crate) fn belong_to(&self, cluster: &ClusterId) {
        self.cluster.lock().get_or_insert_with(|| cluster.clone());
    }

    /// A call to another server in somebody else's name: over TLS, unless the cluster's servers do without.
    pub(crate) fn pass_on(&self, method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
        self.http.request(method, &*self.tls.call(url))
    }

    /// A call to another server, with a token that says who calls, where tokens are checked.
    pub(crate) fn call(&self, method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
        let request = self.pass_on(method, url);
        match self.auth.server_token(&format!("coordinator {}", self.id)) {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A call to another coordinator.
    pub(crate) fn request(&self, method: reqwest::Method, url: &str, target: CoordinatorId) -> reqwest::RequestBuilder {
        let request = self.call(method, url).header(TO, target).header(PROTOCOL, self.protocol);
        match self.cluster() {
            Some(cluster) => request.header(CLUSTER, cluster.as_str()),
            None => request,
        }
    }
}

/// Makes the connections.
pub(crate) struct Network(pub(crate) Arc<Peers>);

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: CoordinatorId, node: &BasicNode) -> Connection {
        let url = self.0.url(target, Some(node)).unwrap_or_default();
        Connection { peers: Arc::clone(&self.0), target, url }
    }
}

/// The way to one coordinator.
pub(crate) struct Connection {
    peers: Arc<Peers>,
    target: CoordinatorId,
    url: String,
}

impl Connection {
    async fn call<T: DeserializeOwned>(
        &self,
        action: RPCTypes,
        path: &str,
        message: &impl Serialize,
        within: Duration,
    ) -> Result<T, Failure> {
        let url = format!("{}/internal/v1/raft/{path}", self.url);
        let request = self.peers.request(reqwest::Method::POST, &url, self.target).json(message);
        self.answer(action, request, within).await
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        action: RPCTypes,
        request: reqwest::RequestBuilder,
        within: Duration,
    ) -> Result<T, Failure> {
        let response = request.timeout(within).send().await.map_err(|error| self.failure(action, &error, within))?;
        let status = response.status();
        if !status.is_success() {
            let text = response.text().await.unwrap_or_default();
            return Err(Unreachable::<TypeConfig>::from_string(format!("{} answers {status}: {text}", self.url)).into());
        }
        response.json().await.map_err(|error| self.failure(action, &error, within))
    }

    fn failure(&self, action: RPCTypes, error: &reqwest::Error, timeout: Duration) -> Failure {
        if error.is_connect() || error.is_builder() {
            Unreachable::<TypeConfig>::new(error).into()
        } else if error.is_timeout() {
            Timeout::<TypeConfig> { action, id: self.peers.id, target: self.target, timeout }.into()
        } else {
            NetworkError::<TypeConfig>::new(error).into()
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Connection {
    type SnapshotData = Snapshot;

    async fn append_entries(
        &mut self,
        message: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, Failure> {
        let is_heartbeat = message.entries.is_empty();
        let within = if is_heartbeat { option.soft_ttl() } else { option.soft_ttl().max(APPEND_WITHIN_MIN) };
        self.call(RPCTypes::AppendEntries, "append", &message, within).await
    }

    async fn vote(
        &mut self,
        message: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        self.call(RPCTypes::Vote, "vote", &message, option.soft_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        message: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Failure> {
        self.call(RPCTypes::Vote, "pre-vote", &message, option.soft_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<TypeConfig, Snapshot>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let url = format!("{}/internal/v1/raft/snapshot", self.url);
        let vote = serde_json::to_string(&vote).map_err(|error| NetworkError::<TypeConfig>::new(&error))?;
        let request = self
            .peers
            .request(reqwest::Method::POST, &url, self.target)
            .header(VOTE, vote)
            .header(reqwest::header::CONTENT_LENGTH, snapshot.snapshot.len())
            .body(reqwest::Body::wrap_stream(chunks(snapshot.snapshot.reader())));
        tokio::select! {
            closed = cancel => Err(closed.into()),
            answer = self.answer(RPCTypes::InstallSnapshot, request, option.soft_ttl()) => Ok(answer?),
        }
    }

    async fn transfer_leader(
        &mut self,
        message: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Failure> {
        self.call(RPCTypes::TransferLeader, "transfer", &message, option.soft_ttl()).await
    }
}

/// A file's bytes, read off the runtime's threads, one chunk ahead of nobody.
fn chunks(reader: impl Read + Send + 'static) -> impl Stream<Item = io::Result<Bytes>> {
    futures_util::stream::try_unfold(reader, |mut reader| async move {
        let read = spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK_LEN];
            let len = reader.read(&mut chunk)?;
            chunk.truncate(len);
            io::Result::Ok((chunk, reader))
        });
        let (chunk, reader) = read.await.map_err(io::Error::other)??;
        Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), reader)))
    })
}
