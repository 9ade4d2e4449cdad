//! What a disk does to servers: it loses what was not synced when the power fails, and its calls fail. After each crash the
//! server is started again on what was left, and what had been acknowledged must be there.
//!
//! `kill -9` alone proves nothing here: the system keeps what a killed process has written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs, unreachable_pub)]

mod calls;
mod disk;
#[path = "../cluster/harness.rs"]
#[allow(dead_code)]
mod harness;
mod power;
