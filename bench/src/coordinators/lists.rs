//! Lists of materials: what a page costs a coordinator whose books are small, and one whose books are large.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use microtome_coordinator::core::tables::MaterialsByAge;
use microtome_coordinator::core::view::Table as _;
use serde::Serialize;

use super::large::{seed, start};
use crate::books::Size;
use crate::load::{self, Seen, Wanted};
use crate::report::note;

/// Materials of small books.
const SMALL: u32 = 1_000;
/// Entries of a page: as many as one has whose asker names no number.
const PAGE: u32 = 100;
const CONNECTIONS: usize = 8;
const ASK_FOR: Duration = Duration::from_secs(3);
/// Pages that are asked for in turn.
const PAGES: u32 = 64;

/// Pages of one list, asked for over and over.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    pub(super) materials: u32,
    pub(super) round: u32,
    /// Pages from anywhere in the list; the first one otherwise.
    pub(super) is_anywhere: bool,
    pub(super) pages_per_s: f64,
    pub(super) seen: Seen,
}

pub(super) async fn measure(program: &Path, folder: &Path, size: Size, rounds: u32) -> anyhow::Result<Vec<Listed>> {
    let mut servers = Vec::new();
    for materials in [SMALL, size.materials] {
        note(&format!("a coordinator with {materials} materials"));
        let (folder, size) = (folder.join(materials.to_string()), Size { materials, ..size });
        std::fs::create_dir_all(&folder)?;
        let data = folder.join(super::large::NAME);
        tokio::task::spawn_blocking(move || seed(data, size)).await??;
        let (server, _) = start(program, &folder, size).await?;
        servers.push((materials, server));
    }
    let mut all = Vec::new();
    for round in 0..rounds {
        note(&format!("lists, round {} of {rounds}", round + 1));
        for (materials, server) in &servers {
            for is_anywhere in [false, true] {
                let address = server.address()?;
                let pages = pages(*materials, is_anywhere);
                let requests = Arc::new(pages.map(|page| page.request(address)).collect::<Vec<_>>());
                let asked = move || load::run(address, &requests, 0..usize::MAX, CONNECTIONS, ASK_FOR);
                let seen = tokio::task::spawn_blocking(asked).await??;
                let pages_per_s = seen.requests as f64 / seen.seconds;
                all.push(Listed { materials: *materials, round, is_anywhere, pages_per_s, seen });
            }
        }
    }
    Ok(all)
}

/// The first page, or pages whose cursors lie evenly over the list.
fn pages(materials: u32, is_anywhere: bool) -> Box<dyn Iterator<Item = Wanted>> {
    let first = format!("/v1/materials?limit={PAGE}");
    if !is_anywhere {
        return Box::new(std::iter::once(Wanted::from(first)));
    }
    // Materials are counted from 1, and listed with the newest first.
    let last = materials.saturating_sub(PAGE).max(1);
    Box::new((0..PAGES).map(move |number| {
        let sequence = u64::from(PAGE) + u64::from(last) * u64::from(number) / u64::from(PAGES);
        let key = MaterialsByAge::encode(&sequence);
        let cursor: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        Wanted::from(format!("{first}&cursor={cursor}"))
    }))
}
