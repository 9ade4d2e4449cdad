//! Ours and its peers behind one face: where each listens, what it has used, and how it is asked for a thing.
//! A peer that is not installed is left out, with a word on how to get it.

mod iipsrv;
mod nginx;
mod openslide;
mod ours;
mod tus;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;

use crate::load::Wanted;
use crate::process::{Process, Usage};
use crate::roads::ask::Ask;
use crate::slides::{Asked, Which};

pub(crate) use nginx::Dav;
pub(crate) use openslide::python;
pub(crate) use ours::{Ours, put};
pub(crate) use tus::TusServer;

/// Quality of the JPEGs that peers make, on libjpeg's scale: the one that the node has.
const JPEG_QUALITY: u8 = 85;
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What kind of server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Microtome,
    /// nginx, with ranges of the original file.
    Range,
    /// nginx, with the tiles cut beforehand.
    CutFiles,
    /// openslide-python.
    OpenSlide,
    Iipsrv,
}

/// A running server.
pub(crate) trait Server {
    fn kind(&self) -> Kind;

    /// As the tables call it.
    fn name(&self) -> &str;

    fn address(&self) -> SocketAddr;

    /// What all its processes have used until now.
    fn usage(&self) -> anyhow::Result<Usage>;

    /// The request for a thing; none where it cannot give it.
    fn wanted(&self, slide: Which, ask: &Ask) -> Option<Wanted>;
}

/// Where the peers are.
#[derive(Debug, Args)]
pub(crate) struct Peers {
    /// A Python with openslide-python, openslide-bin and gunicorn
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
    /// An iipsrv.fcgi; several may be named [default: Debian's]
    #[arg(long, value_name = "FILE")]
    iipsrv: Vec<PathBuf>,
    /// Where the tiles that nginx serves from files are kept for another run [default: nowhere]
    #[arg(long, value_name = "FOLDER")]
    cut: Option<PathBuf>,
}

impl Peers {
    /// Starts those of the kinds that are wanted and there.
    pub(crate) async fn start(
        &self,
        wanted: &[Kind],
        slides: &[Asked],
        native: &[Ask],
        folder: &Path,
    ) -> anyhow::Result<Vec<Box<dyn Server>>> {
        let mut servers: Vec<Box<dyn Server>> = Vec::new();
        let aperio = slides.iter().find(|slide| slide.which == Which::Aperio);
        if let (Some(slide), Some(program)) = (aperio, nginx::find()) {
            if wanted.contains(&Kind::Range) {
                servers.push(Box::new(nginx::Range::start(&program, slide, folder)?));
            }
            if wanted.contains(&Kind::CutFiles) {
                let cut = self.cut.as_deref().unwrap_or(folder);
                servers.push(Box::new(nginx::CutFiles::start(&program, slide, native, cut, folder).await?));
            }
        }
        if wanted.contains(&Kind::OpenSlide)
            && let Some(server) = openslide::OpenSlide::start(&self.python, slides, folder)?
        {
            servers.push(Box::new(server));
        }
        if wanted.contains(&Kind::Iipsrv) {
            for server in iipsrv::Iipsrv::start_all(&self.iipsrv, slides, folder)? {
                servers.push(Box::new(server));
            }
        }
        Ok(servers)
    }
}

/// An address that is free just now.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr())
}

/// Waits until the process listens there; tells `said` where it does not.
fn wait_for(process: &mut Process, address: SocketAddr, said: impl Fn() -> String) -> anyhow::Result<()> {
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        if let Err(error) = process.check() {
            return Err(error.context(said().trim().to_owned()));
        }
        if started.elapsed() > READY_WITHIN {
            bail!("nobody listens at {address}: {}", said().trim());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
