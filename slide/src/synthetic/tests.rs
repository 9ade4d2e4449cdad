//! Slides drawn, then read back through the crate's own reader.

use std::sync::Arc;

use super::{Options, Truth, write};
use crate::{FileSource, Slide};

fn draw(width: u32, height: u32, seed: u64) -> (tempfile::TempDir, Truth, Slide) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("synthetic.svs");
    let truth = write(&path, &Options { width, height, seed }, &mut |_| {}).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), truth.bytes);
    let slide = Slide::open(Arc::new(FileSource::open(&path).unwrap())).unwrap();
    (folder, truth, slide)
}

#[test]
fn a_drawn_slide_is_an_aperio_pyramid() {
    let (folder, truth, slide) = draw(2050, 1500, 3);
    assert_eq!(slide.vendor(), "aperio");
    assert_eq!(slide.mpp(), Some((0.499, 0.499)));
    assert_eq!(slide.objective_power(), Some(20.0));
    assert_eq!(slide.properties()["aperio.Synthetic Nuclei"], truth.nuclei.to_string());
    let sizes: Vec<_> = slide.levels().iter().map(|level| (level.width, level.height)).collect();
    assert_eq!(sizes, [(2050, 1500), (512, 375), (128, 93)]);
    let mut tile = Vec::new();
    for (index, level) in slide.levels().iter().enumerate() {
        assert!(level.native);
        assert_eq!((level.tile_width, level.tile_height), (240, 240));
        for (column, row) in (0..level.rows).flat_map(|row| (0..level.columns).map(move |column| (column, row))) {
            tile.clear();
            let source = FileSource::open(folder.path().join("synthetic.svs")).unwrap();
            assert!(slide.native_tile(&source, index, column, row, &mut tile).unwrap());
            assert_eq!(slide.tile(index, column, row).unwrap().width, 240);
        }
    }
    let names: Vec<_> = slide.associated().iter().map(|image| image.name.as_str()).collect();
    assert!(["label", "macro", "thumbnail"].iter().all(|name| names.contains(name)), "{names:?}");
    for image in slide.associated() {
        let picture = slide.associated_image(&image.name).unwrap();
        assert_eq!((u64::from(picture.width), u64::from(picture.height)), (image.width, image.height));
    }
    let label = slide.associated_image("label").unwrap();
    assert_eq!(label.data[..3], [86, 62, 130], "the label is lossless");
}

#[test]
fn a_lower_level_is_the_mean_of_the_one_above() {
    let (_folder, _, slide) = draw(1500, 1300, 9);
    let (whole, quarter) = (slide.region(480, 480, 0, 480, 480).unwrap(), slide.tile(1, 0, 0).unwrap());
    let mut off = 0;
    for (x, y) in (0..120).flat_map(|y| (0..120).map(move |x| (x, y))) {
        for channel in 0..3 {
            let at = |column: usize, row: usize| u32::from(whole.data[(row * 480 + column) * 3 + channel]);
            let four = (0..16).map(|part| at(x * 4 + part % 4, y * 4 + part / 4)).sum::<u32>() / 16;
            let lower = u32::from(quarter.data[((y + 120) * 240 + x + 120) * 3 + channel]);
            off += four.abs_diff(lower);
        }
    }
    assert!(off < 4 * 3 * 120 * 120, "mean difference {}", f64::from(off) / f64::from(3 * 120 * 120));
}

#[test]
fn an_analysis_finds_as_many_nuclei_as_were_drawn() {
    let (width, height) = (3000, 2400);
    let (_folder, truth, slide) = draw(width, height, 4);
    assert!(truth.nuclei > 1000, "{truth:?}");
    let picture = slide.region(0, 0, 0, width, height).unwrap();
    // Haematoxylin takes the red, eosin and red cells leave it.
    let mut dark: Vec<bool> = picture.data.chunks_exact(3).map(|pixel| pixel[0] < 160).collect();
    let (mut found, mut open) = (0, Vec::new());
    for start in 0..dark.len() {
        let mut area = 0;
        open.push(start);
        while let Some(at) = open.pop() {
            if std::mem::take(&mut dark[at]) {
                area += 1;
                // Tissue keeps clear of the slide's edge, so neighbours never wrap around.
                open.extend([at - 1, at + 1, at - width as usize, at + width as usize]);
            }
        }
        found += u64::from(area >= 25);
    }
    let ratio = found as f64 / truth.nuclei as f64;
    assert!((0.97..1.03).contains(&ratio), "found {found} of {}", truth.nuclei);
}

#[test]
fn the_stained_share_is_what_a_look_at_the_thumbnail_says() {
    let (_folder, truth, slide) = draw(4000, 3000, 6);
    let thumbnail = slide.associated_image("thumbnail").unwrap();
    let stained = |pixel: &[u8]| pixel.iter().max().unwrap() - pixel.iter().min().unwrap() > 12;
    let share = thumbnail.data.chunks_exact(3).filter(|pixel| stained(pixel)).count() as f64
        / f64::from(thumbnail.width * thumbnail.height);
    assert!((0.15..0.7).contains(&truth.tissue_fraction), "{truth:?}");
    assert!((share - truth.tissue_fraction).abs() < 0.04, "{share} beside {truth:?}");
}

#[test]
fn a_seed_gives_the_same_file_again_and_another_seed_another() {
    let folder = tempfile::tempdir().unwrap();
    let draw = |name: &str, seed| {
        let path = folder.path().join(name);
        let mut heard = Vec::new();
        write(&path, &Options { width: 1300, height: 1100, seed }, &mut |share| heard.push(share)).unwrap();
        assert!(heard.is_sorted() && heard.first() == Some(&0.0) && heard.last() == Some(&1.0));
        std::fs::read(path).unwrap()
    };
    let first = draw("first", 1);
    assert!(first == draw("again", 1));
    assert!(first != draw("other", 2));
}

#[test]
fn a_side_beyond_the_limits_is_refused_and_the_smallest_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    for (width, height) in [(0, 10), (10, 0), (200_001, 10)] {
        let error = write(&folder.path().join("no"), &Options { width, height, seed: 1 }, &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("200000"), "{error}");
    }
    let (_folder, truth, slide) = draw(1, 1, 1);
    assert_eq!((slide.levels().len(), truth.nuclei), (1, 0));
}
