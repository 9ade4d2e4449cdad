//! Tiles that are no JPEG: unpacking, undoing the predictor, and samples to RGB.

mod deflate;
mod lzw;
mod predictor;
mod samples;

pub(crate) use samples::{Alpha, Color, Samples};

use crate::{Compression, SlideError, error::Result};

/// Unpacks a tile of `rows` rows of `width` pixels to RGB.
pub(crate) fn decode(
    packed: Vec<u8>,
    compression: Compression,
    samples: &Samples,
    predicted: bool,
    width: usize,
    rows: usize,
) -> Result<Vec<u8>> {
    let row_len = width * samples.pixel_len();
    let mut raw = unpack(packed, compression, row_len * rows)?;
    if predicted {
        predictor::undo(&mut raw, row_len, samples);
    }
    Ok(samples.rgb(&raw))
}

/// Unpacks bytes until the room is full; what is wrong otherwise.
type Decode = fn(&[u8], &mut [u8]) -> Result<(), String>;

fn unpack(mut packed: Vec<u8>, compression: Compression, len: usize) -> Result<Vec<u8>> {
    // Before room is made for what the tile claims to be: none of the codecs can say so much in so few bytes.
    let (growth_max, decode): (usize, Decode) = match compression {
        Compression::None => {
            if packed.len() < len {
                return Err(short(packed.len(), len));
            }
            packed.truncate(len);
            return Ok(packed);
        }
        Compression::Lzw => (lzw::GROWTH_MAX, lzw::decode),
        Compression::Deflate => (deflate::GROWTH_MAX, deflate::decode),
        Compression::Jpeg => return Err(SlideError::Unsupported("JPEG among other codecs".into())),
    };
    if len / growth_max > packed.len() {
        return Err(short(packed.len(), len));
    }
    let mut raw = vec![0; len];
    decode(&packed, &mut raw).map_err(|why| SlideError::Damaged(format!("a tile's {compression} data: {why}")))?;
    Ok(raw)
}

fn short(have: usize, want: usize) -> SlideError {
    SlideError::Damaged(format!("a tile of {have} bytes cannot hold its {want} bytes of samples"))
}
