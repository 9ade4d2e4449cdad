//! What users ask, a method for each call of the API.

use crate::{ByteStream, ClientError, Cluster, transport::Call};
use bytes::Bytes;
use microtome_proto::{
    CoordinatorId, MaterialId, NodeId, RunId,
    cluster::{AddCoordinator, Cluster as ClusterInfo, Coordinator},
    material::{CreateMaterial, Material, PatchMaterial},
    node::{Candidate, Node},
    operation::{How, Operated, Operation, Rebalanced},
    page::{Page, PageQuery},
    run::{CreateRun, Run},
    slide::SlideInfo,
};
use reqwest::{Method, header::HeaderValue};
use serde::de::DeserializeOwned;
use std::ops::Range;

/// A tile as a server answered it.
#[derive(Debug, Clone)]
pub struct Tile {
    /// The whole JPEG.
    pub jpeg: Bytes,
    /// Whether it is the file's own data, never decoded.
    pub native: bool,
    /// Base URL of the node that answered.
    pub server: String,
}

impl Cluster {
    /// `POST /v1/materials`: reserves room; answers with where to send the bytes, unless the cluster has them already.
    ///
    /// # Errors
    /// `no_space` among the problems.
    pub async fn create_material(&self, wanted: &CreateMaterial) -> Result<Material, ClientError> {
        self.ask(&Call::post("/v1/materials", wanted)?.keyed()).await
    }

    /// The same with the caller's own key: however often it is called with `key`, also by a program that was started
    /// anew, there is one material.
    ///
    /// # Errors
    /// `no_space` among the problems.
    pub async fn create_material_once(&self, wanted: &CreateMaterial, key: &str) -> Result<Material, ClientError> {
        self.ask(&Call::post("/v1/materials", wanted)?.keyed_by(key)).await
    }

    /// `GET /v1/materials/{id}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn material(&self, id: &MaterialId) -> Result<Material, ClientError> {
        self.ask(&Call::get(format!("/v1/materials/{id}"))).await
    }

    /// A page of `GET /v1/materials`.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn materials(&self, query: &PageQuery) -> Result<Page<Material>, ClientError> {
        self.page("/v1/materials", query).await
    }

    /// `PATCH /v1/materials/{id}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn patch_material(&self, id: &MaterialId, patch: &PatchMaterial) -> Result<Material, ClientError> {
        self.ask(&Call::new(Method::PATCH, format!("/v1/materials/{id}")).json(patch)?).await
    }

    /// `DELETE /v1/materials/{id}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn delete_material(&self, id: &MaterialId) -> Result<(), ClientError> {
        self.remove(&Call::new(Method::DELETE, format!("/v1/materials/{id}"))).await
    }

    /// A page of `GET /v1/nodes`.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn nodes(&self, query: &PageQuery) -> Result<Page<Node>, ClientError> {
        self.page("/v1/nodes", query).await
    }

    /// `GET /v1/nodes/{id}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn node(&self, id: &NodeId) -> Result<Node, ClientError> {
        self.ask(&Call::get(format!("/v1/nodes/{id}"))).await
    }

    /// `POST /v1/nodes/{id}/{cordon|uncordon|drain|remove}`. Repeated, it changes nothing more.
    ///
    /// # Errors
    /// `conflict` where bytes would be lost, `gone` where the node was removed.
    pub async fn operate(&self, id: &NodeId, operation: Operation, how: How) -> Result<Operated, ClientError> {
        self.ask(&Call::new(Method::POST, format!("/v1/nodes/{id}/{operation}")).how(how)).await
    }

    /// `POST /v1/cluster/rebalance`: copies are moved until nodes are equally full.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn rebalance(&self, how: How) -> Result<Rebalanced, ClientError> {
        self.ask(&Call::new(Method::POST, "/v1/cluster/rebalance").how(how)).await
    }

    /// `DELETE /v1/cluster/rebalance`: copies stay where they are.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn stop_rebalance(&self) -> Result<(), ClientError> {
        self.send(&Call::new(Method::DELETE, "/v1/cluster/rebalance")).await.map(|_| ())
    }

    /// Where an upload of `size` bytes would go, best first.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn candidates(&self, size: u64) -> Result<Page<Candidate>, ClientError> {
        self.ask(&Call::get("/v1/nodes/candidates").query("size", Some(size))).await
    }

    /// `GET /v1/cluster`.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn cluster(&self) -> Result<ClusterInfo, ClientError> {
        self.ask(&Call::get("/v1/cluster")).await
    }

    /// `POST /v1/coordinators`: all coordinators afterwards. Repeated, it goes on where it stood.
    ///
    /// # Errors
    /// `conflict` where another one has the number or the address, or none with an empty folder runs there.
    pub async fn add_coordinator(&self, new: &AddCoordinator, how: How) -> Result<Vec<Coordinator>, ClientError> {
        self.ask(&Call::post("/v1/coordinators", new)?.how(how)).await
    }

    /// `DELETE /v1/coordinators/{id}`: the others.
    ///
    /// # Errors
    /// `conflict` where the others could not go on without it.
    pub async fn remove_coordinator(&self, id: CoordinatorId, how: How) -> Result<Vec<Coordinator>, ClientError> {
        self.ask(&Call::new(Method::DELETE, format!("/v1/coordinators/{id}")).how(how)).await
    }

    /// `POST /v1/runs`.
    ///
    /// # Errors
    /// `bad_run` among the problems.
    pub async fn create_run(&self, wanted: &CreateRun) -> Result<Run, ClientError> {
        self.ask(&Call::post("/v1/runs", wanted)?.keyed()).await
    }

    /// `GET /v1/runs/{id}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn run(&self, id: &RunId) -> Result<Run, ClientError> {
        self.ask(&Call::get(format!("/v1/runs/{id}"))).await
    }

    /// A page of `GET /v1/runs`.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn runs(&self, query: &PageQuery) -> Result<Page<Run>, ClientError> {
        self.page("/v1/runs", query).await
    }

    /// `POST /v1/runs/{id}/cancel`.
    ///
    /// # Errors
    /// `conflict` where it has ended already.
    pub async fn cancel_run(&self, id: &RunId) -> Result<(), ClientError> {
        self.send(&Call::new(Method::POST, format!("/v1/runs/{id}/cancel"))).await.map(|_| ())
    }

    /// `GET /v1/materials/{id}/slide`.
    ///
    /// # Errors
    /// `not_a_slide` and `unsupported_slide` among the problems.
    pub async fn slide_info(&self, id: &MaterialId) -> Result<SlideInfo, ClientError> {
        self.ask(&Call::get(format!("/v1/materials/{id}/slide"))).await
    }

    /// A tile of the file's own grid, from the node at the base URL `from`, or from whoever has it.
    ///
    /// # Errors
    /// `outside_slide` and `damaged_slide` among the problems.
    pub async fn tile(
        &self,
        from: Option<&str>,
        id: &MaterialId,
        level: usize,
        column: u32,
        row: u32,
    ) -> Result<Tile, ClientError> {
        let call = Call::get(format!("/tiles/{id}/{level}/{column}_{row}.jpg"));
        let answer = self.send(&if let Some(base) = from { call.at(base) } else { call }).await?;
        let native = answer.headers.get("microtome-tile").is_some_and(|kind| kind == "native");
        Ok(Tile { jpeg: answer.whole, native, server: answer.server })
    }

    /// The original's bytes, or a range of them, from whoever has them.
    ///
    /// # Errors
    /// `not_found` and `range_not_satisfiable` among the problems.
    pub async fn file(&self, id: &MaterialId, range: Option<Range<u64>>) -> Result<ByteStream, ClientError> {
        self.stream(with_range(Call::get(format!("/v1/materials/{id}/file")), range)).await
    }

    pub(crate) async fn stream(&self, call: Call) -> Result<ByteStream, ClientError> {
        Ok(ByteStream::new(self.send(&call.streamed()).await?))
    }

    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &PageQuery,
    ) -> Result<Page<T>, ClientError> {
        self.ask(&Call::get(path).query("limit", query.limit).query("cursor", query.cursor.as_deref())).await
    }
}

impl Call {
    /// How an operator's act is meant.
    fn how(self, how: How) -> Self {
        self.query("dry_run", how.dry_run.then_some(true)).query("force", how.force.then_some(true))
    }
}

/// Asks for the bytes from `range.start` up to `range.end`, which is not among them.
pub(crate) fn with_range(call: Call, range: Option<Range<u64>>) -> Call {
    let Some(range) = range.filter(|range| !range.is_empty()) else { return call };
    match HeaderValue::from_str(&format!("bytes={}-{}", range.start, range.end - 1)) {
        Ok(value) => call.header(reqwest::header::RANGE, value),
        Err(_) => call,
    }
}
