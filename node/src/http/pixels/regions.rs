//! `/regions/{id}?level=&x=&y=&w=&h=&format=jpg|png|raw&icc=srgb`.

use super::{Icc, Refusal, bad_request, held, opened, read, reply, srgb, tagged::Tagged};
use crate::{
    Node,
    pixels::{Format, Picture, Region},
};
use axum::{
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use microtome_proto::{Code, Problem, limits::REGION_PIXELS_MAX};
use microtome_server::extract::{Path, Query};
use serde::Deserialize;
use std::sync::Arc;

/// The sides of a raw answer, which has no head of its own.
const WIDTH: HeaderName = HeaderName::from_static("microtome-width");
const HEIGHT: HeaderName = HeaderName::from_static("microtome-height");
/// The longest side that a JPEG can have.
const JPEG_SIDE_MAX: u32 = 65_535;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    #[default]
    #[serde(alias = "jpeg")]
    Jpg,
    Png,
    Raw,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Cut {
    #[serde(default)]
    level: usize,
    #[serde(default)]
    x: i64,
    #[serde(default)]
    y: i64,
    w: u32,
    h: u32,
    #[serde(default)]
    format: Wanted,
    icc: Option<Icc>,
}

impl Cut {
    fn checked(self) -> Result<Region, Problem> {
        let Self { level, x, y, w: width, h: height, format, .. } = self;
        let format = match format {
            Wanted::Jpg => Some(Format::Jpeg),
            Wanted::Png => Some(Format::Png),
            Wanted::Raw => None,
        };
        if width == 0 || height == 0 {
            return Err(bad_request(format!("a region of {width} × {height} pixels has none")));
        }
        let too_large = |limit: String| {
            Problem::new(Code::TooLarge, format!("a region of {width} × {height} pixels: the limit is {limit}"))
        };
        if u64::from(width) * u64::from(height) > REGION_PIXELS_MAX {
            return Err(too_large(format!("{REGION_PIXELS_MAX} pixels in all")));
        }
        if format == Some(Format::Jpeg) && width.max(height) > JPEG_SIDE_MAX {
            return Err(too_large(format!("{JPEG_SIDE_MAX} pixels a side for JPEG; ask for png or raw")));
        }
        Ok(Region { x, y, level, width, height, format })
    }
}

pub(super) async fn region(
    State(node): State<Arc<Node>>,
    Path(id): Path<String>,
    Query(cut): Query<Cut>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    reply(&node, &uri, answer(&node, &id, cut, &headers).await).await
}

async fn answer(node: &Node, id: &str, cut: Cut, headers: &HeaderMap) -> Result<Response, Refusal> {
    let region = cut.checked()?;
    let blob = held(node, id)?;
    let Region { x, y, level, width, height, format } = region;
    let suffix = format.map_or("raw", Format::suffix);
    let colours = Icc::tag(cut.icc);
    let tagged = Tagged::new(
        &blob.manifest().blake3,
        format_args!("r-{level}-{x}-{y}-{width}-{height}-{suffix}{colours}"),
        headers,
    )?;
    if let Some(unchanged) = tagged.unchanged() {
        return Ok(unchanged);
    }
    let slide = opened(node, &blob).await?;
    let levels = slide.slide.levels().len();
    if level >= levels {
        let detail = format!("{id} has the levels 0 to {}, not {level}", levels.saturating_sub(1));
        return Err(Problem::new(Code::OutsideSlide, detail).into());
    }
    let to_srgb = srgb(node, &blob, &slide, cut.icc).await?;
    let bytes = read(&blob, node.pixels.picture(&slide, Picture::Region(region), to_srgb).await)?;
    let mut response = tagged.picture(format.map_or("application/octet-stream", Format::media_type), bytes);
    response.headers_mut().insert(WIDTH, HeaderValue::from(width));
    response.headers_mut().insert(HEIGHT, HeaderValue::from(height));
    Ok(response)
}
