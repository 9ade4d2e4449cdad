//! PackBits as in TIFF 6.0: runs of bytes as they are, and bytes that repeat.

/// Two bytes stand for 128 at most.
pub(super) const GROWTH_MAX: usize = 64;

/// Unpacks until `raw` is full. A run that goes on is cut off, as libtiff does.
pub(super) fn decode(packed: &[u8], raw: &mut [u8]) -> Result<(), String> {
    let (mut rest, mut written, all) = (packed, 0, raw.len());
    while written < all {
        let short = || format!("it ends after {written} of {all} bytes");
        let (&head, after) = rest.split_first().ok_or_else(short)?;
        let room = all - written;
        // The head is a signed number.
        let (len, used) = match head {
            0..=127 => {
                let len = (usize::from(head) + 1).min(room);
                raw[written..written + len].copy_from_slice(after.get(..len).ok_or_else(short)?);
                (len, len)
            }
            128 => (0, 0),
            129.. => {
                let len = (257 - usize::from(head)).min(room);
                raw[written..written + len].fill(*after.first().ok_or_else(short)?);
                (len, 1)
            }
        };
        written += len;
        rest = &after[used..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Apple's technical note 1023, which TIFF 6.0 refers to.
    const PACKED: [u8; 15] = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];

    #[test]
    fn the_example_of_its_inventor_comes_out() {
        let want = "aaaaaa80002aaaaaaaaa80002a22aaaaaaaaaaaaaaaaaaaa";
        let mut raw = [0; 24];
        decode(&PACKED, &mut raw).unwrap();
        assert_eq!(raw.map(|byte| format!("{byte:02x}")).concat(), want);
        decode(&PACKED, &mut raw[..10]).unwrap();
    }

    #[test]
    fn what_is_cut_off_is_an_error_and_a_head_of_nothing_is_nothing() {
        for len in 0..PACKED.len() {
            assert!(decode(&PACKED[..len], &mut [0; 24]).is_err(), "{len}");
        }
        assert!(decode(&PACKED, &mut [0; 25]).is_err());
        let mut raw = [0; 3];
        decode(&[128, 128, 0, 7, 255, 9], &mut raw).unwrap();
        assert_eq!(raw, [7, 9, 9]);
        assert!(decode(&[128; 100], &mut raw).is_err());
    }
}
