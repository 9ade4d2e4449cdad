//! Spaces from outside: files under keys, who may what where, and how much.

mod export;
mod hammered;
mod keys;
mod quotas;
mod rights;

use crate::harness::Cluster;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// A file's address at a coordinator.
fn address(cluster: &Cluster, coordinator: usize, space: &str, key: &str) -> String {
    format!("{}/v1/spaces/{space}/files/{key}", cluster.coordinators[coordinator].url)
}

fn asking(cluster: &Cluster, method: Method, url: &str, token: Option<&str>) -> RequestBuilder {
    let request = cluster.http.request(method, url);
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

/// Status and code of an answer.
async fn verdict(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let code = answer.json::<Value>().await.ok().and_then(|body| body["code"].as_str().map(str::to_owned));
    (status, code.unwrap_or_default())
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
