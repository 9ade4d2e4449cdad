//! Numbers from outside: sizes, offsets, ranges, pixels, pages.

use super::wire::{request, say};
use crate::{harness::Cluster, slides};
use microtome_proto::page::PageQuery;
use serde_json::{Value, json};

/// Larger than any disk: refused with 507 before the first byte, and nothing is left of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_fits_nowhere_is_refused_before_the_first_byte() {
    let cluster = Cluster::start(1, 2).await;
    let base = &cluster.coordinators[0].url;
    let create = async |body: String| {
        let typed = cluster.http.post(format!("{base}/v1/materials")).header("Content-Type", "application/json");
        let answer = cluster.send(&typed.body(body)).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["code"].clone())
    };
    let huge = create(json!({"name": "huge", "size": 1_u64 << 40}).to_string()).await;
    assert_eq!(huge, (507, "no_space".into()));
    for (size, status) in [
        ("1099511627777", 413),
        ("9223372036854775808", 413),
        ("18446744073709551615", 413),
        ("18446744073709551616", 400),
        ("-1", 400),
        ("1.5", 400),
        ("1e9", 400),
        ("\"5\"", 400),
        ("null", 400),
    ] {
        let (got, code) = create(format!("{{\"name\":\"x\",\"size\":{size}}}")).await;
        assert_eq!(got, status, "{size}: {code}");
        assert_eq!(code, if status == 413 { "too_large" } else { "bad_request" }, "{size}");
    }
    for body in [
        json!({"name": "x", "size": 1, "population": 0}),
        json!({"name": "x", "size": 1, "population": 1000}),
        json!({"name": "x", "size": 1, "colour": "red"}),
        json!({"name": "x", "size": 1, "blake3": "zz"}),
        json!({"name": "x", "size": 1, "media_type": "x"}),
    ] {
        assert_eq!(create(body.to_string()).await.0, 400, "{body}");
    }
    for (length, status) in [
        ("1099511627777", 413),
        ("9223372036854775808", 413),
        ("18446744073709551616", 413),
        ("1e9", 400),
        ("-1", 400),
        ("1.5", 400),
        ("+5", 400),
        ("0x10", 400),
        ("", 400),
    ] {
        let headers = format!("tus-resumable: 1.0.0\r\nupload-length: {length}\r\n");
        let answer = say(base, &request("POST /v1/uploads", &headers, "")).await;
        assert_eq!(answer.status(), status, "{length}: {}", answer.body);
        answer.problem();
    }
    let page = cluster.client.materials(&PageQuery::default()).await.unwrap();
    assert!(page.items.is_empty(), "{page:?}");
    assert_eq!(create(json!({"name": "nothing", "size": 0}).to_string()).await.0, 201);
}

/// What a PATCH says of itself, held against what the node knows.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_as_long_as_it_was_said_to_be() {
    let cluster = Cluster::start(1, 1).await;
    let creation = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url));
    let created = cluster.send(&creation.header("Tus-Resumable", "1.0.0").header("Upload-Defer-Length", 1)).await;
    let url = created.headers()["location"].to_str().unwrap().to_owned();
    let node = &cluster.nodes[0].url;
    let path = url.strip_prefix(node.as_str()).unwrap();
    let patch = async |offset: &str, more: &str, body: &str| {
        let headers = format!(
            "tus-resumable: 1.0.0\r\nupload-offset: {offset}\r\ncontent-type: application/offset+octet-stream\r\n{more}"
        );
        say(node, &request(&format!("PATCH {path}"), &headers, body)).await
    };
    for (offset, status) in [
        ("9223372036854775808", 413),
        ("1099511627776", 409),
        ("18446744073709551616", 413),
        ("-1", 400),
        ("0.5", 400),
        ("1e9", 400),
        ("", 400),
    ] {
        let answer = patch(offset, "content-length: 0\r\n", "").await;
        assert_eq!(answer.status(), status, "{offset}: {}", answer.body);
        answer.problem();
    }
    for (told, status) in
        [("1099511627777", 413), ("9223372036854775808", 413), ("-1", 400), ("1e9", 400), ("1.5", 400)]
    {
        let answer = patch("0", &format!("upload-length: {told}\r\ncontent-length: 0\r\n"), "").await;
        assert_eq!(answer.status(), status, "{told}: {}", answer.body);
        answer.problem();
    }
    let claims = patch("0", &format!("upload-length: 5\r\ncontent-length: {}\r\n", 1_u64 << 62), "").await;
    assert_eq!((claims.status(), claims.code().as_str()), (413, "too_large"));
    let chunked = patch("0", "upload-length: 5\r\ntransfer-encoding: chunked\r\n", "6\r\nabcdef\r\n0\r\n\r\n").await;
    assert_eq!((chunked.status(), chunked.code().as_str()), (413, "too_large"));
    let packed = patch("0", "content-encoding: gzip\r\ncontent-length: 5\r\n", "abcde").await;
    assert_eq!(packed.status(), 204, "bytes are taken as they come, and nothing is unpacked: {}", packed.body);
    let material = cluster.wait_until_arrived(&url.rsplit('/').next().unwrap().parse().unwrap()).await;
    assert_eq!(cluster.get(&format!("{node}/v1/materials/{}/file", material.id)).await, b"abcde");
}

/// Absurd ranges, pictures and pages cost nothing.
#[tokio::test(flavor = "multi_thread")]
async fn ranges_pictures_and_pages_have_limits() {
    let cluster = Cluster::start(1, 1).await;
    let (_, bytes) = slides::drawn(cluster.dir.path(), 1500, 1000);
    let id = cluster.put("drawn.svs", &bytes, 1).await.id;
    let (node, coordinator) = (&cluster.nodes[0].url, &cluster.coordinators[0].url);
    let several = format!("bytes={}", (0..2_000).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(","));
    for (range, status) in [
        ("bytes=0-9223372036854775807", 206),
        ("bytes=0-99999999999999999999999", 206),
        ("bytes=18446744073709551616-", 416),
        ("bytes=-0", 416),
        ("bytes=-18446744073709551616", 206),
        ("bytes=1e9-", 200),
        (&several, 200),
    ] {
        let asked = cluster.http.get(format!("{node}/v1/materials/{id}/file")).header("Range", range);
        let answer = cluster.send(&asked).await;
        assert_eq!(answer.status(), status, "{range:.40}");
        if status < 300 {
            assert_eq!(answer.bytes().await.unwrap(), bytes, "{range:.40}");
        }
    }
    let cut = |query: &str| format!("{node}/regions/{id}?{query}");
    let picture = |parts: &str| format!("{node}/iiif/3/{id}/{parts}/0/default.jpg");
    for (url, status) in [
        (cut("level=0&x=0&y=0&w=65535&h=65535"), 413),
        (cut("level=0&x=0&y=0&w=70000&h=1"), 413),
        (cut("level=0&x=0&y=0&w=4294967296&h=1"), 400),
        (cut("level=0&x=0&y=0&w=0&h=1"), 400),
        (cut("level=0&x=0&y=0&w=-1&h=1"), 400),
        (cut("level=0&x=0.5&y=0&w=9&h=9"), 400),
        (cut("level=0&x=0&y=0&w=1e3&h=9"), 400),
        (cut("level=9999999999&x=0&y=0&w=9&h=9"), 404),
        (cut("level=0&x=9223372036854775808&y=0&w=9&h=9"), 400),
        (picture("full/99999999999999999999,"), 400),
        (picture("full/5000,5000"), 400),
        (picture("full/^5000,5000"), 501),
        (picture("0,0,0,0/max"), 400),
        (picture("pct:0,0,1e400,1/max"), 400),
        (picture(&format!("{}/max", "9".repeat(4_000))), 400),
        (format!("{node}/dzi/{id}.dzi?tile_size=1000000000"), 400),
        (format!("{node}/dzi/{id}.dzi?tile_size=256&overlap=65"), 400),
        (format!("{node}/dzi/{id}_files/99999999999/0_0.jpg"), 404),
        (format!("{node}/tiles/{id}/0/4294967296_0.jpg"), 404),
        (format!("{node}/tiles/{id}/18446744073709551616/0_0.jpg"), 404),
        (format!("{coordinator}/v1/materials?limit=0"), 400),
        (format!("{coordinator}/v1/materials?limit=1001"), 400),
        (format!("{coordinator}/v1/materials?limit=1e3"), 400),
        (format!("{coordinator}/v1/materials?limit=-1"), 400),
        (format!("{coordinator}/v1/materials?cursor=zz"), 400),
        (format!("{coordinator}/v1/materials?cursor={}", "0".repeat(8_000)), 400),
        (format!("{coordinator}/v1/nodes/candidates?size=1e9"), 400),
    ] {
        let (got, problem) = cluster.refused(&url).await;
        assert_eq!(got, status, "{url:.200}: {problem}");
        assert!(!problem["way_out"].as_str().unwrap().is_empty());
    }
    // What the reader draws of a place far outside is white, and costs what its pixels cost.
    let outside = cluster.ask(&cut("level=0&x=-9223372036854775808&y=9223372036854775807&w=9&h=9")).await;
    assert_eq!(outside.status(), 200);
}
