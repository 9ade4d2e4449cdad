//! The folder on disk: crash-safe changes, the room that is left, who may use it.
//!
//! It owns the rules of durability (what is written beside, synced, renamed) and the reservations. Everything here
//! blocks: asynchronous callers use the blocking pool. It must never know what a material is.

mod durable;
mod layout;
mod limits;
mod lock;
mod space;

pub(crate) use durable::{create_folder, read_exact_at, rename, sync_folder, write, write_all_at};
pub(crate) use layout::Layout;
pub(crate) use limits::raise_open_files_max;
pub(crate) use lock::FolderLock;
pub(crate) use space::{NoSpace, Promise, Space};
