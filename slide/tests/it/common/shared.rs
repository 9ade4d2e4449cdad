//! The optional folder of real files: where it is, and the truth about each.

use microtome_slide::{FileSource, ReadAt, Rgb};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What tells the folder from any other that happens to lie there.
const NEEDED: [&str; 2] = ["CMU-1-Small-Region.svs", "truth/CMU-1-Small-Region.svs.json"];

/// The folder, or nothing, said aloud, where it is not there.
pub fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("MICROTOME_TEST_DATA").map_or(beside, PathBuf::from);
    if NEEDED.iter().all(|file| folder.join(file).is_file()) {
        return Some(folder);
    }
    let needed = NEEDED.join(" and ");
    eprintln!("skipped: no {needed} in {} (MICROTOME_TEST_DATA names another folder)", folder.display());
    None
}

pub fn source(path: &Path) -> Arc<dyn ReadAt> {
    Arc::new(FileSource::open(path).unwrap())
}

/// The truth about a file.
pub fn truth(folder: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(folder.join("truth").join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The mean of each channel.
pub fn mean(picture: &Rgb) -> [f64; 3] {
    let mut sums = [0u64; 3];
    for pixel in picture.data.chunks_exact(3) {
        for (sum, sample) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(*sample);
        }
    }
    sums.map(|sum| sum as f64 / (picture.data.len() / 3) as f64)
}
