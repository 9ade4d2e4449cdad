//! Slides for the stories: drawn ones always, real ones where they are there.

use microtome_slide::{
    FileSource, Slide,
    synthetic::{self, Options},
};
use std::{path::Path, sync::Arc};

/// A drawn slide of a few megabytes and its bytes.
pub fn drawn(folder: &Path, width: u32, height: u32) -> (Slide, Vec<u8>) {
    let path = folder.join("drawn.svs");
    synthetic::write(&path, &Options { width, height, seed: 7 }, &mut |_| {}).unwrap();
    (open(&path), std::fs::read(&path).unwrap())
}

/// Opens a slide file with the reader alone.
pub fn open(path: &Path) -> Slide {
    Slide::open(Arc::new(FileSource::open(path).unwrap())).unwrap()
}
