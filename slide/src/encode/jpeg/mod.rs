//! Baseline JPEG: YCbCr 4:2:0, the tables of the standard, one scan. Made for tiles: nothing is looked at twice.

mod fdct;
mod mcu;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use crate::Rgb;
use fdct::Block;
use fearless_simd::{Level, Simd, dispatch};
use mcu::{Mcu, SIDE};
use tables::{AC, AC_CODES, AC_SHORT, DC, DC_CODES, Quantization};
use writer::Writer;

/// The JPEG of `image`, which has pixels, at most 65,535 a side, and as many as it says. `quality` is libjpeg's.
pub(super) fn encode(image: &Rgb, quality: u8) -> Vec<u8> {
    let quantizations = tables::quantizations(quality);
    let mut out = Vec::with_capacity(image.data.len() / 6 + 1024);
    head(image, &quantizations, &mut out);
    dispatch!(Level::new(), simd => scan(simd, image, &quantizations, &mut out));
    out.extend([0xff, 0xd9]);
    out
}

/// Writes what stands before the scan.
fn head(image: &Rgb, quantizations: &[Quantization; 2], out: &mut Vec<u8>) {
    // JFIF 1.1, square pixels.
    out.extend(b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    let mut segment = |marker: u8, parts: &[&[u8]]| {
        let len = 2 + parts.iter().map(|part| part.len()).sum::<usize>() as u16;
        out.extend([0xff, marker]);
        out.extend(len.to_be_bytes());
        parts.iter().for_each(|part| out.extend_from_slice(part));
    };
    let [luma, chroma] = quantizations;
    segment(0xdb, &[&[0], &luma.quanta, &[1], &chroma.quanta]);
    let [h1, h0] = (image.height as u16).to_be_bytes();
    let [w1, w0] = (image.width as u16).to_be_bytes();
    segment(0xc0, &[&[8, h1, h0, w1, w0, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]]);
    let [dc, other_dc] = &DC;
    let [ac, other_ac] = &AC;
    for (kind, table) in [(0, dc), (0x10, ac), (1, other_dc), (0x11, other_ac)] {
        segment(0xc4, &[&[kind], &table.counts, table.symbols]);
    }
    segment(0xda, &[&[3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]]);
}

#[inline(always)]
fn scan<S: Simd>(simd: S, image: &Rgb, quantizations: &[Quantization; 2], out: &mut Vec<u8>) {
    let mut mcu = Mcu::new();
    let mut writer = Writer::new(out);
    let mut block = Block([0; 64]);
    let mut last_dc = [0; 3];
    for top in (0..image.height as usize).step_by(SIDE) {
        for left in (0..image.width as usize).step_by(SIDE) {
            simd.vectorize(
                #[inline(always)]
                || mcu.fill(image, left, top),
            );
            // Where blocks begin, their tables, and their components.
            for (start, kind, component) in [(0, 0, 0), (8, 0, 0), (128, 0, 0), (136, 0, 0), (256, 1, 1), (264, 1, 2)] {
                let factors = &quantizations[kind].factors;
                let places = fdct::quantized(simd, &mcu.samples()[start..], factors, &mut block);
                let ac = (&AC_CODES[kind], &AC_SHORT[kind]);
                writer.block(&block.0, places, &mut last_dc[component], &DC_CODES[kind], ac);
            }
        }
    }
    writer.finish();
}
