//! rustus as a peer: a tus server, as it comes, but for how much a request may carry.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use super::{free_address, wait_for};
use crate::process::{Process, Usage};
use crate::report::note;

/// Takes files by tus.
pub(crate) struct Rustus {
    process: Process,
    address: SocketAddr,
    data: PathBuf,
}

impl Rustus {
    /// Most bytes of a request. rustus keeps a request's body in memory until it has all of it: with 8 MiB it is fastest.
    pub(crate) const BODY: u64 = 8 << 20;

    /// With its files in `folder`; nothing where it is not installed.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = env::var_os("PATH").unwrap_or_default();
        let Some(program) = env::split_paths(&path).map(|folder| folder.join("rustus")).find(|file| file.is_file())
        else {
            note("rustus is not there and is left out: cargo install rustus");
            return Ok(None);
        };
        let (data, info, log) = (folder.join("data"), folder.join("info"), folder.join("rustus.log"));
        fs::create_dir_all(&data)?;
        fs::create_dir_all(&info)?;
        let address = free_address()?;
        let mut command = Command::new(program);
        command.arg("--data-dir").arg(&data).arg("--info-dir").arg(&info).args(["--log-level", "ERROR"]);
        command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string(), "--url", "/files"]);
        command.arg("--max-body-size").arg(Self::BODY.to_string());
        let output = fs::File::create(&log)?;
        let mut process = Process::spawn(
            "rustus",
            command.current_dir(folder).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output),
        )?;
        wait_for(&mut process, address, || fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Some(Rustus { process, address, data }))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its files lie.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.process.usage()
    }
}
