//! nginx as a peer, set up as fast as it goes for small files.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail};
use rustix::process::{Resource, geteuid, getrlimit};

use crate::process::Process;
use crate::report::note;

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
        let room = Room::of(files);
        if room.cached < files {
            note(&format!("nginx may keep only {} of {files} files open, and opens the others anew", room.cached));
        }
        fs::write(&config, configuration(root, folder, address, &room)).context("cannot write nginx.conf")?;
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

/// What a worker may have open: a cached file keeps its descriptor, and connections need some besides.
struct Room {
    descriptors: usize,
    cached: usize,
}

impl Room {
    /// For all files, as far as the hard limit allows it.
    fn of(files: usize) -> Room {
        let hard = getrlimit(Resource::Nofile).maximum.and_then(|most| usize::try_from(most).ok());
        let descriptors = (files + 4000).min(hard.unwrap_or(usize::MAX));
        // nginx takes no cache of size 0.
        Room { descriptors, cached: (files + 1000).min(descriptors.saturating_sub(3000).max(100)) }
    }
}

fn configuration(root: &Path, folder: &Path, address: SocketAddr, room: &Room) -> String {
    let (root, folder, Room { descriptors, cached }) = (root.display(), folder.display(), room);
    // Started by root its workers become another user, who may not look into the temporary folder.
    let user = if geteuid().is_root() { "user root;\n" } else { "" };
    format!(
        "{user}daemon off;
worker_processes 2;
worker_rlimit_nofile {descriptors};
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
    open_file_cache max={cached} inactive=1h;
    open_file_cache_valid 1h;
    types {{ image/jpeg jpg; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    server {{
        listen {address} reuseport;
        root {root};
    }}
}}
"
    )
}
