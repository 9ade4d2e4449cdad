//! Every decision of the coordinator, pure: no clock, no randomness, no I/O, no async, no HTTP.
//!
//! Two worlds meet here. The *books* ([`view`], [`tables`]) are replicated: they change only by [`apply::apply`], a
//! function of the books and one [`command::Proposal`] from the log. The leader's *eyes* ([`observed`]) are its own
//! memory of heartbeats and are never stored. From both follow the commands that the leader proposes by itself
//! ([`plan`]), what each node is told ([`orders`]), what an inventory means ([`settle`]), where bytes go
//! ([`placement`]) and what users see ([`present`]).

pub mod apply;
pub mod command;
mod draft;
pub mod keys;
pub mod observed;
pub mod orders;
pub mod placement;
pub mod plan;
pub mod present;
pub mod roster;
pub mod settle;
mod standing;
pub mod tables;
pub mod view;

#[cfg(test)]
mod tests;
