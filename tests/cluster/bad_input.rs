//! What is broken, absurd or hostile is answered in words.

mod claims;
mod crowd;
mod heads;
mod names;
mod slow;
mod wire;

use crate::{
    harness::{Cluster, eventually, noise},
    slides,
};
use std::{fs, process::Command};

/// Not a slide, half a slide, a slide with a loop: each is kept and can be fetched, its pixels are refused with 422 and a
/// code, and the node goes on.
#[tokio::test(flavor = "multi_thread")]
async fn broken_slides_are_kept_and_their_pixels_refused() {
    let cluster = Cluster::start(1, 1).await;
    let (_, whole) = slides::drawn(cluster.dir.path(), 1500, 1000);
    let mut looped = whole.clone();
    // The first directory's link to the next one points at itself.
    let (first, link) = first_directory(&looped);
    looped[link..link + 4].copy_from_slice(&first.to_le_bytes());
    let mut absurd = whole.clone();
    absurd[first as usize..first as usize + 2].copy_from_slice(&u16::MAX.to_le_bytes());
    let cases: [(&str, Vec<u8>); 5] = [
        ("text", b"Dear colleague, please find attached".to_vec()),
        ("empty", Vec::new()),
        ("head only", whole[..4].to_vec()),
        ("loop", looped),
        ("absurd count", absurd),
    ];
    let base = &cluster.coordinators[0].url;
    for (case, bytes) in cases {
        let material = cluster.put(&format!("{case}.svs"), &bytes, 1).await;
        assert_eq!(cluster.get(&format!("{base}/v1/materials/{}/file", material.id)).await, bytes, "{case}");
        for path in [
            format!("v1/materials/{}/slide", material.id),
            format!("tiles/{}/0/0_0.jpg", material.id),
            format!("dzi/{}.dzi", material.id),
            format!("regions/{}?level=0&x=0&y=0&w=9&h=9", material.id),
        ] {
            let (status, problem) = cluster.refused(&format!("{base}/{path}")).await;
            assert_eq!(status, 422, "{case}: {path}: {problem}");
            let code = problem["code"].as_str().unwrap();
            assert!(["not_a_slide", "unsupported_slide", "damaged_slide"].contains(&code), "{case}: {problem}");
            assert!(!problem["way_out"].as_str().unwrap().is_empty());
        }
    }
}

/// Offset of the first directory and of its link to the next one, in a classic little-endian TIFF.
fn first_directory(tiff: &[u8]) -> (u32, usize) {
    assert_eq!(&tiff[..4], b"II*\0");
    let at = u32::from_le_bytes(tiff[4..8].try_into().unwrap());
    let count = u16::from_le_bytes(tiff[at as usize..at as usize + 2].try_into().unwrap());
    (at, at as usize + 2 + 12 * usize::from(count))
}

/// A truncated slide: tiles that are there are served, tiles that are not are refused, never black.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_slide_is_never_black() {
    let cluster = Cluster::start(1, 1).await;
    let (slide, whole) = slides::drawn(cluster.dir.path(), 1500, 1000);
    let material = cluster.put("cut.svs", &whole[..whole.len() / 2], 1).await;
    let level = &slide.levels()[0];
    let mut refused = 0;
    for (column, row) in (0..level.rows).flat_map(|row| (0..level.columns).map(move |column| (column, row))) {
        let url = format!("{}/tiles/{}/0/{column}_{row}.jpg", cluster.coordinators[0].url, material.id);
        let answer = cluster.ask(&url).await;
        match answer.status().as_u16() {
            200 => {
                let mut own = Vec::new();
                slide.native_tile(&whole.clone(), 0, column, row, &mut own).unwrap();
                assert_eq!(answer.bytes().await.unwrap(), own);
            }
            422 => refused += 1,
            status => panic!("{url}: {status}"),
        }
    }
    assert!(refused > 0);
}

/// A byte flips on the disk of one holder: no reader ever gets it.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_never_served() {
    let mut cluster = Cluster::start(1, 1).await;
    let bytes = noise(2_000_000, 6);
    let material = cluster.put("flip.bin", &bytes, 1).await;
    cluster.nodes[0].kill();
    let file = cluster.nodes[0].data_dir.join("materials").join(material.id.as_str()).join("file");
    let mut stored = fs::read(&file).unwrap();
    stored[1_234_567] ^= 0x10;
    fs::write(&file, stored).unwrap();
    cluster.nodes[0].start();
    cluster.wait_for_nodes(1).await;
    let url = format!("{}/v1/materials/{}/file", cluster.nodes[0].url, material.id);
    let before = cluster.http.get(&url).header("Range", "bytes=0-99999").send().await.unwrap();
    assert_eq!(before.bytes().await.unwrap(), bytes[..100_000]);
    let damaged = cluster.http.get(&url).header("Range", "bytes=1234000-1235000").send().await;
    // Either an error, or a body that breaks off: never 1001 bytes that are not the right ones.
    if let Ok(answer) = damaged
        && answer.status().is_success()
        && let Ok(body) = answer.bytes().await
    {
        assert_eq!(body, bytes[1_234_000..=1_235_000]);
    }
}

/// A wrong key, a wrong value, a port in use, no coordinator: one clear sentence and how to go on.
#[tokio::test(flavor = "multi_thread")]
async fn operators_mistakes_are_answered_in_a_sentence() {
    let cluster = Cluster::start(1, 1).await;
    let dir = cluster.dir.path();
    let fails = |arguments: &[&str], code: i32| {
        let output = Command::new(env!("CARGO_BIN_EXE_microtome")).args(arguments).current_dir(dir).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
        text
    };
    fs::write(dir.join("wrong-key.toml"), "[node]\n\nlisten = \"127.0.0.1:0\"\ndatadir = \"x\"\n").unwrap();
    let text = fails(&["node", "--config", "wrong-key.toml"], 2);
    assert!(text.contains("datadir") && text.contains("line 4"), "{text}");
    fs::write(dir.join("wrong-value.toml"), "[cluster]\npopulation = \"two\"\n").unwrap();
    let text = fails(&["node", "--config", "wrong-value.toml"], 2);
    assert!(text.contains("population") && text.contains("line 2"), "{text}");

    let taken = cluster.nodes[0].url.strip_prefix("http://").unwrap();
    let text = fails(&["node", "--listen", taken, "--data-dir", "other", "--coordinator", "http://127.0.0.1:1"], 1);
    assert!(text.contains(taken) && text.contains("another port"), "{text}");
    let text = fails(&["node", "--listen", "0.0.0.0:0", "--data-dir", "open"], 1);
    assert!(text.contains("secret"), "{text}");
    let in_use = cluster.nodes[0].data_dir.to_str().unwrap();
    let text = fails(&["node", "--listen", "127.0.0.1:0", "--data-dir", in_use], 1);
    assert!(text.contains(in_use), "{text}");
    let text = fails(&["ls", "--server", "http://127.0.0.1:1"], 1);
    assert!(text.contains("127.0.0.1:1"), "{text}");
    let text = fails(&["slide", "info", "missing.svs"], 1);
    assert!(text.contains("missing.svs"), "{text}");
    fails(&["no-such-command"], 2);
    // What the file is does not matter where the command is wrong already.
    let text = fails(&["slide", "region", "missing.svs", "0", "0", "0", "9", "9", "-o", "corner"], 2);
    assert!(text.contains("--format"), "{text}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_microtome"));
    let output = command
        .args(["node", "--data-dir", "other"])
        .current_dir(dir)
        .env("MICROTOME_LOG", "microtome=loud")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("MICROTOME_LOG") && text.contains("loud"), "{text}");
}

/// A node started before any coordinator waits for one and joins when it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_waits_for_its_coordinator() {
    let mut cluster = Cluster::start(1, 1).await;
    cluster.coordinators[0].kill();
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    eventually("the node says what it waits for", || async {
        cluster.nodes[0].log().contains(&cluster.coordinators[0].url).then_some(())
    })
    .await;
    cluster.coordinators[0].start();
    cluster.wait_for_nodes(1).await;
}
