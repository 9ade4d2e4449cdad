//! Why the data folder cannot be used. Each text tells how to go on.

use microtome_proto::CoordinatorId;
use std::{io, path::Path, path::PathBuf};

/// The data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{} is in use by another coordinator: stop that one, or name another data folder", .0.display())]
    Locked(PathBuf),
    /// The user may not write there.
    #[error("cannot write in {}: give this user the right to, or name another data folder", .0.display())]
    NotWritable(PathBuf),
    /// The disk is full.
    #[error("the disk that holds {} is full: free some space there, then start the coordinator again", .0.display())]
    Full(PathBuf),
    /// The folder was made by another coordinator.
    #[error(
        "{} belongs to coordinator {found} of cluster '{found_cluster}', not to coordinator {wanted} of '{wanted_cluster}': \
         correct the id or the cluster's name, or name another data folder", .path.display()
    )]
    Stranger {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: CoordinatorId,
        /// Its cluster.
        found_cluster: String,
        /// Who was started.
        wanted: CoordinatorId,
        /// Its cluster.
        wanted_cluster: String,
    },
    /// A newer program wrote it.
    #[error("{} was written by a newer version of this program (format {found}): start that version", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Votes and log entries cannot be read. They must never be made up.
    #[error(
        "{} is damaged ({reason}): restore the folder from a copy, or replace this coordinator by one with a new id and an \
         empty folder; the others hold the data", .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StoreError {
    /// The variant that fits what the system said of `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotWritable(path),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            _ => Self::Io { path, source },
        }
    }
}
