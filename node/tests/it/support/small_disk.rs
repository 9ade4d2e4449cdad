//! A small disk for a test of its own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A disk at a folder, as long as this lives.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Makes one of `bytes`; nothing where this user may not mount one.
    pub fn mount(at: &Path, bytes: u64) -> Option<Self> {
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("left out: small disks can be mounted by root only");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
