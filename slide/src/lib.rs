//! Whole-slide files: bytes in, pixels and tiles out.
//!
//! The way of a tile: a [`ReadAt`] gives bytes, `tiff` finds the images in them, `vendor` says which image is what,
//! `raster` finds a tile of an image, and `jpeg` or `codec` makes it pixels. [`Slide`] is what all of it looks like from
//! outside; [`deep_zoom`] and [`iiif`](mod@iiif) cut it anew for viewers, [`icc`] brings its colours to sRGB, and [`encode`]
//! writes what was cut.
//!
//! Nothing here knows networks, clocks or anything else of this project, and nothing starts threads; what is shared by
//! them is the `cache` of pieces that are dear to decode. Files come from outside: every count, offset and length in them
//! is a claim, and no allocation follows one that was not held against the file's size or a limit.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod between;
mod cache;
mod codec;
pub mod deep_zoom;
pub mod encode;
mod error;
mod grid;
mod holes;
pub mod icc;
pub mod iiif;
mod jpeg;
mod limits;
mod raster;
mod region;
mod resample;
mod rgb;
mod seams;
mod slide;
mod source;
pub mod synthetic;
mod tiff;
mod vendor;

pub use error::SlideError;
pub use rgb::Rgb;
pub use slide::{Associated, Compression, Level, Slide};
pub use source::{FileSource, ReadAt};
