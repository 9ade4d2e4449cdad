//! The IIIF Image API, versions 3 and 2, at level 2 and without its HTTP.
//!
//! The way of a picture: the parts of its address become a [`Request`], which a slide's size makes a [`Plan`]: which pixels,
//! at which size, turned how. A plan knows the file's own tile that it is, or draws itself. [`info`](info()) says what a
//! slide can be asked for. Facts are from the API's texts (iiif.io/api/image/3.0 and 2.1).

mod draw;
mod info;
mod number;
mod plan;
mod region;
mod request;
mod rotation;
mod size;

pub use info::info;
pub use plan::Plan;
pub use request::{Format, Quality, Request};
pub use rotation::Turn;

/// The version of the API that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// 2.1, which has all of 2.0.
    V2,
    /// 3.0.
    V3,
}

impl Version {
    /// The document that tells what level 2 of this version is.
    pub const fn profile(self) -> &'static str {
        match self {
            Self::V2 => "http://iiif.io/api/image/2/level2.json",
            Self::V3 => "http://iiif.io/api/image/3/level2.json",
        }
    }

    /// The JSON-LD context of this version.
    pub const fn context(self) -> &'static str {
        match self {
            Self::V2 => "http://iiif.io/api/image/2/context.json",
            Self::V3 => "http://iiif.io/api/image/3/context.json",
        }
    }
}

/// Why a request gets no picture, whatever the slide's pixels are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not of the API's form, of an unsupported value, outside the slide, or beyond a limit: 400.
    #[error("{0}")]
    Bad(String),
    /// Sound, and not done here: 501.
    #[error("{0}")]
    NotImplemented(String),
}

fn bad<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Bad(why.into()))
}
