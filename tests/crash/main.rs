//! What a disk does to servers: it loses what was not synced when the power fails, keeps writes in part, and its calls fail
//! or do less than they were asked. After each crash the server is started again on what was left, and what had been
//! acknowledged must be there.
//!
//! A server's calls are recorded (`disk.c`); whatever a disk may hold after any of them is worked out from that (`disk.rs`).
//! `kill -9` alone proves nothing here: the system keeps what a killed process has written.
//!
//! ```sh
//! MICROTOME_CRASHES=200 MICROTOME_CRASH_SEED=7 MICROTOME_CRASH_SECONDS=20 MICROTOME_CRASH_ALL=1 cargo test --test crash -- --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs, unreachable_pub)]

mod coordinators;
mod disk;
#[path = "../cluster/harness.rs"]
#[allow(dead_code)]
mod harness;
mod nodes;
#[path = "../cluster/preload.rs"]
mod preload;
mod recorder;
