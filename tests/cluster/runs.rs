//! Analyses go to the data.

use crate::{
    harness::{Cluster, eventually},
    slides,
};
use microtome_proto::{
    material::{CreateMaterial, Material, MaterialState},
    run::{CreateRun, Run, RunState},
};

async fn ended(cluster: &Cluster, run: &Run) -> Run {
    eventually("the run ends", || async {
        let now = cluster.client.run(&run.id).await.ok()?;
        now.state.is_final().then_some(now)
    })
    .await
}

fn tissue(input: &microtome_proto::MaterialId) -> CreateRun {
    CreateRun {
        pipeline: "tissue".to_owned(),
        name: None,
        inputs: vec![input.clone()],
        parameters: serde_json::json!({}),
    }
}

/// A tissue run finds what was drawn, on a node that holds the slide, moves no bytes, and its mask is a material.
#[tokio::test(flavor = "multi_thread")]
async fn tissue_is_found_where_the_slide_is() {
    let cluster = Cluster::start(1, 3).await;
    let path = cluster.dir.path().join("truth.svs");
    let options = microtome_slide::synthetic::Options { width: 3000, height: 2400, seed: 3 };
    let truth = microtome_slide::synthetic::write(&path, &options, &mut |_| {}).unwrap();
    let material = cluster.put("truth.svs", &std::fs::read(&path).unwrap(), 1).await;
    let run = cluster.client.create_run(&tissue(&material.id)).await.unwrap();
    let done = ended(&cluster, &run).await;
    assert_eq!(done.state, RunState::Done, "{:?}", done.reason);
    assert_eq!(done.bytes_moved, 0);
    assert_eq!(done.node.as_ref(), Some(&material.replicas[0].node));
    let fraction = done.result.as_ref().unwrap()["fraction"].as_f64().unwrap();
    assert!((fraction - truth.tissue_fraction).abs() < 0.1, "{fraction}, drawn {}", truth.tissue_fraction);

    let mask = done.outputs.iter().find(|output| output.name == "mask").expect("a mask");
    let mask = cluster.wait_until_whole(&mask.material).await;
    assert_eq!(mask.origin.unwrap().run, run.id);
    let png = cluster.get(&format!("{}/v1/materials/{}/file", cluster.coordinators[0].url, mask.id)).await;
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
}

/// A run waits for an input that is still arriving, and starts by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_its_input() {
    let cluster = Cluster::start(1, 1).await;
    let (_, bytes) = slides::drawn(cluster.dir.path(), 1500, 1200);
    let wanted = CreateMaterial {
        name: "late.svs".to_owned(),
        size: bytes.len() as u64,
        media_type: None,
        blake3: None,
        population: Some(1),
        ..CreateMaterial::default()
    };
    let material = cluster.client.create_material(&wanted).await.unwrap();
    let run = cluster.client.create_run(&tissue(&material.id)).await.unwrap();
    assert_eq!(run.state, RunState::Waiting);
    cluster.patch(&material.upload_url.unwrap(), 0, bytes).await;
    assert_eq!(ended(&cluster, &run).await.state, RunState::Done);
}

/// The node that carries out a run is killed: another holder does it again, and its outputs appear once.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_outlives_its_node() {
    let mut cluster = Cluster::start(1, 3).await;
    let (_, bytes) = slides::drawn(cluster.dir.path(), 9000, 7000);
    let material = cluster.put("run.svs", &bytes, 2).await;
    cluster.wait_until_whole(&material.id).await;
    let (run, first) = loop {
        let run = cluster.client.create_run(&tissue(&material.id)).await.unwrap();
        let first = eventually("a node has it", || async { cluster.client.run(&run.id).await.ok()?.node }).await;
        let url = cluster.client.node(&first).await.unwrap().url;
        cluster.node_at(&url).kill();
        if cluster.client.run(&run.id).await.unwrap().state != RunState::Done {
            break (run, first);
        }
        // It was over before its node could be killed: the next one tells.
        cluster.node_at(&url).start();
        cluster.wait_for_nodes(3).await;
    };
    let done = ended(&cluster, &run).await;
    assert_eq!(done.state, RunState::Done, "{:?}", done.reason);
    assert_ne!(done.node, Some(first));
    assert_eq!(done.attempts, 2);
    assert_eq!(done.bytes_moved, 0);
    let page = cluster.client.materials(&microtome_proto::page::PageQuery::default()).await.unwrap();
    // What the killed node had begun to publish is deleted, and forgotten when it returns.
    let is_made = |m: &&Material| {
        m.state != MaterialState::Deleting && m.origin.as_ref().is_some_and(|origin| origin.run == run.id)
    };
    let made: Vec<_> = page.items.iter().filter(is_made).collect();
    assert_eq!(made.len(), done.outputs.len(), "published once: {made:?}");
}

/// What is no slide cannot be analysed, and the run says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_no_slide_fails_with_a_reason() {
    let cluster = Cluster::start(1, 1).await;
    let material = cluster.put("notes.txt", b"no slide at all", 1).await;
    let run = cluster.client.create_run(&tissue(&material.id)).await.unwrap();
    let failed = ended(&cluster, &run).await;
    assert_eq!(failed.state, RunState::Error);
    assert!(failed.reason.unwrap().contains("slide"));
}
