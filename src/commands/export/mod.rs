//! `export`: a space as a tree of plain files, for programs that know nothing else. A second run does what has changed.

mod place;
mod tree;

use super::{Context, WrongUsage, every, materials::every_file};
use crate::terminal::note;
use anyhow::Context as _;
use clap::Args;
use microtome_proto::{
    MaterialId, Timestamp,
    material::{Material, MaterialState},
};
use place::{Owned, Placed, Placing};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};
use tree::{Leaf, tree};

/// Exports a space.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The space
    space: String,
    /// The folder that becomes its tree
    dir: PathBuf,
    /// A node's data folder on this machine: what lies there is linked, not copied
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Who owns the files
    #[arg(long, value_name = "UID")]
    owner: Option<u32>,
    /// Their group
    #[arg(long, value_name = "GID")]
    group: Option<u32>,
    /// Their mode, without write bits: a link is the node's own file, and whoever writes to it damages the copy
    /// [default: 0440 of copies; links stay as they are]
    #[arg(long, value_name = "OCTAL", value_parser = parse_mode)]
    mode: Option<u32>,
    /// Remove what an earlier run has made and the space has no more
    #[arg(long)]
    delete: bool,
}

/// What stands in the `.info` file beside each file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Info {
    id: MaterialId,
    space: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    name: String,
    size: u64,
    blake3: String,
    media_type: String,
    created_at: Timestamp,
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
struct Report {
    linked: u64,
    copied: u64,
    unchanged: u64,
    removed: u64,
    /// Files of an earlier run that the space has no more, and that stay.
    gone: u64,
}

fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & !0o555 == 0 && mode & 0o400 != 0 => Ok(mode),
        Ok(mode) if mode & 0o222 != 0 => {
            Err("a mode with write bits: a link is the node's own file, which nobody else may change".to_owned())
        }
        _ => Err("a mode is octal, of read and execute bits, and its owner reads: 0440".to_owned()),
    }
}

/// Makes the tree what the space is.
pub(crate) async fn run(context: &Context, options: Export) -> anyhow::Result<()> {
    if let Some(data_dir) = &options.data_dir
        && !data_dir.join("materials").is_dir()
    {
        return Err(WrongUsage("--data-dir is no node's data folder: it has no folder 'materials'").into());
    }
    let files = every_file(context, &options.space, "").await?;
    let mut keys: BTreeMap<_, _> = files.into_iter().map(|file| (file.material, file.key)).collect();
    let all = every(async |query| context.cluster.materials_in(&options.space, &query).await).await?;
    let mut wanted = Vec::new();
    for material in all {
        let key = keys.remove(&material.id);
        // What has a key and stands there no more was overwritten.
        let is_shown = key.is_some() || material.terms.key.is_none();
        if is_shown && material.blake3.is_some() && material.state != MaterialState::Deleting {
            wanted.push((key, material));
        }
    }
    let leaves = wanted.iter().map(|(key, material)| Leaf {
        id: &material.id,
        key: key.as_deref(),
        name: &material.name,
        created_at: material.created_at,
    });
    let paths = tree(leaves);
    let placing = Placing {
        dir: &options.dir,
        data_dir: options.data_dir.as_deref(),
        owned: Owned { owner: options.owner, group: options.group, mode: options.mode },
    };
    placing.begin()?;
    let mut report = Report::default();
    for (key, material) in &wanted {
        let Some(path) = paths.get(&material.id) else { continue };
        let info = info(&options.space, key.clone(), material);
        let placed = placing.place(context, material, path, &info).await;
        match placed.with_context(|| format!("cannot export {} to {}", material.id, path.display()))? {
            Placed::Linked => report.linked += 1,
            Placed::Copied => report.copied += 1,
            Placed::Unchanged => report.unchanged += 1,
        }
    }
    for path in placing.left_over(&paths)? {
        if options.delete {
            placing.remove(&path)?;
            report.removed += 1;
        } else {
            report.gone += 1;
        }
    }
    if context.terminal.json {
        return context.terminal.document(&report);
    }
    if report.gone > 0 {
        note(&format!("{} files are no more in the space; --delete removes them", report.gone));
    }
    let Report { linked, copied, unchanged, removed, .. } = report;
    context.terminal.line(&format!("{linked} linked, {copied} copied, {unchanged} unchanged, {removed} removed"))
}

fn info(space: &str, key: Option<String>, material: &Material) -> Info {
    Info {
        id: material.id.clone(),
        space: space.to_owned(),
        key,
        name: material.name.clone(),
        size: material.size,
        blake3: material.blake3.clone().unwrap_or_default(),
        media_type: material.media_type.clone(),
        created_at: material.created_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mode_lets_anybody_write() {
        assert_eq!((parse_mode("0440"), parse_mode("444")), (Ok(0o440), Ok(0o444)));
        assert!(parse_mode("0640").unwrap_err().contains("write bits"));
        for wrong in ["4440", "0040", "x", "", "0888"] {
            assert!(parse_mode(wrong).is_err(), "{wrong}");
        }
    }
}
