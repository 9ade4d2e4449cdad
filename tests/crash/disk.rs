//! A disk in a file, whose state at a moment can be kept: what was synced by then, and what the system had written by
//! itself.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const SIZE: &str = "256M";

/// A mounted file system of its own; nothing where this user may not mount one.
pub struct Disk {
    folder: tempfile::TempDir,
}

fn done(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Disk {
    pub fn new() -> Option<Self> {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        let image = disk.image();
        let image = image.to_str().unwrap();
        let made = done("truncate", &["--size", SIZE, image])
            && done("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image])
            && disk.mount();
        if !made {
            eprintln!("left out: disks of their own need root, loop devices and ext4");
        }
        made.then_some(disk)
    }

    fn mount(&self) -> bool {
        std::fs::create_dir_all(self.folder.path().join("mounted")).unwrap();
        let (image, at) = (self.image(), self.folder.path().join("mounted"));
        done("mount", &["-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()])
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// A folder on it.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("mounted/data")
    }

    /// What would be on it if the power failed now. Its writers stand still meanwhile.
    pub fn snapshot(&self, to: &Path) {
        let (from, to) = (self.image(), to.to_str().unwrap().to_owned());
        assert!(done("cp", &["--sparse=always", from.to_str().unwrap(), &to]));
    }

    /// A disk with what a snapshot kept; the file system does what it does after a crash.
    pub fn after_crash(snapshot: &Path) -> Self {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::rename(snapshot, disk.image()).or_else(|_| std::fs::copy(snapshot, disk.image()).map(drop)).unwrap();
        assert!(disk.mount(), "{} cannot be mounted after a crash", snapshot.display());
        disk
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        done("umount", &["--lazy", self.folder.path().join("mounted").to_str().unwrap()]);
    }
}
