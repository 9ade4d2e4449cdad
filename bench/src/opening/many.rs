//! Many slides open in one node at once: that all of them stay open, and what each adds to the node's memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use microtome_proto::MaterialId;
use microtome_slide::synthetic::{self, Options};
use tokio::task::JoinSet;

use crate::load::{self, Wanted};
use crate::report::note;
use crate::servers::{Ours, Server as _, put};

/// A slide of little pixels, as its memory does not depend on them.
const SMALL: Options = Options { width: 1200, height: 900, seed: 7 };
/// Uploads, and questions, under way at once.
const AT_ONCE: usize = 16;
/// How long all slides together may take to be opened.
const OPENED_WITHIN: Duration = Duration::from_secs(600);

/// What was seen of them.
pub(super) struct Many {
    /// Slides that the node says it has open.
    pub(super) open: u32,
    pub(super) bytes_per_slide: f64,
}

/// Uploads `count` slides to the node, starts it anew, and asks for one tile of each.
pub(super) async fn hold(ours: &mut Ours, folder: &Path, count: u32) -> anyhow::Result<Many> {
    let path = folder.join("small.svs");
    synthetic::write(&path, &SMALL, &mut |_| {}).context("cannot draw a small slide")?;
    let slides = upload(ours, &path, count).await?;
    ours.restart()?;
    let address = ours.address();
    let tile = |id: &MaterialId| Wanted::from(format!("/tiles/{id}/0/0_0.jpg")).request(address);
    let requests: Arc<Vec<_>> = Arc::new(slides.iter().map(tile).collect());
    let metrics = || tokio::task::spawn_blocking(move || metric(address, "microtome_slides_open"));
    ensure!(metrics().await?? == 0, "the node has slides open before it was asked for any");
    note(&format!("asking for a tile of each of {count} slides"));
    let before = ours.usage()?.resident_bytes;
    let all = 0..requests.len();
    let seen =
        tokio::task::spawn_blocking(move || load::run(address, &requests, all, AT_ONCE, OPENED_WITHIN)).await??;
    ensure!(seen.requests == u64::from(count), "only {} of {count} slides were asked for in time", seen.requests);
    let after = ours.usage()?.resident_bytes;
    Ok(Many { open: metrics().await??, bytes_per_slide: after.saturating_sub(before) as f64 / f64::from(count) })
}

async fn upload(ours: &Ours, path: &Path, count: u32) -> anyhow::Result<Vec<MaterialId>> {
    let (mut uploads, mut begun, mut slides) = (JoinSet::new(), 0, Vec::new());
    while slides.len() < count as usize {
        while begun < count && uploads.len() < AT_ONCE {
            let (cluster, path) = (ours.fleet.cluster.clone(), path.to_owned());
            uploads.spawn(async move { put(&cluster, &path).await });
            begun += 1;
        }
        if slides.len() % 1000 == 0 {
            note(&format!("uploading small slides: {} of {count}", slides.len()));
        }
        slides.push(uploads.join_next().await.context("no upload is under way")???);
    }
    Ok(slides)
}

/// A number among the node's metrics.
fn metric(address: std::net::SocketAddr, name: &str) -> anyhow::Result<u32> {
    let text = load::once(address, &Wanted::from("/metrics".to_owned()).request(address))?;
    let text = String::from_utf8(text)?;
    let number = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    number.with_context(|| format!("the node's metrics lack {name}"))
}
