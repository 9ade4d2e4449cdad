//! The folder on disk: crash-safe changes, the room that is left, who may use it.
//!
//! It owns the layout, the lock and the reservations. Everything here blocks: asynchronous callers use the blocking
//! pool. Of materials it knows their ids, which name folders, and nothing else.

pub(crate) mod direct;
mod failure;
mod folders;
mod layout;
mod lock;
pub(crate) mod memory;
mod space;
mod steady;

pub(crate) use failure::{is_lost, problem};
pub(crate) use folders::{empty_trash, entries, set_aside, to_trash};
pub(crate) use layout::Layout;
pub(crate) use lock::FolderLock;
pub(crate) use space::{NoSpace, Promise, Space};
pub(crate) use steady::write_at;

pub(crate) use microtome_server::durable::{create_folder, rename, sync_folder, write};
