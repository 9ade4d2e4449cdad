//! The `.part` file of a download: what has arrived so far, and its hash.

use crate::ClientError;
use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

/// What has arrived of a file. All methods block.
pub(crate) struct Part {
    file: File,
    path: PathBuf,
    /// Bytes that are there.
    pub(crate) offset: u64,
    /// Has hashed them.
    pub(crate) hasher: blake3::Hasher,
}

impl Part {
    /// Hashes what an earlier download left.
    pub(crate) fn open(path: PathBuf, size: u64) -> Result<Self, ClientError> {
        let failed = |error| ClientError::io("write", &path, error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > size {
            file.set_len(0).map_err(failed)?;
        }
        let mut hasher = blake3::Hasher::new();
        let mut buf = vec![0; 1 << 20];
        let mut offset = 0;
        loop {
            match file.read(&mut buf).map_err(failed)? {
                0 => break,
                read => {
                    hasher.update(&buf[..read]);
                    offset += read as u64;
                }
            }
        }
        Ok(Self { file, path, offset, hasher })
    }

    pub(crate) fn append(&mut self, piece: &[u8]) -> Result<(), ClientError> {
        self.file.write_all(piece).map_err(|error| ClientError::io("write", &self.path, error))?;
        self.hasher.update(piece);
        self.offset += piece.len() as u64;
        Ok(())
    }

    pub(crate) fn restart(mut self) -> Result<Self, ClientError> {
        let rewound = self.file.set_len(0).and_then(|()| self.file.rewind());
        rewound.map_err(|error| ClientError::io("write", &self.path, error))?;
        self.offset = 0;
        self.hasher.reset();
        Ok(self)
    }

    /// Durable first, then under its name.
    pub(crate) fn publish(self, to: &Path) -> Result<(), ClientError> {
        let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let published = self.file.sync_all().and_then(|()| fs::rename(&self.path, to));
        let published = published.and_then(|()| File::open(folder)?.sync_all());
        published.map_err(|error| ClientError::io("write", to, error))
    }
}
