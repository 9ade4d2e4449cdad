//! Native tiles that a thread is asked for again and again: where many look at one slide, most look at the same places. Their
//! bytes are answered from memory, without a call of the kernel and without being held against their checksums once more.
//!
//! Each tile has one place that it can be in. It comes there when it is asked for a second time and nothing else was asked for
//! in between that has the same place: what is looked at once drives nothing out.

use bytes::Bytes;
use std::cell::RefCell;

/// Tiles that a thread keeps, a power of two: with the longest ones 8 MiB.
const PLACES: usize = 256;
/// Longest tile that is kept, in bytes.
const TILE_LEN_MAX: usize = 32 << 10;

/// A tile of an open slide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tile {
    /// The slide's, which no other opened one has, nor this one when it is opened again; not 0.
    pub(super) slide: u64,
    pub(super) level: usize,
    pub(super) column: u32,
    pub(super) row: u32,
}

#[derive(Debug, Default)]
struct Place {
    kept: Tile,
    bytes: Bytes,
    /// The one that was asked for last and is not kept.
    asked: Tile,
}

thread_local! {
    static PLACES_OF_THREAD: RefCell<Box<[Place]>> = RefCell::new((0..PLACES).map(|_| Place::default()).collect());
}

/// The bytes of `tile`: kept ones, or what `read` brings.
pub(super) fn get(tile: Tile, read: impl FnOnce() -> Option<Bytes>) -> Option<Bytes> {
    PLACES_OF_THREAD.with_borrow_mut(|places| {
        let place = places.get_mut(tile.place())?;
        if place.kept == tile {
            return Some(place.bytes.clone());
        }
        let bytes = read()?;
        if place.asked != tile {
            place.asked = tile;
        } else if bytes.len() <= TILE_LEN_MAX {
            // What was read may lie in more memory than it takes.
            (place.kept, place.bytes) = (tile, Bytes::copy_from_slice(&bytes));
        }
        Some(bytes)
    })
}

impl Tile {
    fn place(self) -> usize {
        // Fibonacci hashing of all that tells tiles apart; neighbours go far apart.
        let place = u64::from(self.column) << 32 | u64::from(self.row);
        let mixed = (place ^ self.slide.rotate_left(20) ^ (self.level as u64).rotate_left(58))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize % PLACES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(slide: u64, row: u32) -> Tile {
        Tile { slide, row, ..Tile::default() }
    }

    fn is_kept(tile: Tile) -> bool {
        let mut read = false;
        get(tile, || {
            read = true;
            None
        });
        !read
    }

    fn ask(tile: Tile) {
        let bytes = || Some(Bytes::from(vec![tile.row as u8; 100]));
        assert_eq!(get(tile, bytes).unwrap(), vec![tile.row as u8; 100]);
    }

    #[test]
    fn what_is_asked_for_twice_is_kept_and_what_is_asked_for_once_drives_it_out_never() {
        ask(tile(1, 5));
        assert!(!is_kept(tile(1, 5)));
        ask(tile(1, 5));
        assert!(is_kept(tile(1, 5)));
        (0..10_000).filter(|&row| row != 5).for_each(|row| ask(tile(1, row)));
        ask(tile(1, 5));
        assert!(is_kept(tile(1, 5)) && !is_kept(tile(2, 5)), "another slide's");
    }

    #[test]
    fn a_newer_one_that_is_asked_for_more_takes_the_place_of_an_older_one() {
        let old = tile(1, 0);
        let new = (1..).map(|row| tile(1, row)).find(|new| new.place() == old.place()).unwrap();
        for tile in [old, old, new] {
            ask(tile);
        }
        assert!(is_kept(old));
        ask(new);
        assert!(is_kept(new) && !is_kept(old));
    }

    #[test]
    fn neighbours_have_places_of_their_own() {
        let near = (0..8).flat_map(|column| (0..8).map(move |row| Tile { slide: 3, level: 0, column, row }));
        let places: std::collections::BTreeSet<_> = near.map(Tile::place).collect();
        assert!(places.len() > 48, "{}", places.len());
    }

    #[test]
    fn a_long_one_is_not_kept() {
        for _ in 0..3 {
            get(tile(9, 0), || Some(vec![0; TILE_LEN_MAX + 1].into()));
        }
        assert!(!is_kept(tile(9, 0)));
    }
}
