//! What travels between Microtome's programs: identifiers, requests, answers, error codes and tokens.
//!
//! Types only: nothing here opens a file or a socket, and nothing is async. The machine's clock is read by
//! [`Timestamp::now`] alone. Everything that is stored or sent is JSON; a field that is added later has a default, so that
//! yesterday's bytes stay readable.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod account;
pub mod cluster;
pub mod ids;
pub mod internal;
pub mod limits;
pub mod material;
pub mod node;
pub mod operation;
pub mod page;
pub mod problem;
pub mod protocol;
pub mod run;
pub mod slide;
pub mod space;
pub mod time;
pub mod tls;
pub mod token;
pub mod tus;

pub use ids::{CaseId, ClusterId, CoordinatorId, Generation, MaterialId, NodeId, RunId, SessionId, TeamId, UserId};
pub use problem::{Code, Problem};
pub use time::Timestamp;
