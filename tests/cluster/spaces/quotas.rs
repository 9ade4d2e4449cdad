//! How much may lie in a space, by whomever it is sent, and however many send at once.

use super::{address, refusal, verdict};
use crate::harness::{Cluster, eventually, noise};
use futures_util::future::join_all;
use microtome_proto::{Code, material::CreateMaterial};
use reqwest::{Body, StatusCode};

#[tokio::test(flavor = "multi_thread")]
async fn a_space_never_has_more_than_its_quota() {
    let cluster = Cluster::start(3, 1).await;
    let set = cluster.command_json(&["spaces", "set", "lab", "--quota", "100000", "--visibility", "public"]);
    assert_eq!((&set["quota_bytes"], &set["visibility"]), (&100_000.into(), &"public".into()));
    // Twenty at once, of which ten fit.
    let wanted = CreateMaterial {
        name: "racing".to_owned(),
        size: 10_000,
        space: Some("lab".to_owned()),
        ..CreateMaterial::default()
    };
    let made = join_all((0..20).map(|_| cluster.client.create_material(&wanted))).await;
    let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 10);
    assert!(refused.iter().all(|refused| refused.as_ref().unwrap_err().code() == Some(Code::QuotaExceeded)));
    let shown = cluster.client.space("lab").await.unwrap();
    assert_eq!((shown.materials, shown.bytes), (10, 100_000));

    // Nor by keys, by tus, from the command line, or where the length is told last.
    let url = address(&cluster, 1, "lab", "a");
    let sent = cluster.send(&cluster.http.put(&url).body("x")).await;
    assert_eq!(verdict(sent).await, refusal(507, "quota_exceeded"));
    let creation = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url));
    let creation = creation.header("Tus-Resumable", "1.0.0").header("Upload-Length", 1);
    let created = cluster.send(&creation.header("Upload-Metadata", "space bGFi")).await;
    assert_eq!(verdict(created).await, refusal(507, "quota_exceeded"));
    std::fs::write(cluster.dir.path().join("a.txt"), b"x").unwrap();
    let put = cluster.command(&["put", "a.txt", "--space", "lab"]);
    assert!(String::from_utf8_lossy(&put.stderr).contains("quota"), "{put:?}");
    let pieces = |bytes: Vec<u8>| Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]));
    let unknown = cluster.http.put(&url).body(pieces(noise(5_000, 1))).send().await.unwrap();
    assert_eq!(verdict(unknown).await, refusal(507, "quota_exceeded"));
    assert_eq!(cluster.refused(&url).await.0, 404);

    // What is deleted makes room.
    let first = made[0].as_ref().unwrap();
    cluster.client.delete_material(&first.id).await.unwrap();
    let fits = eventually("an answer", || async {
        let answer = cluster.http.put(&url).body(pieces(noise(5_000, 1))).send().await.unwrap();
        (answer.status() != StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
    })
    .await;
    assert_eq!(fits.status(), StatusCode::CREATED);
    assert_eq!(cluster.client.space("lab").await.unwrap().bytes, 95_000);
    assert_eq!(cluster.command(&["spaces", "rm", "lab"]).status.code(), Some(1), "something lies in it");
    let listed = cluster.command_json(&["spaces", "list"]);
    assert_eq!((&listed[0]["name"], &listed[0]["bytes"]), (&"lab".into(), &95_000.into()));
    let open = cluster.command_json(&["spaces", "set", "lab", "--quota", "none", "--expires-in", "7d"]);
    assert_eq!((open.get("quota_bytes"), &open["expires_in_s"]), (None, &604_800.into()));
}
