//! nginx as a peer, set up as fast as it goes for small files.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail};

use crate::process::Process;

const READY_WITHIN: Duration = Duration::from_secs(10);

/// A running nginx.
pub(crate) struct Nginx {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// Where nginx is installed, also where only root's PATH leads.
pub(crate) fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    folders.map(|folder| folder.join("nginx")).find(|program| program.is_file())
}

impl Nginx {
    /// Serves the files below `root`; its own files lie in `folder`.
    pub(crate) fn start(program: &Path, root: &Path, folder: &Path, files: usize) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr())?;
        let config = folder.join("nginx.conf");
        fs::write(&config, configuration(root, folder, address, files)).context("cannot write nginx.conf")?;
        let log = fs::File::create(folder.join("nginx.log"))?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&config).arg("-p").arg(folder).arg("-e").arg(folder.join("error.log"));
        let mut process = Process::spawn("nginx", command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))?;
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let said = || fs::read_to_string(folder.join("nginx.log")).unwrap_or_default();
            process.check().with_context(|| said().trim().to_owned())?;
            if started.elapsed() > READY_WITHIN {
                bail!("nginx does not listen at {address}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Nginx { process, address })
    }
}

fn configuration(root: &Path, folder: &Path, address: SocketAddr, files: usize) -> String {
    let (root, folder) = (root.display(), folder.display());
    // Started by root its workers become another user, who may not look into the temporary folder.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    format!(
        "{user}daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    open_file_cache max={} inactive=1h;
    open_file_cache_valid 1h;
    types {{ image/jpeg jpg; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    server {{
        listen {address} reuseport;
        root {root};
    }}
}}
",
        files + 1000
    )
}
