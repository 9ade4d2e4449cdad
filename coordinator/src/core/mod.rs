//! Every decision of the coordinator, pure: no clock, no randomness, no I/O, no async, no HTTP.
//!
//! Two worlds meet here. The *books* ([`view`], [`tables`]) are replicated: they change only by [`apply::apply`], a
//! function of the books and one [`command::Proposal`] from the log. The leader's *eyes* ([`observed`]) are its own
//! memory of heartbeats and are never stored. From both follow the commands that the leader proposes by itself
//! ([`plan`]), what each node is told ([`orders`]), what an inventory means ([`settle`]), where bytes go
//! ([`placement`]), what is put together where ([`joins`]), what operators do to nodes ([`operate`], [`departure`]), how
//! unequally full the nodes are ([`balance`]), who may do what ([`access`]), what is in use and does not end ([`uses`]), what
//! was done for whom ([`audit`]) and what users see ([`present`]).

pub mod access;
mod affinity;
pub mod apply;
pub mod audit;
pub mod balance;
pub mod command;
pub mod departure;
mod draft;
pub mod joins;
pub mod keys;
pub mod observed;
pub mod operate;
pub mod orders;
mod pace;
pub mod placement;
pub mod plan;
pub mod present;
pub mod roster;
pub mod same;
pub mod settle;
mod standing;
pub mod tables;
pub mod uses;
pub mod view;

#[cfg(test)]
mod tests;
