//! A storage node: holds whole copies of materials, takes uploads, pulls clones, serves bytes and pixels, carries out
//! runs.
//!
//! The node's disk is the truth about bytes: what it says it holds it can prove by hash. It never decides where copies
//! should be, it is told so by the coordinators, whose crate it must never see.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod agent;
mod blobs;
mod check;
mod clone;
mod config;
mod disk;
mod error;
mod free;
mod http;
mod identity;
mod incoming;
mod mending;
mod node;
mod pixels;
mod readers;
mod reports;
mod runs;
mod scrub;
mod start;
mod tasks;
mod upload;

pub use check::CheckConfig;
pub use config::Config;
pub use error::NodeError;
pub use start::run;

pub(crate) use node::Node;
