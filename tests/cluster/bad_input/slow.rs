//! Writers that take their time.

use super::wire::{Answer, connect, read, request};
use crate::harness::{Cluster, eventually, loopback, noise, token};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncWriteExt as _, split},
    net::TcpStream,
};

/// Time between the bytes of a slow writer.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends a request's beginning, then a byte a second for as long as the server listens; what the server says.
async fn slowly(url: &str, beginning: Vec<u8>) -> Answer {
    let mut stream = connect(url).await;
    stream.write_all(&beginning).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"1").await.is_ok() {
            tokio::time::sleep(PAUSE).await;
        }
    });
    // One that is closed while a byte is on its way may be reset.
    let answer = read(&mut reading).await;
    trickle.abort();
    answer
}

/// A head has 20 s, the body of a control request 30 s, however it comes; meanwhile others are served.
#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_come_a_byte_a_second_are_given_up() {
    let cluster = Cluster::start(3, 1).await;
    let head = b"GET /healthz HTTP/1.1\r\nhost: here\r\nx-slow: ".to_vec();
    let body = request("POST /v1/materials", "content-type: application/json\r\ncontent-length: 100000\r\n", "");
    let heads = [&cluster.coordinators[0], &cluster.nodes[0]].map(|server| slowly(&server.url, head.clone()));
    // The leader's own, and what a follower would pass on.
    let bodies = cluster.coordinators.iter().map(|server| slowly(&server.url, body.clone()));
    let slow = async { tokio::join!(futures_util::future::join_all(heads), futures_util::future::join_all(bodies)) };
    let others = async {
        for number in 0..5 {
            cluster.put(&format!("{number}.bin"), &noise(100_000, number), 1).await;
        }
    };
    let ((heads, bodies), ()) = tokio::join!(slow, others);
    assert!(heads.iter().all(|closed| closed.head.is_empty()), "a head that never ends gets no answer");
    for refused in bodies {
        assert_eq!((refused.status(), refused.code().as_str()), (408, "too_slow"));
    }
}

/// A handshake has 20 s, however it comes, and so has a connection's first byte.
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_come_a_byte_a_second_are_given_up() {
    let secret = "a secret for stories about the slow";
    let places = loopback(2);
    let cluster = Cluster::start_at(&places[..1], &places[1..], Some(secret)).await;
    let servers = [&cluster.coordinators[0], &cluster.nodes[0]];
    // It claims to be a ClientHello of 512 bytes.
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc];
    let begun = Instant::now();
    let slow = servers.map(|server| slowly(&server.url, hello.to_vec()));
    let silent = servers.map(|server| async {
        let mut stream = connect(&server.url).await;
        read(&mut stream).await
    });
    let slow = async { tokio::join!(futures_util::future::join_all(slow), futures_util::future::join_all(silent)) };
    let others = async {
        for server in servers {
            let asked = cluster.http.get(format!("{}/metrics", server.url)).bearer_auth(token(secret));
            assert_eq!(cluster.send(&asked).await.status(), 200);
        }
    };
    let ((slow, silent), ()) = tokio::join!(slow, others);
    assert!(slow.iter().chain(&silent).all(|closed| closed.body.is_empty() && !closed.head.starts_with("HTTP")));
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(15), "{took:?}: who is a little slow is waited for");
}

/// What came of it is kept, and whoever comes back is not kept waiting.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_a_byte_a_second_keeps_what_came_and_yields_to_a_newer_one() {
    let cluster = Cluster::start(1, 1).await;
    let bytes = noise(100_000, 9);
    let creation = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url));
    let created = cluster.send(&creation.header("Tus-Resumable", "1.0.0").header("Upload-Length", bytes.len())).await;
    let url = created.headers()["location"].to_str().unwrap().to_owned();
    let path = url.strip_prefix(&cluster.nodes[0].url).unwrap();
    let headers = format!(
        "tus-resumable: 1.0.0\r\nupload-offset: 0\r\ncontent-type: application/offset+octet-stream\r\n\
         content-length: {}\r\n",
        bytes.len()
    );
    let mut stream: TcpStream = connect(&cluster.nodes[0].url).await;
    stream.write_all(&request(&format!("PATCH {path}"), &headers, "")).await.unwrap();
    let (mut reading, mut writing) = split(stream);
    let sent = bytes.clone();
    let trickle = tokio::spawn(async move {
        for byte in sent {
            if writing.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    let offset = || async {
        let head = cluster.http.head(&url).header("Tus-Resumable", "1.0.0").send().await.unwrap();
        assert_eq!(head.status(), 200);
        head.headers()["upload-offset"].to_str().unwrap().parse::<u64>().unwrap()
    };
    // Whoever asks learns how far it is, and need not wait for its end.
    let kept = eventually("bytes that are kept", || async { Some(offset().await).filter(|&kept| kept > 0) }).await;
    assert!(kept < 1000, "{kept}");
    eventually("the newer one's bytes", || async {
        let from = offset().await;
        let answer = cluster.patch(&url, from, bytes[from as usize..].to_vec()).await;
        (answer.status() == 204).then_some(())
    })
    .await;
    // The older one is told, or was ended by whoever asked.
    read(&mut reading).await;
    trickle.abort();
    let id = url.rsplit('/').next().unwrap().parse().unwrap();
    let material = cluster.wait_until_arrived(&id).await;
    assert_eq!(material.blake3.as_deref(), Some(crate::harness::blake3(&bytes).as_str()));
}
