//! Who holds what: the coordinators of a cluster agree by raft on nodes, materials, copies and runs, and the one that
//! leads keeps them as they should be.
//!
//! From the outside in: `http` speaks; `control` runs the leader's loop; `login` knows passwords; `raft` puts commands through the log; `store`
//! keeps log, state and snapshots on disk; [`core`] decides, and knows none of the others.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod config;
mod control;
pub mod core;
mod error;
mod http;
mod login;
mod raft;
mod run;
mod store;

pub use config::Config;
pub use error::CoordinatorError;
pub use microtome_server::tls::authority_pem;
#[doc(hidden)]
pub use raft::{Tuning, seed};
pub use run::run;
#[doc(hidden)]
pub use run::run_tuned;
pub use store::StoreError;
