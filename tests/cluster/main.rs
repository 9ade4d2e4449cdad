//! The cluster from outside: real processes of the program, real sockets, real disks, real kills.
//!
//! Each story starts a cluster of its own on free ports and in a folder of its own, so that all of them run at once. A
//! story waits for what it wants to see, never for a time; [`harness::Cluster`] kills what it started, also when a story
//! fails, and then prints the ends of the servers' logs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs, unreachable_pub)]

#[path = "../../proto/src/token/tests/forge.rs"]
mod forge;
#[allow(dead_code)]
mod harness;
mod provider;
mod recorder;
mod slides;
#[path = "../../node/tests/it/support/small_disk.rs"]
mod small_disk;

mod accounts;
mod bad_input;
mod command_line;
mod concat;
mod damage;
mod description;
mod encryption;
mod failover;
mod life;
mod pixels;
mod population;
mod runs;
mod scaling;
mod spaces;
mod tokens;
mod upgrade;
mod upload;
