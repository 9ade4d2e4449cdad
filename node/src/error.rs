//! Why a node cannot start or go on, in sentences with a way out.

use microtome_proto::Problem;
use microtome_server::ListenError;
use std::{io, path::PathBuf};

/// The node ended by a failure.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It would be open to everybody.
    #[error("{0}")]
    Exposed(String),
    /// A part of the configuration does not fit.
    #[error("{0}")]
    Config(String),
    /// Another node runs on the data folder.
    #[error("another node already uses the data folder {0}: stop that one, or choose another folder with --data-dir")]
    FolderInUse(PathBuf),
    /// The data folder cannot be used.
    #[error("the data folder {folder} cannot be used: {cause}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// An operator took it out of the cluster.
    #[error(
        "an operator removed this node from the cluster: what lies in {0} does not count there any more, and is left as it \
         is. To join as a new node, start with an empty data folder (--data-dir)"
    )]
    Removed(PathBuf),
    /// The cluster does not want it.
    #[error("the cluster refuses this node: {}. {}", .0.detail.trim_end_matches('.'), .0.way_out)]
    Refused(Problem),
}
