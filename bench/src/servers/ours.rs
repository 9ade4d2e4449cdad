//! Microtome: a coordinator and one node that holds the slides. What the node uses is counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use microtome_client::{Cluster, FileSource};
use microtome_proto::MaterialId;
use microtome_proto::material::CreateMaterial;

use super::{Kind, Server};
use crate::fleet::Fleet;
use crate::load::Wanted;
use crate::process::Usage;
use crate::report::note;
use crate::roads::ask::Ask;
use crate::slides::{Asked, Which};

pub(crate) struct Ours {
    pub(crate) fleet: Fleet,
    materials: BTreeMap<Which, MaterialId>,
    address: SocketAddr,
}

impl Ours {
    /// Starts a cluster in `folder` and uploads the slides to it.
    pub(crate) async fn start(program: &Path, folder: &Path, slides: &[Asked]) -> anyhow::Result<Self> {
        let fleet = Fleet::start(program, folder, 1).await?;
        let mut materials = BTreeMap::new();
        for slide in slides {
            note(&format!("uploading {}", slide.path.display()));
            materials.insert(slide.which, put(&fleet.cluster, &slide.path).await?);
        }
        let address = fleet.nodes[0].address()?;
        Ok(Ours { fleet, materials, address })
    }

    /// Stops the node and starts it anew.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.fleet.restart(0)?;
        self.address = self.fleet.nodes[0].address()?;
        Ok(())
    }

    pub(crate) fn material(&self, slide: Which) -> Option<&MaterialId> {
        self.materials.get(&slide)
    }
}

/// Uploads a file, to one node.
pub(crate) async fn put(cluster: &Cluster, file: &Path) -> anyhow::Result<MaterialId> {
    let source = FileSource::open(file)?;
    let size = microtome_client::Source::size(&source);
    let name = file.file_name().map_or("slide".into(), |name| name.to_string_lossy().into_owned());
    let wanted =
        CreateMaterial { name, size, media_type: None, blake3: None, population: Some(1), ..CreateMaterial::default() };
    let material = cluster.create_material(&wanted).await?;
    let uploaded = cluster.upload(&material, Arc::new(source), &|_| {}).await;
    uploaded.with_context(|| format!("cannot upload {}", file.display()))?;
    Ok(material.id)
}

impl Server for Ours {
    fn kind(&self) -> Kind {
        Kind::Microtome
    }

    fn name(&self) -> &str {
        "microtome"
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        self.fleet.nodes[0].process.usage()
    }

    fn wanted(&self, slide: Which, ask: &Ask) -> Option<Wanted> {
        let id = self.materials.get(&slide)?;
        let path = match *ask {
            Ask::Native(tile) => format!("/tiles/{id}/0/{}_{}.jpg", tile.column, tile.row),
            // As a tile it would be passed through.
            Ask::Recoded(tile) => {
                let (x, y) = (tile.column * tile.side, tile.row * tile.side);
                format!("/regions/{id}?level=0&x={x}&y={y}&w={side}&h={side}&format=jpg", side = tile.side)
            }
            Ask::DeepZoom { tile_size, overlap, level, column, row } => {
                format!("/dzi/{id}_files/{level}/{column}_{row}.jpg?tile_size={tile_size}&overlap={overlap}")
            }
            Ask::Iiif { x, y, side, to } => format!("/iiif/3/{id}/{x},{y},{side},{side}/{to},/0/default.jpg"),
            Ask::Region { level, x, y, side, form } => {
                let form = form.suffix();
                format!("/regions/{id}?level={level}&x={x}&y={y}&w={side}&h={side}&format={form}")
            }
        };
        Some(path.into())
    }
}
