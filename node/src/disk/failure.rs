//! Failures of the disk: what they say of its bytes, and how they travel.

use microtome_proto::{Code, Problem};
use rustix::io::Errno;
use std::io;

/// What whoever asked is told of `error`.
pub(crate) fn problem(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::new(Code::NoSpace, format!("the node's disk is full: {error}"))
        }
        io::ErrorKind::ResourceBusy => Problem::new(Code::TooManyRequests, error.to_string()),
        // Not yet, or not any more.
        io::ErrorKind::NotFound => Problem::new(Code::Unavailable, error.to_string()),
        // Told where it was found. It is mended as soon as another copy can be reached.
        io::ErrorKind::InvalidData => Problem::new(Code::Unavailable, format!("the node's copy is damaged: {error}")),
        _ => {
            tracing::error!(%error, "the disk failed");
            Problem::new(Code::Internal, format!("the node's disk failed: {error}"))
        }
    }
}

/// Whether it says that something is not there, or that the disk cannot read it.
pub(crate) fn is_lost(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}
