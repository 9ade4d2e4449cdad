//! The tus extension `checksum`, and `checksum-trailer` with it: wrong bytes are not kept.

use crate::support::{TestNode, bytes, code, material, reserve};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use microtome_proto::MaterialId;
use reqwest::StatusCode;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const MISMATCH: u16 = 460;

fn blake3_of(data: &[u8]) -> String {
    format!("blake3 {}", STANDARD.encode(blake3::hash(data).as_bytes()))
}

/// "hello world" and its digests.
const HELLO: &[u8] = b"hello world";
const OF_HELLO: [&str; 2] =
    ["sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="];

#[tokio::test]
async fn bytes_with_the_right_checksum_are_kept_and_others_leave_everything_as_it_was() {
    let node = TestNode::start().await;
    let id = material(1);
    node.reserve(&reserve(&id, 3 * HELLO.len() as u64)).await;
    let mut at = 0;
    for checksum in [OF_HELLO[0].to_owned(), OF_HELLO[1].to_owned(), blake3_of(HELLO)] {
        let wrong = node.patch(&id, at, "hello w0rld").header("upload-checksum", &checksum).send().await.unwrap();
        assert_eq!(wrong.status().as_u16(), MISMATCH, "{checksum}");
        assert_eq!(wrong.headers()["tus-resumable"], "1.0.0");
        assert_eq!(code(wrong).await, "checksum_mismatch");
        assert_eq!(node.offset(&id).await, at);
        let right = node.patch(&id, at, HELLO).header("upload-checksum", &checksum).send().await.unwrap();
        assert_eq!(right.status(), StatusCode::NO_CONTENT, "{checksum}");
        at += HELLO.len() as u64;
    }
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), [HELLO; 3].concat());
}

#[tokio::test]
async fn an_algorithm_that_is_not_known_and_a_digest_that_is_none_are_refused() {
    let node = TestNode::start().await;
    let id = material(2);
    node.reserve(&reserve(&id, 11)).await;
    for checksum in ["md5 XrY7u+Ae7tCTyyK7j1rNww==", "sha1", "sha1 Kq5s", "sha1 %%%", ""] {
        let refused = node.patch(&id, 0, HELLO).header("upload-checksum", checksum).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{checksum}");
        assert_eq!(node.offset(&id).await, 0);
    }
    let told = node.request("OPTIONS", &format!("/v1/uploads/{id}")).send().await.unwrap();
    assert_eq!(told.headers()["tus-checksum-algorithm"], "sha1,sha256,blake3");
}

/// More than is written between two checkpoints: none of it may have become durable, also where the power fails, or the
/// connection breaks off.
#[tokio::test]
async fn a_large_body_is_kept_whole_or_not_at_all() {
    let node = TestNode::start().await;
    let (id, data) = (material(3), bytes((130 << 20) + 77, 3));
    let first = 100_000;
    node.reserve(&reserve(&id, data.len() as u64)).await;
    node.patch(&id, 0, data[..first].to_vec()).send().await.unwrap();
    let checksum = blake3_of(&data[first..]);

    let mut wrong = data[first..].to_vec();
    wrong[120 << 20] ^= 1;
    let refused = node.patch(&id, first as u64, wrong).header("upload-checksum", &checksum).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), MISMATCH);
    assert_eq!(node.offset(&id).await, first as u64);

    let mut connection = TcpStream::connect(node.url.trim_start_matches("http://")).await.unwrap();
    let head = head(&id, first, &format!("Content-Length: {}\r\nUpload-Checksum: {checksum}", data.len() - first));
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&data[first..90 << 20]).await.unwrap();
    assert_eq!(node.crashed().await.offset(&id).await, first as u64);
    drop(connection);
    assert_eq!(node.offset(&id).await, first as u64);

    let right = node.patch(&id, first as u64, data[first..].to_vec()).header("upload-checksum", &checksum);
    assert_eq!(right.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert!(node.file(&id).await.bytes().await.unwrap() == data);
}

/// Who asks how far it is does not end it: nothing of it would be left.
#[tokio::test]
async fn a_body_with_a_checksum_may_pause() {
    let node = TestNode::start().await;
    let id = material(5);
    node.reserve(&reserve(&id, HELLO.len() as u64)).await;
    let mut connection = TcpStream::connect(node.url.trim_start_matches("http://")).await.unwrap();
    let head = head(&id, 0, &format!("Content-Length: {}\r\nUpload-Checksum: {}", HELLO.len(), OF_HELLO[0]));
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&HELLO[..5]).await.unwrap();
    // Longer than a sender may be silent whose bytes are kept as they come.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(node.offset(&id).await, 0);
    connection.write_all(&HELLO[5..]).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

fn head(id: &MaterialId, offset: usize, more: &str) -> String {
    format!(
        "PATCH /v1/uploads/{id} HTTP/1.1\r\nHost: node\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\n{more}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_checksum_may_come_behind_the_bytes() {
    let node = TestNode::start().await;
    let id = material(4);
    node.reserve(&reserve(&id, 2 * HELLO.len() as u64)).await;
    let trailed = async |offset: usize, body: &str, trailer: &str| {
        let mut connection = TcpStream::connect(node.url.trim_start_matches("http://")).await.unwrap();
        let head = head(&id, offset, "Transfer-Encoding: chunked\r\nTrailer: Expires, upload-checksum");
        let request = format!("{head}{:x}\r\n{body}\r\n0\r\n{trailer}\r\n", body.len());
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    let right = format!("Upload-Checksum: {}\r\n", OF_HELLO[0]);
    assert_eq!(trailed(0, "hello w0rld", &right).await, MISMATCH);
    assert_eq!(trailed(0, "hello world", "").await, 400, "it was announced");
    assert_eq!(trailed(0, "hello world", "Upload-Checksum: md5 XrY7\r\n").await, 400);
    assert_eq!(node.offset(&id).await, 0);
    assert_eq!(trailed(0, "hello world", &right).await, 204);
    assert_eq!(trailed(11, "hello world", &format!("Upload-Checksum: {}\r\n", OF_HELLO[1])).await, 204);
    assert_eq!(node.file(&id).await.bytes().await.unwrap(), [HELLO; 2].concat());
}
