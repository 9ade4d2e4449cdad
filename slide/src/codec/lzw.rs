//! LZW as in TIFF 6.0: the highest bit first, codes one bit longer a step early.

use weezl::{BitOrder, decode::Configuration};

/// A code of 12 bits stands for 4096 bytes at most.
pub(super) const GROWTH_MAX: usize = 4096;

/// Unpacks until `raw` is full. What follows is not looked at, as writers leave out the end code.
pub(super) fn decode(packed: &[u8], raw: &mut [u8]) -> Result<(), String> {
    let mut decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8).with_yield_on_full_buffer(true).build();
    let (mut read, mut written) = (0, 0);
    while written < raw.len() {
        let step = decoder.decode_bytes(&packed[read..], &mut raw[written..]);
        read += step.consumed_in;
        written += step.consumed_out;
        let stuck = step.consumed_in == 0 && step.consumed_out == 0;
        match step.status {
            Err(error) => return Err(error.to_string()),
            Ok(_) if written < raw.len() && (stuck || decoder.has_ended()) => {
                return Err(format!("it ends after {written} of {} bytes", raw.len()));
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weezl::encode::Encoder;

    #[test]
    fn what_was_packed_comes_back_and_what_was_cut_off_does_not() {
        let raw: Vec<u8> = (0..50_000u32).map(|i| ((i * i) >> 7) as u8).collect();
        let packed = Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(&raw).unwrap();
        let mut back = vec![0; raw.len()];
        decode(&packed, &mut back).unwrap();
        assert_eq!(raw, back);
        decode(&packed, &mut back[..100]).unwrap();
        assert!(decode(&packed[..packed.len() / 2], &mut back).is_err());
        assert!(decode(&packed, &mut vec![0; raw.len() + 1]).is_err());
        assert!(decode(&[], &mut back).is_err());
    }
}
