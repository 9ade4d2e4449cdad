//! Slides as viewers see them, from outside.

use crate::drawn;
use crate::support::{FakeCoordinator, TestNode, bytes, code, material, number};
use microtome_proto::{MaterialId, slide::SlideInfo};
use microtome_slide::{Rgb, Slide, synthetic};
use reqwest::{Response, StatusCode, header};
use std::{
    os::unix::fs::FileExt as _,
    sync::{Arc, OnceLock},
};

/// An Aperio-style slide whose tiles are JPEG. Its sides are no multiples of the tiles'.
pub(crate) fn synthetic_slide() -> &'static [u8] {
    static SLIDE: OnceLock<Vec<u8>> = OnceLock::new();
    SLIDE.get_or_init(|| {
        let path = tempfile::NamedTempFile::new().unwrap();
        let options = synthetic::Options { width: 1500, height: 1100, seed: 7 };
        synthetic::write(path.path(), &options, &mut |_| {}).unwrap();
        std::fs::read(path.path()).unwrap()
    })
}

pub(crate) fn read(slide: &[u8]) -> Slide {
    Slide::open(Arc::new(slide.to_vec())).unwrap()
}

/// An uncompressed slide: none of its tiles can be passed through.
pub(crate) fn plain_slide() -> Vec<u8> {
    drawn::tiff(&[(300, 200), (150, 100)], |x, y| [(x / 2) as u8, y as u8, 99])
}

/// A node that holds `slide`.
pub(crate) async fn holding(slide: &[u8]) -> (TestNode, MaterialId) {
    let (node, id) = (TestNode::start().await, material(1));
    node.put(&id, slide).await;
    (node, id)
}

pub(crate) async fn get(node: &TestNode, path: &str) -> Response {
    node.request("GET", path).send().await.unwrap()
}

pub(crate) async fn refused(node: &TestNode, path: &str) -> (u16, String) {
    let response = get(node, path).await;
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{path}");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{path}");
    (response.status().as_u16(), code(response).await)
}

pub(crate) fn decoded(png: &[u8]) -> Rgb {
    let image = image::load_from_memory_with_format(png, image::ImageFormat::Png).unwrap().into_rgb8();
    Rgb { width: image.width(), height: image.height(), data: image.into_raw() }
}

/// A counter in the metrics.
pub(crate) async fn counted(node: &TestNode, name: &str) -> u64 {
    metric(node, &format!("{name}_total")).await
}

async fn metric(node: &TestNode, name: &str) -> u64 {
    let text = get(node, "/metrics").await.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("microtome_{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in the metrics")).parse().unwrap()
}

#[tokio::test]
async fn the_metrics_tell_how_many_slides_are_open() {
    let (node, id) = holding(synthetic_slide()).await;
    assert_eq!(metric(&node, "slides_open").await, 0);
    assert_eq!(get(&node, &format!("/v1/materials/{id}/slide")).await.status(), StatusCode::OK);
    assert_eq!(metric(&node, "slides_open").await, 1);
    let (node, id) = holding(b"no slide, but a text").await;
    assert_ne!(get(&node, &format!("/v1/materials/{id}/slide")).await.status(), StatusCode::OK);
    assert_eq!(metric(&node, "slides_open").await, 0, "what is no slide is remembered, but not open");
}

#[tokio::test]
async fn a_native_tile_is_the_files_own_bytes() {
    let (node, id) = holding(synthetic_slide()).await;
    let slide = read(synthetic_slide());
    for (level, shape) in slide.levels().iter().enumerate() {
        for (column, row) in [(0, 0), (shape.columns - 1, 0), (shape.columns - 1, shape.rows - 1)] {
            let mut expected = Vec::new();
            assert!(slide.native_tile(&synthetic_slide().to_vec(), level, column, row, &mut expected).unwrap());
            let path = format!("/tiles/{id}/{level}/{column}_{row}.jpg");
            // The second time from the page cache, on another road.
            for _ in 0..2 {
                let tile = get(&node, &path).await;
                assert_eq!(tile.status(), StatusCode::OK, "{path}");
                let headers = tile.headers();
                assert_eq!(headers["microtome-tile"], "native");
                assert_eq!(headers["content-type"], "image/jpeg");
                assert_eq!(headers["cache-control"], "private, max-age=3600");
                assert_eq!(headers["access-control-allow-origin"], "*");
                let hash = crate::support::hash(synthetic_slide());
                assert_eq!(headers["etag"], format!("\"{}-{level}-{column}-{row}\"", &hash[..16]));
                assert_eq!(number(&tile, "content-length"), expected.len() as u64);
                assert!(tile.bytes().await.unwrap() == expected, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn who_has_a_tile_is_not_sent_it_again() {
    let (node, id) = holding(synthetic_slide()).await;
    let path = format!("/tiles/{id}/0/1_1.jpg");
    let etag = get(&node, &path).await.headers()["etag"].to_str().unwrap().to_owned();
    for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
        let again = node.request("GET", &path).header(header::IF_NONE_MATCH, &known).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(again.headers()["etag"], etag);
        assert_eq!(again.headers()["cache-control"], "private, max-age=3600");
    }
    let other = node.request("GET", &path).header(header::IF_NONE_MATCH, "\"other\"").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    let len = other.bytes().await.unwrap().len();

    let head = node.request("HEAD", &path).send().await.unwrap();
    assert_eq!((head.status(), number(&head, "content-length")), (StatusCode::OK, len as u64));
    assert_eq!(head.headers()["microtome-tile"], "native");
    assert!(head.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_the_slide_does_not_have_is_told_apart_from_nonsense() {
    let (node, id) = holding(synthetic_slide()).await;
    let outside = (404, "outside_slide".to_owned());
    let nonsense = (400, "bad_request".to_owned());
    let columns = read(synthetic_slide()).levels()[0].columns;
    for path in [
        format!("/tiles/{id}/0/{columns}_0.jpg"),
        format!("/tiles/{id}/0/0_99999999999999.jpg"),
        format!("/tiles/{id}/9/0_0.jpg"),
        format!("/dzi/{id}_files/99/0_0.jpg"),
        format!("/dzi/{id}_files/0/1_0.jpg"),
        format!("/regions/{id}?level=9&x=0&y=0&w=1&h=1"),
        format!("/v1/materials/{id}/associated/portrait"),
    ] {
        assert_eq!(refused(&node, &path).await, outside, "{path}");
    }
    for path in [
        format!("/tiles/{id}/0/-1_0.jpg"),
        format!("/tiles/{id}/0/0_0.gif"),
        format!("/tiles/{id}/top/0_0.jpg"),
        "/tiles/..%2F..%2Fetc/0/0_0.jpg".to_owned(),
        format!("/dzi/{id}_files/0/0-0.jpg"),
        format!("/dzi/{id}_files/0/0_0.tiff"),
        format!("/dzi/{id}.dzi?tile_size=31"),
        format!("/dzi/{id}.dzi?tile_size=2049"),
        format!("/dzi/{id}.dzi?overlap=65"),
        format!("/dzi/{id}_files/0/0_0.jpg?tile_size=big"),
        format!("/regions/{id}"),
        format!("/regions/{id}?w=0&h=5"),
        format!("/regions/{id}?w=5&h=-5"),
        format!("/regions/{id}?w=5&h=5&x=0.5"),
        format!("/regions/{id}?w=5&h=5&format=bmp"),
    ] {
        assert_eq!(refused(&node, &path).await, nonsense, "{path}");
    }
    assert_eq!(refused(&node, &format!("/dzi/{id}.xml")).await, (404, "not_found".to_owned()));
    assert_eq!(refused(&node, &format!("/regions/{id}?w=10000&h=10000")).await, (413, "too_large".to_owned()));
    assert_eq!(refused(&node, &format!("/regions/{id}?w=70000&h=9")).await, (413, "too_large".to_owned()));
}

#[tokio::test]
async fn a_crowd_has_a_tile_drawn_once() {
    let (node, id) = holding(&plain_slide()).await;
    let path = format!("/tiles/{id}/0/1_2.jpg");
    let tiles = (0..32).map(|_| get(&node, &path));
    let tiles = futures_util::future::join_all(tiles).await;
    let mut first = None;
    for tile in tiles {
        assert_eq!((tile.status(), &tile.headers()["microtome-tile"]), (StatusCode::OK, &"rendered".parse().unwrap()));
        let bytes = tile.bytes().await.unwrap();
        assert_eq!(first.get_or_insert(bytes.clone()), &bytes);
    }
    let slide = read(&plain_slide());
    let expected = microtome_slide::encode::jpeg(&slide.tile(0, 1, 2).unwrap(), 85).unwrap();
    assert!(first.unwrap() == expected);
    assert_eq!(counted(&node, "pictures_drawn").await, 1);
    assert_eq!(counted(&node, "tiles_native").await, 0);
}

#[tokio::test]
async fn a_small_region_is_drawn_once_and_a_large_or_raw_one_for_each_who_asks() {
    let (node, id) = holding(synthetic_slide()).await;
    let ask = async |query: &str| get(&node, &format!("/regions/{id}?x=3&y=4&{query}")).await.bytes().await.unwrap();
    for query in ["w=100&h=90", "w=100&h=90&format=png"] {
        assert_eq!(ask(query).await, ask(query).await);
    }
    assert_eq!((counted(&node, "pictures_drawn").await, counted(&node, "regions_cut").await), (2, 0));
    for query in ["w=100&h=90&format=raw", "w=1100&h=1000"] {
        assert_eq!(ask(query).await, ask(query).await);
    }
    assert_eq!((counted(&node, "pictures_drawn").await, counted(&node, "regions_cut").await), (2, 4));
}

#[tokio::test]
async fn the_description_tells_what_the_slide_has() {
    let (node, id) = holding(synthetic_slide()).await;
    let info: SlideInfo = get(&node, &format!("/v1/materials/{id}/slide")).await.json().await.unwrap();
    let tiles: SlideInfo = get(&node, &format!("/tiles/{id}/tiles.json")).await.json().await.unwrap();
    assert_eq!(info, tiles);
    assert_eq!((info.id, info.name.as_str(), info.vendor.as_str()), (id.clone(), "Präparat 7.svs", "aperio"));
    assert_eq!((info.width, info.height, info.levels[0].downsample), (1500, 1100, 1.0));
    assert!(info.mpp_x.is_some_and(|mpp| mpp > 0.0) && info.levels.iter().all(|level| level.native));
    assert_eq!(info.levels[0].compression, "jpeg");
    assert_eq!(info.tiles, format!("/tiles/{id}/{{level}}/{{col}}_{{row}}.jpg"));

    assert!(!info.associated.is_empty());
    for image in info.associated {
        let jpeg = get(&node, &image.url).await;
        assert_eq!((jpeg.status(), &jpeg.headers()["content-type"]), (StatusCode::OK, &"image/jpeg".parse().unwrap()));
        assert!(jpeg.bytes().await.unwrap().starts_with(&[0xff, 0xd8]));
        let expected = read(synthetic_slide()).associated_image(&image.name).unwrap();
        assert_eq!((u64::from(expected.width), u64::from(expected.height)), (image.width, image.height));
        let by_suffix = get(&node, &format!("{}.png", image.url)).await.bytes().await.unwrap();
        assert!(decoded(&by_suffix) == expected, "{}", image.name);
        let by_header = node.request("GET", &image.url).header(header::ACCEPT, "image/png").send().await.unwrap();
        assert_eq!(by_header.headers()["vary"], "accept");
        assert_eq!(by_header.bytes().await.unwrap(), by_suffix);
    }
}

#[tokio::test]
async fn deep_zoom_passes_whole_tiles_through_and_draws_the_rest() {
    let (node, id) = holding(synthetic_slide()).await;
    let info: SlideInfo = get(&node, &format!("/tiles/{id}/tiles.json")).await.json().await.unwrap();
    let side = info.levels[0].tile_width;
    let descriptor = get(&node, &info.deep_zoom).await;
    assert_eq!(descriptor.headers()["content-type"], "application/xml");
    let xml = descriptor.text().await.unwrap();
    for part in
        [format!("TileSize=\"{side}\""), "Overlap=\"0\"".into(), "Width=\"1500\"".into(), "Height=\"1100\"".into()]
    {
        assert!(xml.contains(&part), "{part} is not in {xml}");
    }

    // The top level has 2^11 ≥ 1500 pixels across.
    let own = get(&node, &format!("/tiles/{id}/0/1_2.jpg")).await.bytes().await.unwrap();
    for suffix in ["jpg", "jpeg"] {
        let whole = get(&node, &format!("/dzi/{id}_files/11/1_2.{suffix}")).await;
        assert_eq!(whole.headers()["microtome-tile"], "native");
        assert_eq!(whole.bytes().await.unwrap(), own);
    }
    let png = get(&node, &format!("/dzi/{id}_files/11/1_2.png")).await;
    assert_eq!(
        (&png.headers()["microtome-tile"], &png.headers()["content-type"]),
        (&"rendered".parse().unwrap(), &"image/png".parse().unwrap())
    );
    assert!(decoded(&png.bytes().await.unwrap()) == read(synthetic_slide()).tile(0, 1, 2).unwrap());

    // The last column ends with the slide; a level between is drawn; so is another grid.
    let last = info.levels[0].columns - 1;
    for (path, width) in [
        (format!("/dzi/{id}_files/11/{last}_0.png"), 1500 - last * side),
        (format!("/dzi/{id}_files/10/0_0.png"), side),
        (format!("/dzi/{id}_files/0/0_0.png"), 1),
        (format!("/dzi/{id}_files/11/0_0.png?tile_size=254&overlap=1&token=x"), 255),
        (format!("/dzi/{id}_files/11/1_0.png?tile_size=254&overlap=1"), 256),
    ] {
        let tile = get(&node, &path).await;
        assert_eq!(tile.headers()["microtome-tile"], "rendered", "{path}");
        assert_eq!(decoded(&tile.bytes().await.unwrap()).width, width, "{path}");
    }
    let other = get(&node, &format!("/dzi/{id}.dzi?tile_size=254&overlap=1")).await.text().await.unwrap();
    assert!(other.contains("TileSize=\"254\"") && other.contains("Overlap=\"1\""), "{other}");
}

#[tokio::test]
async fn regions_are_the_slides_pixels() {
    let (node, id) = holding(synthetic_slide()).await;
    let slide = read(synthetic_slide());
    for (x, y, level, width, height) in
        [(0, 0, 0, 300, 200), (777, 333, 0, 241, 99), (400, 400, 1, 100, 80), (-50, 1000, 0, 200, 200)]
    {
        let expected = slide.region(x, y, level, width, height).unwrap();
        let path = format!("/regions/{id}?level={level}&x={x}&y={y}&w={width}&h={height}");
        let raw = get(&node, &format!("{path}&format=raw")).await;
        assert_eq!(
            (number(&raw, "microtome-width"), number(&raw, "microtome-height")),
            (u64::from(width), u64::from(height))
        );
        assert_eq!(raw.headers()["content-type"], "application/octet-stream");
        assert!(raw.bytes().await.unwrap() == expected.data, "{path}");
        let png = get(&node, &format!("{path}&format=png")).await;
        assert!(decoded(&png.bytes().await.unwrap()) == expected, "{path}");
        let jpeg = get(&node, &path).await;
        assert_eq!(jpeg.headers()["content-type"], "image/jpeg");
        let etag = jpeg.headers()["etag"].clone();
        let again = node.request("GET", &path).header(header::IF_NONE_MATCH, etag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }
    for far in [i64::MAX, i64::MIN] {
        let outside = get(&node, &format!("/regions/{id}?x={far}&y={far}&w=4&h=4&format=raw")).await;
        assert_eq!(
            (outside.status(), outside.bytes().await.unwrap().to_vec()),
            (StatusCode::OK, vec![255; 48]),
            "{far}"
        );
    }
}

/// Native tiles for which nothing has to be waited for are answered before the router: nobody may see a difference.
#[tokio::test]
async fn a_tile_at_hand_is_answered_as_any_other() {
    let (node, id) = holding(synthetic_slide()).await;
    for path in [format!("/tiles/{id}/0/1_1.jpg"), format!("/dzi/{id}_files/11/1_1.jpg")] {
        let first = get(&node, &path).await.bytes().await.unwrap();
        let before = counted(&node, "tiles_at_hand").await;
        let at_hand = get(&node, &path).await;
        assert_eq!(counted(&node, "tiles_at_hand").await, before + 1, "{path}");
        // HEAD goes through the router.
        let mut heads = [node.request("HEAD", &path).send().await.unwrap(), at_hand];
        let [routed, own] = heads.each_mut().map(|answer| {
            let mut headers = answer.headers().clone();
            headers.remove(header::DATE);
            headers
        });
        assert_eq!(routed, own, "{path}");
        let [_, at_hand] = heads;
        assert_eq!(at_hand.bytes().await.unwrap(), first, "{path}");
        let known = node.request("GET", &path).header(header::IF_NONE_MATCH, &own[header::ETAG]).send().await.unwrap();
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_slide_is_kept_and_says_so() {
    let junk = bytes(70_000, 3);
    let (node, id) = holding(&junk).await;
    for path in [
        format!("/tiles/{id}/0/0_0.jpg"),
        format!("/tiles/{id}/tiles.json"),
        format!("/v1/materials/{id}/slide"),
        format!("/v1/materials/{id}/associated/label"),
        format!("/dzi/{id}.dzi"),
        format!("/dzi/{id}_files/0/0_0.jpg"),
        format!("/regions/{id}?w=5&h=5"),
        format!("/iiif/3/{id}/info.json"),
        format!("/iiif/2/{id}/full/full/0/default.jpg"),
        format!("/v1/materials/{id}/icc"),
    ] {
        assert_eq!(refused(&node, &path).await, (422, "not_a_slide".to_owned()), "{path}");
    }
    assert!(node.file(&id).await.bytes().await.unwrap() == junk);
}

#[tokio::test]
async fn a_truncated_slide_says_where_it_is_damaged() {
    let slide = plain_slide();
    for len in [3, 8, 9, slide.len() / 2, slide.len() - 5] {
        let (node, id) = holding(&slide[..len]).await;
        let (status, code) = refused(&node, &format!("/tiles/{id}/1/0_0.jpg")).await;
        assert!(status == 422 && ["damaged_slide", "not_a_slide"].contains(&code.as_str()), "{len}: {status} {code}");
    }
}

#[tokio::test]
async fn what_is_not_here_is_looked_for_elsewhere() {
    let node = TestNode::start().await;
    let id = material(7);
    assert_eq!(refused(&node, &format!("/tiles/{id}/0/0_0.jpg")).await.0, 404);
    let there = material(8);
    node.coordinator.locate(&there, &["http://127.0.0.1:9"]);
    for path in [
        format!("/tiles/{there}/0/1_2.jpg?token=x"),
        format!("/dzi/{there}.dzi?overlap=1"),
        format!("/regions/{there}?w=1&h=2"),
    ] {
        let redirect = get(&node, &path).await;
        assert_eq!(redirect.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(redirect.headers()["location"], format!("http://127.0.0.1:9{path}"));
    }
}

#[tokio::test]
async fn a_tile_whose_bytes_the_disk_has_changed_is_never_served() {
    let (node, id) = holding(&plain_slide()).await;
    // Among the pixels of the tile at column 3, row 1, far from all that is read to open the slide.
    let file = node.folder.path().join("materials").join(id.as_str()).join("file");
    std::fs::File::options().write(true).open(file).unwrap().write_all_at(b"\x42", 100_000).unwrap();
    // Opened anew, the copy is checked anew.
    let (folder, _) = node.stop().await;
    let node = TestNode::start_on(folder, FakeCoordinator::start().await).await;
    let path = format!("/tiles/{id}/0/3_1.jpg");
    let (status, code) = refused(&node, &path).await;
    assert!((status, code.as_str()) == (503, "unavailable"), "{status} {code}");
    assert_eq!(get(&node, &format!("/tiles/{id}/1/0_0.jpg")).await.status(), StatusCode::OK);

    node.coordinator.locate(&id, &[node.url.as_str(), "http://127.0.0.1:9"]);
    // What the coordinator said is believed for a moment.
    let located = async {
        loop {
            let answer = get(&node, &path).await;
            if answer.status() == StatusCode::TEMPORARY_REDIRECT {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::time::timeout(crate::support::HANGS_AFTER, located).await.unwrap();
    assert_eq!(answer.headers()["location"], format!("http://127.0.0.1:9{path}"));
}

#[tokio::test]
async fn a_dropped_copy_serves_no_tile() {
    let (node, id) = holding(synthetic_slide()).await;
    let path = format!("/tiles/{id}/0/0_0.jpg");
    // More than once: the threads that serve connections remember the slides that they were asked for.
    for _ in 0..4 {
        assert_eq!(get(&node, &path).await.status(), StatusCode::OK);
    }
    node.coordinator.order(microtome_proto::internal::Order::Drop {
        material: id.clone(),
        generation: microtome_proto::Generation(1),
    });
    node.coordinator
        .wait_for_report(&id, |report| matches!(report, microtome_proto::internal::ReplicaReport::Dropped { .. }))
        .await;
    assert_eq!(get(&node, &path).await.status(), StatusCode::NOT_FOUND);
}
