//! Memory for native tiles that is used again: an answer's bytes are kept by the thread that has sent them, for its next
//! tile. Fresh memory for each would cost more than to read a tile into it.

use bytes::Bytes;
use std::{cell::Cell, mem};

/// Most memory that a thread keeps, in bytes: tiles are seldom larger.
const KEPT_LEN_MAX: usize = 128 << 10;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer, with room where there is some to spare.
pub(super) fn take() -> Vec<u8> {
    SPARE.take()
}

/// Bytes whose memory is kept when nobody needs them any more.
pub(super) fn lend(buffer: Vec<u8>) -> Bytes {
    Bytes::from_owner(Lent(buffer))
}

struct Lent(Vec<u8>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT_LEN_MAX {
            self.0.clear();
            // A thread that ends has no use for it.
            let _ = SPARE.try_with(|spare| spare.set(mem::take(&mut self.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_when_its_bytes_are_sent_unless_it_is_much() {
        let sent = |len: usize| {
            let mut buffer = take();
            buffer.resize(len, 7);
            let bytes = lend(buffer);
            assert_eq!(take().capacity(), 0, "it is lent");
            assert!(bytes.len() == len && bytes.iter().all(|&byte| byte == 7));
            drop(bytes);
            let kept = take();
            assert!(kept.is_empty());
            kept.capacity()
        };
        assert!(sent(1000) >= 1000);
        assert_eq!(sent(KEPT_LEN_MAX + 1), 0);
    }
}
