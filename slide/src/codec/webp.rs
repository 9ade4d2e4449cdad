//! WebP, lossy and lossless. A tile is a whole file of it, whose size must be the tile's.

use super::{Pixels, room_for, with_count};
use image_webp::WebPDecoder;
use std::io::Cursor;

/// The samples of a tile of `size` pixels across and down, `count` of them a pixel: red, green, blue, and alpha where
/// there are four. Alpha that is not wanted is left out; where it is missing it is opaque.
pub(super) fn decode(packed: &[u8], size: Pixels, count: usize) -> Result<Vec<u8>, String> {
    let mut decoder = WebPDecoder::new(Cursor::new(packed)).map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    if (width as usize, height as usize) != (size.width, size.height) || decoder.is_animated() {
        return Err(format!("an image of {width} × {height} pixels in a tile of {} × {}", size.width, size.height));
    }
    room_for(packed.len(), size)?;
    let have = if decoder.has_alpha() { 4 } else { 3 };
    let mut samples = vec![0; size.count() * have];
    decoder.read_image(&mut samples).map_err(|error| error.to_string())?;
    with_count(samples, have, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_webp::{ColorType, WebPEncoder};

    const SIZE: Pixels = Pixels { width: 40, height: 30 };

    fn packed(color: ColorType, count: usize) -> (Vec<u8>, Vec<u8>) {
        let raw: Vec<u8> = (0..SIZE.count() * count).map(|i| ((i * i) >> 5) as u8).collect();
        let mut packed = Vec::new();
        WebPEncoder::new(&mut packed).encode(&raw, 40, 30, color).unwrap();
        (raw, packed)
    }

    #[test]
    fn what_was_packed_comes_back_with_or_without_alpha() {
        let (raw, with_alpha) = packed(ColorType::Rgba8, 4);
        assert_eq!(decode(&with_alpha, SIZE, 4).unwrap(), raw);
        let colours: Vec<u8> = raw.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
        assert_eq!(decode(&with_alpha, SIZE, 3).unwrap(), colours);
        let (raw, without) = packed(ColorType::Rgb8, 3);
        assert_eq!(decode(&without, SIZE, 3).unwrap(), raw);
        let opaque = decode(&without, SIZE, 4).unwrap();
        assert_eq!((opaque[..3].to_vec(), opaque[3]), (raw[..3].to_vec(), 255));
    }

    #[test]
    fn another_size_and_what_is_cut_off_are_errors() {
        let (_, whole) = packed(ColorType::Rgb8, 3);
        for size in [Pixels { width: 40, height: 31 }, Pixels { width: 30, height: 40 }] {
            assert!(decode(&whole, size, 3).unwrap_err().contains("an image of 40 × 30"));
        }
        for len in 0..whole.len() - 1 {
            assert!(decode(&whole[..len], SIZE, 3).is_err(), "{len} of {}", whole.len());
        }
    }
}
