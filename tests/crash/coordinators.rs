//! A coordinator's power fails: each change that it acknowledged is there.

use crate::{
    harness::Cluster,
    recorder::{Recorder, Told, faults, seed},
};
use microtome_proto::{
    MaterialId,
    material::{CreateMaterial, MaterialState, PatchMaterial},
    page::PageQuery,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const CLIENTS: u64 = 4;

/// The last thing that a client was told of a material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Population(u32),
    Deleted,
    /// Asked for, and not answered yet.
    Open,
}

async fn change(client: microtome_client::Cluster, told: Arc<Told<Last>>, nth: u64) {
    let client = client.with_deadline(Duration::from_secs(2));
    let mut chance = StdRng::seed_from_u64(seed() * 1000 + nth);
    let mut own = Vec::new();
    for count in 0.. {
        match chance.random_range(0..4) {
            0 => {
                let wanted = CreateMaterial {
                    name: format!("{nth}-{count}"),
                    size: 0,
                    media_type: None,
                    blake3: None,
                    population: Some(1),
                    ..CreateMaterial::default()
                };
                if let Ok(material) = client.create_material(&wanted).await {
                    assert!(!told.knows(&material.id), "{} was given to two materials", material.id);
                    told.say(&material.id, Last::Population(1));
                    own.push(material.id);
                }
            }
            1 | 2 if !own.is_empty() => {
                let id: &MaterialId = &own[chance.random_range(0..own.len())];
                let population = chance.random_range(1..9);
                told.say(id, Last::Open);
                let patch = PatchMaterial { population: Some(population), ..PatchMaterial::default() };
                if client.patch_material(id, &patch).await.is_ok() {
                    told.say(id, Last::Population(population));
                }
            }
            3 if own.len() > 5 => {
                let id = own.swap_remove(chance.random_range(0..own.len()));
                told.say(&id, Last::Open);
                if client.delete_material(&id).await.is_ok() {
                    told.say(&id, Last::Deleted);
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_keeps_what_it_acknowledged_when_the_power_fails_and_whichever_call_does() {
    for fault in faults(&["read:short:1+2", "write:short:1+2", "sync:5:40+90", "sync:die:30+40"]) {
        let Some(recorder) = Recorder::new(fault) else { return };
        story(&recorder).await;
    }
}

async fn story(recorder: &Arc<Recorder>) {
    let Some(mut cluster) = recorder.start(2, 0).await else { return };
    let told = Told::new(recorder);
    let change = |nth| tokio::spawn(change(cluster.client.clone(), Arc::clone(&told), nth));
    let changing: Vec<_> = (0..CLIENTS).map(change).collect();
    recorder.work(&mut cluster.coordinators[0]).await;
    recorder.kill(&mut cluster.coordinators[0]);
    cluster.coordinators[0].start();
    recorder.work(&mut cluster.coordinators[0]).await;
    recorder.kill(&mut cluster.coordinators[0]);
    for task in changing {
        task.abort();
        assert!(task.await.is_err_and(|error| error.is_cancelled()), "{}", recorder.named("see above"));
    }
    let struck = recorder.struck();
    let crashes = recorder.crashes(&told);
    cluster.coordinators[0].without_environment();
    let mut checked = 0;
    for crash in &crashes {
        crash.start(&mut cluster.coordinators[0], &cluster.http).await;
        let found = materials(&cluster, &crash.name).await;
        for (id, last) in &crash.known {
            let what = format!("{}: {id}", crash.name);
            let material = found.get(id);
            match last {
                Last::Population(population) => {
                    assert_eq!(material, Some(population), "{what}: its population was acknowledged, and is not this");
                }
                Last::Deleted => assert_eq!(material, None, "{what}: its deletion was acknowledged, and it is there"),
                Last::Open => {}
            }
            checked += 1;
        }
        cluster.coordinators[0].kill();
    }
    let sums = format!(
        "{} crashes, {struck} calls gone wrong, told {} times: {checked} acknowledged changes are there",
        crashes.len(),
        told.count(),
    );
    eprintln!("{}", recorder.named(&sums));
}

/// The populations of all materials that are not deleted. No two copies have one generation.
async fn materials(cluster: &Cluster, what: &str) -> BTreeMap<MaterialId, u32> {
    let (mut found, mut generations) = (BTreeMap::new(), BTreeMap::new());
    let mut query = PageQuery { limit: Some(1000), cursor: None };
    loop {
        let page = cluster.client.materials(&query).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        for material in &page.items {
            for replica in &material.replicas {
                let has = format!("{} on {}", material.id, replica.node);
                let had = generations.insert(replica.generation, has.clone());
                assert!(had.is_none(), "{what}: generation {} was given to {had:?} and {has}", replica.generation);
            }
        }
        let there = page.items.into_iter().filter(|material| material.state != MaterialState::Deleting);
        found.extend(there.map(|material| (material.id, material.population)));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
}
