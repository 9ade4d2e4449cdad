//! Pictures that cost work, kept while there is room for them.
//!
//! A picture is found by the hash of its file, so that nothing has to be forgotten when a copy goes or comes.

use super::{JPEG_QUALITY, Opened, pool::Pool, region::Region};
use bytes::Bytes;
use microtome_proto::Problem;
use microtome_slide::{Rgb, SlideError, encode, icc::ToSrgb, iiif::Plan};
use moka::future::Cache;
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;

/// What an entry weighs beside its bytes: key, list and hash table.
const ENTRY_OVERHEAD: u32 = 256;

/// How a picture is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Jpeg,
    Png,
}

impl Format {
    /// By a file name's ending.
    pub(crate) fn of_suffix(suffix: &str) -> Option<Self> {
        match suffix {
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            _ => None,
        }
    }

    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }

    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    pub(crate) fn encode(self, image: Rgb) -> Result<Vec<u8>, SlideError> {
        let encoded = match self {
            Self::Jpeg => encode::jpeg(&image, JPEG_QUALITY),
            Self::Png => encode::png(&image),
        };
        image.done();
        encoded
    }
}

/// A picture of a slide.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Picture {
    /// A tile of the file's own grid, as JPEG.
    Tile { level: usize, column: u32, row: u32 },
    /// A tile of a Deep Zoom pyramid.
    DeepZoom { tile_size: Option<u32>, overlap: u32, level: usize, column: u32, row: u32, format: Format },
    /// A picture of the IIIF Image API.
    Iiif(Plan),
    /// A region.
    Region(Region),
    /// An associated image.
    Associated { name: String, format: Format },
}

impl Picture {
    pub(super) fn draw(&self, opened: &Opened, to_srgb: Option<&ToSrgb>) -> Result<Vec<u8>, SlideError> {
        let slide = &opened.slide;
        let coloured = |mut picture: Rgb| match to_srgb {
            Some(to_srgb) => to_srgb.apply(&mut picture).map(|()| picture),
            None => Ok(picture),
        };
        match self {
            Self::Tile { level, column, row } => Format::Jpeg.encode(coloured(slide.tile(*level, *column, *row)?)?),
            Self::DeepZoom { tile_size, overlap, level, column, row, format } => {
                let pyramid = opened.zoom_in(*tile_size, *overlap);
                format.encode(coloured(pyramid.tile(slide, *level, *column, *row)?)?)
            }
            Self::Iiif(plan) => plan.encode(coloured(plan.draw(slide)?)?, JPEG_QUALITY),
            Self::Region(Region { x, y, level, width, height, format }) => {
                let region = coloured(slide.region(*x, *y, *level, *width, *height)?)?;
                match format {
                    Some(format) => format.encode(region),
                    None => Ok(exact(region.data)),
                }
            }
            Self::Associated { name, format } => format.encode(coloured(slide.associated_image(name)?)?),
        }
    }
}

/// The bytes in no more memory than they take: a picture may have that of a larger one before it.
fn exact(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.shrink_to_fit();
    bytes
}

/// The file, what is drawn of it, and whether its colours are brought to sRGB.
type Key = (Arc<str>, Picture, bool);

/// The pictures that are ready.
pub(crate) struct ReadyCache {
    ready: Cache<Key, Bytes>,
    drawn: Counter,
}

impl ReadyCache {
    pub(crate) fn new(bytes_max: u64, drawn: Counter) -> Self {
        let weigh =
            |_: &Key, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_add(ENTRY_OVERHEAD);
        Self { ready: Cache::builder().max_capacity(bytes_max).weigher(weigh).build(), drawn }
    }

    /// The picture, in the colours that the file has or by `to_srgb`, drawn on the pool where it is not ready. Who asks for
    /// one that is being drawn waits for it.
    pub(crate) async fn get(
        &self,
        opened: &Arc<Opened>,
        picture: Picture,
        to_srgb: Option<ToSrgb>,
        pool: &Pool,
    ) -> Result<Bytes, Problem> {
        let key = (opened.content(), picture, to_srgb.is_some());
        let draw = async {
            let (opened, picture, drawn) = (Arc::clone(opened), key.1.clone(), self.drawn.clone());
            let draw = move || match picture.draw(&opened, to_srgb.as_ref()) {
                // A box has no spare room, which the cache would not count.
                Ok(bytes) => {
                    drawn.inc();
                    Ok(Bytes::from(bytes.into_boxed_slice()))
                }
                Err(error) => Err(opened.problem(&error)),
            };
            pool.run(draw).await?
        };
        let bytes = self.ready.try_get_with_by_ref(&key, draw).await;
        bytes.map_err(|problem| Problem::clone(&problem))
    }
}
