//! How reading a slide can fail, one variant per way.

use std::io;

/// Why a slide, or a part of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SlideError {
    /// The file is no slide: not a TIFF, or one that holds no image.
    #[error("not a slide: {0}")]
    NotASlide(String),
    /// The file is sound as far as looked at, but of a kind that is not read.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The file contradicts itself at this place: truncated, overwritten or crafted.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The ICC profile is none, or none of RGB pixels.
    #[error("the ICC profile cannot be used: {0}")]
    BadProfile(String),
    /// There is no such level, tile or associated image.
    #[error("outside the slide: {0}")]
    Outside(String),
    /// More was asked for than one request may cost.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The bytes could not be had from the disk or the source behind it.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
}

/// A result whose error is [`SlideError`].
pub(crate) type Result<T, E = SlideError> = std::result::Result<T, E>;
