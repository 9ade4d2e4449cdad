//! What both servers share: listening and stopping, encryption, answers in problem+json, the token check, metrics, the crash-safe
//! write.
//!
//! It knows HTTP and files and nothing of materials: no route of the API is defined here.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod auth;
pub mod cors;
mod deadlines;
pub mod durable;
pub mod extract;
mod lanes;
mod linger;
pub mod listen;
pub mod metrics;
mod open_files;
pub mod outside;
mod refusals;
pub mod routes;
mod scheme;
pub mod tls;

pub use auth::Auth;
pub use listen::{AtHand, ListenError, Peer, listen, serve};
pub use metrics::{Metrics, RouteMetrics};
pub use open_files::raise_open_files_max;
pub use scheme::Scheme;
pub use tls::Tls;
