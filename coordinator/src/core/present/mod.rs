//! What users see: materials, nodes and runs as the API shows them, from the books and the leader's eyes.
//!
//! Lists come a page at a time and cost a page's work. Their cursors are opaque: the last key shown, in hexadecimal, so
//! that a page stays right while entries come and go.

mod accounts;
mod balance;
mod cluster;
mod materials;
mod nodes;
mod page;
mod runs;
mod spaces;

pub use cluster::Overview;
#[cfg(test)]
pub(super) use page::LOOKS_MAX;
pub use page::PresentError;

use super::{
    observed::{Observed, Timing},
    view::View,
};

/// What is presented from. All times are of the observer's monotonic clock.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The books.
    pub view: &'a dyn View,
    /// The leader's eyes.
    pub observed: &'a Observed,
    /// Now.
    pub now_ms: u64,
    /// How long silence may last.
    pub timing: &'a Timing,
}
