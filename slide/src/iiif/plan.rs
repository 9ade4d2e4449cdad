//! A request measured on a slide: which pixels become how many, and the file's own tile where it is one.

use super::{Format, Quality, Refused, Request, Turn, Version, region::Rectangle, size::largest};
use crate::{Slide, deep_zoom::DeepZoom};

/// What is drawn. Requests that ask for the same picture in other words have equal plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Plan {
    pub(super) region: Rectangle,
    /// Sides before the picture is turned.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) turn: Turn,
    pub(super) quality: Quality,
    pub(super) format: Format,
}

impl Plan {
    /// What `request` is on `slide`.
    ///
    /// # Errors
    /// `Bad` where the region lies outside or has no pixel, or where the size is none or beyond a limit; `NotImplemented`
    /// where the picture would be larger than its region.
    pub fn new(slide: &Slide, request: &Request) -> Result<Self, Refused> {
        let (width, height) = sides(slide);
        let region = request.region.within(width, height)?;
        let (width, height) = request.size.of(request.version, region)?;
        let (turn, quality, format) = (request.turn, request.quality, request.format);
        Ok(Self { region, width, height, turn, quality, format })
    }

    /// Width and height of the picture.
    pub fn size(&self) -> (u32, u32) {
        self.turn.turned((self.width, self.height))
    }

    /// How it is sent.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The slide's level, column and row of the file's own tile that this is; nothing where it must be drawn. That Deep
    /// Zoom takes a tile for the file's own at its level is the rule here, too.
    pub fn native(&self, slide: &Slide) -> Option<(usize, u32, u32)> {
        let as_it_is = self.turn == Turn::default() && self.quality == Quality::Color && self.format == Format::Jpeg;
        if !as_it_is || self.width != self.height {
            return None;
        }
        let scale = self.region.width / self.width;
        let Rectangle { x, y, width, height } = self.region;
        let whole = scale.is_power_of_two() && width == self.width * scale && height == self.height * scale;
        if !whole || x % width != 0 || y % height != 0 {
            return None;
        }
        let zoom = DeepZoom::new(slide, None, 0);
        if zoom.tile_size() != self.width {
            return None;
        }
        let level = (zoom.levels() - 1).checked_sub(scale.ilog2() as usize)?;
        zoom.native(level, x / width, y / height)
    }

    /// The one among all ways to ask for this picture that the API prefers, from the region on.
    pub fn canonical(&self, slide: &Slide, version: Version) -> String {
        let Rectangle { x, y, width, height } = self.region;
        let region = match (x, y, width, height) == (0, 0, sides(slide).0, sides(slide).1) {
            true => "full".to_owned(),
            false => format!("{x},{y},{width},{height}"),
        };
        let own = (u64::from(width), u64::from(height));
        let largest = largest(own) == (self.width.into(), self.height.into());
        let by_width = super::number::share(own.1, self.width.into(), own.0).max(1) == u64::from(self.height);
        let size = match version {
            Version::V3 if largest => "max".to_owned(),
            Version::V2 if (width, height) == (self.width, self.height) => "full".to_owned(),
            Version::V2 if by_width => format!("{},", self.width),
            _ => format!("{},{}", self.width, self.height),
        };
        let quality = match self.quality {
            Quality::Color => "default",
            Quality::Gray => "gray",
            Quality::Bitonal => "bitonal",
        };
        format!("{region}/{size}/{}/{quality}.{}", self.turn.text(), self.format.suffix())
    }
}

/// Width and height of the slide in pixels of level 0.
pub(super) fn sides(slide: &Slide) -> (u32, u32) {
    let side = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
    slide.levels().first().map_or((1, 1), |top| (side(top.width), side(top.height)))
}
