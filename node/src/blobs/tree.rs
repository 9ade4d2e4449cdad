//! The BLAKE3 hash tree over groups of 16 KiB, as a flat list.
//!
//! A material's *leaves* are the chaining values of its groups in order, 32 bytes each. A file of one group or none has
//! one leaf, which is its hash. 1024 groups (16 MiB) are a *block*; the *spine* is the list of the blocks' chaining
//! values. Both lists have the tree's own shape: with the hash the spine is proven by a merge of few values, with the
//! spine a block of leaves on its own, and with a leaf its group.
//!
//! Source of the shape: section 2.1 of the BLAKE3 paper; a left subtree holds the largest power of two of groups.

use blake3::{
    Hasher,
    hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use std::ops::Range;

/// Bytes of a group. Sixteen chunks: as many as the widest vector unit hashes at once.
pub(crate) const GROUP_LEN: u64 = 16 << 10;
/// Groups of a block.
pub(crate) const BLOCK_GROUPS: u64 = 1024;
/// Bytes of a chaining value.
pub(crate) const LEAF_LEN: u64 = 32;

/// A chaining value: the hash of a part of the tree.
pub(crate) type Leaf = [u8; LEAF_LEN as usize];

/// How many groups, and so leaves, a file of `size` bytes has.
pub(crate) fn group_count(size: u64) -> u64 {
    size.div_ceil(GROUP_LEN).max(1)
}

/// How many blocks it has.
pub(crate) fn block_count(size: u64) -> u64 {
    group_count(size).div_ceil(BLOCK_GROUPS)
}

/// The bytes of group `index`.
pub(crate) fn group_range(size: u64, index: u64) -> Range<u64> {
    let start = (index * GROUP_LEN).min(size);
    start..(start + GROUP_LEN).min(size)
}

/// The groups of block `index`.
pub(crate) fn block_range(size: u64, index: u64) -> Range<u64> {
    let start = index * BLOCK_GROUPS;
    start..(start + BLOCK_GROUPS).min(group_count(size))
}

/// The leaf of group `index` of a file of `size` bytes, whose bytes (or first bytes) are `bytes`.
pub(crate) fn leaf(size: u64, index: u64, bytes: &[u8]) -> Leaf {
    if group_count(size) == 1 || bytes.is_empty() {
        return *blake3::hash(bytes).as_bytes();
    }
    Hasher::new().set_input_offset(index * GROUP_LEN).update(bytes).finalize_non_root()
}

/// Splits where the tree does.
fn halves(leaves: &[Leaf]) -> (&[Leaf], &[Leaf]) {
    leaves.split_at(leaves.len().div_ceil(2).next_power_of_two())
}

/// The chaining value over neighbouring leaves that form a subtree.
fn subtree(leaves: &[Leaf]) -> Leaf {
    match leaves {
        [] => Leaf::default(),
        [one] => *one,
        many => {
            let (left, right) = halves(many);
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// The whole file's hash from all its leaves, or from its spine.
pub(crate) fn root(leaves: &[Leaf]) -> Leaf {
    match leaves {
        [] => Leaf::default(),
        [one] => *one,
        many => {
            let (left, right) = halves(many);
            *merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()
        }
    }
}

/// The chaining value of a block. The only block of a file is its root.
pub(crate) fn block(size: u64, leaves: &[Leaf]) -> Leaf {
    if block_count(size) == 1 { root(leaves) } else { subtree(leaves) }
}

/// Folds leaves into the spine as they come, in order.
#[derive(Debug)]
pub(crate) struct SpineBuilder {
    size: u64,
    leaves: Vec<Leaf>,
    spine: Vec<Leaf>,
}

impl SpineBuilder {
    /// For a file of `size` bytes.
    pub(crate) fn new(size: u64) -> Self {
        Self { size, leaves: Vec::new(), spine: Vec::new() }
    }

    /// Adds the next leaf.
    pub(crate) fn push(&mut self, leaf: Leaf) {
        self.leaves.push(leaf);
        if self.leaves.len() as u64 == BLOCK_GROUPS {
            self.fold();
        }
    }

    /// The spine, from which [`root`] makes the hash; `None` where leaves are missing or too many.
    pub(crate) fn finish(mut self) -> Option<Vec<Leaf>> {
        let count = self.spine.len() as u64 * BLOCK_GROUPS + self.leaves.len() as u64;
        if count != group_count(self.size) {
            return None;
        }
        if !self.leaves.is_empty() {
            self.fold();
        }
        Some(self.spine)
    }

    fn fold(&mut self) {
        self.spine.push(block(self.size, &self.leaves));
        self.leaves.clear();
    }
}

/// Hashes a file's bytes as they come, whatever pieces they come in; whole groups in one piece are the fast way.
#[derive(Debug)]
pub(crate) struct LeafHasher {
    size: u64,
    offset: u64,
    /// The group that has begun and not ended. Boxed: a hasher is 2 KB.
    begun: Option<Box<Hasher>>,
}

impl LeafHasher {
    /// For a file of `size` bytes, from group `index` on.
    pub(crate) fn new(size: u64, index: u64) -> Self {
        Self { size, offset: group_range(size, index).start, begun: None }
    }

    /// Where the next byte belongs.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Hashes the next bytes and hands out the leaves of the groups that they complete. What would lie beyond the
    /// file's size is left out.
    pub(crate) fn update(&mut self, mut bytes: &[u8], mut done: impl FnMut(Leaf)) {
        while !bytes.is_empty() && self.offset < self.size {
            let index = self.offset / GROUP_LEN;
            let group = group_range(self.size, index);
            let wanted = usize::try_from(group.end - self.offset).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(wanted.min(bytes.len()));
            let completes = piece.len() == wanted;
            if completes && self.offset == group.start {
                done(leaf(self.size, index, piece));
            } else {
                let hasher = self.begun.get_or_insert_with(|| {
                    let mut hasher = Box::new(Hasher::new());
                    hasher.set_input_offset(group.start);
                    hasher
                });
                hasher.update(piece);
                if completes {
                    done(finished(self.size, hasher));
                    self.begun = None;
                }
            }
            self.offset += piece.len() as u64;
            bytes = rest;
        }
    }

    /// The group that has begun: the leaf that its bytes so far would have, and how many they are.
    pub(crate) fn begun(&self) -> Option<(Leaf, u64)> {
        self.begun.as_ref().map(|hasher| (finished(self.size, hasher), hasher.count()))
    }
}

fn finished(size: u64, hasher: &Hasher) -> Leaf {
    if group_count(size) == 1 { *hasher.finalize().as_bytes() } else { hasher.finalize_non_root() }
}

/// The list's bytes, as they lie on disk and travel.
pub(crate) fn to_bytes(leaves: &[Leaf]) -> Vec<u8> {
    leaves.as_flattened().to_vec()
}

/// The reverse of [`to_bytes`]; a torn leaf at the end is left out.
pub(crate) fn from_bytes(bytes: &[u8]) -> Vec<Leaf> {
    bytes.as_chunks().0.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[5]).collect()
    }

    fn hashed(data: &[u8], piece: usize) -> (Vec<Leaf>, Leaf) {
        let size = data.len() as u64;
        let mut leaves = Vec::new();
        let mut hasher = LeafHasher::new(size, 0);
        for part in data.chunks(piece) {
            hasher.update(part, |leaf| leaves.push(leaf));
        }
        if data.is_empty() {
            leaves.push(leaf(0, 0, data));
        }
        let mut spine = SpineBuilder::new(size);
        leaves.iter().for_each(|leaf| spine.push(*leaf));
        let spine = spine.finish().unwrap();
        assert_eq!(spine.len() as u64, block_count(size));
        (leaves, root(&spine))
    }

    #[test]
    fn the_root_is_blake3_around_all_boundaries() {
        let (group, block) = (GROUP_LEN as usize, (GROUP_LEN * BLOCK_GROUPS) as usize);
        let data = bytes(3 * block + 3 * group + 1);
        let chunk_edges = (0..20_usize).map(|n| n * 1024);
        let group_edges = (0..10_usize).map(|n| n * group);
        let block_edges = (1..4_usize).map(|n| n * block);
        let edges = chunk_edges.chain(group_edges).chain(block_edges).chain([3 * block + 3 * group]);
        for edge in edges {
            for len in [edge.saturating_sub(1), edge, edge + 1] {
                let (leaves, found) = hashed(&data[..len], 1 << 20);
                assert_eq!(&found, blake3::hash(&data[..len]).as_bytes(), "{len} bytes");
                assert_eq!(leaves.len() as u64, group_count(len as u64));
                assert_eq!(root(&leaves), found, "the leaves alone prove as much as the spine, {len} bytes");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_of_any_length_give_the_same_leaves(len in 0usize..200_000, piece in 1usize..40_000) {
            let data = bytes(len);
            let (leaves, found) = hashed(&data, piece);
            prop_assert_eq!(found, *blake3::hash(&data).as_bytes());
            for (index, expected) in leaves.iter().enumerate() {
                let range = group_range(len as u64, index as u64);
                let group = &data[range.start as usize..range.end as usize];
                prop_assert_eq!(&leaf(len as u64, index as u64, group), expected);
            }
        }
    }

    #[test]
    fn a_begun_group_is_told_as_its_first_bytes() {
        for size in [10_000, 100_000] {
            let data = bytes(40_000_usize.min(size as usize));
            let mut hasher = LeafHasher::new(size, 0);
            hasher.update(&data[..39_000_usize.min(data.len() - 1)], |_| ());
            let (found, len) = hasher.begun().unwrap();
            let index = hasher.offset() / GROUP_LEN;
            let start = (index * GROUP_LEN) as usize;
            assert_eq!(found, leaf(size, index, &data[start..start + len as usize]));
        }
    }

    #[test]
    fn missing_leaves_make_no_spine() {
        assert!(SpineBuilder::new(GROUP_LEN + 1).finish().is_none());
    }
}
