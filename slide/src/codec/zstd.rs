//! Zstandard frames, with their checksum where they carry one.

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::Read;

/// A block of four bytes, three of them its header, stands for 128 KiB at most.
pub(super) const GROWTH_MAX: usize = 32 << 10;
/// Largest window, in bytes, that a frame may ask for: that of libzstd's highest level. Memory follows what is decoded
/// and not what is asked for.
const WINDOW_LEN_MAX: u64 = 128 << 20;
/// Bytes that are decoded before they are taken out.
const STEP_LEN: usize = 1 << 20;

/// Unpacks until `raw` is full, then looks whether the checksum agrees. A frame that goes on is cut off.
pub(super) fn decode(packed: &[u8], raw: &mut [u8]) -> Result<(), String> {
    let mut rest = packed;
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(WINDOW_LEN_MAX);
    decoder.init(&mut rest).map_err(|error| error.to_string())?;
    // Up to its window's size the decoder hands nothing out before the frame ends. One that goes on far beyond what is
    // wanted is not followed there: each small tile would cost a window of 128 MiB.
    let mut steps_left = raw.len() / STEP_LEN + 2;
    let mut written = 0;
    while written < raw.len() {
        if steps_left == 0 {
            return Err(format!("it goes on beyond {} bytes", raw.len()));
        }
        steps_left -= 1;
        if decoder.is_finished() {
            return Err(format!("it ends after {written} of {} bytes", raw.len()));
        }
        decoder
            .decode_blocks(&mut rest, BlockDecodingStrategy::UptoBytes(STEP_LEN))
            .map_err(|error| error.to_string())?;
        loop {
            let len = decoder.read(&mut raw[written..]).map_err(|error| error.to_string())?;
            written += len;
            if len == 0 {
                break;
            }
        }
    }
    let whole = decoder.is_finished() && decoder.can_collect() == 0;
    match decoder.get_checksum_from_data().filter(|_| whole) {
        Some(sum) if Some(sum) != decoder.get_calculated_checksum() => Err("its checksum is wrong".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    #[test]
    fn what_was_packed_comes_back_and_what_was_changed_does_not() {
        let raw: Vec<u8> = (0..500_000u32).map(|i| (i.wrapping_mul(i) >> 9) as u8).collect();
        let packed = compress_to_vec(raw.as_slice(), CompressionLevel::Fastest);
        let mut back = vec![0; raw.len()];
        decode(&packed, &mut back).unwrap();
        assert_eq!(raw, back);
        decode(&packed, &mut back[..100]).unwrap();
        for len in [0, 3, 10, packed.len() / 2, packed.len() - 1] {
            assert!(decode(&packed[..len], &mut back).is_err(), "{len}");
        }
        assert!(decode(&packed, &mut vec![0; raw.len() + 1]).is_err());
        let mut checksum_wrong = packed;
        *checksum_wrong.last_mut().unwrap() ^= 1;
        assert!(decode(&checksum_wrong, &mut back).is_err());
    }

    /// A frame by hand: the magic number, a descriptor without a content size, a window of 1 KiB to the power of what
    /// is said, and blocks of one byte repeated 128 KiB times.
    fn repeated(window: u8, blocks: u32) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window << 3];
        for index in 0..blocks {
            let header = u32::from(index + 1 == blocks) | (1 << 1) | ((128 << 10) << 3);
            frame.extend(&header.to_le_bytes()[..3]);
            frame.push(7);
        }
        frame
    }

    #[test]
    fn frames_that_grow_as_much_as_they_can_stay_within_the_stated_growth() {
        let (packed, mut raw) = (repeated(10, 20), vec![0; 20 * (128 << 10)]);
        decode(&packed, &mut raw).unwrap();
        assert!(raw.iter().all(|&byte| byte == 7));
        assert!(raw.len() / GROWTH_MAX <= packed.len());
        // More than is wanted, in a window that is smaller: what is wanted comes. In a larger one it would cost too much.
        decode(&repeated(7, 2000), &mut raw[..1000]).unwrap();
        assert!(decode(&repeated(17, 2000), &mut raw[..1000]).unwrap_err().contains("goes on"));
        assert!(decode(&repeated(18, 1), &mut raw[..1000]).is_err(), "a window of 256 MiB");
    }
}
