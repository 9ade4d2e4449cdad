//! The command line, as a person or a script uses it.

use crate::{
    harness::{Cluster, eventually},
    slides,
};
use std::fs;

/// put, ls, show, get, run, runs, nodes, cluster, rm: one after the other, as on a first day.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_day() {
    let cluster = Cluster::start(1, 2).await;
    let (_, bytes) = slides::drawn(cluster.dir.path(), 1500, 1000);
    let put = cluster.command(&["put", "drawn.svs", "--population", "2"]);
    assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    let printed = String::from_utf8(put.stdout).unwrap();
    let id = printed.split_whitespace().find(|word| word.starts_with("m-")).expect("an id").to_owned();
    assert!(printed.contains(&format!("/view/{id}")), "{printed}");
    cluster.wait_until_whole(&id.parse().unwrap()).await;

    let list = cluster.command_json(&["ls"]);
    assert!(list.to_string().contains(&id), "{list}");
    let shown = cluster.command_json(&["show", &id]);
    assert_eq!(shown["name"], "drawn.svs");
    eventually("both copies are shown", || async {
        let human = String::from_utf8(cluster.command(&["show", &id]).stdout).unwrap();
        (human.contains("drawn.svs") && human.contains("copies      2 of 2")).then_some(())
    })
    .await;
    let got = cluster.command(&["get", &id, "-o", "back.svs"]);
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    assert_eq!(fs::read(cluster.dir.path().join("back.svs")).unwrap(), bytes);

    let run = cluster.command(&["run", "tissue", &id, "--follow"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(text.contains("fraction"), "{text}");
    assert!(cluster.command_json(&["runs"]).to_string().contains("tissue"));
    assert!(cluster.command_json(&["nodes"]).to_string().contains("node-2"));
    assert!(cluster.command_json(&["cluster"]).to_string().contains("test"));

    assert!(cluster.command(&["rm", &id]).status.success());
    cluster.wait_until_gone(&id.parse().unwrap()).await;
    let missing = cluster.command(&["get", &id]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8(missing.stderr).unwrap().contains(&id));
}

/// The slide reader alone, without a cluster.
#[test]
fn the_slide_reader_needs_no_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let (slide, bytes) = slides::drawn(dir.path(), 1500, 1000);
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_microtome"));
        let output = command.arg("slide").args(arguments).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    };
    let info: serde_json::Value = serde_json::from_slice(&run(&["info", "drawn.svs", "--json"]).stdout).unwrap();
    assert_eq!((&info["width"], &info["vendor"]), (&1500.into(), &"aperio".into()));
    run(&["tile", "drawn.svs", "0", "1", "1", "-o", "tile.jpg"]);
    let mut native = Vec::new();
    slide.native_tile(&bytes, 0, 1, 1, &mut native).unwrap();
    assert_eq!(fs::read(dir.path().join("tile.jpg")).unwrap(), native);
    run(&["region", "drawn.svs", "100", "100", "0", "64", "48", "--format", "raw", "-o", "region.rgb"]);
    assert_eq!(fs::read(dir.path().join("region.rgb")).unwrap(), slide.region(100, 100, 0, 64, 48).unwrap().data);
}

/// The whole demonstration, with a node killed under the viewer.
#[test]
fn the_demonstration_checks_itself() {
    let dir = tempfile::tempdir().unwrap();
    slides::drawn(dir.path(), 3000, 2400);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_microtome"));
    let output = command
        .args(["demo", "--check", "--slide", "drawn.svs"])
        .current_dir(dir.path())
        .env("HOME", dir.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("72 of them the file's own bytes") && out.contains("0 bytes moved"), "{out}");
}
