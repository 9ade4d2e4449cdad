//! A node as its users and its coordinator see it: real sockets, a real folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../../src/pixels/drawn.rs"]
#[allow(dead_code)]
mod drawn;
mod support;

mod checked;
mod checksums;
mod clones;
mod colours;
mod deferred;
mod expiry;
mod full_disk;
mod iiif;
mod joins;
mod mending;
mod pixels;
mod reads;
mod reads_told;
mod runs;
mod starts;
mod uploads;
