//! ICC profiles inside plain pictures, whose files are put together here by the standards' own words.

use crate::common::pixels::{jpeg, picture};
use flate2::{Compression, write::ZlibEncoder};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use microtome_slide::{Slide, SlideError};
use std::{io::Write as _, sync::Arc};

fn profile_of(bytes: Vec<u8>) -> Result<Option<Vec<u8>>, SlideError> {
    Slide::open(Arc::new(bytes)).unwrap().icc_profile()
}

fn profile(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 % 251) as u8).collect()
}

/// A JPEG with these pieces of a profile, each with its number and how many it says there are.
fn jpeg_with(pieces: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let plain = jpeg(&picture(64, 48), false);
    let segment = |&(number, count, piece): &(u8, u8, &[u8])| {
        let len = (2 + 14 + piece.len() as u16).to_be_bytes();
        [&[0xff, 0xe2], &len[..], b"ICC_PROFILE\0", &[number, count], piece].concat()
    };
    let segments: Vec<_> = pieces.iter().map(segment).collect();
    [&plain[..2], &segments.concat(), &plain[2..]].concat()
}

#[test]
fn a_jpegs_profile_is_put_together_from_its_pieces_in_their_order() {
    let whole = profile(100_000);
    let (first, second) = whole.split_at(60_000);
    assert_eq!(profile_of(jpeg_with(&[])).unwrap(), None);
    assert_eq!(profile_of(jpeg_with(&[(1, 1, first)])).unwrap().as_deref(), Some(first));
    assert_eq!(profile_of(jpeg_with(&[(2, 2, second), (1, 2, first)])).unwrap(), Some(whole.clone()));
    for pieces in [vec![(2, 2, second)], vec![(1, 2, first)], vec![(0, 1, first)], vec![(1, 0, first)]] {
        let found = profile_of(jpeg_with(&pieces));
        assert!(matches!(found, Err(SlideError::Damaged(_))), "pieces are missing: {pieces:?}");
    }
}

#[test]
fn a_pngs_profile_is_unpacked_and_may_not_be_without_end() {
    let mut plain = Vec::new();
    PngEncoder::new(&mut plain).write_image(&[9; 12], 2, 2, ExtendedColorType::Rgb8).unwrap();
    // Behind IHDR, which is 25 bytes long; nobody checks the checksum of what lies beside the pixels.
    let with = |content: &[u8]| {
        let len = (content.len() as u32).to_be_bytes();
        [&plain[..33], &len, b"iCCP", content, &[0; 4], &plain[33..]].concat()
    };
    let packed = |raw: &[u8]| {
        let mut encoder = ZlibEncoder::new(b"a name\0\0".to_vec(), Compression::fast());
        encoder.write_all(raw).unwrap();
        encoder.finish().unwrap()
    };
    let whole = profile(5000);
    assert_eq!(profile_of(plain.clone()).unwrap(), None);
    assert_eq!(profile_of(with(&packed(&whole))).unwrap(), Some(whole.clone()));
    for content in [b"a name".to_vec(), b"a name\0".to_vec(), b"a name\0\x01xyz".to_vec(), b"a name\0\0xyz".to_vec()] {
        assert!(matches!(profile_of(with(&content)), Err(SlideError::Damaged(_))), "{content:?}");
    }
    let bomb = profile_of(with(&packed(&vec![0; 40 << 20])));
    assert!(matches!(&bomb, Err(SlideError::Damaged(why)) if why.contains("16 MiB")), "{bomb:?}");
}

#[test]
fn a_jp2s_profile_is_in_its_colour_box() {
    let part = |kind: &[u8], content: &[u8]| [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat();
    let file = |colours: &[u8]| {
        let header = [part(b"ihdr", &[0, 0, 0, 8, 0, 0, 0, 8, 0, 3, 7, 7, 0, 0]), part(b"colr", colours)].concat();
        // The codestream up to where its size is told.
        let sides = [&[0, 0, 0, 8, 0, 0, 0, 8][..], &[0; 8], &[0; 16]].concat();
        let stream = [&[0xff, 0x4f, 0xff, 0x51, 0, 47, 0, 0][..], &sides, &[0, 3]].concat();
        [part(b"jP  ", b"\r\n\x87\n"), part(b"jp2h", &header), part(b"jp2c", &stream)].concat()
    };
    let whole = profile(3000);
    assert_eq!(profile_of(file(&[1, 0, 0, 0, 0, 0, 16])).unwrap(), None, "sRGB by its number");
    assert_eq!(profile_of(file(&[&[2, 0, 0], &whole[..]].concat())).unwrap(), Some(whole));
    assert_eq!(profile_of(file(&[2, 0])).unwrap(), None);
}
