//! What nodes and coordinators ask of a node: `/internal/v1`.

use super::{file, stream::Reader, uploads::expires};
use crate::{
    Node,
    blobs::{Blob, tree},
    disk,
    tasks::{blocking, in_task},
    upload::Uploads,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};
use microtome_proto::{Code, MaterialId, Problem, internal::Reserve};
use microtome_server::extract::{Json, Path};
use std::sync::Arc;

/// Leaves sent at once: 1 MiB.
const LEAVES_AT_ONCE: u64 = (1 << 20) / tree::LEAF_LEN;

/// Room for an upload is promised.
pub(super) async fn reserve(State(node): State<Arc<Node>>, Json(reserve): Json<Reserve>) -> Result<Response, Problem> {
    if node.stop.is_cancelled() {
        return Err(Problem::new(Code::NotReady, "the node is stopping"));
    }
    let is_hash = |hash: &String| crate::blobs::parse_hash(hash).is_some();
    if !reserve.blake3.as_ref().is_none_or(is_hash) {
        return Err(Problem::new(Code::BadRequest, "'blake3' is not 64 hexadecimal digits"));
    }
    let (owner, id) = (Arc::clone(&node), reserve.material.clone());
    in_task(&node.tasks, async move { Uploads::reserve(&owner, reserve).await }).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    expires(&mut response, node.uploads.get(&id).and_then(|upload| upload.expires_at(&node)));
    Ok(response)
}

/// All leaves of the hash tree.
pub(super) async fn leaves(State(node): State<Arc<Node>>, Path(id): Path<MaterialId>) -> Result<Response, Problem> {
    let blob = held(&node, &id)?;
    let count = tree::group_count(blob.len());
    let starts = (0..count).step_by(LEAVES_AT_ONCE as usize);
    let parts = stream::iter(starts).then(move |start| {
        let blob = Arc::clone(&blob);
        blocking(move || blob.leaves(start..(start + LEAVES_AT_ONCE).min(count)))
    });
    let mut response = Response::new(Body::from_stream(parts));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count * tree::LEAF_LEN));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}

/// A range of the file. Never sends the asker on: it asks this very node.
pub(super) async fn data(
    State(node): State<Arc<Node>>,
    Path(id): Path<MaterialId>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let blob = held(&node, &id)?;
    file::part(&blob, &method, &headers, Reader::Node).await.map_err(|error| disk::problem(&error))
}

fn held(node: &Node, id: &MaterialId) -> Result<Arc<Blob>, Problem> {
    node.blobs.get(id).ok_or_else(|| Problem::new(Code::NotFound, format!("this node has no copy of {id}")))
}
