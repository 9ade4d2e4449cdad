//! How ids become the bytes of a key: prefix-free, total for every id that parses, and in the order wanted.
//!
//! Node and run ids end in a counter: their length stands first, so that `n-2` comes before `n-10`. Material ids do
//! not tell their age: they are kept as text with a closing zero, in the order in which nodes list what they hold.

use microtome_proto::{MaterialId, NodeId, RunId, Timestamp};
use std::str::FromStr;

/// A node's id, in the order of the counter.
pub fn node(id: &NodeId) -> Vec<u8> {
    numbered(id.as_str())
}

/// A run's id, in the order of the counter: the oldest first.
pub fn run(id: &RunId) -> Vec<u8> {
    numbered(id.as_str())
}

/// A run's id, the newest first.
pub fn run_newest_first(id: &RunId) -> Vec<u8> {
    numbered(id.as_str()).into_iter().map(|byte| !byte).collect()
}

/// A material's id, in the order of its text.
pub fn material(id: &MaterialId) -> Vec<u8> {
    let mut key = id.as_str().as_bytes().to_vec();
    key.push(0);
    key
}

/// A counter, the greatest first.
pub fn newest_first(counter: u64) -> Vec<u8> {
    (!counter).to_be_bytes().to_vec()
}

/// The reverse of [`newest_first`].
pub fn decode_newest_first(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(|bytes| !u64::from_be_bytes(bytes))
}

/// The reverse of [`run_newest_first`].
pub fn decode_run_newest_first(bytes: &[u8]) -> Option<RunId> {
    let bytes: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    whole(take_run(&bytes))
}

/// A node's id at the start of `bytes`, and the rest.
pub fn take_node(bytes: &[u8]) -> Option<(NodeId, &[u8])> {
    let (text, rest) = take_numbered(bytes)?;
    Some((text.parse().ok()?, rest))
}

/// A run's id at the start of `bytes`, and the rest.
pub fn take_run(bytes: &[u8]) -> Option<(RunId, &[u8])> {
    let (text, rest) = take_numbered(bytes)?;
    Some((text.parse().ok()?, rest))
}

/// A material's id at the start of `bytes`, and the rest.
pub fn take_material(bytes: &[u8]) -> Option<(MaterialId, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((text.parse().ok()?, &bytes[end + 1..]))
}

/// What was taken, if nothing is left.
pub fn whole<T>(taken: Option<(T, &[u8])>) -> Option<T> {
    taken.and_then(|(value, rest)| rest.is_empty().then_some(value))
}

/// A point in time, the earliest first.
pub fn time(at: Timestamp) -> Vec<u8> {
    (at.as_millis() ^ i64::MIN).to_be_bytes().to_vec()
}

/// A time at the start of `bytes`, and the rest.
pub fn take_time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (millis, rest) = bytes.split_first_chunk()?;
    Some((Timestamp::from_millis(i64::from_be_bytes(*millis) ^ i64::MIN), rest))
}

/// A text without zeros in it, in its own order.
pub fn text(text: &str) -> Vec<u8> {
    let mut key = text.as_bytes().to_vec();
    key.push(0);
    key
}

/// A text at the start of `bytes`, and the rest.
pub fn take_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?.to_owned(), &bytes[end + 1..]))
}

/// Two texts, in the order of the first and then of the second.
pub fn texts(first: &str, second: &str) -> Vec<u8> {
    [text(first), text(second)].concat()
}

/// The reverse of [`texts`].
pub fn take_texts(bytes: &[u8]) -> Option<(String, String)> {
    let (first, rest) = take_text(bytes)?;
    Some((first, whole(take_text(rest))?))
}

/// An id of any kind at the start of `bytes`, and the rest.
pub fn take_id<T: FromStr>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (text, rest) = take_numbered(bytes)?;
    Some((text.parse().ok()?, rest))
}

/// Two ids.
pub fn take_ids<A: FromStr, B: FromStr>(bytes: &[u8]) -> Option<(A, B)> {
    let (first, rest) = take_id(bytes)?;
    Some((first, whole(take_id(rest))?))
}

/// An id that ends in a counter, in the order of the counter; of what was drawn, in any.
pub fn numbered(text: &str) -> Vec<u8> {
    // An id has at most 40 bytes; see `ids::ID_LEN_MAX`.
    let mut key = Vec::with_capacity(text.len() + 1);
    key.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(text.as_bytes());
    key
}

fn take_numbered(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(len))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_ids_sort_as_numbers() {
        let ids: Vec<_> = [1, 2, 9, 10, 11, 99, 100, 1 << 40].map(NodeId::from_counter).to_vec();
        let mut keys: Vec<_> = ids.iter().map(node).collect();
        let in_order = keys.clone();
        keys.sort();
        assert_eq!(keys, in_order);
        assert!(ids.iter().all(|id| whole(take_node(&node(id))).as_ref() == Some(id)));
    }

    #[test]
    fn newest_first_is_the_reverse_order() {
        let ids: Vec<_> = [1, 2, 9, 10, 100].map(RunId::from_counter).to_vec();
        let mut keys: Vec<_> = ids.iter().map(run_newest_first).collect();
        keys.sort();
        let sorted: Vec<_> = keys.iter().filter_map(|key| decode_run_newest_first(key)).collect();
        assert_eq!(sorted, ids.into_iter().rev().collect::<Vec<_>>());
        assert!(newest_first(3) < newest_first(2));
        assert_eq!(decode_newest_first(&newest_first(7)), Some(7));
    }

    #[test]
    fn damaged_keys_are_no_ids() {
        assert_eq!(take_node(b""), None);
        assert_eq!(take_node(b"\x09n-1"), None);
        assert_eq!(take_node(b"\x03x-1"), None);
        assert_eq!(take_material(b"m-abc"), None);
        assert_eq!(take_material(b"m-\xff\0"), None);
        assert_eq!(whole(take_material(b"m-abc\0x")), None);
    }
}
