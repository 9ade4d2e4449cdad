//! How ids become the bytes of a key: prefix-free, total for every id that parses, and in the order wanted.
//!
//! Node and run ids end in a counter: their length stands first, so that `n-2` comes before `n-10`. Material ids do
//! not tell their age: they are kept as text with a closing zero, in the order in which nodes list what they hold.

use microtome_proto::{MaterialId, NodeId, RunId};

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

fn numbered(text: &str) -> Vec<u8> {
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
