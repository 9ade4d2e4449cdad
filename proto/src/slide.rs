//! What the API says of a slide: `GET /v1/materials/{id}/slide` and `GET /tiles/{id}/tiles.json`.

use crate::MaterialId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One level of the pyramid; level 0 is the largest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Level {
    /// Width in pixels of this level.
    pub width: u64,
    /// Height in pixels of this level.
    pub height: u64,
    /// How much smaller than level 0, from the sizes; 1 for level 0.
    pub downsample: f64,
    /// Width of its tiles in pixels.
    pub tile_width: u32,
    /// Height of its tiles in pixels.
    pub tile_height: u32,
    /// Tiles across.
    pub columns: u32,
    /// Tiles down.
    pub rows: u32,
    /// How its tiles are compressed: `jpeg`, `deflate`, `lzw`, `none`, …
    pub compression: String,
    /// Whether its tiles are answered with the file's own bytes.
    pub native: bool,
}

/// An associated image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Associated {
    /// `label`, `macro`, `thumbnail`, …
    pub name: String,
    /// Width in pixels.
    pub width: u64,
    /// Height in pixels.
    pub height: u64,
    /// Where it is, a path on the node.
    pub url: String,
}

/// The ICC profile that tells what the slide's colours mean. Tiles and regions come without it, their pixels as the file
/// has them; with `icc=srgb` they are converted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IccProfile {
    /// Its length in bytes.
    pub size: u64,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is, a path on the node.
    pub url: String,
}

/// A slide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlideInfo {
    /// The material.
    pub id: MaterialId,
    /// The material's name.
    pub name: String,
    /// `aperio`, `generic-tiff`, …
    pub vendor: String,
    /// Width of level 0 in pixels.
    pub width: u64,
    /// Height of level 0 in pixels.
    pub height: u64,
    /// Micrometres per pixel across.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mpp_x: Option<f64>,
    /// Micrometres per pixel down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mpp_y: Option<f64>,
    /// The objective's magnification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective_power: Option<f64>,
    /// The levels, largest first.
    pub levels: Vec<Level>,
    /// The associated images.
    pub associated: Vec<Associated>,
    /// A native tile's address, a path with `{level}`, `{col}` and `{row}`.
    pub tiles: String,
    /// The Deep Zoom descriptor's address, a path.
    pub deep_zoom: String,
    /// The base URI of the slide as an image service of the IIIF Image API 3, a path; version 2 is at `/iiif/2/…`.
    #[serde(default)]
    pub iiif: String,
    /// The ICC profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icc: Option<IccProfile>,
    /// What the scanner wrote besides.
    pub properties: BTreeMap<String, String>,
}
