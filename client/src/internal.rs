//! What nodes and coordinators ask each other. The token must be a server's.

use crate::{ByteStream, ClientError, Cluster, calls::with_range, transport::Call};
use microtome_proto::{
    MaterialId, NodeId, RunId,
    internal::{
        ASKED_BY, Counting, Heartbeat, HeartbeatAnswer, Inventory, Located, Reader, Register, Registered,
        ReplicaReport, RunReport, Settled,
    },
};
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use std::ops::Range;

impl Cluster {
    /// A node makes itself known.
    ///
    /// # Errors
    /// `wrong_cluster` among the problems.
    pub async fn register(&self, node: &Register) -> Result<Registered, ClientError> {
        self.ask(&Call::post("/internal/v1/nodes", node)?).await
    }

    /// A node is about to count what it holds.
    ///
    /// # Errors
    /// `not_found` where the node is not known.
    pub async fn begin_inventory(&self, node: &NodeId) -> Result<Counting, ClientError> {
        self.ask(&Call::post(format!("/internal/v1/nodes/{node}/inventory/begin"), &())?).await
    }

    /// A page of what a node holds.
    ///
    /// # Errors
    /// `not_found` where the node is not known; `conflict` where it has to count again.
    pub async fn inventory(&self, node: &NodeId, page: &Inventory) -> Result<Settled, ClientError> {
        self.ask(&Call::post(format!("/internal/v1/nodes/{node}/inventory"), page)?).await
    }

    /// A node is alive.
    ///
    /// # Errors
    /// `not_found` where the node is not known.
    pub async fn heartbeat(&self, node: &NodeId, beat: &Heartbeat) -> Result<HeartbeatAnswer, ClientError> {
        self.ask(&Call::post(format!("/internal/v1/nodes/{node}/heartbeat"), beat)?).await
    }

    /// What became of a replica.
    ///
    /// # Errors
    /// `stale_generation` where a newer assignment exists.
    pub async fn replica_report(
        &self,
        node: &NodeId,
        material: &MaterialId,
        report: &ReplicaReport,
    ) -> Result<(), ClientError> {
        let call = Call::post(format!("/internal/v1/nodes/{node}/replicas/{material}"), report)?;
        self.send(&call).await.map(|_| ())
    }

    /// What became of a run's attempt.
    ///
    /// # Errors
    /// `stale_generation` where a newer attempt exists.
    pub async fn run_report(&self, node: &NodeId, run: &RunId, report: &RunReport) -> Result<(), ClientError> {
        self.send(&Call::post(format!("/internal/v1/nodes/{node}/runs/{run}"), report)?).await.map(|_| ())
    }

    /// Where a material's bytes can be read just now.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn locate(&self, material: &MaterialId) -> Result<Located, ClientError> {
        self.ask(&Call::get(format!("/internal/v1/materials/{material}"))).await
    }

    /// Whether somebody may read a material, as the books have it.
    ///
    /// # Errors
    /// `forbidden`, `token_revoked` and `not_found` among the problems.
    pub async fn may_read(&self, material: &MaterialId, reader: &Reader) -> Result<(), ClientError> {
        self.send(&Call::post(format!("/internal/v1/materials/{material}/reader"), reader)?).await.map(|_| ())
    }

    /// As [`Cluster::delete_material`], for somebody who has asked a server for it: the trail of who did what has their name.
    ///
    /// # Errors
    /// As there.
    pub async fn delete_material_for(&self, material: &MaterialId, name: &str) -> Result<(), ClientError> {
        let call = Call::new(Method::DELETE, format!("/v1/materials/{material}"));
        // A name that no header can have stays untold.
        let call = match HeaderValue::try_from(name) {
            Ok(name) => call.header(HeaderName::from_static(ASKED_BY), name),
            Err(_) => call,
        };
        self.remove(&call).await
    }

    /// The leaves of a material's hash tree, from the node with the base URL `node`.
    ///
    /// # Errors
    /// `not_found` where it has no copy.
    pub async fn leaves(&self, node: &str, material: &MaterialId) -> Result<ByteStream, ClientError> {
        self.stream(Call::get(format!("/internal/v1/blobs/{material}/leaves")).at(node)).await
    }

    /// A range of a material's bytes, from the node with the base URL `node`.
    ///
    /// # Errors
    /// `not_found` where it has no copy.
    pub async fn data(&self, node: &str, material: &MaterialId, range: Range<u64>) -> Result<ByteStream, ClientError> {
        let call = Call::get(format!("/internal/v1/blobs/{material}/data")).at(node);
        self.stream(with_range(call, Some(range))).await
    }
}
