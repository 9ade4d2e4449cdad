//! The slide's description, its ICC profile, and its associated images.

use super::{Icc, Refusal, held, opened, read, reply, srgb, tagged::Tagged};
use crate::{
    Node,
    pixels::{Format, Opened, Picture},
};
use axum::{
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use microtome_proto::{
    Code, Problem,
    slide::{Associated, IccProfile, Level, SlideInfo},
};
use microtome_server::extract::{Path, Query};
use microtome_slide::icc;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::sync::Arc;

/// The associated image that was scanned as the levels were; the others come from a camera of their own, of whose colours
/// the profile says nothing.
const SCANNED_ALIKE: &str = "thumbnail";

/// What stays as it is in a part of a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

pub(super) async fn slide(
    State(node): State<Arc<Node>>,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
) -> Response {
    reply(&node, &uri, describe(&node, &id).await).await
}

async fn describe(node: &Node, id: &str) -> Result<Response, Refusal> {
    let blob = held(node, id)?;
    let slide = opened(node, &blob).await?;
    let mut info = info(&slide);
    // A profile beyond reading is told where it is asked for; the slide is there all the same.
    let profile = match node.pixels.icc_profile(&slide).await {
        Err(problem) if problem.code == Code::DamagedSlide => None,
        profile => read(&blob, profile)?,
    };
    info.icc = profile.map(|profile| IccProfile {
        size: profile.len() as u64,
        description: icc::description(&profile).unwrap_or_default(),
        url: format!("/v1/materials/{}/icc", info.id),
    });
    // The material's name in it may change.
    Ok(([(header::CACHE_CONTROL, "no-cache")], axum::Json(info)).into_response())
}

fn info(opened: &Opened) -> SlideInfo {
    let (slide, manifest) = (&opened.slide, opened.blob().manifest());
    let id = &manifest.material;
    let levels: Vec<_> = slide
        .levels()
        .iter()
        .map(|level| Level {
            width: level.width,
            height: level.height,
            downsample: level.downsample,
            tile_width: level.tile_width,
            tile_height: level.tile_height,
            columns: level.columns,
            rows: level.rows,
            compression: level.compression.to_string(),
            native: level.native,
        })
        .collect();
    let associated = slide.associated().iter().map(|image| Associated {
        name: image.name.clone(),
        width: image.width,
        height: image.height,
        url: format!("/v1/materials/{id}/associated/{}", utf8_percent_encode(&image.name, PLAIN)),
    });
    SlideInfo {
        id: id.clone(),
        name: manifest.name.clone(),
        vendor: slide.vendor().to_owned(),
        width: levels.first().map_or(0, |level| level.width),
        height: levels.first().map_or(0, |level| level.height),
        mpp_x: slide.mpp().map(|(x, _)| x),
        mpp_y: slide.mpp().map(|(_, y)| y),
        objective_power: slide.objective_power(),
        levels,
        associated: associated.collect(),
        tiles: format!("/tiles/{id}/{{level}}/{{col}}_{{row}}.jpg"),
        deep_zoom: format!("/dzi/{id}.dzi"),
        iiif: format!("/iiif/3/{id}"),
        icc: None,
        properties: slide.properties().clone(),
    }
}

pub(super) async fn icc_profile(
    State(node): State<Arc<Node>>,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    reply(&node, &uri, profile(&node, &id, &headers).await).await
}

async fn profile(node: &Node, id: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let blob = held(node, id)?;
    let tagged = Tagged::new(&blob.manifest().blake3, format_args!("icc"), headers)?;
    if let Some(unchanged) = tagged.unchanged() {
        return Ok(unchanged);
    }
    let slide = opened(node, &blob).await?;
    match read(&blob, node.pixels.icc_profile(&slide).await)? {
        Some(profile) => Ok(tagged.picture("application/vnd.iccprofile", Bytes::from(profile))),
        None => Err(Problem::new(Code::NoIccProfile, format!("{id} carries no ICC profile")).into()),
    }
}

/// What stands in the query of an associated image's address.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Colours {
    icc: Option<Icc>,
}

pub(super) async fn associated(
    State(node): State<Arc<Node>>,
    Path((id, name)): Path<(String, String)>,
    Query(colours): Query<Colours>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    reply(&node, &uri, image(&node, &id, &name, colours.icc, &headers).await).await
}

async fn image(node: &Node, id: &str, name: &str, icc: Option<Icc>, headers: &HeaderMap) -> Result<Response, Refusal> {
    let blob = held(node, id)?;
    let slide = opened(node, &blob).await?;
    let by_suffix = || name.rsplit_once('.').and_then(|(stem, suffix)| Some((stem, Format::of_suffix(suffix)?)));
    let there = |name: &str| slide.slide.associated().iter().position(|image| image.name == name);
    let accepted = if wants_png(headers) { Format::Png } else { Format::Jpeg };
    let found = match there(name) {
        Some(index) => Some((name, index, accepted)),
        None => by_suffix().and_then(|(stem, format)| Some((stem, there(stem)?, format))),
    };
    let Some((name, index, format)) = found else {
        let names: Vec<_> = slide.slide.associated().iter().map(|image| image.name.as_str()).collect();
        let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let detail = format!("{id} has no associated image '{name}'; it has {has}");
        return Err(Problem::new(Code::OutsideSlide, detail).into());
    };
    let icc = icc.filter(|_| name == SCANNED_ALIKE);
    let colours = Icc::tag(icc);
    let tagged = Tagged::new(&blob.manifest().blake3, format_args!("a-{index}-{}{colours}", format.suffix()), headers)?;
    if let Some(unchanged) = tagged.unchanged() {
        return Ok(unchanged);
    }
    let picture = Picture::Associated { name: name.to_owned(), format };
    let to_srgb = srgb(node, &blob, &slide, icc).await?;
    let bytes = read(&blob, node.pixels.picture(&slide, picture, to_srgb).await)?;
    let mut response = tagged.picture(format.media_type(), bytes);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Whether the asker names PNG, and neither JPEG nor any picture whatever.
fn wants_png(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes = |media_type: &str| {
        accept.split(',').any(|part| part.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type))
    };
    takes("image/png") && !["image/jpeg", "image/*", "*/*"].into_iter().any(takes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn png_is_sent_to_who_takes_nothing_else() {
        let wants = |accept: &str| wants_png(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        assert!(wants("image/png") && wants("Image/PNG;q=0.9, text/html"));
        assert!(!wants("image/png,image/*;q=0.8") && !wants("*/*") && !wants("image/jpeg, image/png"));
    }
}
