//! The slides that are open: each opened once, when it is first asked for, by one of those who ask.

use super::{failure, pool::Pool, source::Waiting};
use crate::blobs::Blob;
use futures_util::FutureExt as _;
use microtome_proto::{MaterialId, Problem};
use microtome_slide::{ReadAt, Slide, SlideError, deep_zoom::DeepZoom};
use moka::{Expiry, future::Cache};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::gauge::ConstGauge,
};
use std::{
    borrow::Cow,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a file that is no slide is not looked at again.
const FAILURE_KEPT: Duration = Duration::from_secs(60);

static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// An opened slide.
pub(crate) struct Opened {
    /// No other one in the process has it; not 0.
    pub(super) number: u64,
    pub(crate) slide: Slide,
    /// Its Deep Zoom form in the file's own tiles.
    pub(crate) zoom: DeepZoom,
    source: Arc<Waiting>,
    content: Arc<str>,
}

impl Opened {
    fn open(blob: &Arc<Blob>) -> Result<Self, SlideError> {
        let source = Arc::new(Waiting(Arc::clone(blob)));
        let slide = Slide::open(Arc::clone(&source) as Arc<dyn ReadAt>)?;
        let zoom = DeepZoom::new(&slide, None, 0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { number, slide, zoom, source, content: blob.manifest().blake3.as_str().into() })
    }

    pub(crate) fn blob(&self) -> &Arc<Blob> {
        &self.source.0
    }

    /// The file, for reads that may wait.
    pub(crate) fn source(&self) -> &dyn ReadAt {
        &*self.source
    }

    pub(crate) fn material(&self) -> &MaterialId {
        &self.blob().manifest().material
    }

    /// The file's hash, by which its pictures are known.
    pub(crate) fn content(&self) -> Arc<str> {
        Arc::clone(&self.content)
    }

    /// Its Deep Zoom form in a grid: tiles of the file's own size where none is told.
    pub(crate) fn zoom_in(&self, tile_size: Option<u32>, overlap: u32) -> Cow<'_, DeepZoom> {
        match (tile_size, overlap) {
            (None, 0) => Cow::Borrowed(&self.zoom),
            _ => Cow::Owned(DeepZoom::new(&self.slide, tile_size, overlap)),
        }
    }

    /// What its asker is told of `error`.
    pub(crate) fn problem(&self, error: &SlideError) -> Problem {
        failure::problem(self.material(), error)
    }
}

/// What is known of a copy.
#[derive(Clone)]
enum Known {
    Slide(Arc<Opened>),
    NoSlide(Arc<Blob>, Arc<Problem>),
}

impl Known {
    /// Failures of the disk are not knowledge: they are an error here.
    fn look(blob: Arc<Blob>) -> Result<Self, Problem> {
        match Opened::open(&blob) {
            Ok(opened) => Ok(Self::Slide(Arc::new(opened))),
            Err(error) => {
                let problem = failure::problem(&blob.manifest().material, &error);
                match error {
                    SlideError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(problem),
                    _ => Ok(Self::NoSlide(blob, Arc::new(problem))),
                }
            }
        }
    }

    fn blob(&self) -> &Arc<Blob> {
        match self {
            Self::Slide(opened) => opened.blob(),
            Self::NoSlide(blob, _) => blob,
        }
    }

    fn opened(self) -> Result<Arc<Opened>, Problem> {
        match self {
            Self::Slide(opened) => Ok(opened),
            Self::NoSlide(_, problem) => Err(Problem::clone(&problem)),
        }
    }
}

/// Failures are forgotten after a while, slides only for want of room.
struct ForgetFailures;

impl Expiry<MaterialId, Known> for ForgetFailures {
    fn expire_after_create(&self, _: &MaterialId, known: &Known, _: Instant) -> Option<Duration> {
        matches!(known, Known::NoSlide(..)).then_some(FAILURE_KEPT)
    }
}

/// The open slides.
pub(crate) struct Slides(Cache<MaterialId, Known>);

impl Slides {
    pub(crate) fn new(slides_max: u64) -> Self {
        Self(Cache::builder().max_capacity(slides_max).expire_after(ForgetFailures).build())
    }

    /// How many are open, for the metrics.
    pub(crate) fn count(&self) -> OpenCount {
        OpenCount(self.0.clone())
    }

    /// The slide in `blob` where it is open already.
    pub(crate) fn at_hand(&self, blob: &Arc<Blob>) -> Option<Arc<Opened>> {
        let known = self.0.get(&blob.manifest().material).now_or_never()??;
        Arc::ptr_eq(known.blob(), blob).then(|| known.opened().ok()).flatten()
    }

    /// The slide in `blob`.
    pub(crate) async fn get(&self, blob: &Arc<Blob>, disk: &Pool) -> Result<Arc<Opened>, Problem> {
        let material = &blob.manifest().material;
        if let Some(known) = self.0.get(material).await {
            if Arc::ptr_eq(known.blob(), blob) {
                return known.opened();
            }
            // The copy was dropped and made anew since.
            self.0.invalidate(material).await;
        }
        let open = async {
            let blob = Arc::clone(blob);
            disk.run(move || Known::look(blob)).await?
        };
        let known = self.0.try_get_with_by_ref(material, open).await;
        known.map_err(|problem| Problem::clone(&problem))?.opened()
    }
}

/// Counts the open slides whenever the metrics are asked for.
pub(crate) struct OpenCount(Cache<MaterialId, Known>);

impl fmt::Debug for OpenCount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("OpenCount")
    }
}

impl Collector for OpenCount {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let open = self.0.iter().filter(|(_, known)| matches!(known, Known::Slide(_))).count();
        let gauge = ConstGauge::new(open as i64);
        gauge.encode(encoder.encode_descriptor("slides_open", "Slides that are open", None, gauge.metric_type())?)
    }
}
