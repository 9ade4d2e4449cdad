//! A node's power fails: what it told of uploads and of copies is there.

use crate::{
    harness::{Cluster, Server, eventually, noise},
    recorder::{Crash, Recorder, Told, faults, seed},
};
use microtome_client::Cluster as Client;
use microtome_proto::{
    MaterialId,
    material::{CreateMaterial, ReplicaState},
    page::PageQuery,
    tus::format_metadata,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

const SENDERS: u64 = 2;
const LEN_MAX: usize = 2_000_000;
/// The seeds of files that are sent in parts.
const SENT_IN_PARTS_FROM: u64 = 500_000_000;

/// Bytes of a file that somebody was told of, of how many, from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    seed: u64,
    len: usize,
    offset: usize,
}

/// Sends one file after the other, each in pieces; notes what the node at `base` told.
async fn send(http: reqwest::Client, client: Client, base: String, told: Arc<Told<Sent>>, nth: u64) {
    let mut chance = StdRng::seed_from_u64(seed() * 1000 + nth);
    for seed in (0..).map(|count| nth * 1_000_000 + count) {
        let len = chance.random_range(1..LEN_MAX) >> chance.random_range(0..9);
        let bytes = noise(len, seed);
        let wanted = CreateMaterial {
            name: seed.to_string(),
            size: len as u64,
            media_type: None,
            blake3: None,
            population: Some(2),
            ..CreateMaterial::default()
        };
        let Ok(material) = client.create_material(&wanted).await else { continue };
        let (id, url) = (material.id, material.upload_url.unwrap());
        let mut offset = 0;
        // Where calls fail it is tried again a few times.
        let mut patience = 5;
        while offset < len && patience > 0 {
            let end = (offset + 1 + chance.random_range(0..len)).min(len);
            let answer = http
                .patch(&url)
                .header("Tus-Resumable", "1.0.0")
                .header("Upload-Offset", offset)
                .header("Content-Type", "application/offset+octet-stream")
                .body(bytes[offset..end].to_vec())
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status() == 204) {
                offset = end;
            } else {
                patience -= 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
                let Some(present) = upload_offset(&http, &url).await else { continue };
                offset = present;
            }
            if url.starts_with(&base) {
                told.say(&id, Sent { seed, len, offset });
            }
        }
    }
}

/// Sends one file after the other, each in two parts that are put together: when that is so, [`watch`] notes it, and the
/// parts are freed.
async fn send_in_parts(http: reqwest::Client, coordinator: String) {
    let mut chance = StdRng::seed_from_u64(seed() * 1000 + 500);
    let tus = |request: reqwest::RequestBuilder| request.header("Tus-Resumable", "1.0.0").send();
    let create = async |concat: &str, header: &str, value: &str| {
        let creation = http.post(format!("{coordinator}/v1/uploads")).header("Upload-Concat", concat);
        let answer = tus(creation.header(header, value)).await.ok()?;
        Some(answer.headers().get("location")?.to_str().unwrap().to_owned())
    };
    for seed in SENT_IN_PARTS_FROM.. {
        let bytes = noise(chance.random_range(2..LEN_MAX) >> chance.random_range(0..9) | 2, seed);
        let mut parts = Vec::new();
        for piece in bytes.chunks(bytes.len().div_ceil(2)) {
            let Some(part) = create("partial", "Upload-Length", &piece.len().to_string()).await else { break };
            let patch = http.patch(&part).header("Upload-Offset", 0).body(piece.to_vec());
            let sent = tus(patch.header("Content-Type", "application/offset+octet-stream")).await;
            if sent.is_ok_and(|answer| answer.status() == 204) {
                parts.push(part);
            }
        }
        // Where calls fail some parts do not come, and nobody takes up the others.
        if parts.len() == 2 {
            let name = format_metadata([("filename", seed.to_string().as_str()), ("population", "2")]);
            create(&format!("final;{}", parts.join(" ")), "Upload-Metadata", &name).await;
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn upload_offset(http: &reqwest::Client, url: &str) -> Option<usize> {
    let head = http.head(url).header("Tus-Resumable", "1.0.0").send().await.ok()?;
    head.headers().get("upload-offset")?.to_str().ok()?.parse().ok()
}

/// Notes copies that the coordinators count on the node at `base`.
async fn watch(client: Client, base: String, told: Arc<Told<Sent>>) {
    let mut seen = BTreeSet::new();
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Ok(page) = client.materials(&PageQuery { limit: Some(1000), cursor: None }).await else { continue };
        for material in page.items {
            let counted = |state| state == ReplicaState::Verified;
            let is_there = material.replicas.iter().any(|replica| replica.url == base && counted(replica.state));
            if is_there && seen.insert(material.id.clone()) {
                let len = material.size as usize;
                told.say(&material.id, Sent { seed: material.name.parse().unwrap(), len, offset: len });
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_what_it_told_when_the_power_fails_and_whichever_call_does() {
    for fault in
        faults(&["read:short:1+2", "write:short:1+2", "sync:5:20+5", "write:28:20+9", "rename:5:6+4", "sync:die:15+40"])
    {
        let Some(recorder) = Recorder::new(fault) else { return };
        story(&recorder).await;
    }
}

async fn story(recorder: &Arc<Recorder>) {
    let Some(mut cluster) = recorder.start(3, 1).await else { return };
    let told = Told::new(recorder);
    let base = cluster.nodes[0].url.clone();
    let watching = tokio::spawn(watch(cluster.client.clone(), base.clone(), Arc::clone(&told)));
    let send = |nth| send(cluster.http.clone(), cluster.client.clone(), base.clone(), Arc::clone(&told), nth);
    let mut sending: Vec<_> = (0..SENDERS).map(|nth| tokio::spawn(send(nth))).collect();
    sending.push(tokio::spawn(send_in_parts(cluster.http.clone(), cluster.coordinators[0].url.clone())));
    recorder.work(&mut cluster.nodes[0]).await;
    // That is no power failure; what it finds then must outlive one.
    recorder.kill(&mut cluster.nodes[0]);
    cluster.nodes[0].start();
    recorder.work(&mut cluster.nodes[0]).await;
    recorder.kill(&mut cluster.nodes[0]);
    sending.iter().chain([&watching]).for_each(tokio::task::JoinHandle::abort);
    let struck = recorder.struck();
    let crashes = recorder.crashes(&told);
    // It serves what it holds, whether or not a coordinator answers; and nobody mends it.
    cluster.coordinators[0].kill();
    cluster.nodes[0].without_environment();
    let (mut whole, mut begun, mut joined) = (0, 0, 0);
    for crash in &crashes {
        crash.start(&mut cluster.nodes[0], &cluster.http).await;
        for (id, sent) in &crash.known {
            *if sent.offset == sent.len { &mut whole } else { &mut begun } += 1;
            joined += usize::from(sent.seed >= SENT_IN_PARTS_FROM);
            check(&cluster, recorder, crash, id, *sent).await;
        }
        cluster.nodes[0].kill();
    }
    let sums = format!(
        "{} crashes, {struck} calls gone wrong, told {} times: {whole} copies, {joined} of them put together, and {begun} \
         begun uploads are there",
        crashes.len(),
        told.count(),
    );
    eprintln!("{}", recorder.named(&sums));
}

/// What was told of a material is so, on the node or, where its disk does not read, on the other one.
async fn check(cluster: &Cluster, recorder: &Recorder, crash: &Crash<Sent>, id: &MaterialId, sent: Sent) {
    let what = format!("{}: {id} {sent:?}", crash.name);
    let bytes = noise(sent.len, sent.seed);
    let file = |node: &Server| format!("{}/v1/materials/{id}/file", node.url);
    let upload = format!("{}/v1/uploads/{id}", cluster.nodes[0].url);
    // An upload that all bytes had reached may have become a copy.
    if sent.offset < sent.len
        && let Some(offset) = upload_offset(&cluster.http, &upload).await
    {
        assert!(offset >= sent.offset, "{what}: the resume offset is {offset}, before what was told to be durable");
        if offset < sent.len {
            let file = fs::read(crash.folder.join("incoming").join(id.as_str()).join("file")).unwrap();
            assert!(file[..offset] == bytes[..offset], "{what}: what lies before {offset} is not what was sent");
            return;
        }
    }
    let read = async |node: &Server| {
        let answer = cluster.http.get(file(node)).send().await.unwrap();
        if answer.status() == 200 { Ok(answer.bytes().await.unwrap()) } else { Err(answer.text().await.unwrap()) }
    };
    let gives_up = recorder.fault().is_some_and(|fault| fault.starts_with("read:") || fault.starts_with("open:"));
    let found = match read(&cluster.nodes[0]).await {
        // Its upload had all bytes and could not be made a copy, which it is made after the start; or the other one has it.
        Err(_) if gives_up => {
            let either = async || match read(&cluster.nodes[0]).await {
                Ok(bytes) => Some(bytes),
                Err(_) => read(&cluster.nodes[1]).await.ok(),
            };
            eventually(&what, either).await
        }
        other => other.unwrap_or_else(|answer| panic!("{what}: it is lost: {answer}")),
    };
    assert!(found == bytes, "{what}: its bytes are not those that were sent");
}
