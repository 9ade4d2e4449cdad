//! Ways from slides' colours to sRGB, made when they are first asked for and kept while there is room.

use super::{Opened, pool::Pool};
use microtome_proto::Problem;
use microtome_slide::icc::ToSrgb;
use moka::future::Cache;
use std::sync::Arc;

/// Slides whose ways are kept; each takes up to some megabytes.
const WAYS_MAX: u64 = 64;

/// The ways that are ready, by the files' hashes.
pub(crate) struct Colours(Cache<Arc<str>, Option<ToSrgb>>);

impl Default for Colours {
    fn default() -> Self {
        Self(Cache::new(WAYS_MAX))
    }
}

impl Colours {
    /// The slide's way; nothing where it has no profile. Who asks for one that is being made waits for it.
    pub(crate) async fn get(&self, opened: &Arc<Opened>, disk: &Pool) -> Result<Option<ToSrgb>, Problem> {
        let make = async {
            let opened = Arc::clone(opened);
            let make = move || {
                let profile = opened.slide.icc_profile();
                let way = profile.and_then(|profile| profile.map(|profile| ToSrgb::new(&profile)).transpose());
                way.map_err(|error| opened.problem(&error))
            };
            disk.run(make).await?
        };
        let way = self.0.try_get_with_by_ref(&opened.content(), make).await;
        way.map_err(|problem| Problem::clone(&problem))
    }
}

/// The slide's profile as the file has it.
pub(crate) async fn profile(opened: &Arc<Opened>, disk: &Pool) -> Result<Option<Vec<u8>>, Problem> {
    let opened = Arc::clone(opened);
    disk.run(move || opened.slide.icc_profile().map_err(|error| opened.problem(&error))).await?
}
