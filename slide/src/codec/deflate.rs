//! zlib streams, with their checksum.

use flate2::{Decompress, FlushDecompress, Status};

/// 258 bytes for two bits.
pub(super) const GROWTH_MAX: usize = 1032;

/// Unpacks until `raw` is full, then looks whether the checksum agrees. A stream that goes on is cut off.
pub(super) fn decode(packed: &[u8], raw: &mut [u8]) -> Result<(), String> {
    let mut decoder = Decompress::new(true);
    let status = decoder.decompress(packed, raw, FlushDecompress::None).map_err(|error| error.to_string())?;
    if decoder.total_out() < raw.len() as u64 {
        return Err(format!("it ends after {} of {} bytes", decoder.total_out(), raw.len()));
    }
    if status != Status::StreamEnd {
        let rest = packed.get(decoder.total_in() as usize..).unwrap_or_default();
        let _rest_is_read =
            decoder.decompress(rest, &mut [0; 16], FlushDecompress::None).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::ZlibEncoder};
    use std::io::Write;

    #[test]
    fn what_was_packed_comes_back_and_what_was_changed_does_not() {
        let raw: Vec<u8> = (0..50_000u32).map(|i| ((i * i) >> 7) as u8).collect();
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&raw).unwrap();
        let packed = encoder.finish().unwrap();
        let mut back = vec![0; raw.len()];
        decode(&packed, &mut back).unwrap();
        assert_eq!(raw, back);
        decode(&packed, &mut back[..100]).unwrap();
        assert!(decode(&packed[..packed.len() / 2], &mut back).is_err());
        assert!(decode(&packed, &mut vec![0; raw.len() + 1]).is_err());
        let mut checksum_wrong = packed;
        *checksum_wrong.last_mut().unwrap() ^= 1;
        assert!(decode(&checksum_wrong, &mut back).is_err());
    }
}
