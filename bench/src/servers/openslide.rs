//! openslide-python: its own Deep Zoom generator and regions, served by gunicorn. The program is `bench/peers/openslide_app.py`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::{JPEG_QUALITY, Kind, Server, free_address, wait_for};
use crate::load::Wanted;
use crate::process::{Process, Usage};
use crate::report::note;
use crate::roads::ask::Ask;
use crate::slides::{Asked, Which};

const PROGRAM: &str = include_str!("../../peers/openslide_app.py");

pub(super) struct OpenSlide {
    process: Process,
    address: SocketAddr,
}

/// Whether the Python has all that is needed; says how to get it where not.
pub(crate) fn python(python: &Path, modules: &str) -> bool {
    let tried = Command::new(python).args(["-c", &format!("import {modules}")]).stderr(Stdio::null()).status();
    let there = tried.is_ok_and(|status| status.success());
    if !there {
        note(&format!(
            "{} has not all of {modules}, so openslide-python is left out: \
             python3 -m venv V; V/bin/pip install openslide-python openslide-bin gunicorn; --python V/bin/python",
            python.display()
        ));
    }
    there
}

impl OpenSlide {
    /// Two workers of four threads each: it keeps connections open as the other servers do.
    pub(super) fn start(program: &Path, slides: &[Asked], folder: &Path) -> anyhow::Result<Option<Self>> {
        if !python(program, "openslide, gunicorn") {
            return Ok(None);
        }
        let folder = folder.join("openslide");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("openslide_app.py"), PROGRAM)?;
        let paths: serde_json::Map<_, _> =
            slides.iter().map(|slide| (slide.which.name().to_owned(), slide.path.to_string_lossy().into())).collect();
        let address = free_address()?;
        let log = fs::File::create(folder.join("log"))?;
        let mut command = Command::new(program);
        command
            .args(["-m", "gunicorn", "--workers", "2", "--worker-class", "gthread", "--threads", "4"])
            .args(["--keep-alive", "3600", "--timeout", "600", "--log-level", "warning"])
            .args(["--bind", &address.to_string(), "openslide_app:application"])
            .arg("--chdir")
            .arg(&folder)
            .env("BENCH_SLIDES", serde_json::to_string(&paths)?)
            .env("BENCH_JPEG_QUALITY", JPEG_QUALITY.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut process = Process::spawn("gunicorn", &mut command)?;
        let said = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        wait_for(&mut process, address, said).context("gunicorn does not start")?;
        Ok(Some(OpenSlide { process, address }))
    }
}

impl Server for OpenSlide {
    fn kind(&self) -> Kind {
        Kind::OpenSlide
    }

    fn name(&self) -> &str {
        "openslide-python"
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        self.process.usage()
    }

    fn wanted(&self, slide: Which, ask: &Ask) -> Option<Wanted> {
        let slide = slide.name();
        let path = match *ask {
            Ask::Native(tile) | Ask::Recoded(tile) => {
                let (size, level) = (tile.side, tile.deep_zoom_level);
                format!("/{slide}/dz/{size}_0/{level}/{}_{}", tile.column, tile.row)
            }
            Ask::DeepZoom { tile_size, overlap, level, column, row } => {
                format!("/{slide}/dz/{tile_size}_{overlap}/{level}/{column}_{row}")
            }
            Ask::Region { level, x, y, side, form } => {
                format!("/{slide}/region/{}/{level}/{x}_{y}_{side}", form.suffix())
            }
            Ask::Iiif { x, y, side, to } => format!("/{slide}/scaled/{x}_{y}_{side}/{to}"),
        };
        Some(path.into())
    }
}
