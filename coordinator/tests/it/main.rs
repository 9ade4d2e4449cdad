//! Coordinators from outside, within this process: real sockets, real folders, and nodes that are a few lines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

mod accounts;
mod alone;
mod api;
mod concat;
mod group;
mod inventory;
mod placing;
mod runs;
mod scaling;
mod upgrade;
