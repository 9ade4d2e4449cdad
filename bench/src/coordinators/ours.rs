//! Our coordinators, and the smallest write of theirs that says something: a material's new name.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use microtome_client::Cluster;
use microtome_proto::MaterialId;
use microtome_proto::material::CreateMaterial;

use super::group::Place;
use super::writes::{KEYS, VALUES, Writes, value};
use crate::fleet;
use crate::load;
use crate::process::Process;

/// How long the node may take to be known.
const JOINED_WITHIN: Duration = Duration::from_secs(30);

/// What our group needs to be written to.
pub(super) struct Ours {
    pub(super) node: Process,
    pub(super) writes: Writes,
}

/// Starts a coordinator of the group.
pub(super) fn start(program: &Path, folder: &Path, places: &[Place], which: usize) -> anyhow::Result<Process> {
    let name = format!("coordinator-{}", which + 1);
    let all = places.iter().enumerate().map(|(at, place)| format!("{}=http://{}", at + 1, place.clients));
    let server = fleet::start(program, &name, &places[which].clients.to_string(), folder, |command| {
        command.args(["coordinator", "--id", &(which + 1).to_string()]);
        all.fold(command, |command, one| command.args(["--coordinator", &one]))
    })?;
    Ok(server.process)
}

/// Starts a node and announces materials to it.
pub(super) async fn stock(program: &Path, folder: &Path, places: &[Place]) -> anyhow::Result<Ours> {
    let urls: Vec<String> = places.iter().map(|place| format!("http://{}", place.clients)).collect();
    let node = fleet::start_node(program, 1, folder, &urls[0])?.process;
    let cluster = Cluster::new(urls, None);
    let mut materials = Vec::new();
    let started = Instant::now();
    while materials.len() < KEYS {
        let (name, population) = (format!("slide-{}.svs", materials.len()), Some(1));
        let wanted = CreateMaterial {
            name,
            size: 1 << 20,
            media_type: None,
            blake3: None,
            population,
            ..CreateMaterial::default()
        };
        match cluster.create_material(&wanted).await {
            Ok(material) => materials.push(material.id),
            Err(error) if started.elapsed() > JOINED_WITHIN => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Ok(Ours { node, writes: Writes::Patch(renamings(&materials)) })
}

/// Requests that give materials new names, each another one than the request before for the same material.
pub(super) fn renamings(materials: &[MaterialId]) -> Arc<Vec<Vec<u8>>> {
    let one = |(number, material): (usize, &MaterialId)| {
        let body = format!("{{\"name\":\"{}\"}}", value(number));
        format!(
            "PATCH /v1/materials/{material} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let all = (0..VALUES).flat_map(|_| materials).enumerate();
    Arc::new(all.map(one).collect())
}

/// Who leads, as the first member says that answers.
pub(super) fn leader(places: &[Place]) -> io::Result<Option<usize>> {
    let request = b"GET /v1/cluster HTTP/1.1\r\nHost: bench\r\n\r\n";
    let answer = load::once(places[0].clients, request)?;
    let cluster: microtome_proto::cluster::Cluster = serde_json::from_slice(&answer)?;
    Ok(usize::try_from(cluster.leader).ok().and_then(|id| id.checked_sub(1)))
}
