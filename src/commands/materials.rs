//! `ls`, `show`, `get`, `rm`: the stored files.

use super::{Context, WrongUsage, every};
use crate::{
    progress::Progress,
    terminal::{name_of, note, output_failed, size, span, state, time},
};
use anyhow::{Context as _, bail};
use clap::Args;
use comfy_table::Cell;
use microtome_client::ClientError;
use microtome_proto::{
    Code, MaterialId,
    limits::PAGE_ITEMS_MAX,
    material::{Material, MaterialState},
    slide::SlideInfo,
    space::{FilesQuery, SpaceFile},
};
use std::{
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

/// Lists materials, or a space's files.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Only what lies in this space
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
    /// Its files whose keys begin so, in their order; '' lists all that have a key
    #[arg(long, value_name = "PREFIX", requires = "space")]
    prefix: Option<String>,
}

/// Shows a material.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The material, as 'microtome ls' lists it
    id: MaterialId,
}

/// Downloads a material.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The material, as 'microtome ls' lists it; with --space the key of a file
    #[arg(value_name = "ID|KEY")]
    what: String,
    /// The space whose file under a key is meant
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
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
pub(crate) async fn list(context: &Context, options: Ls) -> anyhow::Result<()> {
    let materials = match (&options.space, &options.prefix) {
        (Some(space), Some(prefix)) => return files(context, space, prefix).await,
        (Some(space), None) => every(async |query| context.cluster.materials_in(space, &query).await).await?,
        (None, _) => every(async |query| context.cluster.materials(&query).await).await?,
    };
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
            Cell::new(ends(material)),
        ]
    };
    let rows = materials.iter().map(row).collect();
    context.terminal.table(&["ID", "NAME", "SIZE", "STATE", "COPIES", "CREATED", "ENDS"], rows, &[2, 4])
}

/// When it is deleted, as far as it is said.
fn ends(material: &Material) -> String {
    let idle = material.terms.idle_s.map(|seconds| format!("unread for {}", span(seconds)));
    let ends: Vec<_> = material.terms.expires_at.map(time).into_iter().chain(idle).collect();
    if ends.is_empty() { "-".to_owned() } else { ends.join(", or ") }
}

/// All files of a space whose keys begin so.
async fn files(context: &Context, space: &str, prefix: &str) -> anyhow::Result<()> {
    let files = every_file(context, space, prefix).await?;
    if context.terminal.json {
        return context.terminal.document(&files);
    }
    let row = |file: &SpaceFile| {
        let cells = [Cell::new(&file.key), Cell::new(size(file.size)), Cell::new(time(file.created_at))];
        cells.into_iter().chain([Cell::new(&file.material)]).collect()
    };
    context.terminal.table(&["KEY", "SIZE", "CREATED", "ID"], files.iter().map(row).collect(), &[1])
}

/// The files of a space whose keys begin so, page after page.
pub(super) async fn every_file(context: &Context, space: &str, prefix: &str) -> Result<Vec<SpaceFile>, ClientError> {
    let mut query =
        FilesQuery { prefix: Some(prefix.to_owned()), limit: Some(PAGE_ITEMS_MAX), ..FilesQuery::default() };
    let mut all = Vec::new();
    loop {
        let page = context.cluster.files(space, &query).await?;
        all.extend(page.items);
        if page.next_cursor.is_none() {
            return Ok(all);
        }
        query.cursor = page.next_cursor;
    }
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
    if material.terms.expires_at.is_some() || material.terms.idle_s.is_some() {
        pairs.push(("ends", ends(&material)));
    }
    pairs.extend(material.used_at.map(|used_at| ("last read", time(used_at))));
    pairs.extend(material.replicas.iter().find_map(|replica| replica.check.clone()).map(|check| ("check", check)));
    pairs.extend(material.blake3.clone().map(|hash| ("blake3", hash)));
    pairs.extend(material.terms.space.clone().map(|space| ("space", space)));
    pairs.extend(material.terms.key.clone().map(|key| ("key", key)));
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
    let id = match &options.space {
        Some(space) => match context.cluster.file_under(space, &options.what).await? {
            Some(file) => file.material,
            None => bail!("there is no file '{}' in the space '{space}'", options.what),
        },
        None => options.what.parse().map_err(|_| {
            WrongUsage("this is no material's id: 'microtome ls' lists them, and --space names a space for a key")
        })?,
    };
    let material = context.cluster.material(&id).await?;
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
