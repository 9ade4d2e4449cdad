//! Files under keys: written in one request, listed, read, overwritten on a condition, deleted.

use super::{address, asking, refusal, verdict};
use crate::harness::{Cluster, blake3, eventually, noise};
use futures_util::stream;
use microtome_proto::{
    page::PageQuery,
    space::{FilesQuery, SpaceFiles},
};
use reqwest::{Body, Method, Response, header};
use std::io;

async fn put(cluster: &Cluster, url: &str, bytes: &[u8]) -> Response {
    cluster.send(&cluster.http.put(url).header(header::CONTENT_TYPE, "application/pdf").body(bytes.to_vec())).await
}

/// A body whose length nobody tells.
fn in_pieces(bytes: &[u8], broken: bool) -> Body {
    let mut pieces: Vec<io::Result<Vec<u8>>> = bytes.chunks(100_000).map(|piece| Ok(piece.to_vec())).collect();
    if broken {
        pieces.push(Err(io::Error::other("the sender goes away")));
    }
    Body::wrap_stream(stream::iter(pieces))
}

fn tag(answer: &Response) -> String {
    answer.headers()[header::ETAG].to_str().unwrap().trim_matches('"').to_owned()
}

async fn files(cluster: &Cluster, prefix: &str, delimiter: Option<&str>) -> SpaceFiles {
    let delimiter = delimiter.map(str::to_owned);
    let query = FilesQuery { prefix: Some(prefix.to_owned()), delimiter, ..FilesQuery::default() };
    cluster.client.files("lab", &query).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_read_listed_and_deleted_under_its_key_by_any_coordinator() {
    let cluster = Cluster::start(3, 2).await;
    for (coordinator, size) in [(0, 0), (1, 5), (2, 3_000_000), (0, 300_001)] {
        let (bytes, url) =
            (noise(size, size as u64), address(&cluster, coordinator, "lab", &format!("P/6/{size}.pdf")));
        let made = put(&cluster, &url, &bytes).await;
        assert_eq!((made.status().as_u16(), tag(&made)), (201, blake3(&bytes)), "{url}");
        // At once, and wherever it is asked.
        for other in 0..3 {
            let read = cluster.ask(&address(&cluster, other, "lab", &format!("P/6/{size}.pdf"))).await;
            assert_eq!((read.status().as_u16(), tag(&read)), (200, blake3(&bytes)));
            assert_eq!(read.headers()[header::CONTENT_TYPE], "application/pdf");
            assert_eq!(read.bytes().await.unwrap(), bytes);
        }
    }
    let unknown = address(&cluster, 1, "lab", "P/7/pieces");
    let bytes = noise(450_000, 7);
    let request = cluster.http.put(&unknown).body(in_pieces(&bytes, false));
    let made = request.send().await.unwrap();
    assert_eq!((made.status().as_u16(), tag(&made)), (201, blake3(&bytes)));
    assert_eq!(cluster.get(&unknown).await, bytes);
    let head = cluster.http.head(&unknown).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()[header::CONTENT_LENGTH].to_str().unwrap()), (200, "450000"));
    let ranged = cluster.http.get(&unknown).header(header::RANGE, "bytes=10-19").send().await.unwrap();
    assert_eq!((ranged.status().as_u16(), ranged.bytes().await.unwrap().to_vec()), (206, bytes[10..20].to_vec()));

    let all = files(&cluster, "", None).await;
    let listed: Vec<_> = all.items.iter().map(|file| (file.key.as_str(), file.size)).collect();
    let sizes = [("P/6/0.pdf", 0), ("P/6/3000000.pdf", 3_000_000), ("P/6/300001.pdf", 300_001), ("P/6/5.pdf", 5)];
    assert_eq!(listed, [&sizes[..], &[("P/7/pieces", 450_000)]].concat());
    assert_eq!(files(&cluster, "P/", Some("/")).await.prefixes, ["P/6/", "P/7/"]);
    assert_eq!(cluster.command_json(&["ls", "--space", "lab", "--prefix", "P/7"])[0]["etag"], blake3(&bytes));
    cluster.command_json(&["get", "--space", "lab", "P/7/pieces", "-o", "pieces"]);
    assert_eq!(std::fs::read(cluster.dir.path().join("pieces")).unwrap(), bytes);

    let delete = |tag: &str| cluster.http.delete(&unknown).header(header::IF_MATCH, format!("\"{tag}\"")).send();
    assert_eq!(verdict(delete("other").await.unwrap()).await, refusal(412, "precondition_failed"));
    assert_eq!(delete(&blake3(&bytes)).await.unwrap().status(), 204);
    assert_eq!(cluster.refused(&unknown).await.0, 404);
    assert_eq!(cluster.http.delete(&unknown).send().await.unwrap().status(), 404);
    names_that_lead_nowhere(&cluster).await;
    what_is_asked_for_has_limits(&cluster).await;
}

async fn what_is_asked_for_has_limits(cluster: &Cluster) {
    let base = format!("{}/v1/spaces/lab/files", cluster.coordinators[0].url);
    let long = "p".repeat(1025);
    for query in ["delimiter=x", "limit=0", "limit=1001", "cursor=zz", &format!("prefix={long}")] {
        let (status, problem) = cluster.refused(&format!("{base}?{query}")).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("bad_request")), "{query}");
    }
    let tags = vec!["\"a\""; 17].join(",");
    for (name, value) in [
        (header::CONTENT_RANGE, "bytes 0-0/5"),
        (header::IF_MATCH, &tags),
        (header::IF_MATCH, "a"),
        (header::IF_NONE_MATCH, "\"a\""),
    ] {
        let answer = cluster.http.put(format!("{base}/a")).header(name, value).body("x").send().await.unwrap();
        assert_eq!(verdict(answer).await, refusal(400, "bad_request"), "{value}");
    }
    // What must stand under a key is asked for where there is one.
    let url = format!("{}/v1/materials", cluster.coordinators[0].url);
    let keyless = cluster.http.post(url).header(header::IF_NONE_MATCH, "*");
    let answer = cluster.send(&keyless.json(&serde_json::json!({ "name": "a", "size": 1, "space": "lab" }))).await;
    assert_eq!(verdict(answer).await, refusal(400, "bad_request"));
    let nameless = format!("{}/v1/materials?space=%1B", cluster.coordinators[0].url);
    assert_eq!(cluster.refused(&nameless).await.0, 400);
    let members: serde_json::Map<_, _> = (0..1001).map(|n| (format!("user:u-{n}"), "reader".into())).collect();
    let request = cluster.http.put(format!("{}/v1/spaces/crowd", cluster.coordinators[0].url));
    let answer = cluster.send(&request.json(&serde_json::json!({ "members": members }))).await;
    assert_eq!(verdict(answer).await, refusal(400, "bad_request"));
}

async fn names_that_lead_nowhere(cluster: &Cluster) {
    let long = "k".repeat(1025);
    for key in
        ["..%2F..%2Fetc%2Fpasswd", "a%2F%2Fb", "a%2F..%2Fb", "a%00b", "%2Fetc%2Fpasswd", "a%0Ab", "a%2F", "%FF", &long]
    {
        let answer = put(cluster, &address(cluster, 0, "lab", key), b"x").await;
        assert_eq!(verdict(answer).await, refusal(400, "bad_request"), "{key}");
    }
    for key in ["%E4%B8%AD%E6%96%87/%D7%A9.txt", "...", "a%20b%3F%23"] {
        let url = address(cluster, 0, "odd%2Fnames", key);
        assert_eq!(put(cluster, &url, key.as_bytes()).await.status(), 201, "{key}");
        assert_eq!(cluster.get(&url).await, key.as_bytes());
    }
    let named = cluster.client.files("odd/names", &FilesQuery::default()).await.unwrap();
    assert_eq!(named.items.iter().map(|file| file.key.as_str()).collect::<Vec<_>>(), ["...", "a b?#", "中文/ש.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_overwritten_on_a_condition_which_is_decided_when_the_file_is_whole() {
    let cluster = Cluster::start(1, 2).await;
    let url = address(&cluster, 0, "lab", "a");
    let put_if = async |name: header::HeaderName, value: &str, bytes: &[u8]| {
        let request = cluster.http.put(&url).header(name, value).body(bytes.to_vec());
        cluster.send(&request).await
    };
    let failed = refusal(412, "precondition_failed");
    assert_eq!(verdict(put_if(header::IF_MATCH, "*", b"one").await).await, failed);
    assert_eq!(put_if(header::IF_NONE_MATCH, "*", b"one").await.status(), 201);
    assert_eq!(verdict(put_if(header::IF_NONE_MATCH, "*", b"two").await).await, failed);
    assert_eq!(verdict(put_if(header::IF_NONE_MATCH, "*", b"").await).await, failed, "an empty one arrives at once");
    let one = format!("\"{}\"", blake3(b"one"));
    assert_eq!(put_if(header::IF_MATCH, &one, b"two").await.status(), 204);
    assert_eq!(verdict(put_if(header::IF_MATCH, &one, b"three").await).await, failed);
    assert_eq!(cluster.get(&url).await, b"two");

    // The same by tus, where another wins while the bytes are on their way: told with the last one.
    let two = format!("\"{}\"", blake3(b"two"));
    let mut uploads = Vec::new();
    for _ in 0..2 {
        let creation = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url));
        let creation =
            creation.header("Tus-Resumable", "1.0.0").header("Upload-Length", 3).header(header::IF_MATCH, &two);
        // space lab, key a
        let created = cluster.send(&creation.header("Upload-Metadata", "space bGFi,key YQ==")).await;
        assert_eq!(created.status(), 201);
        uploads.push(created.headers()[header::LOCATION].to_str().unwrap().to_owned());
    }
    assert_eq!(cluster.patch(&uploads[1], 0, b"new".to_vec()).await.status(), 204);
    cluster.wait_until_arrived(&uploads[1].rsplit('/').next().unwrap().parse().unwrap()).await;
    assert_eq!(verdict(cluster.patch(&uploads[0], 0, b"old".to_vec()).await).await, failed);
    assert_eq!(cluster.get(&url).await, b"new");
    // What lost is freed on its node, what was overwritten has an end.
    cluster.wait_until_gone(&uploads[0].rsplit('/').next().unwrap().parse().unwrap()).await;
    let all = cluster.client.materials_in("lab", &PageQuery::default()).await.unwrap().items;
    let lasting = all.iter().filter(|material| material.terms.expires_at.is_none());
    assert_eq!(lasting.map(|material| material.blake3.clone()).collect::<Vec<_>>(), [Some(blake3(b"new"))]);
}

/// A sender who goes away leaves nothing: nobody could go on with what came.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_off_changes_nothing() {
    let cluster = Cluster::start(1, 1).await;
    let url = address(&cluster, 0, "lab", "a");
    assert_eq!(put(&cluster, &url, b"whole").await.status(), 201);
    let request = asking(&cluster, Method::PUT, &url, None).body(in_pieces(&noise(500_000, 1), true));
    assert!(request.send().await.is_err());
    eventually("the upload that broke off is gone", || async {
        let all = cluster.client.materials_in("lab", &PageQuery::default()).await.ok()?.items;
        (all.len() == 1).then_some(())
    })
    .await;
    assert_eq!(cluster.get(&url).await, b"whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_there_is_not_sent_again() {
    let cluster = Cluster::start(1, 1).await;
    std::fs::write(cluster.dir.path().join("a.txt"), noise(200_000, 3)).unwrap();
    let first = cluster.command_json(&["put", "a.txt", "--space", "lab", "--once"]);
    let again = cluster.command(&["put", "a.txt", "--space", "lab", "--once", "--json"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("nothing was sent"), "{again:?}");
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["id"], first["id"]);
    let elsewhere = cluster.command_json(&["put", "a.txt", "--space", "other", "--once"]);
    assert_ne!(elsewhere["id"], first["id"]);
    let keyed = cluster.command_json(&["put", "a.txt", "--space", "lab", "--key", "k/a.txt", "--once"]);
    assert_ne!(keyed["id"], first["id"]);
    assert_eq!(
        cluster.command_json(&["put", "a.txt", "--space", "lab", "--key", "k/a.txt", "--once"])["id"],
        keyed["id"]
    );
}
