//! Uploads that were begun and not finished, remembered across runs of the program, so that a second `put` of the same
//! file goes on where the first was stopped.
//!
//! A small JSON file, replaced as a whole and crash-safely; what it says is only a hint, the node knows the offset.

use crate::ClientError;
use microtome_proto::{MaterialId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    env,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

const VERSION: u32 = 1;
/// The system's own default, of which the process's mask takes away.
const MODE: u32 = 0o666;
/// Most uploads remembered; the oldest are forgotten.
const ENTRIES_MAX: usize = 1000;

/// A file as it is just now, and the cluster that it is for: what an unfinished upload is found again by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileKey {
    /// The file's whole path.
    path: PathBuf,
    /// Its length in bytes.
    size: u64,
    /// Its last change, in nanoseconds since 1970.
    modified_ns: i64,
    /// The cluster, by the address that was asked.
    server: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Unfinished {
    #[serde(flatten)]
    file: FileKey,
    material: MaterialId,
    begun_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    uploads: Vec<Unfinished>,
}

/// The file with the unfinished uploads.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
}

impl FileKey {
    /// The file at `path`, for the cluster behind `server`.
    ///
    /// # Errors
    /// Where the file cannot be looked at.
    pub fn new(path: &Path, server: &str) -> Result<Self, ClientError> {
        let failed = |error| ClientError::io("read", path, error);
        let whole = fs::canonicalize(path).map_err(failed)?;
        let metadata = fs::metadata(&whole).map_err(failed)?;
        Ok(Self {
            path: whole,
            size: metadata.len(),
            modified_ns: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
            server: server.to_owned(),
        })
    }
}

impl Journal {
    /// In `$XDG_STATE_HOME/microtome`, or `~/.local/state/microtome`; `None` where there is no home.
    pub fn of_user() -> Option<Self> {
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
        Some(Self::at(state.join("microtome/uploads.json")))
    }

    /// In this file.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The material of the unfinished upload of the same, unchanged file to the same cluster.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn find(&self, file: &FileKey) -> Result<Option<MaterialId>, ClientError> {
        Ok(self.read()?.into_iter().find(|upload| upload.file == *file).map(|upload| upload.material))
    }

    /// Remembers that the upload of `file` as `material` has begun.
    ///
    /// # Errors
    /// Where the journal cannot be read or written.
    pub fn remember(&self, file: &FileKey, material: &MaterialId) -> Result<(), ClientError> {
        self.change(|uploads| {
            uploads.retain(|upload| upload.file != *file);
            let begun_at = Timestamp::now();
            uploads.push(Unfinished { file: file.clone(), material: material.clone(), begun_at });
        })
    }

    /// Forgets the upload of `file`, which is finished or gone.
    ///
    /// # Errors
    /// Where the journal cannot be read or written.
    pub fn forget(&self, file: &FileKey) -> Result<(), ClientError> {
        self.change(|uploads| uploads.retain(|upload| upload.file != *file))
    }

    fn read(&self) -> Result<Vec<Unfinished>, ClientError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.failed(error)),
        };
        let unreadable = |why: String| self.failed(io::Error::other(format!("{why}; delete it to go on")));
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if document.version != VERSION {
            return Err(unreadable(format!("its version is {}, not {VERSION}", document.version)));
        }
        Ok(document.uploads)
    }

    /// Other runs of the program may do the same at this moment: one after the other.
    fn change(&self, change: impl FnOnce(&mut Vec<Unfinished>)) -> Result<(), ClientError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| self.failed(error))?;
        let lock = File::create(self.path.with_extension("lock")).map_err(|error| self.failed(error))?;
        lock.lock().map_err(|error| self.failed(error))?;
        let mut uploads = self.read()?;
        change(&mut uploads);
        let surplus = uploads.len().saturating_sub(ENTRIES_MAX);
        uploads.drain(..surplus);
        let json = serde_json::to_vec_pretty(&Document { version: VERSION, uploads }).map_err(io::Error::from);
        json.and_then(|json| replace(&self.path, folder, &json, MODE)).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> ClientError {
        ClientError::io("keep the list of unfinished uploads in", &self.path, error)
    }
}

/// Beside it, durable, then under its name, and the name durable too.
pub(crate) fn replace(path: &Path, folder: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("json.new");
    // One that a crash has left may be open to others.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(text: &str) -> MaterialId {
        text.parse().unwrap()
    }

    #[test]
    fn an_unfinished_upload_is_found_until_its_file_changes_or_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slide.svs");
        fs::write(&path, b"one").unwrap();
        let journal = Journal::at(folder.path().join("state/uploads.json"));
        let file = FileKey::new(&path, "http://a:1").unwrap();
        assert_eq!(journal.find(&file).unwrap(), None);
        journal.remember(&file, &material("m-1")).unwrap();
        assert_eq!(journal.find(&file).unwrap(), Some(material("m-1")));
        journal.remember(&file, &material("m-2")).unwrap();
        assert_eq!(journal.find(&file).unwrap(), Some(material("m-2")));

        let elsewhere = FileKey::new(&path, "http://b:1").unwrap();
        assert_eq!(journal.find(&elsewhere).unwrap(), None);
        fs::write(&path, b"longer").unwrap();
        let changed = FileKey::new(&path, "http://a:1").unwrap();
        assert_eq!(journal.find(&changed).unwrap(), None);

        journal.forget(&file).unwrap();
        assert_eq!(journal.find(&file).unwrap(), None);
    }

    #[test]
    fn a_journal_of_yesterday_is_read_and_one_of_tomorrow_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uploads.json");
        let written = r#"{"version":1,"uploads":[{"path":"/s.svs","size":3,"modified_ns":7,"server":"http://a:1",
            "material":"m-1","begun_at":"2026-11-22T00:00:00.000Z"}]}"#;
        fs::write(&path, written).unwrap();
        let journal = Journal::at(path.clone());
        assert_eq!(journal.read().unwrap()[0].material, material("m-1"));
        fs::write(&path, r#"{"version":2,"uploads":[]}"#).unwrap();
        assert!(journal.read().unwrap_err().to_string().contains("version"));
    }
}
