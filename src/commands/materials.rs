//! `ls`, `show`, `get`, `rm`: the stored files.

use super::{Context, every};
use crate::{
    progress::Progress,
    terminal::{name_of, note, output_failed, size, state, time},
};
use anyhow::{Context as _, bail};
use clap::Args;
use comfy_table::Cell;
use microtome_client::ClientError;
use microtome_proto::{
    Code, MaterialId,
    material::{Material, MaterialState},
    slide::SlideInfo,
};
use std::{
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

/// Shows a material.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The material, as 'microtome ls' lists it
    id: MaterialId,
}

/// Downloads a material.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The material, as 'microtome ls' lists it
    id: MaterialId,
    /// Where to write it, '-' for standard output; a file of the material's own name otherwise
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Deletes materials.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The materials, as 'microtome ls' lists them
    #[arg(required = true)]
    ids: Vec<MaterialId>,
}

/// Lists the materials.
pub(crate) async fn list(context: &Context) -> anyhow::Result<()> {
    let materials = every(async |query| context.cluster.materials(&query).await).await?;
    show_list(context, &materials)
}

/// Materials, one a line.
pub(crate) fn show_list(context: &Context, materials: &[Material]) -> anyhow::Result<()> {
    if context.terminal.json {
        return context.terminal.document(&materials);
    }
    if materials.is_empty() {
        note("no materials yet: 'microtome put FILE' stores one");
        return Ok(());
    }
    let row = |material: &Material| {
        vec![
            Cell::new(&material.id),
            Cell::new(&material.name),
            Cell::new(shown_size(material)),
            state(&material.state),
            Cell::new(copies(material)),
            Cell::new(time(material.created_at)),
        ]
    };
    let rows = materials.iter().map(row).collect();
    context.terminal.table(&["ID", "NAME", "SIZE", "STATE", "COPIES", "CREATED"], rows, &[2, 4])
}

fn shown_size(material: &Material) -> String {
    if material.size_unknown { "not known yet".to_owned() } else { size(material.size) }
}

/// Shows a material.
pub(crate) async fn show(context: &Context, options: Show) -> anyhow::Result<()> {
    let material = context.cluster.material(&options.id).await?;
    if context.terminal.json {
        return context.terminal.document(&material);
    }
    let mut pairs = vec![
        ("id", material.id.to_string()),
        ("name", material.name.clone()),
        (
            "size",
            match material.size_unknown {
                true => shown_size(&material),
                false => format!("{} ({} bytes)", size(material.size), material.size),
            },
        ),
        ("media type", material.media_type.clone()),
        ("state", name_of(&material.state)),
        ("copies", format!("{} of {} wanted", material.population_live, material.population)),
        ("created", time(material.created_at)),
    ];
    pairs.extend(material.blake3.clone().map(|hash| ("blake3", hash)));
    pairs.extend(material.origin.as_ref().map(|origin| ("made by", origin.run.to_string())));
    pairs.extend(material.upload_url.clone().map(|url| ("upload", url)));
    match slide_of(context, &material).await? {
        Some(slide) => {
            pairs.push(("slide", described(&slide)));
            pairs.push(("viewer", context.page(&material.view)));
        }
        None if material.blake3.is_some() => pairs.push(("slide", "no".to_owned())),
        None => {}
    }
    context.terminal.pairs(&pairs)?;
    let row = |replica: &microtome_proto::material::Replica| {
        let live = if replica.live { "yes" } else { "no" };
        let place = [Cell::new(&replica.node), state(&replica.state), Cell::new(live), Cell::new(replica.generation)];
        place.into_iter().chain([Cell::new(&replica.url)]).collect()
    };
    let rows = material.replicas.iter().map(row).collect();
    context.terminal.line("")?;
    context.terminal.table(&["NODE", "COPY", "ANSWERS", "GENERATION", "URL"], rows, &[3])
}

/// What is known of the slide, if it is one and can be read just now.
async fn slide_of(context: &Context, material: &Material) -> anyhow::Result<Option<SlideInfo>> {
    if !matches!(material.state, MaterialState::Ready | MaterialState::Degraded) {
        return Ok(None);
    }
    match context.cluster.slide_info(&material.id).await {
        Ok(slide) => Ok(Some(slide)),
        Err(error) => match error.code() {
            Some(Code::NotASlide | Code::UnsupportedSlide | Code::DamagedSlide | Code::Unavailable) => Ok(None),
            _ => Err(error.into()),
        },
    }
}

fn described(slide: &SlideInfo) -> String {
    let mpp = slide.mpp_x.map(|mpp| format!(", {mpp} µm per pixel")).unwrap_or_default();
    format!("{}, {} × {} pixels, {} levels{mpp}", slide.vendor, slide.width, slide.height, slide.levels.len())
}

/// Copies that live, of those wanted.
fn copies(material: &Material) -> String {
    format!("{}/{}", material.population_live, material.population)
}

/// Downloads a material.
pub(crate) async fn get(context: &Context, options: Get) -> anyhow::Result<()> {
    let material = context.cluster.material(&options.id).await?;
    if material.state == MaterialState::Deleting {
        bail!("{} was deleted: its copies are being freed", material.id);
    }
    if options.output.as_deref() == Some(Path::new("-")) {
        let stdout = io::stdout().as_fd().try_clone_to_owned().context("cannot write to standard output")?;
        let fetched = context.cluster.fetch(&material, None, &mut tokio::fs::File::from_std(stdout.into())).await;
        return match fetched {
            Err(ClientError::Io { source, .. }) => Err(output_failed(source)),
            other => other.map(|_| ()).map_err(Into::into),
        };
    }
    let to = match options.output {
        Some(path) => path,
        None => own_name(&material)?,
    };
    let progress = Progress::of_bytes(&material.name, material.size);
    let done = context.cluster.download(&material, &to, &|bytes| progress.set(bytes)).await?;
    drop(progress);
    if context.terminal.json {
        let result = serde_json::json!({
            "id": material.id, "path": to, "size": done.size, "resumed_from": done.resumed_from,
            "blake3": material.blake3,
        });
        return context.terminal.document(&result);
    }
    context.terminal.line(&to.display().to_string())
}

/// The material's name as a file here. It came from outside: it leads nowhere else, and replaces nothing.
fn own_name(material: &Material) -> anyhow::Result<PathBuf> {
    let name = material.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = !name.is_empty() && name != "." && name != ".." && !name.chars().any(char::is_control);
    let path = PathBuf::from(if plain { name } else { material.id.as_str() });
    if path.exists() {
        bail!("{} is there already: say where to write with -o FILE", path.display());
    }
    Ok(path)
}

/// Deletes materials.
pub(crate) async fn remove(context: &Context, options: Rm) -> anyhow::Result<()> {
    for id in &options.ids {
        context.cluster.delete_material(id).await.with_context(|| format!("cannot delete {id}"))?;
        if context.terminal.json {
            context.terminal.record(&serde_json::json!({ "id": id, "deleted": true }))?;
        } else {
            context.terminal.line(&format!("deleted {id}"))?;
        }
    }
    Ok(())
}
