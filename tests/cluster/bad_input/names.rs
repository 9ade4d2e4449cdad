//! Names and keys: what comes from outside never becomes a path, nor anything else than a name.

use super::wire::{request, say};
use crate::harness::{Cluster, Server};
use microtome_proto::material::ReplicaState;
use serde_json::json;
use std::{fs, path::Path};

/// Taken as they are: they are names and nothing more.
const TAKEN: [&str; 16] = [
    "../../../etc/passwd",
    "a/b/c",
    "..",
    ".",
    "/",
    "C:\\slides\\..\\7.svs",
    "日本語 Präparat.svs",
    "'; rm -rf / #",
    "\"; filename=\"other.exe",
    "%2e%2e%2f%00",
    "gpj.\u{202e}exe.svs",
    "🔬🧫.svs",
    "e\u{301}\u{327}\u{323}.svs",
    "a\u{200b}b\u{feff}",
    "a\u{2028}b",
    "${jndi:x}`id`<script>",
];

/// Names of every kind go there and back; the node's disk has none of them; a download's header says exactly that name.
#[tokio::test(flavor = "multi_thread")]
async fn names_never_become_paths_and_never_leave_their_header() {
    let cluster = Cluster::start(1, 1).await;
    let base = &cluster.coordinators[0].url;
    for name in TAKEN {
        let material = cluster.put(name, b"x", 1).await;
        assert_eq!(material.name, name);
        assert!(Cluster::holds(&cluster.nodes[0], &material.id));
        assert_eq!(material.replicas[0].state, ReplicaState::Verified);
        let file = cluster.ask(&format!("{base}/v1/materials/{}/file", material.id)).await;
        let disposition = file.headers()["content-disposition"].to_str().unwrap();
        let (plain, encoded) = disposition.split_once("; filename*=UTF-8''").unwrap();
        let plain = plain.strip_prefix("attachment; filename=\"").unwrap().strip_suffix('"').unwrap();
        assert!(plain.bytes().all(|byte| (0x20..0x7f).contains(&byte) && !b"\"\\/%".contains(&byte)), "{disposition}");
        assert_eq!(unescaped(encoded), name, "{disposition}");
        assert_eq!(file.headers()["x-content-type-options"], "nosniff");
    }
    for server in [&cluster.nodes[0], &cluster.coordinators[0]] {
        only_plain_names(server, &server.data_dir);
    }
}

/// Percent-escapes of RFC 5987; all else must be plain.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            assert!(byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte), "{text}");
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// No file or folder of a server is called otherwise than the program itself calls things.
fn only_plain_names(server: &Server, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let own = !["passwd", "svs", "slides", "exe", "jndi", "script"].iter().any(|part| name.contains(part));
        assert!(plain && own && name.len() < 80, "{}: {}", server.name, entry.path().display());
        if entry.file_type().unwrap().is_dir() {
            only_plain_names(server, &entry.path());
        }
    }
}

/// Refused, by each way on which a name comes.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_too_long_or_control_a_terminal_are_refused() {
    let cluster = Cluster::start(1, 1).await;
    let base = &cluster.coordinators[0].url;
    let kept = cluster.put("kept", b"x", 1).await;
    let (long, wide) = ("x".repeat(4_000), "é".repeat(128));
    for name in ["", "a\0b", "a\u{1b}[2Jb", "a\r\nb", "a\u{7f}", "a\u{9b}b", "\t", &long, &wide] {
        let made = cluster.http.post(format!("{base}/v1/materials")).json(&json!({"name": name, "size": 1}));
        let renamed = cluster.http.patch(format!("{base}/v1/materials/{}", kept.id)).json(&json!({"name": name}));
        let run = json!({"pipeline": "tissue", "name": name, "inputs": [kept.id]});
        let run = cluster.http.post(format!("{base}/v1/runs")).json(&run);
        for asked in [made, renamed, run] {
            let answer = cluster.send(&asked).await;
            assert_eq!(answer.status(), 400, "{name:?}");
            let detail = answer.json::<serde_json::Value>().await.unwrap()["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with("name "), "{name:?}: {detail}");
        }
    }
    assert_eq!(cluster.client.material(&kept.id).await.unwrap().name, "kept");
}

/// Ids in addresses, however they are written.
#[tokio::test(flavor = "multi_thread")]
async fn path_tricks_in_addresses_lead_nowhere() {
    let cluster = Cluster::start(1, 1).await;
    let kept = cluster.put("kept", b"x", 1).await;
    let long = "a".repeat(4_000);
    for server in [&cluster.coordinators[0], &cluster.nodes[0]] {
        let mut paths = Vec::new();
        for key in [
            "..",
            "%2e%2e",
            "..%2f..%2fetc%2fpasswd",
            "m-..",
            "m-%2e%2e",
            "m-AAAA",
            "m-%00",
            "%F0%9F%94%AC",
            "m-%80",
            "%E2%80%AE",
            &long,
        ] {
            paths.extend([
                format!("/v1/materials/{key}/file"),
                format!("/v1/materials/{key}/slide"),
                format!("/v1/uploads/{key}"),
                format!("/tiles/{key}/0/0_0.jpg"),
                format!("/dzi/{key}.dzi"),
                format!("/iiif/3/{key}/info.json"),
                format!("/regions/{key}?level=0&x=0&y=0&w=9&h=9"),
            ]);
        }
        for key in ["../file", "..%2ffile", "%00", "\u{7f}", "é", &long] {
            paths.push(format!("/v1/materials/{}/associated/{key}", kept.id));
            paths.push(format!("/tiles/{}/0/{key}.jpg", kept.id));
            paths.push(format!("/tiles/{}/{key}/0_0.jpg", kept.id));
        }
        for path in paths {
            let answer = say(&server.url, &request(&format!("GET {path}"), "tus-resumable: 1.0.0\r\n", "")).await;
            let status = answer.status();
            // A server that is not asked the right thing may lead to the one that is.
            assert!((307..=308).contains(&status) || (400..500).contains(&status), "{}: {path}: {status}", server.name);
            if status >= 400 {
                answer.problem();
            }
        }
    }
}

/// Servers' own calls, which anybody on the machine may make where there is no secret.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_register_absurdly_are_refused() {
    let cluster = Cluster::start(1, 1).await;
    let report: serde_json::Map<_, _> = [
        "disk_total",
        "disk_free",
        "disk_reserve",
        "disk_promised",
        "stored",
        "materials",
        "cpu",
        "memory_total",
        "memory_free",
        "load",
        "requests_active",
        "tiles_served",
        "uptime_s",
    ]
    .map(|key| (key.to_owned(), json!(0)))
    .into_iter()
    .collect();
    let register = json!({
        "instance": "0".repeat(32), "name": "absurd", "url": "http://127.0.0.1:1", "labels": {}, "version": "1",
        "report": report,
    });
    let labels: serde_json::Map<_, _> = (0..33).map(|number| (format!("label-{number}"), json!("x"))).collect();
    for (key, value, part) in [
        ("labels", json!(labels), "at most 32"),
        ("labels", json!({"a\u{0}": "x"}), "a label's name"),
        ("labels", json!({"a": "x".repeat(4_000)}), "a label's value"),
        ("name", json!("../\u{1b}"), "name"),
        ("zone", json!("z".repeat(4_000)), "zone"),
        ("instance", json!("../../../../../etc/passwd0000000"), "instance"),
        ("url", json!(format!("http://{}:1", "a".repeat(4_000))), "url"),
        ("url", json!("http://a/../b"), "url"),
    ] {
        let mut body = register.clone();
        body[key] = value;
        let asked = cluster.http.post(format!("{}/internal/v1/nodes", cluster.coordinators[0].url)).json(&body);
        let answer = cluster.send(&asked).await;
        let (status, problem) = (answer.status(), answer.json::<serde_json::Value>().await.unwrap());
        assert_eq!(status, 400, "{key}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{key}: {problem}");
    }
    assert_eq!(cluster.client.nodes(&microtome_proto::page::PageQuery::default()).await.unwrap().items.len(), 1);
}
