//! What a coordinator keeps on its disk.
//!
//! It owns the data folder: its lock and identity ([`folder`]), vote and log ([`log`]: durable when acknowledged), the
//! applied state ([`state`]: rebuilt from the other two whenever it cannot be trusted) and snapshots ([`snapshots`]). It
//! knows indexes, keys and bytes; it must never know what raft or the core mean by them.

mod database;
mod error;
mod examine;
pub(crate) mod folder;
mod ledger;
pub(crate) mod log;
mod renew;
pub(crate) mod snapshot;
pub(crate) mod snapshots;
pub(crate) mod state;
mod tail;
mod walk;

pub use error::StoreError;
