//! Tiles as abbreviated JPEG streams: the tables once a level (TIFF tag 347), the rest a tile.
//!
//! Aperio's scanners write RGB components as they are, without the transform to YCbCr, with ids 0, 1 and 2 and without any
//! APPn marker, so that only the photometric tag says what they are. So do we.

use std::io;

use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, QuantizationTableType, SamplingFactor};

use super::planes::Planes;

/// Annex K.1 of ITU-T T.81, the luminance table, here for all three components.
const LUMINANCE: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// Encodes pictures that share one set of tables.
pub(super) struct Coder {
    quantization: Box<[u16; 64]>,
    tables: Vec<u8>,
}

impl Coder {
    /// A coder of libjpeg's quality 50 to 100.
    pub(super) fn new(quality: u16) -> io::Result<Self> {
        let scale = 200 - 2 * quality.clamp(50, 100);
        let quantization = Box::new(LUMINANCE.map(|value| ((value * scale + 50) / 100).max(1)));
        let mut coder = Coder { quantization, tables: Vec::new() };
        coder.tables = split(&coder.whole(&Planes::new(8, 8))?)?.0;
        Ok(coder)
    }

    /// The tables as a stream of their own, from SOI to EOI.
    pub(super) fn tables(&self) -> &[u8] {
        &self.tables
    }

    /// A picture without its tables, from SOI to EOI.
    pub(super) fn encode(&self, planes: &Planes) -> io::Result<Vec<u8>> {
        let (tables, picture) = split(&self.whole(planes)?)?;
        if tables != self.tables {
            return Err(io::Error::other("the JPEG encoder used other tables than before"));
        }
        Ok(picture)
    }

    fn whole(&self, planes: &Planes) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(32 * 1024);
        let mut encoder = Encoder::new(&mut out, 90);
        let table = || QuantizationTableType::Custom(self.quantization.clone());
        encoder.set_quantization_tables(table(), table());
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        encoder.encode_image(Untransformed(planes)).map_err(io::Error::other)?;
        Ok(out)
    }
}

/// Hands red, green and blue over as if they were luminance and chrominance.
struct Untransformed<'a>(&'a Planes);

impl ImageBuffer for Untransformed<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.0.width as u16
    }

    fn height(&self) -> u16 {
        self.0.height as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let width = self.0.width as usize;
        let row = usize::from(y) * width..(usize::from(y) + 1) * width;
        for (buffer, plane) in buffers.iter_mut().zip(&self.0.channels) {
            buffer.extend_from_slice(&plane[row.clone()]);
        }
    }
}

const SOI: [u8; 2] = [0xFF, 0xD8];
const EOI: [u8; 2] = [0xFF, 0xD9];
const DQT: u8 = 0xDB;
const DHT: u8 = 0xC4;
const SOS: u8 = 0xDA;

/// Splits a whole stream into its tables and the rest; APPn markers are dropped.
fn split(whole: &[u8]) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let odd = || io::Error::other("the JPEG encoder wrote a stream of an unknown build");
    let (mut tables, mut picture) = (SOI.to_vec(), SOI.to_vec());
    let mut rest = whole.strip_prefix(&SOI).ok_or_else(odd)?;
    loop {
        let &[0xFF, marker, high, low, ..] = rest else { return Err(odd()) };
        let end = 2 + usize::from(u16::from_be_bytes([high, low]));
        let segment = rest.get(..end).ok_or_else(odd)?;
        match marker {
            DQT | DHT => tables.extend_from_slice(segment),
            0xE0..=0xEF => {}
            SOS => {
                picture.extend_from_slice(rest);
                break;
            }
            _ => picture.extend_from_slice(segment),
        }
        rest = &rest[end..];
    }
    tables.extend_from_slice(&EOI);
    Ok((tables, picture))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_built_as_aperio_builds_it() {
        let coder = Coder::new(70).unwrap();
        let tile = coder.encode(&Planes::filled(240, 240, [200, 100, 150])).unwrap();
        // SOI, then SOF0 with 240×240, components 0, 1, 2 unsampled, then SOS.
        assert_eq!(&tile[..11], [0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8, 0, 240, 0, 240]);
        assert_eq!(&tile[11..21], [3, 0, 0x11, 0, 1, 0x11, 1, 2, 0x11, 1]);
        assert_eq!(&tile[21..23], [0xFF, SOS]);
        assert_eq!(tile[tile.len() - 2..], EOI);
        assert_eq!(coder.tables()[..4], [0xFF, 0xD8, 0xFF, DQT]);
        assert_eq!(coder.tables()[coder.tables().len() - 2..], EOI);
    }

    #[test]
    fn a_stream_cut_short_is_refused() {
        let whole = Coder::new(70).unwrap().whole(&Planes::new(16, 16)).unwrap();
        assert!(split(&whole[..40]).is_err());
        assert!(split(&whole[2..]).is_err());
    }
}
