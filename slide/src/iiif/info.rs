//! `info.json`: what a slide can be asked for.

use super::{Version, plan::sides};
use crate::{
    Slide,
    deep_zoom::DeepZoom,
    limits::{IIIF_PIXELS_MAX, IIIF_SIDE_MAX, RENDER_PIXELS_MAX},
};
use std::fmt::Write as _;

/// What is served beyond level 2, by the API's names.
const FEATURES: &str = "\"canonicalLinkHeader\",\"mirroring\",\"profileLinkHeader\"";

/// The document for `slide` as the image service at `id`, a URL without a slash at its end.
///
/// Tiles are those of the file where they are square, at all powers of two; scale factors and sizes that the slide has no
/// level small enough for are left out.
pub fn info(version: Version, slide: &Slide, id: &str) -> String {
    let (width, height) = sides(slide);
    let tile = DeepZoom::new(slide, None, 0).tile_size();
    let scales: Vec<u32> = (0..32)
        .map(|power| 1 << power)
        .take_while(|scale| *scale == 1 || width.max(height).div_ceil(scale / 2) > tile)
        .filter(|scale| is_drawn(slide, *scale, tile, tile))
        .collect();
    let sizes = (0..32)
        .map(|power| 1 << power)
        .take_while(|scale| *scale == 1 || width.max(height) / (scale / 2) > 1)
        .filter(|scale| is_drawn(slide, *scale, width.div_ceil(*scale), height.div_ceil(*scale)))
        .map(|scale| (width.div_ceil(scale), height.div_ceil(scale)))
        .filter(|(width, height)| u64::from(*width) * u64::from(*height) <= IIIF_PIXELS_MAX)
        .filter(|(width, height)| *width.max(height) <= IIIF_SIDE_MAX && *width.max(height) >= 64.min(tile));
    let mut sizes: Vec<String> =
        sizes.map(|(width, height)| format!("{{\"width\":{width},\"height\":{height}}}")).collect();
    sizes.reverse();
    let scales: Vec<String> = scales.iter().map(u32::to_string).collect();
    let limits = format!("\"maxWidth\":{IIIF_SIDE_MAX},\"maxHeight\":{IIIF_SIDE_MAX},\"maxArea\":{IIIF_PIXELS_MAX}");

    let (context, id) = (version.context(), quoted(id));
    let mut json = format!("{{\"@context\":\"{context}\",");
    let named = match version {
        Version::V2 => format!("\"@id\":{id},"),
        Version::V3 => format!("\"id\":{id},\"type\":\"ImageService3\","),
    };
    let shape = format!(
        "\"protocol\":\"http://iiif.io/api/image\",\"width\":{width},\"height\":{height},\"sizes\":[{}],\
         \"tiles\":[{{\"width\":{tile},\"height\":{tile},\"scaleFactors\":[{}]}}],",
        sizes.join(","),
        scales.join(","),
    );
    let profile = match version {
        Version::V2 => format!(
            "\"profile\":[\"{}\",{{\"formats\":[\"jpg\",\"png\"],\"qualities\":[\"default\",\"color\",\"gray\",\"bitonal\"],\
             \"supports\":[{FEATURES},\"regionSquare\"],{limits}}}]",
            version.profile()
        ),
        Version::V3 => format!(
            "\"profile\":\"level2\",{limits},\"extraQualities\":[\"color\",\"gray\",\"bitonal\"],\
             \"extraFeatures\":[{FEATURES}],\"preferredFormats\":[\"jpg\"]"
        ),
    };
    let _ = write!(json, "{named}{shape}{profile}}}");
    json
}

/// Whether the slide has a level from which a picture of `width` × `height` pixels, this much smaller than level 0, can be
/// drawn.
fn is_drawn(slide: &Slide, scale: u32, width: u32, height: u32) -> bool {
    let downsample = |level: &crate::Level| level.downsample;
    // A level that was rounded down seems a little smaller than it is.
    let from = slide.levels().iter().map(downsample).filter(|own| *own <= f64::from(scale) * 1.01).fold(1.0, f64::max);
    let ratio = f64::from(scale) / from;
    f64::from(width) * ratio * f64::from(height) * ratio <= RENDER_PIXELS_MAX as f64
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
