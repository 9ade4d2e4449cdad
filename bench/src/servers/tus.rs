//! Servers that take files by tus, as they come, but for how much a request may carry.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use super::{free_address, wait_for};
use crate::process::{Process, Usage};
use crate::report::note;

/// Most bytes of a request to rustus. It keeps a request's body in memory until it has all of it: with 8 MiB it is fastest.
const RUSTUS_BODY: u64 = 8 << 20;
/// Where @tus/server is installed, and the program that starts it.
const TUS_NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/tus-node");

/// Takes files by tus at `/files`.
pub(crate) struct TusServer {
    process: Process,
    address: SocketAddr,
    data: PathBuf,
    /// Most bytes of a request.
    pub(crate) body: u64,
}

impl TusServer {
    /// rustus, with its files in `folder`; nothing where it is not installed.
    pub(crate) fn rustus(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = found("rustus") else {
            note("rustus is not there and is left out: cargo install rustus");
            return Ok(None);
        };
        let info = folder.join("info");
        fs::create_dir_all(&info)?;
        let started = Self::start("rustus", folder, RUSTUS_BODY, |address, data| {
            let mut command = Command::new(program);
            command.arg("--data-dir").arg(data).arg("--info-dir").arg(info).args(["--log-level", "ERROR"]);
            command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
            command.args(["--url", "/files", "--max-body-size", &RUSTUS_BODY.to_string()]);
            command
        });
        started.map(Some)
    }

    /// @tus/server of Node.js, the protocol's own, with its files in `folder`; nothing where it is not installed.
    pub(crate) fn node(folder: &Path) -> anyhow::Result<Option<Self>> {
        let is_there = Path::new(TUS_NODE).join("node_modules/@tus/server").is_dir();
        let (true, Some(program)) = (is_there, found("node")) else {
            note(
                "@tus/server is not there and is left out: npm install --no-package-lock --prefix bench/peers/tus-node",
            );
            return Ok(None);
        };
        let started = Self::start("@tus/server", folder, u64::MAX, |address, data| {
            let mut command = Command::new(program);
            command.arg(Path::new(TUS_NODE).join("server.mjs"));
            command.args([address.ip().to_string(), address.port().to_string()]).arg(data);
            command
        });
        started.map(Some)
    }

    fn start(
        name: &str,
        folder: &Path,
        body: u64,
        command: impl FnOnce(SocketAddr, &Path) -> Command,
    ) -> anyhow::Result<Self> {
        let (data, log) = (folder.join("data"), folder.join("log"));
        fs::create_dir_all(&data)?;
        let address = free_address()?;
        let output = fs::File::create(&log)?;
        let mut command = command(address, &data);
        command.current_dir(folder).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut process = Process::spawn(name, &mut command)?;
        wait_for(&mut process, address, || fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Self { process, address, data, body })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the file of an upload lies whose address ends in `id`.
    pub(crate) fn stored(&self, id: &str) -> PathBuf {
        self.data.join(id)
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.process.usage()
    }
}

fn found(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
