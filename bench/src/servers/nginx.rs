//! nginx as a peer, set up as fast as it goes: with ranges of the original, with tiles cut beforehand, and taking files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, ops, os};

use anyhow::{Context as _, bail, ensure};
use microtome_slide::FileSource;
use rustix::process::{Resource, geteuid, getrlimit};

use super::{Kind, Server, free_address, wait_for};
use crate::load::Wanted;
use crate::process::{Process, Usage};
use crate::report::note;
use crate::roads::ask::Ask;
use crate::slides::{Asked, Which, tile_ranges};

/// A running nginx.
pub(super) struct Nginx {
    process: Process,
    address: SocketAddr,
}

/// Where nginx is installed, also where only root's PATH leads.
pub(super) fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    let found = folders.map(|folder| folder.join("nginx")).find(|program| program.is_file());
    if found.is_none() {
        note("nginx is not there and is left out: apt-get install nginx-light");
    }
    found
}

impl Nginx {
    /// Serves as `site` says, with up to `files` files open; its own files lie in `folder`.
    pub(super) fn start(program: &Path, site: &str, folder: &Path, files: usize) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let config = folder.join("nginx.conf");
        fs::write(&config, configuration(site, folder, address, &Room::of(files)))
            .context("cannot write nginx.conf")?;
        let log = fs::File::create(folder.join("nginx.log"))?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&config).arg("-p").arg(folder).arg("-e").arg(folder.join("error.log"));
        let mut process = Process::spawn("nginx", command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))?;
        wait_for(&mut process, address, || fs::read_to_string(folder.join("nginx.log")).unwrap_or_default())?;
        Ok(Nginx { process, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        self.process.usage()
    }
}

/// Serves the bytes of tiles from the original file: the floor, since nothing is put in front of them.
pub(super) struct Range {
    nginx: Nginx,
    ranges: Vec<ops::Range<u64>>,
}

impl Range {
    pub(super) fn start(program: &Path, slide: &Asked, folder: &Path) -> anyhow::Result<Self> {
        let root = folder.join("original");
        fs::create_dir_all(&root)?;
        os::unix::fs::symlink(&slide.path, root.join("slide"))?;
        let nginx = Nginx::start(program, &format!("root \"{}\";", root.display()), &folder.join("nginx-range"), 100)?;
        Ok(Range { nginx, ranges: tile_ranges(&slide.path)? })
    }
}

impl Server for Range {
    fn kind(&self) -> Kind {
        Kind::Range
    }

    fn name(&self) -> &str {
        "nginx, Range of the original"
    }

    fn address(&self) -> SocketAddr {
        self.nginx.address()
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        self.nginx.usage()
    }

    fn wanted(&self, slide: Which, ask: &Ask) -> Option<Wanted> {
        match ask {
            Ask::Native(tile) if slide == Which::Aperio => {
                Some(Wanted { path: "/slide".into(), range: self.ranges.get(tile.index() as usize).cloned() })
            }
            _ => None,
        }
    }
}

/// Serves the tiles from a file each, which has the same bytes as our answers.
pub(super) struct CutFiles {
    nginx: Nginx,
}

impl CutFiles {
    /// Cuts the tiles into a folder of `cut`.
    pub(super) async fn start(
        program: &Path,
        slide: &Asked,
        tiles: &[Ask],
        cut: &Path,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let name = slide.path.file_name().unwrap_or_default().to_string_lossy();
        // Not another slide's tiles.
        fs::create_dir_all(cut)?;
        let root = cut.canonicalize()?.join(format!("cut-{name}-{}", slide.bytes));
        note(&format!("cutting {} tiles", tiles.len()));
        write_tiles(slide, tiles, &root).await?;
        let site = format!("root \"{}\";", root.display());
        let nginx = Nginx::start(program, &site, &folder.join("nginx-cut"), tiles.len())?;
        Ok(CutFiles { nginx })
    }
}

/// Writes the tiles as files, but those that are there.
async fn write_tiles(slide: &Asked, tiles: &[Ask], root: &Path) -> anyhow::Result<()> {
    let source = FileSource::open(&slide.path)?;
    let mut jpeg = Vec::new();
    for ask in tiles {
        let Ask::Native(tile) = ask else { bail!("{ask:?} is no tile of the file") };
        // Folders by column, as other tile stores have them.
        let folder = root.join(tile.column.to_string());
        let file = folder.join(format!("{}.jpg", tile.row));
        if file.is_file() {
            continue;
        }
        // Signals are heard meanwhile.
        tokio::task::yield_now().await;
        jpeg.clear();
        let native = slide.slide.native_tile(&source, 0, tile.column, tile.row, &mut jpeg)?;
        ensure!(native, "{tile:?} is not native: this slide says nothing about native tiles");
        fs::create_dir_all(&folder)?;
        let unfinished = folder.join("unfinished");
        fs::write(&unfinished, &jpeg)?;
        fs::rename(&unfinished, &file)?;
    }
    Ok(())
}

impl Server for CutFiles {
    fn kind(&self) -> Kind {
        Kind::CutFiles
    }

    fn name(&self) -> &str {
        "nginx, files cut beforehand"
    }

    fn address(&self) -> SocketAddr {
        self.nginx.address()
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        self.nginx.usage()
    }

    fn wanted(&self, slide: Which, ask: &Ask) -> Option<Wanted> {
        match ask {
            Ask::Native(tile) if slide == Which::Aperio => Some(format!("/{}/{}.jpg", tile.column, tile.row).into()),
            _ => None,
        }
    }
}

/// Takes files by WebDAV's PUT.
pub(crate) struct Dav {
    nginx: Nginx,
    root: PathBuf,
}

impl Dav {
    /// With its files in `folder`; nothing where nginx is not installed.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = find() else { return Ok(None) };
        let root = folder.join("root");
        fs::create_dir_all(&root)?;
        let site = format!("root \"{}\"; dav_methods PUT; client_max_body_size 0;", root.display());
        Ok(Some(Dav { nginx: Nginx::start(&program, &site, folder, 100)?, root }))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.nginx.address()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.nginx.usage()
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
        let cached = (files + 1000).min(descriptors.saturating_sub(3000).max(100));
        if cached < files {
            note(&format!("nginx may keep only {cached} of {files} files open, and opens the others anew"));
        }
        Room { descriptors, cached }
    }
}

fn configuration(site: &str, folder: &Path, address: SocketAddr, room: &Room) -> String {
    let (folder, Room { descriptors, cached }) = (folder.display(), room);
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
    fastcgi_temp_path {folder}/fastcgi;
    server {{
        listen {address} reuseport;
        {site}
    }}
}}
"
    )
}
