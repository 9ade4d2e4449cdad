//! The life of a material: it ends by age or because nobody reads it, and an upload counts when its check allows it.

use crate::harness::{Cluster, Place, blake3, eventually, loopback, noise};
use microtome_proto::{
    Code, MaterialId,
    material::{CreateMaterial, Material, MaterialState, PatchMaterial},
    page::PageQuery,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

fn soon(seconds: u64) -> PatchMaterial {
    PatchMaterial { expires_in_s: Some(Some(seconds)), ..PatchMaterial::default() }
}

/// A holder is away when the time has come: the others free their bytes at once, it when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_freed_also_on_a_holder_that_comes_back_later() {
    let mut cluster = Cluster::start(1, 3).await;
    let material = cluster.put("short.svs", &noise(300_000, 1), 2).await;
    let whole = cluster.wait_until_whole(&material.id).await;
    let (away, other) = (whole.replicas[0].url.clone(), whole.replicas[1].url.clone());
    cluster.node_at(&away).kill();
    let patched = cluster.client.patch_material(&material.id, &soon(1)).await.unwrap();
    assert!(patched.terms.expires_at.is_some());
    eventually("the copies that answer are freed", || async {
        let here = cluster.nodes.iter().filter(|node| node.url != away);
        let is_gone = !here.into_iter().any(|node| Cluster::holds(node, &material.id));
        let state = cluster.client.material(&material.id).await.ok()?.state;
        (is_gone && state == MaterialState::Deleting).then_some(())
    })
    .await;
    assert!(Cluster::holds(cluster.node_at(&away), &material.id), "it was not there to free it");
    assert_eq!(cluster.ask(&format!("{other}/v1/materials/{}/file", material.id)).await.status(), 404);
    cluster.node_at(&away).start();
    cluster.wait_until_gone(&material.id).await;
}

/// Readers keep it, whoever leads; then nobody reads it any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_stays_whoever_leads_and_what_lies_idle_ends() {
    const IDLE: Duration = Duration::from_secs(6);
    let mut cluster = Cluster::start(3, 2).await;
    let bytes = noise(100_000, 2);
    let wanted = CreateMaterial {
        name: "read.svs".to_owned(),
        size: bytes.len() as u64,
        population: Some(2),
        idle_expires_in_s: Some(IDLE.as_secs()),
        ..CreateMaterial::default()
    };
    let material = cluster.client.create_material(&wanted).await.unwrap();
    assert_eq!(cluster.patch(material.upload_url.as_ref().unwrap(), 0, bytes.clone()).await.status(), 204);
    let material = cluster.wait_until_whole(&material.id).await;
    let begun = material.used_at.unwrap();
    let file = format!("{}/v1/materials/{}/file", material.replicas[1].url, material.id);
    let read_until = async |cluster: &Cluster, ms: u64| {
        eventually("the books know that it is read", || async {
            assert_eq!(cluster.get(&file).await, bytes, "it is in use");
            let used_at = cluster.client.material(&material.id).await.ok()?.used_at?;
            (used_at.millis_since(begun) >= ms).then_some(())
        })
        .await;
    };
    let idle_ms = IDLE.as_millis() as u64;
    read_until(&cluster, 2 * idle_ms).await;
    let leader = cluster.client.cluster().await.unwrap().coordinators.into_iter().find(|one| one.leader).unwrap();
    let place = cluster.coordinators.iter().position(|server| server.url == leader.url).unwrap();
    cluster.coordinators[place].kill();
    read_until(&cluster, 4 * idle_ms).await;
    assert_eq!(cluster.get(&file).await, bytes);
    let last = Instant::now();
    eventually("its end", || async {
        match cluster.client.material(&material.id).await {
            Ok(material) => (material.state == MaterialState::Deleting).then_some(()),
            Err(error) => (error.code() == Some(Code::NotFound)).then_some(()),
        }
    })
    .await;
    assert!(last.elapsed() >= IDLE, "it ended {:?} after it was read", last.elapsed());
    cluster.wait_until_gone(&material.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_said_changed_and_taken_back() {
    let cluster = Cluster::start(1, 1).await;
    fs::write(cluster.dir.path().join("a.svs"), noise(1000, 1)).unwrap();
    let put = ["put", "a.svs", "--population", "1", "--expires-in", "30m", "--idle", "10m"];
    let shown = cluster.command_json(&put);
    assert_eq!(shown["idle_s"], 600);
    let id: MaterialId = shown["id"].as_str().unwrap().parse().unwrap();
    let material = cluster.wait_until_arrived(&id).await;
    let lives_ms = material.terms.expires_at.unwrap().millis_since(material.created_at);
    assert!((1_790_000..=1_800_000).contains(&lives_ms), "{lives_ms}");
    assert!(material.used_at.is_some(), "that it arrived is a use");
    for (arguments, word) in [(vec!["ls"], "unread for 10m"), (vec!["show", id.as_str()], "last read")] {
        let output = cluster.command(&arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(word), "{text}");
    }
    // What is left out stays as it was; null takes it back.
    let url = format!("{}/v1/materials/{id}", cluster.coordinators[0].url);
    let patch = async |body: &str| {
        let request = cluster.http.patch(&url).header("content-type", "application/json").body(body.to_owned());
        let answer = cluster.send(&request).await;
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    let (_, renamed) = patch(r#"{"name":"b.svs"}"#).await;
    assert_eq!((&renamed["name"], &renamed["idle_s"]), (&"b.svs".into(), &600.into()));
    let (_, never) = patch(r#"{"name":"c.svs","expires_in_s":null}"#).await;
    assert_eq!((&never["name"], never.get("expires_at"), &never["idle_s"]), (&"c.svs".into(), None, &600.into()));
    let (_, never) = patch(r#"{"idle_expires_in_s":null}"#).await;
    assert_eq!((never.get("idle_s"), never.get("used_at")), (None, None));
    for wrong in [r#"{"expires_in_s":0}"#, r#"{"idle_expires_in_s":9999999999}"#, r#"{"expires_in_s":-1}"#] {
        assert_eq!(patch(wrong).await.0, 400, "{wrong}");
    }
}

/// An upload that nobody goes on with ends, and its room is free again where the coordinators look for room.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_upload_gives_back_its_room() {
    let mut places = loopback(2);
    places[1].environment = vec![("MICROTOME_NODE_UPLOADS_EXPIRE_AFTER".to_owned(), "3s".to_owned())];
    let cluster = Cluster::start_at(&places[..1], &places[1..], None).await;
    let size = 64 << 20;
    let wanted = CreateMaterial { name: "left.svs".to_owned(), size, ..CreateMaterial::default() };
    let material = cluster.client.create_material(&wanted).await.unwrap();
    let url = material.upload_url.unwrap();
    assert_eq!(cluster.patch(&url, 0, noise(1000, 1)).await.status(), 204);
    let promised = async || {
        let nodes = cluster.client.nodes(&PageQuery::default()).await.ok()?.items;
        nodes[0].report.as_ref().map(|report| report.disk_promised)
    };
    eventually("its room is promised", || async { promised().await.filter(|bytes| *bytes > size / 2) }).await;
    eventually("its room is free", || async { promised().await.filter(|bytes| *bytes == 0) }).await;
    cluster.wait_until_gone(&material.id).await;
    let late = cluster.patch(&url, 1000, noise(1000, 1)).await.status();
    assert!([404, 410].contains(&late.as_u16()), "{late}");
}

/// A check that refuses what has this in it, and says nothing while a file stands beside it.
fn script(folder: &Path) -> String {
    let path = folder.join("check.sh");
    let away = folder.join("away");
    let text = format!(
        "#!/bin/sh\n[ -e {} ] && exit 127\nif grep -q VIRUS \"$1\"; then echo \"$MICROTOME_NAME: VIRUS found\"; exit 1; fi\n",
        away.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn checked() -> (Cluster, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut places = loopback(3);
    let program = format!("{},{{file}}", script(folder.path()));
    for place in &mut places[1..] {
        *place = Place {
            environment: vec![("MICROTOME_CHECKS_PROGRAM".to_owned(), program.clone())],
            ..std::mem::take(place)
        };
    }
    (Cluster::start_at(&places[..1], &places[1..], None).await, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_check_refuses_is_never_published_and_its_sender_hears_why() {
    let (cluster, _folder) = checked().await;
    let good = cluster.put("good.svs", &noise(100_000, 1), 2).await;
    cluster.wait_until_whole(&good.id).await;
    let mut bad = noise(100_000, 2);
    bad[50_000..50_005].copy_from_slice(b"VIRUS");

    let wanted = CreateMaterial { name: "bad.svs".to_owned(), size: bad.len() as u64, ..CreateMaterial::default() };
    let material = cluster.client.create_material(&wanted).await.unwrap();
    let url = material.upload_url.unwrap();
    let answer = cluster.patch(&url, 0, bad.clone()).await;
    assert_eq!(answer.status(), 422);
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["detail"]), (&"refused_by_check".into(), &"bad.svs: VIRUS found".into()));
    assert_eq!(cluster.http.head(&url).header("Tus-Resumable", "1.0.0").send().await.unwrap().status(), 422);
    cluster.wait_until_gone(&material.id).await;
    assert!(!cluster.nodes.iter().any(|node| node.data_dir.join("incoming").join(material.id.as_str()).exists()));

    // With the creation, and by our own client.
    let creation = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url));
    let creation = creation.header("Tus-Resumable", "1.0.0").header("Upload-Length", bad.len());
    let creation = creation.header("Content-Type", "application/offset+octet-stream").body(bad.clone());
    let created = cluster.send(&creation).await;
    assert_eq!(created.status(), 422);
    fs::write(cluster.dir.path().join("bad.svs"), &bad).unwrap();
    let output = cluster.command(&["put", "bad.svs"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("bad.svs: VIRUS found"), "{told}");
    let all = cluster.client.materials(&PageQuery::default()).await.unwrap().items;
    assert_eq!(all.iter().map(|material| &material.id).collect::<Vec<_>>(), [&good.id]);
}

/// The scanner is away: nothing is published, nothing is sent again, and what it waits for is told.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_waits_until_it_can_also_over_a_restart() {
    let (mut cluster, folder) = checked().await;
    fs::write(folder.path().join("away"), "").unwrap();
    let bytes = noise(100_000, 3);
    let size = bytes.len() as u64;
    let wanted = CreateMaterial { name: "waits.svs".to_owned(), size, ..CreateMaterial::default() };
    let material = cluster.client.create_material(&wanted).await.unwrap();
    let url = material.upload_url.unwrap();
    let answer = cluster.patch(&url, 0, bytes.clone()).await;
    assert_eq!(answer.status(), 503);
    let is_told = |material: &Material| {
        let check = material.replicas[0].check.as_deref().unwrap_or_default();
        material.state == MaterialState::Receiving && check.starts_with("cannot be checked: ")
    };
    let told = async |cluster: &Cluster| {
        eventually("what it waits for", || async { cluster.client.material(&material.id).await.ok().filter(is_told) })
            .await
    };
    told(&cluster).await;
    let place = url.split("/v1/").next().unwrap().to_owned();
    let node = cluster.node_at(&place);
    node.kill();
    node.start();
    cluster.wait_for_nodes(2).await;
    told(&cluster).await;
    fs::remove_file(folder.path().join("away")).unwrap();
    let arrived = cluster.wait_until_arrived(&material.id).await;
    assert_eq!(arrived.blake3, Some(blake3(&bytes)));
    let head = cluster.http.head(&url).header("Tus-Resumable", "1.0.0").send().await.unwrap();
    assert_eq!(head.headers()["upload-offset"].to_str().unwrap(), size.to_string());
}
