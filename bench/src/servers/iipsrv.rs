//! iipsrv: two processes behind nginx, as its documentation has it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;

use super::nginx::{self, Nginx};
use super::{JPEG_QUALITY, Kind, READY_WITHIN, Server};
use crate::load::Wanted;
use crate::process::{Process, Usage};
use crate::report::note;
use crate::roads::ask::Ask;
use crate::slides::{Asked, Which};

const DEBIANS: &str = "/usr/lib/iipimage-server/iipsrv.fcgi";
/// One for each processor that the other servers use.
const PROCESSES: usize = 2;
/// Decoded and encoded tiles that each process keeps, in megabytes; the node has 256 for all.
const CACHE_MB: usize = 128;

pub(super) struct Iipsrv {
    name: String,
    nginx: Nginx,
    processes: Vec<Process>,
    /// Where the slides are linked to, without their names.
    slides: PathBuf,
}

impl Iipsrv {
    /// One for each program that is there.
    pub(super) fn start_all(programs: &[PathBuf], slides: &[Asked], folder: &Path) -> anyhow::Result<Vec<Self>> {
        let debians = [PathBuf::from(DEBIANS)];
        let programs = if programs.is_empty() { &debians[..] } else { programs };
        let there: Vec<_> = programs.iter().filter(|program| program.is_file()).collect();
        if there.is_empty() {
            note("iipsrv is not there and is left out: apt-get install iipimage-server, or --iipsrv FILE");
        }
        let Some(front) = nginx::find() else { return Ok(Vec::new()) };
        let started = there.iter().enumerate();
        started
            .map(|(index, program)| Iipsrv::start(program, &front, slides, &folder.join(format!("iipsrv-{index}"))))
            .collect()
    }

    fn start(program: &Path, front: &Path, slides: &[Asked], folder: &Path) -> anyhow::Result<Self> {
        let links = folder.join("slides");
        fs::create_dir_all(&links)?;
        for slide in slides {
            // It goes by the suffix.
            std::os::unix::fs::symlink(&slide.path, links.join(format!("{}.tif", slide.which.name())))?;
        }
        let log = folder.join("log");
        let mut processes = Vec::new();
        let mut sockets = Vec::new();
        for number in 0..PROCESSES {
            let socket = folder.join(format!("socket-{number}"));
            let mut command = Command::new(program);
            command
                .args(["--bind", &socket.to_string_lossy(), "--backlog", "1024"])
                .env("LOGFILE", &log)
                .env("VERBOSITY", "1")
                .env("JPEG_QUALITY", JPEG_QUALITY.to_string())
                .env("MAX_IMAGE_CACHE_SIZE", CACHE_MB.to_string())
                .env("MAX_CVT", "5000")
                // The roads here are those of tiles that have to be made.
                .env("CODEC_PASSTHROUGH", "0")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut process = Process::spawn("iipsrv", &mut command)?;
            let started = Instant::now();
            while !socket.exists() {
                process.check()?;
                if started.elapsed() > READY_WITHIN {
                    bail!("iipsrv does not listen");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            processes.push(process);
            sockets.push(socket);
        }
        let name = format!("iipsrv {}", version(&log).unwrap_or_default()).trim().to_owned();
        let nginx = Nginx::start(front, &site(&sockets), &folder.join("nginx"), 100)?;
        Ok(Iipsrv { name, nginx, processes, slides: links })
    }
}

/// Each process takes one connection at a time, so none is kept open towards it; which one is chosen by chance.
fn site(sockets: &[PathBuf]) -> String {
    let share = 100 / sockets.len().max(1);
    let last = sockets.len().saturating_sub(1);
    let choices: String = sockets
        .iter()
        .enumerate()
        .map(|(number, socket)| {
            let share = if number == last { "*".to_owned() } else { format!("{share}%") };
            format!("{share} unix:{};\n", socket.display())
        })
        .collect();
    format!(
        "location / {{
            fastcgi_pass $iipsrv;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
            fastcgi_param HTTP_HOST $http_host;
            fastcgi_buffer_size 64k;
            fastcgi_buffers 64 64k;
        }}
    }}
    split_clients $request_id $iipsrv {{
        {choices}"
    )
}

/// From the first lines of its log.
fn version(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let rest = text.split_once("Server. Version ")?.1;
    rest.split_whitespace().next().map(str::to_owned)
}

impl Server for Iipsrv {
    fn kind(&self) -> Kind {
        Kind::Iipsrv
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> SocketAddr {
        self.nginx.address()
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        self.processes.iter().try_fold(self.nginx.usage()?, |sum, process| Ok(sum + process.usage()?))
    }

    fn wanted(&self, slide: Which, ask: &Ask) -> Option<Wanted> {
        let file = self.slides.join(format!("{}.tif", slide.name()));
        let file = file.display();
        let path = match *ask {
            // Resolutions are counted from the smallest.
            Ask::Recoded(tile) => format!("/?FIF={file}&JTL={},{}", tile.levels - 1, tile.index()),
            Ask::Iiif { x, y, side, to } => format!("/?IIIF={file}/{x},{y},{side},{side}/{to},/0/default.jpg"),
            _ => return None,
        };
        Some(path.into())
    }
}
