//! Reading copies from outside: ranges, conditions, and that no wrong byte ever leaves.

use crate::support::{Seen, TestNode, bytes, code, flip, hash, material, number};
use microtome_proto::MaterialId;
use reqwest::{RequestBuilder, Response, StatusCode, header};
use std::{fs, sync::Arc};

const MIB: usize = 1 << 20;

fn get(node: &TestNode, id: &MaterialId, range: &str) -> RequestBuilder {
    node.request("GET", &format!("/v1/materials/{id}/file")).header("range", range)
}

async fn status_and_bytes(response: Response) -> (u16, Vec<u8>) {
    (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn ranges_and_conditions_are_answered_as_the_rfc_wants() {
    let node = TestNode::start().await;
    let (id, data) = (material(1), bytes(3 * MIB + 5, 1));
    node.put(&id, &data).await;

    let whole = node.file(&id).await;
    let headers = whole.headers().clone();
    assert_eq!(number(&whole, "content-length"), data.len() as u64);
    assert_eq!(headers["accept-ranges"], "bytes");
    assert_eq!(headers["etag"], format!("\"{}\"", hash(&data)));
    assert_eq!(headers["content-type"], "image/tiff");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let disposition = headers["content-disposition"].to_str().unwrap();
    assert!(disposition.ends_with("filename*=UTF-8''Pr%C3%A4parat%207.svs"), "{disposition}");
    assert_eq!(status_and_bytes(whole).await, (200, data.clone()));

    for (start, end) in [(0, 1), (5, 20_000), (MIB - 1, MIB + 1), (100_000, 2 * MIB + 7), (3 * MIB, 3 * MIB + 5)] {
        let part = get(&node, &id, &format!("bytes={start}-{}", end - 1)).send().await.unwrap();
        let expected = format!("bytes {start}-{}/{}", end - 1, data.len());
        assert_eq!(part.headers()["content-range"], expected);
        assert_eq!(status_and_bytes(part).await, (206, data[start..end].to_vec()));
    }
    let suffix = get(&node, &id, "bytes=-7").send().await.unwrap();
    assert_eq!(status_and_bytes(suffix).await, (206, data[data.len() - 7..].to_vec()));
    assert_eq!(get(&node, &id, "bytes=0-1,5-6").send().await.unwrap().status(), StatusCode::OK);

    let outside = get(&node, &id, "bytes=99999999-").send().await.unwrap();
    assert_eq!(outside.headers()["content-range"], format!("bytes */{}", data.len()));
    assert_eq!(outside.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(code(outside).await, "range_not_satisfiable");

    let etag = headers["etag"].clone();
    let known = node.request("GET", &format!("/v1/materials/{id}/file")).header(header::IF_NONE_MATCH, &etag);
    assert_eq!(known.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    let same = get(&node, &id, "bytes=0-4").header(header::IF_RANGE, &etag).send().await.unwrap();
    assert_eq!(status_and_bytes(same).await, (206, data[..5].to_vec()));
    let other = get(&node, &id, "bytes=0-4").header(header::IF_RANGE, "\"other\"").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);

    let head = node.request("HEAD", &format!("/v1/materials/{id}/file")).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(number(&head, "content-length"), data.len() as u64);
}

#[tokio::test]
async fn what_is_not_here_is_sent_to_a_holder_and_the_rest_to_a_coordinator() {
    let node = TestNode::start().await;
    let (id, unknown, lost) = (material(2), material(3), material(4));
    node.coordinator.locate(&id, &[&node.url, "http://holder:7500"]);
    node.coordinator.locate(&lost, &[&node.url]);
    let sent = node.request("GET", &format!("/v1/materials/{id}/file?token=t")).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(sent.headers()["location"], format!("http://holder:7500/v1/materials/{id}/file?token=t"));
    assert_eq!(code(node.file(&unknown).await).await, "not_found");
    assert_eq!(code(node.file(&lost).await).await, "unavailable");

    for path in ["/v1/materials?limit=3", "/v1/runs", "/", "/view/m-1"] {
        let sent = node.request("GET", path).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::TEMPORARY_REDIRECT, "{path}");
        assert_eq!(sent.headers()["location"], format!("{}{path}", node.coordinator.url()));
    }
}

/// A disk flips a bit: whoever reads that place gets an error, never the wrong byte; all other places are served.
#[tokio::test]
async fn a_flipped_bit_is_an_error_and_never_a_wrong_byte() {
    let node = TestNode::start().await;
    let (id, data) = (material(5), bytes(3 * MIB, 5));
    node.put(&id, &data).await;
    flip(&node.path(&id, "file"), 2_000_000);

    let around = get(&node, &id, "bytes=1999990-2000010").send().await.unwrap();
    assert_eq!(code(around).await, "unavailable");
    // The same group, though not the flipped byte itself.
    let near = get(&node, &id, "bytes=1999000-1999001").send().await.unwrap();
    assert_eq!(code(near).await, "unavailable");
    let before = get(&node, &id, "bytes=0-1900000").send().await.unwrap();
    assert_eq!(status_and_bytes(before).await, (206, data[..1_900_001].to_vec()));
    let after = get(&node, &id, "bytes=2100000-").send().await.unwrap();
    assert_eq!(status_and_bytes(after).await, (206, data[2_100_000..].to_vec()));
    // The head promises the whole; the connection breaks where the damage begins.
    let whole = node.file(&id).await;
    assert_eq!(whole.status(), StatusCode::OK);
    assert!(whole.bytes().await.is_err());

    let metrics = node.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("microtome_damaged_reads_total 3"), "{metrics}");

    // Where another node has it, the reader does not even notice.
    node.coordinator.locate(&id, &[&node.url, "http://holder:7500"]);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let sent = get(&node, &id, "bytes=2000000-").send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn a_damaged_hash_tree_serves_nothing_that_it_cannot_prove_and_is_mended_where_the_file_is_whole() {
    let node = TestNode::start().await;
    // Two blocks of leaves, so that there is a spine.
    let (id, data) = (material(6), bytes(17 * MIB, 6));
    node.put(&id, &data).await;
    let (folder, coordinator) = node.stop().await;
    let file = |name: &str| folder.path().join("materials").join(id.as_str()).join(name);
    flip(&file("leaves"), 32 * 1024 + 3);
    flip(&file("file"), 17 * MIB as u64 - 1);
    let node = TestNode::start_on(Arc::clone(&folder), coordinator).await;
    let first = get(&node, &id, "bytes=0-16777215").send().await.unwrap();
    assert_eq!(status_and_bytes(first).await, (206, data[..16 * MIB].to_vec()), "the first block is whole");
    assert_eq!(code(get(&node, &id, "bytes=16777216-").send().await.unwrap()).await, "unavailable");

    // The leaves follow from the file, and the spine from the leaves: they are mended, not missed.
    let is_damaged = |seen: &Seen| seen.last_beat.as_ref().is_some_and(|beat| !beat.damaged.is_empty());
    node.coordinator.wait("a damaged copy", is_damaged).await;
    flip(&file("file"), 17 * MIB as u64 - 1);
    node.coordinator.wait("a whole copy", |seen| !is_damaged(seen)).await;
    assert_eq!(status_and_bytes(node.file(&id).await).await, (200, data.clone()));
    let (_, coordinator) = node.stop().await;
    flip(&file("spine"), 40);
    let node = TestNode::start_on(Arc::clone(&folder), coordinator).await;
    assert_eq!(status_and_bytes(node.file(&id).await).await, (200, data.clone()));
    let (_, coordinator) = node.stop().await;
    fs::remove_file(file("spine")).unwrap();
    let node = TestNode::start_on(Arc::clone(&folder), coordinator).await;
    assert_eq!(status_and_bytes(node.file(&id).await).await, (200, data));
}

#[tokio::test]
async fn other_nodes_get_the_hash_tree_and_the_bytes() {
    let node = TestNode::start().await;
    let (id, data) = (material(7), bytes(2 * MIB + 1, 7));
    node.put(&id, &data).await;
    let leaves = node.request("GET", &format!("/internal/v1/blobs/{id}/leaves")).send().await.unwrap();
    assert_eq!(number(&leaves, "content-length"), 129 * 32);
    assert_eq!(leaves.bytes().await.unwrap(), fs::read(node.path(&id, "leaves")).unwrap());
    let part = node.request("GET", &format!("/internal/v1/blobs/{id}/data")).header("range", "bytes=16384-32767");
    assert_eq!(status_and_bytes(part.send().await.unwrap()).await, (206, data[16_384..32_768].to_vec()));
    let absent = node.request("GET", &format!("/internal/v1/blobs/{}/data", material(8))).send().await.unwrap();
    assert_eq!(code(absent).await, "not_found", "another node is never sent on");
}
