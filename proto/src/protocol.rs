//! Which protocol servers speak: what they ask of one another, and what they put into the log.
//!
//! A release that asks or writes something which the one before does not understand raises it by one. Servers whose
//! protocols are one apart work together, so that a cluster is upgraded one server after the other while it works. What is
//! new to the log is kept back until all coordinators speak it.

/// The protocol of version 0.1.0, and of all servers that do not tell theirs.
pub const FIRST: u32 = 1;
/// From here on files are put together from parts.
pub const CONCATENATION: u32 = 3;
/// From here on materials belong to spaces and cases and have an end, and there are users.
pub const BELONGING: u32 = 4;
/// The protocol of this version. 2 has removed nodes, rebalancing and damaged copies; 3 has concatenation; 4 has users,
/// teams and cases, spaces, expiry and the trail of who did what.
pub const PROTOCOL: u32 = BELONGING;

/// What a server speaks that does not tell it.
pub const fn untold() -> u32 {
    FIRST
}

/// Whether servers that speak `one` and `other` work together.
pub const fn work_together(one: u32, other: u32) -> bool {
    one.abs_diff(other) <= 1
}
