//! One file's place in the tree: linked to the node's, or copied, with what is told of it beside. Each appears whole or not at
//! all, and what is as it should be is left alone.

use super::{Info, tree::INFO};
use crate::commands::Context;
use anyhow::{Context as _, bail};
use microtome_proto::{MaterialId, material::Material};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

/// The mode of copies where none is named: read by their owner and group.
const COPY_MODE: u32 = 0o440;
/// Where files are made before they have their names.
pub(super) const MAKING: &str = ".microtome-export";

/// Whose the files are to be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Owned {
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) mode: Option<u32>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    Linked,
    Copied,
    Unchanged,
}

/// A tree that is being made.
#[derive(Debug)]
pub(super) struct Placing<'a> {
    pub(super) dir: &'a Path,
    pub(super) data_dir: Option<&'a Path>,
    pub(super) owned: Owned,
}

impl Placing<'_> {
    /// Makes the tree's root, and forgets what an earlier run has not finished.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        let failed = || format!("cannot write to {}", self.dir.display());
        fs::create_dir_all(self.dir).with_context(failed)?;
        match fs::remove_dir_all(self.dir.join(MAKING)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(failed),
            _ => Ok(()),
        }
    }

    /// Puts a material in its place.
    pub(super) async fn place(
        &self,
        context: &Context,
        material: &Material,
        path: &Path,
        info: &Info,
    ) -> anyhow::Result<Placed> {
        let (to, told) = (self.dir.join(path), self.dir.join(info_of(path)));
        let linkable = self.linkable(material);
        if let Ok(present) = fs::symlink_metadata(&to)
            && present.is_file()
            && present.len() == material.size
            && read(&told).as_ref() == Some(info)
        {
            // A copy is linked from now on where that has become possible.
            let is_as_wanted = linkable.as_ref().is_none_or(|from| is_one_file(from, &present));
            if is_as_wanted {
                self.own(&to, self.mode_of(linkable.is_some()))?;
                return Ok(Placed::Unchanged);
            }
        }
        self.make_folders(path)?;
        let making = self.dir.join(MAKING);
        fs::create_dir_all(&making)?;
        let new = making.join(material.id.as_str());
        let placed = match linkable.is_some_and(|from| fs::hard_link(from, &new).is_ok()) {
            true => Placed::Linked,
            false => {
                context.cluster.download(material, &new, &|_| {}).await?;
                Placed::Copied
            }
        };
        self.own(&new, self.mode_of(placed == Placed::Linked))?;
        let new_told = making.join(info_of(Path::new(material.id.as_str())));
        fs::write(&new_told, serde_json::to_vec_pretty(info)?)?;
        self.own(&new_told, Some(self.owned.mode.unwrap_or(COPY_MODE)))?;
        // What is told comes last: a file without it is made anew.
        fs::rename(&new, &to)?;
        // Where both are links of one file, renaming does nothing.
        let _ = fs::remove_file(&new);
        fs::rename(&new_told, &told)?;
        let _ = fs::remove_dir(&making);
        Ok(placed)
    }

    /// The node's file, where it is whole and may be linked. A link is the same file: its owner and mode are the node's,
    /// too. So it is linked where the node reads and mends its files whatever those are, since root runs it, or where they
    /// stay as they are and let nobody else write.
    fn linkable(&self, material: &Material) -> Option<PathBuf> {
        let folder = self.data_dir?.join("materials").join(material.id.as_str());
        let file = folder.join("file");
        let (of_node, found) = (fs::symlink_metadata(&folder).ok()?.uid(), fs::symlink_metadata(&file).ok()?);
        let stays = self.owned.owner.is_none() && self.owned.group.is_none() && self.owned.mode.is_none();
        let is_guarded = found.mode() & 0o022 == 0;
        let may = if stays { is_guarded } else { of_node == 0 };
        let is_whole = found.is_file() && found.len() == material.size && !folder.join("damaged.json").exists();
        (may && is_whole).then_some(file)
    }

    fn mode_of(&self, is_link: bool) -> Option<u32> {
        match self.owned.mode {
            // Whose owner or group changes, that one must not write.
            None if is_link && self.owned.owner.is_none() && self.owned.group.is_none() => None,
            mode => Some(mode.unwrap_or(COPY_MODE)),
        }
    }

    fn own(&self, path: &Path, mode: Option<u32>) -> anyhow::Result<()> {
        let Owned { owner, group, .. } = self.owned;
        let present = fs::symlink_metadata(path)?;
        let differs = |wanted: Option<u32>, present: u32| wanted.is_some_and(|wanted| wanted != present);
        if differs(owner, present.uid()) || differs(group, present.gid()) {
            chown(path, owner, group).with_context(|| format!("cannot give {} away", path.display()))?;
        }
        if let Some(mode) = mode.filter(|mode| present.mode() & 0o7777 != *mode) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// The folders above a file. One that is a link to elsewhere is none of ours.
    fn make_folders(&self, path: &Path) -> anyhow::Result<()> {
        let mut folder = self.dir.to_owned();
        for part in path.parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            match fs::symlink_metadata(&folder) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => bail!("{} is in the way: it is no folder", folder.display()),
                Err(_) => {
                    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
                    let (owner, group) = (self.owned.owner, self.owned.group);
                    if owner.is_some() || group.is_some() {
                        chown(&folder, owner, group)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What an earlier run has put where nothing belongs now: files that one of ours tells of.
    pub(super) fn left_over(&self, paths: &BTreeMap<MaterialId, PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
        let wanted: BTreeSet<&Path> = paths.values().map(PathBuf::as_path).collect();
        let (mut left, mut folders) = (Vec::new(), vec![PathBuf::new()]);
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(self.dir.join(&folder));
            for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(path);
                    continue;
                }
                let Some(name) = path.to_str().and_then(|name| name.strip_suffix(INFO)) else { continue };
                let file = PathBuf::from(name);
                // A file of the space may look as if it told of another one, which nobody has exported.
                let is_file_itself = read(&self.dir.join(info_of(&path))).is_some();
                let tells = kind.is_file() && !is_file_itself && read(&entry.path()).is_some();
                if tells && !wanted.contains(file.as_path()) {
                    left.push(file);
                }
            }
        }
        left.sort();
        Ok(left)
    }

    /// Removes a file, what is told of it, and the folders that are empty then.
    pub(super) fn remove(&self, path: &Path) -> anyhow::Result<()> {
        for path in [path.to_owned(), info_of(path)] {
            match fs::remove_file(self.dir.join(&path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        for folder in path.ancestors().skip(1).take_while(|folder| !folder.as_os_str().is_empty()) {
            if fs::remove_dir(self.dir.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

fn info_of(path: &Path) -> PathBuf {
    let mut told = path.as_os_str().to_owned();
    told.push(INFO);
    told.into()
}

fn read(path: &Path) -> Option<Info> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn is_one_file(path: &Path, other: &fs::Metadata) -> bool {
    fs::symlink_metadata(path).is_ok_and(|one| (one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use microtome_proto::Timestamp;

    /// Whoever sends files chooses their names and their bytes.
    #[test]
    fn a_file_that_looks_as_if_it_told_of_another_has_none_removed() {
        let dir = tempfile::tempdir().unwrap();
        let placing = Placing { dir: dir.path(), data_dir: None, owned: Owned::default() };
        let info = |name: &str| Info {
            id: "m-1".parse().unwrap(),
            space: "lab".to_owned(),
            key: None,
            name: name.to_owned(),
            size: 1,
            blake3: "ab".repeat(32),
            media_type: "image/tiff".to_owned(),
            created_at: Timestamp::from_millis(0),
        };
        let write =
            |path: &str, info: &Info| fs::write(dir.path().join(path), serde_json::to_vec(info).unwrap()).unwrap();
        fs::write(dir.path().join("notes"), "nobody has exported these").unwrap();
        write("notes.info", &info("made up"));
        write("notes.info.info", &info("notes.info"));
        fs::write(dir.path().join("gone"), "a").unwrap();
        write("gone.info", &info("gone"));
        let left = placing.left_over(&BTreeMap::new()).unwrap();
        assert_eq!(left, [Path::new("gone"), Path::new("notes.info")]);
    }
}
