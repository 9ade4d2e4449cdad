//! What a disk may hold after the power failed, worked out from the record of what a server did (`disk.c`).
//!
//! A disk as servers must expect it, and as no file system should be worse: what was written before a sync of the file that
//! succeeded is there; of later writes each is there or not, or some of its sectors are. A name is there since a sync of its
//! folder: a sync of the file alone does not make one, and of later names any may be missing, but each folder gets them in
//! order. A rename takes place at once in both folders, and is there since a sync of the one it leads to. What was written
//! before a sync that failed may be lost whatever sync succeeds later.

use rand::{Rng as _, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    str,
};

/// What a disk writes whole.
const SECTOR: usize = 512;
const ROOT: usize = 0;

/// A call that changed the folder, or a fault.
#[derive(Debug)]
struct Call<'a> {
    kind: u8,
    path: &'a str,
    other: &'a str,
    at: usize,
    data: &'a [u8],
}

/// The calls of a record, with the place behind each. A last one may be cut off.
fn calls(mut bytes: &[u8]) -> impl Iterator<Item = (usize, Call<'_>)> {
    let all = bytes.len();
    std::iter::from_fn(move || {
        let mut rest = bytes;
        let kind = take(&mut rest, 1)?[0];
        let [path_len, other_len, data_len] = [(); 3].map(|()| take(&mut rest, 4));
        let at = u64::from_le_bytes(take(&mut rest, 8)?.try_into().unwrap());
        let mut part = |len: Option<&[u8]>| take(&mut rest, u32::from_le_bytes(len?.try_into().unwrap()) as usize);
        let (path, other, data) = (part(path_len)?, part(other_len)?, part(data_len)?);
        bytes = rest;
        let [path, other] = [path, other].map(|path| str::from_utf8(path).unwrap().trim_start_matches('/'));
        Some((all - bytes.len(), Call { kind, path, other, at: at as usize, data }))
    })
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

/// How many calls were made to fail or to do less.
pub fn faults(record: &[u8]) -> usize {
    calls(record).filter(|(_, call)| call.kind == b'!').count()
}

/// What becomes of that which no sync covers.
#[derive(Debug, Clone, Copy)]
pub struct Fate {
    /// Share of the writes that are there nevertheless, and of the sectors of those that are there in part.
    pub kept: f64,
    /// Share of the writes that are there in part.
    pub torn: f64,
}

impl Fate {
    pub const KEPT: Self = Self { kept: 1.0, torn: 0.0 };
    pub const LOST: Self = Self { kept: 0.0, torn: 0.0 };

    /// Chosen by chance.
    pub fn any(chance: &mut StdRng) -> Self {
        let mut one_of = |all: [f64; 4]| all[chance.random_range(0..4)];
        Self { kept: one_of([0.0, 0.3, 0.7, 0.95]), torn: one_of([0.0, 0.3, 0.6, 1.0]) }
    }
}

/// A change of a file's contents that may not be on the disk.
#[derive(Debug)]
struct Change<'a> {
    at: usize,
    /// Nothing where the file was cut.
    data: Option<&'a [u8]>,
    is_durable: bool,
    /// A sync that should have covered it failed.
    is_given_up: bool,
}

#[derive(Debug, Default)]
struct Contents<'a> {
    durable: Vec<u8>,
    changes: Vec<Change<'a>>,
}

impl Contents<'_> {
    fn sync(&mut self) {
        self.changes.iter_mut().for_each(|change| change.is_durable |= !change.is_given_up);
        if self.changes.iter().all(|change| change.is_durable) {
            for change in std::mem::take(&mut self.changes) {
                apply(&mut self.durable, &change, |_| true);
            }
        }
    }

    fn after(&self, fate: Fate, chance: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.changes {
            let is_torn = !change.is_durable && change.data.is_some() && chance.random_bool(fate.torn);
            if is_torn {
                apply(&mut bytes, change, |_| chance.random_bool(fate.kept.max(0.5)));
            } else if change.is_durable || chance.random_bool(fate.kept) {
                apply(&mut bytes, change, |_| true);
            }
        }
        bytes
    }
}

/// Makes a change, of a write only the sectors that are chosen.
fn apply(bytes: &mut Vec<u8>, change: &Change<'_>, mut is_kept: impl FnMut(usize) -> bool) {
    let Some(data) = change.data else { return bytes.resize(change.at, 0) };
    let end = change.at + data.len();
    let mut from = change.at;
    while from < end {
        let upto = ((from / SECTOR + 1) * SECTOR).min(end);
        if is_kept(from) {
            bytes.resize(bytes.len().max(upto), 0);
            bytes[from..upto].copy_from_slice(&data[from - change.at..upto - change.at]);
        }
        from = upto;
    }
}

/// What is in a folder, by name.
type Names = BTreeMap<String, usize>;

/// A change of names: what loses its name, and what gets one.
#[derive(Debug)]
struct Naming<'a> {
    lost: Option<(usize, &'a str)>,
    got: Option<(usize, &'a str, usize)>,
    is_durable: bool,
}

impl Naming<'_> {
    /// The folder whose sync makes it durable.
    fn folder(&self) -> Option<usize> {
        self.got.map(|(folder, ..)| folder).or(self.lost.map(|(folder, _)| folder))
    }

    fn apply(&self, folders: &mut BTreeMap<usize, Names>) {
        if let Some((folder, name)) = self.lost {
            folders.entry(folder).or_default().remove(name);
        }
        if let Some((folder, name, what)) = self.got {
            folders.entry(folder).or_default().insert(name.to_owned(), what);
        }
    }
}

/// A disk at a moment. Files and folders are counted from the root on.
#[derive(Debug, Default)]
pub struct Disk<'a> {
    count: usize,
    folders: BTreeMap<usize, Names>,
    files: BTreeMap<usize, Contents<'a>>,
    namings: Vec<Naming<'a>>,
}

impl<'a> Disk<'a> {
    /// As the first `upto` bytes of a record tell.
    pub fn at(record: &'a [u8], upto: usize) -> Self {
        let mut disk = Self { folders: BTreeMap::from([(ROOT, Names::new())]), ..Self::default() };
        for (_, call) in calls(record).take_while(|(end, _)| *end <= upto) {
            disk.take(&call);
        }
        disk
    }

    fn find(&self, path: &str) -> Option<usize> {
        path.split('/')
            .filter(|name| !name.is_empty())
            .try_fold(ROOT, |folder, name| self.folders.get(&folder)?.get(name).copied())
    }

    fn place<'b>(&self, path: &'b str) -> Option<(usize, &'b str)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Some((self.find(folder)?, name))
    }

    fn take(&mut self, call: &Call<'a>) {
        let Call { path, at, data, .. } = *call;
        let what = self.find(path);
        let contents = what.and_then(|what| self.files.get_mut(&what));
        match call.kind {
            b'w' | b't' => {
                let data = (call.kind == b'w').then_some(data);
                let change = Change { at, data, is_durable: false, is_given_up: false };
                contents.unwrap_or_else(|| panic!("{path} is unknown")).changes.push(change);
            }
            b's' => match contents {
                Some(contents) => contents.sync(),
                None => {
                    assert!(what.is_some(), "{path} is unknown");
                    self.namings.iter_mut().for_each(|naming| naming.is_durable |= naming.folder() == what);
                }
            },
            b'f' => {
                let changes = contents.into_iter().flat_map(|contents| &mut contents.changes);
                changes.for_each(|change| change.is_given_up |= !change.is_durable);
            }
            // The folder itself is there.
            b'm' | b'c' if path.is_empty() => {}
            b'm' | b'c' => {
                self.count += 1;
                match call.kind {
                    b'm' => drop(self.folders.insert(self.count, Names::new())),
                    _ => drop(self.files.insert(self.count, Contents::default())),
                }
                let got = self.place(path).map(|(folder, name)| (folder, name, self.count));
                self.name(Naming { lost: None, got, is_durable: false });
            }
            b'u' => {
                let lost = self.place(path);
                self.name(Naming { lost, got: None, is_durable: false });
            }
            b'r' => {
                let (lost, to) = (self.place(path), self.place(call.other));
                let got = to.zip(what).map(|((folder, name), what)| (folder, name, what));
                self.name(Naming { lost, got, is_durable: false });
            }
            _ => {}
        }
    }

    fn name(&mut self, naming: Naming<'a>) {
        naming.apply(&mut self.folders);
        self.namings.push(naming);
    }

    /// Lays out at `to` what is there after the power failed.
    pub fn after_crash(&self, fate: Fate, chance: &mut StdRng, to: &Path) {
        let mut folders = BTreeMap::new();
        let mut behind = BTreeSet::new();
        for naming in &self.namings {
            let follows = !behind.contains(&naming.folder());
            if naming.is_durable || (follows && chance.random_bool(fate.kept)) {
                naming.apply(&mut folders);
            } else {
                behind.insert(naming.folder());
            }
        }
        self.lay_out(ROOT, &folders, &mut |contents| contents.after(fate, chance), to);
    }

    fn lay_out(
        &self,
        folder: usize,
        folders: &BTreeMap<usize, Names>,
        contents: &mut dyn FnMut(&Contents<'_>) -> Vec<u8>,
        to: &Path,
    ) {
        fs::create_dir_all(to).unwrap();
        for (name, what) in folders.get(&folder).into_iter().flatten() {
            match self.files.get(what) {
                Some(file) => fs::write(to.join(name), contents(file)).unwrap(),
                None => self.lay_out(*what, folders, contents, &to.join(name)),
            }
        }
    }
}

/// All files and folders below `at`, by path: of files their contents.
pub fn tree(at: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![at.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = path.is_file().then(|| fs::read(&path).unwrap());
            found.insert(path.strip_prefix(at).unwrap().to_str().unwrap().to_owned(), bytes);
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}
