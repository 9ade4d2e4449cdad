//! The reader from outside: every form of file, real slides beside other readers, and files that lie.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod common;

mod agreement;
mod aperio;
mod between;
mod bif;
mod deep_zoom;
mod forms;
mod generic;
mod hostile;
mod hostile_makers;
mod iiif;
mod mutations;
mod ndpi;
mod ome;
mod open_cost;
mod philips;
mod picture_profiles;
mod pictures;
mod qptiff;
mod scn;
mod truth;
