//! The group of coordinators that agrees on one log. openraft is known in this folder only.
//!
//! It owns the adapters between openraft and the store, the messages between coordinators, and the answer to "who leads".
//! It must never know what a command means: that is the core's.

pub(crate) mod bootstrap;
mod group;
mod leader;
mod log;
pub(crate) mod machine;
mod members;
pub(crate) mod network;
mod open;
mod protocol;
mod seed;
#[cfg(test)]
mod suite;
pub(crate) mod types;

pub(crate) use group::Group;
pub(crate) use leader::Leader;
pub(crate) use open::open;
pub use seed::seed;

use microtome_proto::protocol::PROTOCOL;

/// Raft's timing and sizes.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// How often a leader makes itself heard, in milliseconds.
    pub heartbeat_ms: u64,
    /// Shortest silence after which a follower asks for votes, in milliseconds.
    pub election_ms_min: u64,
    /// Longest such silence, and how long a leader's word holds, in milliseconds.
    pub election_ms_max: u64,
    /// Entries between two snapshots, at the least: of large books they are taken more rarely.
    pub snapshot_every: u64,
    /// Entries kept behind the newest snapshot. More than two of the longest intervals, so that the snapshot before it
    /// and the log still tell everything should the newest be damaged.
    pub kept_entries: u64,
    /// The protocol that it speaks.
    pub protocol: u32,
}

impl Default for Tuning {
    /// A lost leader is replaced after about two seconds, twice the longest silence, within which requests wait for the
    /// next one; a busy machine does not look like a lost one.
    fn default() -> Self {
        Self {
            heartbeat_ms: 250,
            election_ms_min: 700,
            election_ms_max: 1_000,
            snapshot_every: 5_000,
            kept_entries: 120_000,
            protocol: PROTOCOL,
        }
    }
}
