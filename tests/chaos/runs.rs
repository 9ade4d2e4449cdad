//! Analyses while things go wrong: each that was submitted comes to its end, finds what it finds undisturbed, and is
//! published once.

use crate::{
    books,
    harness::{Bytes, Cluster, PATIENCE, eventually},
    load, slides,
};
use microtome_client::Cluster as Client;
use microtome_proto::{
    MaterialId, RunId,
    material::{CreateMaterial, MaterialState},
    run::{CreateRun, Run, RunState},
};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// Pause between two submissions.
const PAUSE: Duration = Duration::from_millis(700);
/// What reads the output that is the same each time.
const MASK: &str = "mask";

/// Runs on one slide, submitted until it is stopped.
pub struct Runs {
    client: Client,
    undisturbed: Run,
    mask: Option<String>,
    submitted: Arc<Mutex<Vec<RunId>>>,
    submitting: JoinHandle<()>,
}

impl Runs {
    /// Puts a slide into the cluster, on nearly all of its nodes, and has it analysed once before anything goes wrong.
    pub async fn start(cluster: &Cluster, secret: &str) -> Self {
        let client = books::client(cluster, secret);
        let (_, bytes) = slides::drawn(cluster.dir.path(), 1200, 900);
        let wanted = CreateMaterial {
            name: "slide.svs".to_owned(),
            size: bytes.len() as u64,
            media_type: None,
            blake3: None,
            population: Some(3),
            ..CreateMaterial::default()
        };
        let slide = client.create_material(&wanted).await.unwrap();
        client.upload(&slide, Arc::new(Bytes(bytes)), &|_| ()).await.unwrap();
        eventually("the slide on three nodes", || async {
            (client.material(&slide.id).await.ok()?.state == MaterialState::Ready).then_some(())
        })
        .await;
        let run = client.create_run(&tissue(&slide.id)).await.unwrap();
        let undisturbed = eventually("a run before all faults", || ended(&client, &run.id)).await;
        assert_eq!(undisturbed.state, RunState::Done, "{:?}", undisturbed.reason);
        let mask = mask(&client, &undisturbed).await;
        let submitted = Arc::<Mutex<Vec<RunId>>>::default();
        let (asking, kept) = (client.clone(), Arc::clone(&submitted));
        let submitting = tokio::spawn(async move {
            loop {
                if let Ok(run) = asking.create_run(&tissue(&slide.id)).await {
                    kept.lock().unwrap().push(run.id);
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { client, undisturbed, mask, submitted, submitting }
    }

    /// After the last fault: all come to their end, and how many there were.
    pub async fn judge(self, seed: u64) -> usize {
        self.submitting.abort();
        let submitted = self.submitted.lock().unwrap().clone();
        // Those, too, whose submission was not answered.
        let all = eventually("all runs", || async { books::runs(&self.client).await.ok() }).await;
        assert!(submitted.iter().all(|id| all.contains(id)), "seed {seed}: of {submitted:?} there are {all:?}");
        let begin = Instant::now();
        for id in &all {
            let run = loop {
                match self.client.run(id).await {
                    Ok(run) if run.state.is_final() => break run,
                    told => assert!(begin.elapsed() < PATIENCE, "seed {seed}: {id} does not end: {told:?}"),
                }
                tokio::time::sleep(load::PATIENCE / 100).await;
            };
            assert_eq!(run.state, RunState::Done, "seed {seed}: {run:?}");
            assert_eq!(run.result, self.undisturbed.result, "seed {seed}: {id} found something else");
            assert_eq!(mask(&self.client, &run).await, self.mask, "seed {seed}: {id} made another mask");
        }
        // What attempts left behind that did not come to their end is deleted.
        for material in eventually("all materials", || async { books::materials(&self.client).await.ok() }).await {
            let Some(origin) = material.origin.filter(|_| material.state != MaterialState::Deleting) else { continue };
            let run = eventually("a run", || async { self.client.run(&origin.run).await.ok() }).await;
            let is_published = run.outputs.iter().any(|output| output.material == material.id);
            assert!(
                is_published,
                "seed {seed}: {} is of {}, which did not publish it: {run:?}",
                material.id, origin.run
            );
        }
        all.len()
    }
}

fn tissue(slide: &MaterialId) -> CreateRun {
    CreateRun {
        pipeline: "tissue".to_owned(),
        name: None,
        inputs: vec![slide.clone()],
        parameters: serde_json::json!({}),
    }
}

async fn ended(client: &Client, id: &RunId) -> Option<Run> {
    client.run(id).await.ok().filter(|run| run.state.is_final())
}

/// The hash of the mask that a run made.
async fn mask(client: &Client, run: &Run) -> Option<String> {
    let output = run.outputs.iter().find(|output| output.name == MASK).expect("a mask");
    eventually("the mask", || async { client.material(&output.material).await.ok() }).await.blake3
}
