//! The slides that a thread was asked for last. A viewer asks for one tile of a slide after the other: the search in what
//! all threads share, and the count of who uses it, would cost more than to look the tile up.

use super::Opened;
use std::{cell::RefCell, sync::Arc};

/// Slides that a thread remembers.
const KEPT_MAX: usize = 8;
/// Tiles after which a slide is looked for among the open ones again, so that these know which of them are in use.
const TILES_MAX: u32 = 256;

struct Recent {
    /// Whose slides it is among.
    owner: u64,
    opened: Arc<Opened>,
    tiles: u32,
}

thread_local! {
    static RECENT: RefCell<Vec<Recent>> = const { RefCell::new(Vec::new()) };
}

/// What `take` makes of the slide of this material, if it is remembered. Its copy may be gone: then its files are closed,
/// and nothing of it is at hand.
pub(super) fn with<T>(owner: u64, id: &str, take: impl FnOnce(&Opened) -> Option<T>) -> Option<T> {
    RECENT.with_borrow_mut(|slides| {
        let is_it = |recent: &Recent| recent.owner == owner && recent.opened.material().as_str() == id;
        let recent = slides.iter_mut().find(|recent| is_it(recent)).filter(|recent| recent.tiles < TILES_MAX)?;
        recent.tiles += 1;
        take(&recent.opened)
    })
}

/// Remembers a slide in place of the one that was remembered first, or of what was known of the same material.
pub(super) fn remember(owner: u64, opened: Arc<Opened>) {
    RECENT.with_borrow_mut(|slides| {
        slides.retain(|recent| recent.owner != owner || recent.opened.material() != opened.material());
        if slides.len() >= KEPT_MAX {
            slides.remove(0);
        }
        slides.push(Recent { owner, opened, tiles: 0 });
    });
}
