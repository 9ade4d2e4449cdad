//! The client against servers that answer as a test tells them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod calls;
mod download;
mod fake;
mod upload;
