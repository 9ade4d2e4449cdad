//! `put`: uploads files straight to a node and goes on where an earlier `put` of the same file was stopped.

use super::{Context, WrongUsage, copies};
use crate::{config::parse_duration, progress::Progress, terminal::note};
use anyhow::{Context as _, bail};
use clap::Args;
use microtome_client::{ClientError, FileKey, FileSource, Journal, Source};
use microtome_proto::{
    CaseId, Code,
    limits::POPULATION_MAX,
    material::{CreateMaterial, Material, MaterialState},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Uploads files.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Copies wanted; the cluster's own number otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(POPULATION_MAX)))]
    population: Option<u32>,
    /// The files' media type, told from their names otherwise
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// The space that they are to lie in
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
    /// The key under which the space serves the file; what stands there is overwritten when the new one is whole
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// To be seen in your own space only, and not in 'public'
    #[arg(long)]
    private: bool,
    /// Hash the files first, and send none that is there already
    #[arg(long)]
    once: bool,
    /// Delete them after this time, used or not: 30m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires_in: Option<Duration>,
    /// Delete them when nobody has read them for so long
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    idle: Option<Duration>,
    /// The case that they belong to
    #[arg(long, value_name = "CASE")]
    case: Option<CaseId>,
    /// Wait until all wanted copies are verified, not only the first
    #[arg(long)]
    wait: bool,
}

/// Uploads the files, one after the other.
pub(crate) async fn run(context: &Context, options: Put) -> anyhow::Result<()> {
    if options.key.is_some() && options.files.len() > 1 {
        return Err(WrongUsage("one file stands under a key").into());
    }
    // From here on SIGINT no longer ends the process by itself: whatever takes long must listen for it.
    let mut interrupt = signal(SignalKind::interrupt())?;
    for path in &options.files {
        let mut material = put_or_interrupt(context, &options, path, &mut interrupt).await?;
        if options.wait {
            material = tokio::select! {
                whole = copies::made(&context.cluster, &material, || Ok(())) => whole?,
                _ = interrupt.recv() => {
                    let path = path.display();
                    bail!("interrupted: {path} is stored as {}, and its copies go on being made", material.id)
                }
            };
        }
        if context.terminal.json {
            context.terminal.record(&material)?;
        } else {
            context.terminal.line(&format!("{}  {}", material.id, context.page(&material.view)))?;
        }
    }
    Ok(())
}

async fn put_or_interrupt(
    context: &Context,
    options: &Put,
    path: &Path,
    interrupt: &mut Signal,
) -> anyhow::Result<Material> {
    let source = Arc::new(FileSource::open(path)?);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let progress = Progress::of_bytes(&name, source.size());
    // What was begun for another place is another upload.
    let place = [&options.space, &options.key].map(|part| part.as_deref().unwrap_or_default());
    let place = if place.concat().is_empty() { String::new() } else { format!(" {}", place.join("/")) };
    let private = if options.private { " private" } else { "" };
    let file = FileKey::new(path, &format!("{}{place}{private}", context.named_servers))?;
    let upload = Upload { context, options, name, source, file, journal: Journal::of_user(), progress: &progress };
    tokio::select! {
        material = upload.run(path) => material.with_context(|| path.display().to_string()),
        _ = interrupt.recv() => {
            let percent = progress.percent();
            bail!("{} was interrupted at {percent} %: the same command goes on from there", path.display())
        }
    }
}

struct Upload<'a> {
    context: &'a Context,
    options: &'a Put,
    name: String,
    source: Arc<FileSource>,
    file: FileKey,
    journal: Option<Journal>,
    progress: &'a Progress,
}

impl Upload<'_> {
    async fn run(&self, path: &Path) -> Result<Material, ClientError> {
        if let Some(material) = self.begun_before().await? {
            match self.send(&material).await {
                Err(ClientError::UploadGone { .. }) => note(&format!("{} is uploaded from its start again", self.name)),
                other => return other,
            }
        }
        let wanted = CreateMaterial {
            name: self.name.clone(),
            size: self.source.size(),
            media_type: self.options.media_type.clone().or_else(|| media_type(path).map(str::to_owned)),
            blake3: if self.options.once { Some(self.hash().await?) } else { None },
            population: self.options.population,
            space: self.options.space.clone(),
            key: self.options.key.clone(),
            private: self.options.private.then_some(true),
            expires_in_s: self.options.expires_in.map(|time| time.as_secs()),
            idle_expires_in_s: self.options.idle.map(|time| time.as_secs()),
            case: self.options.case.clone(),
            ..CreateMaterial::default()
        };
        let material = self.context.cluster.create_material(&wanted).await?;
        if material.upload_url.is_none() && material.size > 0 {
            note(&format!("{} is there already, as {}: nothing was sent", self.name, material.id));
            return Ok(material);
        }
        if let Some(Err(error)) = self.journal.as_ref().map(|journal| journal.remember(&self.file, &material.id)) {
            note(&format!("{error}. An interrupted upload will begin anew"));
        }
        self.send(&material).await
    }

    async fn hash(&self) -> Result<String, ClientError> {
        let source = Arc::clone(&self.source);
        let hashing = tokio::task::spawn_blocking(move || hash(&*source));
        let hashed = hashing.await.map_err(std::io::Error::other).and_then(|hashed| hashed);
        hashed.map_err(|source| ClientError::Io { doing: format!("read {}", self.name), source })
    }

    async fn send(&self, material: &Material) -> Result<Material, ClientError> {
        let source: Arc<dyn Source> = Arc::clone(&self.source) as _;
        let sent = self.context.cluster.upload(material, source, &|now| self.progress.set(now.sent)).await;
        let is_refused = |error: &ClientError| error.code() == Some(Code::RefusedByCheck);
        let over = sent
            .as_ref()
            .map_or_else(|error| matches!(error, ClientError::UploadGone { .. }) || is_refused(error), |()| true);
        if over
            && let Some(journal) = &self.journal
            && let Err(error) = journal.forget(&self.file)
        {
            note(&error.to_string());
        }
        sent?;
        match self.context.cluster.material(&material.id).await {
            // Who only drops files off does not see them again.
            Err(error) if error.code() == Some(Code::Forbidden) => Ok(material.clone()),
            shown => shown,
        }
    }

    /// The material of an upload of the same file that was interrupted.
    async fn begun_before(&self) -> Result<Option<Material>, ClientError> {
        let id = match self.journal.as_ref().map(|journal| journal.find(&self.file)) {
            Some(Ok(Some(id))) => id,
            Some(Err(error)) => {
                note(&error.to_string());
                return Ok(None);
            }
            Some(Ok(None)) | None => return Ok(None),
        };
        match self.context.cluster.material(&id).await {
            Ok(material) if material.state != MaterialState::Deleting && material.size == self.source.size() => {
                Ok(Some(material))
            }
            Ok(_) => Ok(None),
            Err(error) if matches!(error.code(), Some(Code::NotFound | Code::Gone)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A file's BLAKE3.
fn hash(source: &dyn Source) -> std::io::Result<String> {
    let (mut hasher, mut piece, mut offset) = (blake3::Hasher::new(), vec![0; 1 << 20], 0);
    loop {
        match source.read_at(&mut piece, offset)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            read => {
                hasher.update(&piece[..read]);
                offset += read as u64;
            }
        }
    }
}

/// The media type that a file's name tells.
pub(crate) fn media_type(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "svs" | "tif" | "tiff" | "btf" | "scn" | "bif" | "ndpi" => "image/tiff",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "json" => "application/json",
        "zip" => "application/zip",
        "txt" => "text/plain",
        _ => return None,
    })
}
