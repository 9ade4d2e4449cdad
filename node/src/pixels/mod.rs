//! Pixels of the slides on this node.
//!
//! Three roads, cheapest first: a *native* tile is the file's own bytes behind a prefix, read straight from the page
//! cache on the asking thread; a *rendered* picture is decoded, resampled and encoded on a bounded pool and kept in a
//! bounded cache; a region is cut for its asker alone. It owns the opened slides and those bounds. It must never know
//! where a copy came from, nor speak HTTP.

#[cfg(test)]
pub(crate) mod drawn;
mod failure;
mod pool;
mod ready;
mod region;
mod slides;
mod source;

pub(crate) use ready::{Format, Picture};
pub(crate) use region::Region;
pub(crate) use slides::Opened;

use crate::blobs::Blob;
use bytes::Bytes;
use microtome_proto::Problem;
use microtome_server::Metrics;
use microtome_slide::SlideError;
use pool::Pool;
use prometheus_client::metrics::counter::Counter;
use ready::ReadyCache;
use slides::Slides;
use source::NoWait;
use std::{io, num::NonZero, sync::Arc};
use tokio::sync::Semaphore;

/// Quality of the JPEGs made here, on libjpeg's scale.
pub(crate) const JPEG_QUALITY: u8 = 85;
/// Requests that may wait for each processor.
const WAITING_PER_PROCESSOR_MAX: usize = 256;
/// Reads that may wait for the disk at once: it sorts them better than one after the other.
const DISK_READS_MAX: usize = 64;
/// Reads that may wait for such a place.
const DISK_READS_WAITING_MAX: usize = 4096;

/// What the pixels may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PixelLimits {
    /// Pictures that are drawn at once.
    pub(crate) workers: usize,
    /// Slides that stay open.
    pub(crate) slides_max: u64,
    /// Ready pictures kept in memory, in bytes.
    pub(crate) ready_bytes_max: u64,
    /// Regions being drawn and sent, in bytes.
    pub(crate) region_bytes_max: u64,
}

impl Default for PixelLimits {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(2, NonZero::get),
            slides_max: 10_000,
            ready_bytes_max: 256 << 20,
            region_bytes_max: 1 << 30,
        }
    }
}

/// The pixel engine.
pub(crate) struct Pixels {
    slides: Slides,
    ready: ReadyCache,
    processors: Pool,
    disk: Pool,
    region_room: Arc<Semaphore>,
    counts: Counts,
}

/// What was done since start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// Tiles answered with the file's own bytes.
    native: Counter,
    /// Tiles and associated images that were drawn; those answered from memory are not among them.
    drawn: Counter,
    /// Regions cut.
    regions: Counter,
}

impl Pixels {
    /// With nothing opened yet.
    pub(crate) fn new(limits: &PixelLimits) -> Self {
        let workers = limits.workers.max(1);
        let counts = Counts::default();
        Self {
            slides: Slides::new(limits.slides_max),
            ready: ReadyCache::new(limits.ready_bytes_max, counts.drawn.clone()),
            processors: Pool::new("a processor", workers, workers * WAITING_PER_PROCESSOR_MAX),
            disk: Pool::new("the disk", DISK_READS_MAX, DISK_READS_WAITING_MAX),
            region_room: region::room(limits.region_bytes_max),
            counts,
        }
    }

    /// Shows what was done among the node's metrics.
    pub(crate) fn show_in(&self, metrics: &Metrics) {
        let Counts { native, drawn, regions } = self.counts.clone();
        metrics.register(|registry| {
            registry.register("tiles_native", "Tiles answered with the file's own bytes", native);
            registry.register("pictures_drawn", "Tiles and associated images decoded and encoded", drawn);
            registry.register("regions_cut", "Regions decoded and encoded", regions);
        });
    }

    /// The slide in `blob`, opened where it is not yet.
    ///
    /// # Errors
    /// `not_a_slide`, `unsupported_slide`, `damaged_slide`, or that there is too much to do.
    pub(crate) async fn slide(&self, blob: &Arc<Blob>) -> Result<Arc<Opened>, Problem> {
        self.slides.get(blob, &self.disk).await
    }

    /// The tile of the file's own grid as the file has it. `None` where it has to be drawn.
    ///
    /// # Errors
    /// `outside_slide`, `damaged_slide`, or that there is too much to do.
    pub(crate) async fn native(
        &self,
        opened: &Arc<Opened>,
        level: usize,
        column: u32,
        row: u32,
    ) -> Result<Option<Bytes>, Problem> {
        let mut tile = Vec::new();
        let read = opened.slide.native_tile(&NoWait(opened.blob()), level, column, row, &mut tile);
        let read = match read {
            Err(SlideError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                let opened = Arc::clone(opened);
                let again = move || {
                    let mut tile = Vec::new();
                    let read = opened.slide.native_tile(opened.source(), level, column, row, &mut tile);
                    read.map(|native| native.then_some(tile))
                };
                self.disk.run(again).await?
            }
            read => read.map(|native| native.then_some(tile)),
        };
        let tile = read.map_err(|error| opened.problem(&error))?;
        Ok(tile.map(|tile| {
            self.counts.native.inc();
            Bytes::from(tile)
        }))
    }

    /// The same where the slide is open and nothing has to be waited for; `None` where it is not so, or where something
    /// is wrong.
    pub(crate) fn native_at_hand(&self, blob: &Arc<Blob>, level: usize, column: u32, row: u32) -> Option<Bytes> {
        let opened = self.slides.at_hand(blob)?;
        let mut tile = Vec::new();
        let native = opened.slide.native_tile(&NoWait(blob), level, column, row, &mut tile).ok()?;
        native.then(|| {
            self.counts.native.inc();
            Bytes::from(tile)
        })
    }

    /// A picture that costs work: from memory where it is ready, else drawn, once for all who ask for it now.
    ///
    /// # Errors
    /// `outside_slide`, `damaged_slide`, `too_large`, or that there is too much to do.
    pub(crate) async fn picture(&self, opened: &Arc<Opened>, picture: Picture) -> Result<Bytes, Problem> {
        self.ready.get(opened, picture, &self.processors).await
    }

    /// A region, drawn for its asker. The bytes count against the bound on regions until they are dropped.
    ///
    /// # Errors
    /// `outside_slide`, `damaged_slide`, `too_large`, or that there is too much to do.
    pub(crate) async fn region(&self, opened: &Arc<Opened>, region: Region) -> Result<Bytes, Problem> {
        let bytes = region::cut(opened, region, &self.region_room, &self.processors).await?;
        self.counts.regions.inc();
        Ok(bytes)
    }
}
