//! JPEG 2000 tiles, as codestreams or as JP2 files. What their samples mean is for the TIFF's tags to say.
//!
//! The decoder could leave out the finest resolutions, which would cost less. That is not done where a tile is
//! drawn smaller: what a wavelet keeps of a square of pixels is not their mean. On real tissue it is off by 5 of 255 at
//! half the size and by 10 at a quarter, and by up to 80 at edges.

mod codestream;
#[cfg(test)]
mod tests;

use super::{Pixels, room_for, with_count};
use codestream::Claims;
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

/// The boxes of a JP2 file around a codestream that say that its samples are sRGB. Without them the decoder takes
/// subsampled colours for YCbCr and turns them into RGB, by other rounding than other readers.
const BOXES: &[u8] = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \
    \0\0\0\x17jp2h\0\0\0\x0fcolr\x01\0\0\0\0\0\x10\0\0\0\0jp2c";
const EOC: [u8; 2] = [0xff, 0xd9];

/// The samples of a tile of `size` pixels across and down, `count` of them a pixel, scaled to 8 bits. Components with
/// fewer samples are made larger by repeating them, as other readers do.
pub(super) fn decode(packed: &[u8], size: Pixels, count: usize) -> Result<Vec<u8>, String> {
    let codestream = codestream::find(packed)?;
    let claims = Claims::read(codestream, size)?;
    room_for(codestream.len(), size)?;
    let mut file = Vec::with_capacity(BOXES.len() + codestream.len() + EOC.len());
    file.extend(BOXES);
    file.extend(codestream);
    // Some writers leave out the end's marker, which the decoder insists on when it must not guess.
    if !codestream.ends_with(&EOC) {
        file.extend(EOC);
    }
    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let image = Image::new(&file, &settings).map_err(|error| error.to_string())?;
    if (image.width() as usize, image.height() as usize) != (size.width, size.height) {
        return Err(format!("it decodes to {} × {} pixels", image.width(), image.height()));
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| error.to_string())?;
    if decoded.components().len() != claims.components {
        return Err("it has other components than it says".into());
    }
    let mut samples = vec![0; size.count() * claims.components];
    decoded.store_u8_into(&mut samples);
    with_count(samples, claims.components, count)
}
