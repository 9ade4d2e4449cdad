//! Heads and bodies of requests that are too large, too deep, or none.

use super::wire::{request, say};
use crate::harness::Cluster;
use microtome_proto::{limits::CONTROL_BODY_LEN_MAX, page::PageQuery, tus::format_metadata};

/// The HTTP library refused these by itself, with a status and not a word.
#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_or_are_none_are_refused_in_words() {
    let cluster = Cluster::start(1, 1).await;
    for server in [&cluster.coordinators[0], &cluster.nodes[0]] {
        let many: String = (0..101).map(|number| format!("x-{number}: 1\r\n")).collect();
        for (case, line, headers) in [
            ("a long header", "GET /healthz", format!("x-long: {}\r\n", "a".repeat(70_000))),
            ("many headers", "GET /healthz", many),
            ("a long address", &format!("GET /{}", "a".repeat(70_000)), String::new()),
        ] {
            let answer = say(&server.url, &request(line, &headers, "")).await;
            assert_eq!(answer.status(), 431, "{}: {case}", server.name);
            assert_eq!(answer.code(), "head_too_large", "{}: {case}", server.name);
        }
        for broken in [
            "GET / HTTP/9.9\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "\0\0\0\0 / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nbroken\0: 1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
        ] {
            let answer = say(&server.url, broken.as_bytes()).await;
            assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"), "{}: {broken:?}", server.name);
        }
        let long = say(&server.url, &request(&format!("GET /v1/{}", "a".repeat(60_000)), "", "")).await;
        assert!([307, 404].contains(&long.status()), "{}: {}", server.name, long.status());
        assert_eq!(say(&server.url, &request("GET /healthz", "", "")).await.status(), 200, "{}", server.name);
    }
}

/// Headers that are ours: each has its form and its length.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_break_their_form_are_refused_and_named() {
    let cluster = Cluster::start(1, 1).await;
    let base = &cluster.coordinators[0].url;
    let pair = |key: &str, value: &str| format_metadata([(key, value)]);
    for (metadata, part) in [
        ("filename !!!".to_owned(), "filename"),
        ("filename YQ".to_owned(), "filename"),
        ("filename //4=".to_owned(), "filename"),
        ("a YQ==,a YQ==".to_owned(), "key"),
        (pair("filename", &"a".repeat(7_000)), "8192"),
        (pair("filename", &"a".repeat(4_000)), "255"),
        (pair("filename", "a\0b"), "control character"),
        (pair("filetype", "text/plain\r\nX: y"), "media_type"),
        (pair("filetype", &format!("text/{}", "x".repeat(200))), "media_type"),
        (pair("population", "1e9"), "population"),
        (pair("blake3", &"f".repeat(4_000)), "blake3"),
    ] {
        let headers = format!("tus-resumable: 1.0.0\r\nupload-length: 1\r\nupload-metadata: {metadata}\r\n");
        let answer = say(base, &request("POST /v1/uploads", &headers, "")).await;
        assert_eq!(answer.status(), 400, "{metadata}: {}", answer.body);
        let problem = answer.problem();
        assert!(problem["detail"].as_str().unwrap().contains(part), "{metadata}: {problem}");
    }
    for key in ["k".repeat(129), "a b".to_owned(), String::new()] {
        let headers = format!("tus-resumable: 1.0.0\r\nupload-length: 1\r\nidempotency-key: {key}\r\n");
        let answer = say(base, &request("POST /v1/uploads", &headers, "")).await;
        assert_eq!(answer.status(), 400, "{key}: {}", answer.body);
        assert!(answer.problem()["detail"].as_str().unwrap().contains("Idempotency-Key"));
    }
    let material = cluster.client.materials(&PageQuery::default()).await.unwrap();
    assert!(material.items.is_empty(), "nothing was made: {material:?}");

    let created =
        cluster.http.post(format!("{base}/v1/uploads")).header("Tus-Resumable", "1.0.0").header("Upload-Length", 1);
    let created = cluster.send(&created).await;
    let upload = created.headers()["location"].to_str().unwrap().to_owned();
    for checksum in
        ["md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha1 !!!", "sha1 AAAA", "", &format!("sha1 {}", "A".repeat(9_000))]
    {
        let path = upload.strip_prefix(&cluster.nodes[0].url).unwrap();
        let headers = format!(
            "tus-resumable: 1.0.0\r\nupload-offset: 0\r\ncontent-type: application/offset+octet-stream\r\n\
             content-length: 1\r\nupload-checksum: {checksum}\r\n"
        );
        let answer = say(&cluster.nodes[0].url, &request(&format!("PATCH {path}"), &headers, "x")).await;
        assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"), "{checksum}: {}", answer.body);
    }
    assert_eq!(cluster.patch(&upload, 0, b"x".to_vec()).await.status(), 204);
}

/// A body is as large as it claims at most, never larger than the limit, and never what it would be unpacked.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_too_deep_or_packed_are_refused() {
    let cluster = Cluster::start(1, 1).await;
    let base = &cluster.coordinators[0].url;
    let long = "x".repeat(CONTROL_BODY_LEN_MAX + 1);
    let deep = format!(
        "{{\"pipeline\":\"tissue\",\"inputs\":[\"m-0000000000\"],\"parameters\":{}1{}}}",
        "{\"a\":".repeat(200),
        "}".repeat(200)
    );
    let deeper = deep.replace(&"{\"a\":".repeat(160), "").replace(&"}".repeat(161), "}");
    let large = format!(
        "{{\"pipeline\":\"tissue\",\"inputs\":[\"m-0000000000\"],\"parameters\":{{\"a\":\"{}\"}}}}",
        "x".repeat(70_000)
    );
    for (case, path, body, status) in [
        ("a long body", "v1/materials", long.as_str(), 413),
        ("a body that is nested without end", "v1/materials", &"[".repeat(100_000), 400),
        ("parameters that nothing reads again", "v1/runs", &deep, 400),
        ("parameters that are nested too deep", "v1/runs", &deeper, 422),
        ("large parameters", "v1/runs", &large, 413),
        ("no JSON", "v1/materials", "<material/>", 400),
        ("nothing", "v1/materials", "", 400),
    ] {
        let headers = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        let answer = say(base, &request(&format!("POST /{path}"), &headers, body)).await;
        assert_eq!(answer.status(), status, "{case}: {}", answer.body);
        answer.problem();
    }
    // What it claims is refused before any of it has come.
    let claim = format!("content-type: application/json\r\ncontent-length: {}\r\n", 1_u64 << 62);
    let answer = say(base, &request("POST /v1/materials", &claim, "")).await;
    assert_eq!((answer.status(), answer.code().as_str()), (413, "too_large"));
    let answer =
        say(base, &request("POST /v1/materials", "content-encoding: gzip\r\ncontent-length: 2\r\n", "\x1f\x08")).await;
    assert_eq!(answer.status(), 400, "nothing is unpacked: {}", answer.body);
}
