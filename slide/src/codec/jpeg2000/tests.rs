#[path = "../../../tests/it/common/jpeg2000.rs"]
mod streams;

use super::{super::Pixels, BOXES, decode};
use crate::codec::{Alpha, Color, Layout, Samples};
use crate::{Compression, tiff::ByteOrder};
use std::time::{Duration, Instant};
use streams::{GREY, HEIGHT, LOSSY, LOSSY_SAMPLES, PLAIN, RGB, SUBSAMPLED, WIDTH, bytes, picture, pixel};

const SIZE: Pixels = Pixels { width: WIDTH as usize, height: HEIGHT as usize };

#[test]
fn what_another_encoder_wrote_without_loss_comes_back_exactly() {
    assert_eq!(decode(&bytes(RGB), SIZE, 3).unwrap(), picture());
    assert_eq!(decode(&bytes(PLAIN), SIZE, 3).unwrap(), picture());
    let grey: Vec<u8> = picture().into_iter().step_by(3).collect();
    assert_eq!(decode(&bytes(GREY), SIZE, 1).unwrap(), grey);
    assert_eq!(decode(&bytes(RGB), SIZE, 1).unwrap(), grey, "the first of three components");
    let opaque: Vec<u8> = picture().chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect();
    assert_eq!(decode(&bytes(RGB), SIZE, 4).unwrap(), opaque);
    assert!(decode(&bytes(GREY), SIZE, 3).is_err());
}

/// By the standard's wavelet two of these samples are 1 less.
#[test]
fn what_was_written_with_loss_is_what_openjpeg_decodes_to_the_last_sample() {
    let size = Pixels { width: 32, height: 24 };
    assert_eq!(decode(&bytes(LOSSY), size, 1).unwrap(), bytes(LOSSY_SAMPLES));
}

#[test]
fn subsampled_components_are_repeated_and_not_taken_for_colours() {
    let whole = |x: u32, y: u32| [pixel(x, y)[0], pixel(x & !1, y & !1)[1], pixel(x & !1, y & !1)[2]];
    let want: Vec<u8> = (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| whole(x, y))).collect();
    let have = decode(&bytes(SUBSAMPLED), SIZE, 3).unwrap();
    // This one stream is not wholly without loss.
    assert!(have.iter().zip(&want).all(|(have, want)| have.abs_diff(*want) <= 1));
}

/// The same stream, said to be of the other wavelet: what it shows is no picture, but chroma must still lie where it did.
#[test]
fn subsampled_components_are_repeated_where_they_are_corrected_too() {
    let mut stream = bytes(SUBSAMPLED);
    let style = stream.windows(2).position(|pair| pair == [0xff, 0x52]).unwrap();
    stream[style + 13] = 0;
    let have = decode(&stream, SIZE, 3).unwrap();
    let at = |x: u32, y: u32| &have[((y * WIDTH + x) * 3) as usize..][..3];
    let mut places = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    assert!(places.all(|(x, y)| at(x, y)[1..] == at(x & !1, y & !1)[1..]));
    assert!((0..WIDTH).any(|x| at(x, 1)[0] != at(x & !1, 0)[0]));
    assert!((0..WIDTH).any(|x| at(x, 0)[1] != at(0, 0)[1]));
}

#[test]
fn a_codestream_in_the_boxes_of_a_file_is_found_and_one_without_its_end_is_read() {
    let file = [BOXES, &bytes(RGB)].concat();
    assert_eq!(decode(&file, SIZE, 3).unwrap(), picture());
    let stream = bytes(RGB);
    assert_eq!(decode(&stream[..stream.len() - 2], SIZE, 3).unwrap(), picture());
    for len in 0..BOXES.len() {
        assert!(decode(&file[..len], SIZE, 3).is_err(), "{len}");
    }
}

#[test]
fn another_size_and_what_is_cut_off_anywhere_are_errors() {
    let why = decode(&bytes(RGB), Pixels { height: 13, ..SIZE }, 3).unwrap_err();
    assert!(why.contains("an image of 16 × 12 pixels in a tile of 16 × 13"), "{why}");
    for stream in [RGB, GREY, SUBSAMPLED].map(bytes) {
        for len in 0..stream.len() - 2 {
            assert!(decode(&stream[..len], SIZE, 1).is_err(), "{len} of {}", stream.len());
        }
    }
}

#[test]
fn changed_bytes_neither_panic_nor_hang() {
    let samples = Samples { count: 3, bits: 8, order: ByteOrder::Big, color: Color::Rgb, alpha: Alpha::Ignored };
    let layout = Layout { compression: Compression::Jpeg2000, predicted: false, lowest_first: false, samples };
    let mut changed_pixels = 0;
    for stream in [RGB, PLAIN, SUBSAMPLED].map(bytes) {
        for at in 0..stream.len() {
            for value in [0, 1, 0x7f, 0xff, stream[at] ^ 0x10] {
                let mut changed = stream.clone();
                changed[at] = value;
                let start = Instant::now();
                changed_pixels += usize::from(layout.rgb(changed, SIZE.width, SIZE.height).is_ok());
                assert!(start.elapsed() < Duration::from_secs(2), "{at} {value}");
            }
        }
    }
    assert!(changed_pixels > 0);
}

/// The stream with other bytes at a marker's segment, counted from the marker.
fn patched(marker: u8, at: usize, with: &[u8]) -> Vec<u8> {
    let mut stream = bytes(RGB);
    let start = stream.windows(2).position(|pair| pair == [0xff, marker]).unwrap() + at;
    stream[start..start + with.len()].copy_from_slice(with);
    stream
}

#[test]
fn headers_that_claim_more_than_a_tile_calls_for_are_refused_before_room_is_made() {
    const SIZ: u8 = 0x51;
    const COD: u8 = 0x52;
    let refused = |stream: Vec<u8>, part: &str| {
        let why = decode(&stream, SIZE, 3).unwrap_err();
        assert!(why.contains(part), "{why}");
    };
    refused(patched(SIZ, 6, &[0, 0, 0xff, 0xf0]), "in a tile of 16 × 12");
    refused(patched(SIZ, 22, &[0, 0, 0, 0]), "more than 1024 tiles");
    refused(patched(SIZ, 41, &[2]), "too many or too small");
    refused(patched(COD, 9, &[33]), "coding style");
    // A tile of 8 Mi pixels that all are of one colour, and one cut into many tiles or parts.
    let large = Pixels { width: 4096, height: 2048 };
    let sizes = |stream: &mut [u8], tile: u32| {
        for (at, side) in [(8, 4096), (12, 2048), (24, tile), (28, tile)] {
            stream[at..at + 4].copy_from_slice(&u32::to_be_bytes(side));
        }
    };
    let large_refused = |mut stream: Vec<u8>, tile: u32, part: &str| {
        sizes(&mut stream, tile);
        let why = decode(&stream, large, 3).unwrap_err();
        assert!(why.contains(part), "{why}");
    };
    large_refused(bytes(RGB), 4096, "cannot hold");
    large_refused(bytes(RGB), 16, "more than 1024 tiles");
    // Blocks of 4 × 4 samples in 32 layers.
    let mut blocks = patched(COD, 6, &[0, 32]);
    let cod = blocks.windows(2).position(|pair| pair == [0xff, COD]).unwrap();
    blocks[cod + 10..cod + 12].copy_from_slice(&[0, 0]);
    large_refused(blocks, 4096, "more precincts and blocks");
    // Precincts of one sample, for each of the resolutions.
    let mut precincts = patched(COD, 4, &[1]);
    let levels = usize::from(precincts[cod + 9]);
    precincts[cod + 3] += levels as u8 + 1;
    let end = cod + 14;
    precincts.splice(end..end, vec![0; levels + 1]);
    large_refused(precincts, 4096, "more precincts and blocks");
}
