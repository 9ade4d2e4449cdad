//! Servers whose wall clocks can be set wrong.

use crate::{harness::Place, preload};
use std::{fs::File, os::unix::fs::FileExt as _, path::PathBuf};

/// One clock for each server.
pub struct Clocks {
    preload: (String, String),
    dir: tempfile::TempDir,
}

impl Clocks {
    /// Nothing where this machine cannot have them.
    pub fn new(places: &mut [Place]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let clocks = Self { preload: preload::build("tests/chaos/clock.c", dir.path())?, dir };
        for (nth, place) in places.iter_mut().enumerate() {
            let path = clocks.path(nth);
            File::create(&path).unwrap();
            clocks.set(nth, 0);
            let path = path.to_str().unwrap().to_owned();
            place.environment.extend([clocks.preload.clone(), ("MICROTOME_CLOCK".to_owned(), path)]);
        }
        Some(clocks)
    }

    /// The `nth` server's clock is wrong by so many seconds from now on.
    pub fn set(&self, nth: usize, seconds: i64) {
        let file = File::options().write(true).open(self.path(nth)).unwrap();
        file.write_all_at(&(seconds * 1_000_000_000).to_ne_bytes(), 0).unwrap();
    }

    fn path(&self, nth: usize) -> PathBuf {
        self.dir.path().join(nth.to_string())
    }
}
