//! Slides are shown from the original file.

use crate::{
    harness::{Cluster, real_slides},
    slides,
};
use microtome_proto::slide::SlideInfo;
use microtome_slide::Slide;
use serde_json::Value;
use std::fs;

async fn info(cluster: &Cluster, id: &str) -> SlideInfo {
    let bytes = cluster.get(&format!("{}/v1/materials/{id}/slide", cluster.coordinators[0].url)).await;
    serde_json::from_slice(&bytes).unwrap()
}

/// Every native tile of the smaller levels, and the corners of the largest: the answer is the file's own bytes with
/// tables in front, and no decoder sees a difference.
#[tokio::test(flavor = "multi_thread")]
async fn native_tiles_are_the_files_own_bytes() {
    let cluster = Cluster::start(1, 2).await;
    let (slide, bytes) = slides::drawn(cluster.dir.path(), 3000, 2000);
    let material = cluster.put("drawn.svs", &bytes, 1).await;
    let told = info(&cluster, material.id.as_str()).await;
    assert_eq!((told.width, told.height, told.vendor.as_str()), (3000, 2000, "aperio"));
    assert_eq!(told.levels.len(), slide.levels().len());
    check_native(&cluster, material.id.as_str(), &slide, &bytes).await;
}

/// Asks for the tiles through the coordinator, as a link that was given out would, and follows to the node.
async fn check_native(cluster: &Cluster, id: &str, slide: &Slide, file: &[u8]) {
    for (level, grid) in slide.levels().iter().enumerate() {
        assert!(grid.native);
        for (column, row) in [(0, 0), (grid.columns - 1, 0), (0, grid.rows - 1), (grid.columns - 1, grid.rows - 1)] {
            let url = format!("{}/tiles/{id}/{level}/{column}_{row}.jpg", cluster.coordinators[0].url);
            let answer = cluster.ask(&url).await;
            assert_eq!(answer.status(), 200, "{url}");
            assert_eq!(answer.headers()["microtome-tile"], "native");
            assert_eq!(answer.headers()["content-type"], "image/jpeg");
            let etag = answer.headers()["etag"].clone();
            let node = answer.url().clone();
            let tile = answer.bytes().await.unwrap();
            // The scan's entropy-coded data stands in the file as it was answered.
            let scan = &tile[tile.windows(2).position(|pair| pair == [0xff, 0xda]).expect("a scan")..];
            assert!(file.windows(scan.len()).any(|window| window == scan), "{url}");
            let mut own = Vec::new();
            assert!(slide.native_tile(&file.to_vec(), level, column, row, &mut own).unwrap());
            assert_eq!(tile, own);
            let again = cluster.http.get(node).header("If-None-Match", etag).send().await.unwrap();
            assert_eq!(again.status(), 304);
        }
        let beyond = format!("{}/tiles/{id}/{level}/{}_0.jpg", cluster.coordinators[0].url, grid.columns);
        assert_eq!(cluster.refused(&beyond).await.0, 404);
    }
    let beyond = format!("{}/tiles/{id}/{}/0_0.jpg", cluster.coordinators[0].url, slide.levels().len());
    let (status, problem) = cluster.refused(&beyond).await;
    assert_eq!((status, &problem["code"]), (404, &Value::from("outside_slide")));
}

/// Regions through the cluster are the reader's own, in all three formats; nonsense is refused.
#[tokio::test(flavor = "multi_thread")]
async fn regions_are_cut_in_place() {
    let cluster = Cluster::start(1, 1).await;
    let (slide, bytes) = slides::drawn(cluster.dir.path(), 2500, 1800);
    let material = cluster.put("drawn.svs", &bytes, 1).await;
    let base = format!("{}/regions/{}", cluster.coordinators[0].url, material.id);
    for (level, x, y) in [(0, 100, 50), (0, 2400, 1700), (1, 400, 400)] {
        let raw = cluster.get(&format!("{base}?level={level}&x={x}&y={y}&w=200&h=150&format=raw")).await;
        assert_eq!(raw, slide.region(x, y, level, 200, 150).unwrap().data);
    }
    let png = cluster.get(&format!("{base}?level=0&x=0&y=0&w=64&h=64&format=png")).await;
    assert_eq!(&png[1..4], b"PNG");
    let jpg = cluster.get(&format!("{base}?level=0&x=0&y=0&w=64&h=64&format=jpg")).await;
    assert_eq!(&jpg[..2], [0xff, 0xd8]);
    for (query, status) in [
        ("level=0&x=0&y=0&w=0&h=10", 400),
        ("level=0&x=a&y=0&w=10&h=10", 400),
        ("level=9&x=0&y=0&w=10&h=10", 404),
        ("level=0&x=0&y=0&w=100000&h=100000", 413),
        ("level=0&x=0&y=0&w=10&h=10&format=bmp", 400),
    ] {
        assert_eq!(cluster.refused(&format!("{base}?{query}")).await.0, status, "{query}");
    }
}

/// Deep Zoom as OpenSeadragon reads it: a descriptor, halving levels, tiles of the sizes that the descriptor promises.
#[tokio::test(flavor = "multi_thread")]
async fn deep_zoom_is_served() {
    let cluster = Cluster::start(1, 1).await;
    let (slide, bytes) = slides::drawn(cluster.dir.path(), 2500, 1800);
    let id = cluster.put("drawn.svs", &bytes, 1).await.id;
    let base = &cluster.coordinators[0].url;
    let descriptor = String::from_utf8(cluster.get(&format!("{base}/dzi/{id}.dzi")).await).unwrap();
    let tile = slide.levels()[0].tile_width;
    assert!(
        descriptor.contains(&format!("TileSize=\"{tile}\"")) && descriptor.contains("Overlap=\"0\""),
        "{descriptor}"
    );
    assert!(descriptor.contains("Width=\"2500\"") && descriptor.contains("Height=\"1800\""));
    // ceil(log2(2500)) = 12: level 12 is the whole slide, level 0 one pixel.
    for (level, size) in [(12, (tile, tile)), (9, (tile, 225.min(tile))), (0, (1, 1))] {
        let bytes = cluster.get(&format!("{base}/dzi/{id}_files/{level}/0_0.jpg")).await;
        assert_eq!(jpeg_size(&bytes), size, "level {level}");
    }
    assert_eq!(cluster.refused(&format!("{base}/dzi/{id}_files/13/0_0.jpg")).await.0, 404);
    assert_eq!(cluster.refused(&format!("{base}/dzi/{id}_files/12/99_0.jpg")).await.0, 404);
}

fn jpeg_size(bytes: &[u8]) -> (u32, u32) {
    let at = bytes.windows(2).position(|pair| pair[0] == 0xff && (0xc0..=0xc2).contains(&pair[1])).expect("a frame");
    let number = |at: usize| u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    (number(at + 7), number(at + 5))
}

/// The real slide: uploaded, byte-checked, and its regions against what OpenSlide read from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_slide_agrees_with_its_truth() {
    let Some(folder) = real_slides() else { return };
    let name = "CMU-1-Small-Region.svs";
    let bytes = fs::read(folder.join(name)).unwrap();
    let truth: Value = serde_json::from_slice(&fs::read(folder.join(format!("truth/{name}.json"))).unwrap()).unwrap();
    let cluster = Cluster::start(1, 3).await;
    let material = cluster.put(name, &bytes, 2).await;
    let id = material.id.as_str();
    let base = &cluster.coordinators[0].url;
    let told = info(&cluster, id).await;
    assert_eq!((told.width, told.height, told.mpp_x, told.objective_power), (2220, 2967, Some(0.499), Some(20.0)));
    let mut names: Vec<_> = told.associated.iter().map(|image| image.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["label", "macro", "thumbnail"]);
    check_native(&cluster, id, &slides::open(&folder.join(name)), &bytes).await;
    for region in truth["regions"].as_array().unwrap() {
        let at = |key: &str| region[key].as_i64().unwrap();
        let (x, y, w, h, level) = (at("x"), at("y"), at("w"), at("h"), at("level"));
        let raw = cluster.get(&format!("{base}/regions/{id}?level={level}&x={x}&y={y}&w={w}&h={h}&format=raw")).await;
        assert_eq!(raw.len() as i64, w * h * 3);
        if region["kind"] == "over-edge" {
            continue;
        }
        for channel in 0..3 {
            let sum: u64 = raw.iter().skip(channel).step_by(3).map(|&value| u64::from(value)).sum();
            let mean = sum as f64 / (w * h) as f64;
            let wanted = region["mean_rgb"][channel].as_f64().unwrap();
            assert!((mean - wanted).abs() < 0.5, "{region}: channel {channel} is {mean}");
        }
    }
}
