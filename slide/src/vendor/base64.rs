//! Base64 as RFC 4648 has it, with the line breaks that XML puts in.

/// The bytes; nothing where something else is in the text.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut len) = (Vec::with_capacity(text.len() / 4 * 3), 0u32, 0);
    let mut ended = false;
    for &byte in text {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                ended = true;
                continue;
            }
            byte if byte.is_ascii_whitespace() => continue,
            _ => return None,
        };
        if ended {
            return None;
        }
        (bits, len) = ((bits << 6) | u32::from(digit), len + 6);
        if len >= 8 {
            len -= 8;
            out.push((bits >> len) as u8);
            bits &= (1 << len) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_and_broken_lines_are_read_and_anything_else_is_not() {
        let cases: [(&str, &[u8]); 5] =
            [("", b""), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9vYmFy", b"foobar"), ("Zm9v\r\n  YmE=\n", b"fooba")];
        for (text, bytes) in cases {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(decode(b"Zm9v-"), None);
        assert_eq!(decode(b"Zg==Zg=="), None);
    }
}
