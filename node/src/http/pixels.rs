//! Tiles, Deep Zoom, IIIF pictures, regions, associated images and the slide's description, as viewers ask for them.

mod address;
mod at_hand;
mod deep_zoom;
mod iiif;
mod info;
mod regions;
mod tagged;
mod tiles;

pub(crate) use at_hand::at_hand;

use crate::{Node, blobs::Blob, pixels::Opened};
use axum::{
    Router,
    http::Uri,
    response::{IntoResponse as _, Response},
    routing::get,
};
use microtome_proto::{Code, MaterialId, Problem};
use microtome_slide::icc::ToSrgb;
use serde::Deserialize;
use std::sync::Arc;

/// The routes, for the users' side of the server.
pub(crate) fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/tiles/{id}/tiles.json", get(info::slide))
        .route(tiles::ROUTE, get(tiles::tile))
        .route("/dzi/{name}", get(deep_zoom::descriptor))
        .route(deep_zoom::ROUTE, get(deep_zoom::tile))
        .route("/iiif/{version}/{id}", get(iiif::base))
        .route("/iiif/{version}/{id}/info.json", get(iiif::info))
        .route("/iiif/{version}/{id}/{region}/{size}/{rotation}/{picture}", get(iiif::picture))
        .route("/regions/{id}", get(regions::region))
        .route("/v1/materials/{id}/slide", get(info::slide))
        .route("/v1/materials/{id}/icc", get(info::icc_profile))
        .route("/v1/materials/{id}/associated/{name}", get(info::associated))
}

/// Which colours are wanted, where not those that the file has: `icc=srgb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Icc {
    Srgb,
}

/// What stands in the query of a picture's address.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Colours {
    icc: Option<Icc>,
}

impl Icc {
    /// What tells the wanted colours apart in the names of pictures.
    const fn tag(wanted: Option<Self>) -> &'static str {
        match wanted {
            Some(Self::Srgb) => "-srgb",
            None => "",
        }
    }
}

/// The way to the wanted colours; nothing where the slide's pixels are to be sent as they are, also for want of a profile.
async fn srgb(node: &Node, blob: &Blob, opened: &Arc<Opened>, wanted: Option<Icc>) -> Result<Option<ToSrgb>, Refusal> {
    match wanted {
        Some(Icc::Srgb) => read(blob, node.pixels.to_srgb(opened).await),
        None => Ok(None),
    }
}

/// Why there is no picture in the answer.
enum Refusal {
    /// Something is wrong with what is asked, or with the slide.
    Problem(Problem),
    /// There is no copy here.
    Absent(MaterialId),
    /// The copy that is here cannot be trusted; another one may be whole.
    Damaged(MaterialId, Box<Problem>),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// The answer, or the way to another copy, or what is wrong.
async fn reply(node: &Node, uri: &Uri, answer: Result<Response, Refusal>) -> Response {
    match answer {
        Ok(response) => response,
        Err(Refusal::Problem(problem)) => problem.into_response(),
        Err(Refusal::Absent(id)) => super::elsewhere(node, &id, uri).await,
        Err(Refusal::Damaged(id, problem)) => {
            let elsewhere = super::elsewhere(node, &id, uri).await;
            if elsewhere.status().is_redirection() { elsewhere } else { (*problem).into_response() }
        }
    }
}

/// The copy that is asked for.
fn held(node: &Node, id: &str) -> Result<Arc<Blob>, Refusal> {
    let id: MaterialId = id.parse().map_err(|_| bad_request(format!("'{id}' is no material's id")))?;
    node.readable(&id).ok_or(Refusal::Absent(id))
}

/// What reading the copy gave.
fn read<T>(blob: &Blob, result: Result<T, Problem>) -> Result<T, Refusal> {
    result.map_err(|problem| match problem.code {
        Code::Unavailable => Refusal::Damaged(blob.manifest().material.clone(), Box::new(problem)),
        _ => Refusal::Problem(problem),
    })
}

/// The slide in the copy.
async fn opened(node: &Node, blob: &Arc<Blob>) -> Result<Arc<Opened>, Refusal> {
    read(blob, node.pixels.slide(blob).await)
}

fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(Code::BadRequest, detail)
}

/// A number in a path. Digits beyond any slide are a place outside of it, not nonsense.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// `{column}_{row}.{suffix}`.
fn tile_name(text: &str) -> Option<(u32, u32, &str)> {
    let (place, suffix) = text.rsplit_once('.')?;
    let (column, row) = place.split_once('_')?;
    Some((number(column)?, number(row)?, suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tile_names_are_taken_apart() {
        assert_eq!(tile_name("12_3.jpg"), Some((12, 3, "jpg")));
        assert_eq!(tile_name("99999999999_0.png"), Some((u32::MAX, 0, "png")));
        for text in ["", "1_2", "_2.jpg", "1_.jpg", "-1_2.jpg", "+1_2.jpg", "1_2_3.jpg", "1.jpg", "a_b.jpg"] {
            assert_eq!(tile_name(text), None, "{text}");
        }
    }
}
