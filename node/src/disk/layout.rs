//! What lies where in a node's data folder.

use microtome_proto::MaterialId;
use microtome_server::durable::{create_folder, sync_folder};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The paths below a data folder:
///
/// ```text
/// LOCK                 held by the running node
/// node.json            who the node is
/// materials/<id>/      whole copies: file, leaves, spine (of more than 16 MiB), manifest.json, damaged.json (while it is)
/// incoming/<id>/       uploads and clones under way: file, leaves, incoming.json; of uploads tail.json, of clones
///                      leaves.gathered and ranges.json
/// runs/                where runs work
/// trash/               what is being deleted
/// scrub.json           how far the scrub is
/// readers.json         who had read what when the node was stopped; not while it runs
/// set-aside/           what could not be understood or mended; never deleted by the node
/// ```
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the folders where they are missing.
    ///
    /// # Errors
    /// Where one cannot be made.
    pub(crate) fn create(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", root.display())))?;
        let layout = Self { root: root.canonicalize()? };
        // It may be new, and its parents too. Where one may not be opened, the older ones are none of ours.
        for parent in layout.root.ancestors().skip(1) {
            if sync_folder(parent).is_err() {
                break;
            }
        }
        for folder in [layout.materials(), layout.incoming(), layout.trash(), layout.set_aside()] {
            create_folder(&folder)?;
        }
        Ok(layout)
    }

    /// The data folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The node's identity.
    pub(crate) fn identity(&self) -> PathBuf {
        self.root.join("node.json")
    }

    /// The lock file.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("LOCK")
    }

    /// Whole copies.
    pub(crate) fn materials(&self) -> PathBuf {
        self.root.join("materials")
    }

    /// One whole copy.
    pub(crate) fn material(&self, id: &MaterialId) -> PathBuf {
        self.materials().join(id.as_str())
    }

    /// Uploads and clones under way.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// One upload or clone under way.
    pub(crate) fn incoming_of(&self, id: &MaterialId) -> PathBuf {
        self.incoming().join(id.as_str())
    }

    /// Where runs work; emptied at a start.
    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// What is being deleted.
    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// How far the scrub is.
    pub(crate) fn scrub(&self) -> PathBuf {
        self.root.join("scrub.json")
    }

    /// Who had read what when the node was stopped.
    pub(crate) fn readers(&self) -> PathBuf {
        self.root.join("readers.json")
    }

    /// What could not be understood or mended.
    pub(crate) fn set_aside(&self) -> PathBuf {
        self.root.join("set-aside")
    }
}
