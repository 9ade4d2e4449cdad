//! JPEG 2000 tiles, as codestreams or as JP2 files. What their samples mean is for the TIFF's tags to say.
//!
//! The decoder could leave out the finest resolutions, which would cost less. That is not done where a tile is
//! drawn smaller: what a wavelet keeps of a square of pixels is not their mean. On real tissue it is off by 5 of 255 at
//! half the size and by 10 at a quarter, and by up to 80 at edges.

mod codestream;
#[cfg(test)]
mod tests;
mod wavelet;

use super::{Pixels, room_for, with_count};
use codestream::Claims;
use hayro_jpeg2000::{ComponentData, DecodeSettings, DecoderContext, Image};
use wavelet::Excess;

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
    let count_decoded = decoded.components().len();
    if count_decoded != claims.components.len() {
        return Err("it has other components than it says".into());
    }
    let mut samples = vec![0; size.count() * count_decoded];
    let Some(levels) = claims.wavelet else {
        decoded.store_u8_into(&mut samples);
        return with_count(samples, count_decoded, count);
    };
    let mut excess = Excess::default();
    for (index, (component, &steps)) in decoded.components().iter().zip(&claims.components).enumerate() {
        let out = samples.iter_mut().skip(index).step_by(count_decoded);
        store(component, size, steps, (levels, &mut excess), out).ok_or("a component has another size than it says")?;
    }
    with_count(samples, count_decoded, count)
}

/// The samples of a component in 8 bits, as OpenJPEG decodes them. Of those that the decoder repeats, for `steps` pixels
/// across and down, there is one.
fn store<'a>(
    component: &ComponentData,
    size: Pixels,
    steps: (usize, usize),
    (levels, excess): (u8, &mut Excess),
    out: impl Iterator<Item = &'a mut u8>,
) -> Option<()> {
    let (across, down) = steps;
    let whole = component.samples();
    let full = ((1u64 << component.bit_depth()) - 1) as f32;
    if whole.len() != size.count() {
        return None;
    }
    let sample = |(value, more): (&f32, &f32)| ((value - more) * (255.0 / full) + 0.5) as u8;
    if steps == (1, 1) {
        let excess = excess.of(whole, size.width, levels);
        out.zip(whole.iter().zip(excess)).for_each(|(out, value)| *out = sample(value));
        return Some(());
    }
    let rows = whole.chunks_exact(size.width).step_by(down);
    let few: Vec<f32> = rows.flat_map(|row| row.iter().step_by(across)).copied().collect();
    let width = size.width.div_ceil(across);
    let few: Vec<u8> = few.iter().zip(excess.of(&few, width, levels)).map(sample).collect();
    let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| y / down * width + x / across));
    out.zip(places).for_each(|(out, place)| *out = few.get(place).copied().unwrap_or_default());
    Some(())
}
