//! Where in the tree each file lies. Names came from outside: none leads out of the tree, takes another's place, or is too
//! long for a file system.

use super::place::MAKING;
use microtome_proto::{MaterialId, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::PathBuf,
};

/// The ending of what is told of a file.
pub(super) const INFO: &str = ".info";
/// Longest name of a file or folder, in bytes: file systems take 255, with the ending.
const NAME_LEN_MAX: usize = 250;

/// A file of the tree to be.
#[derive(Debug, Clone)]
pub(super) struct Leaf<'a> {
    pub(super) id: &'a MaterialId,
    pub(super) key: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) created_at: Timestamp,
}

/// Each file's path in the tree: its key, or its name where it has none. Who comes later and finds the place taken gets the
/// id into its name. What a file is told by does not hang on those that come after it.
pub(super) fn tree<'a>(leaves: impl Iterator<Item = Leaf<'a>>) -> BTreeMap<MaterialId, PathBuf> {
    let mut leaves: Vec<Leaf<'_>> = leaves.collect();
    leaves.sort_by_key(|leaf| (leaf.key.is_none(), leaf.key, leaf.created_at, leaf.id));
    let paths: Vec<Vec<String>> = leaves.iter().map(parts).collect();
    let folders: HashSet<Vec<String>> =
        paths.iter().flat_map(|path| (1..path.len()).map(|n| path[..n].to_vec())).collect();
    let mut taken: BTreeSet<Vec<String>> = BTreeSet::new();
    let mut tree = BTreeMap::new();
    for (leaf, mut path) in leaves.iter().zip(paths) {
        let is_free = |path: &Vec<String>| {
            let told = told_by(path);
            ![path, &told].into_iter().any(|path| folders.contains(path) || taken.contains(path))
        };
        if !is_free(&path) {
            let name = path.pop().unwrap_or_default();
            path.push(marked(&name, leaf.id));
        }
        taken.insert(told_by(&path));
        taken.insert(path.clone());
        tree.insert(leaf.id.clone(), path.into_iter().collect());
    }
    tree
}

fn told_by(path: &[String]) -> Vec<String> {
    let mut told = path.to_vec();
    if let Some(name) = told.last_mut() {
        name.push_str(INFO);
    }
    told
}

fn parts(leaf: &Leaf<'_>) -> Vec<String> {
    match leaf.key {
        Some(key) => key.split('/').map(|part| safe(part, leaf.id)).collect(),
        None => vec![safe(leaf.name, leaf.id)],
    }
}

/// A name that is one, and nothing else to a file system.
fn safe(name: &str, id: &MaterialId) -> String {
    let plain: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    match plain.as_str() {
        "" | "." | ".." | MAKING => id.to_string(),
        _ if plain.len() > NAME_LEN_MAX => marked(&plain, id),
        _ => plain,
    }
}

/// The name with the id in it, before its ending.
fn marked(name: &str, id: &MaterialId) -> String {
    let (stem, ending) = match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        _ => (name, ""),
    };
    let room = NAME_LEN_MAX.saturating_sub(1 + id.as_str().len() + ending.len());
    let end = (0..=room.min(stem.len())).rev().find(|end| stem.is_char_boundary(*end)).unwrap_or(0);
    format!("{}~{id}{ending}", &stem[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(leaves: &[(&str, Option<&str>, &str)]) -> Vec<String> {
        let ids: Vec<MaterialId> = leaves.iter().map(|(id, ..)| id.parse().unwrap()).collect();
        let all = leaves.iter().zip(&ids).enumerate().map(|(nth, ((_, key, name), id))| Leaf {
            id,
            key: *key,
            name,
            created_at: Timestamp::from_millis(i64::try_from(nth).unwrap()),
        });
        let tree = tree(all);
        ids.iter().map(|id| tree[id].to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn files_lie_at_their_keys_and_others_by_their_names() {
        assert_eq!(placed(&[("m-1", Some("P/6/a.pdf"), "x"), ("m-2", None, "slide.svs")]), ["P/6/a.pdf", "slide.svs"]);
    }

    #[test]
    fn no_name_leads_elsewhere_or_is_too_long() {
        let long = "é".repeat(200);
        let names = ["..", ".", "../../etc/passwd", "/etc", "a\0b\n", "", &long];
        let leaves: Vec<_> = ["m-1", "m-2", "m-3", "m-4", "m-5", "m-6", "m-7"]
            .into_iter()
            .zip(names)
            .map(|(id, name)| (id, None, name))
            .collect();
        let placed = placed(&leaves);
        assert_eq!(placed[..6], ["m-1", "m-2", ".._.._etc_passwd", "_etc", "a_b_", "m-6"]);
        assert!(placed[6].len() <= NAME_LEN_MAX && placed[6].ends_with("é~m-7"), "{}", placed[6]);
    }

    #[test]
    fn no_name_is_that_of_the_folder_in_which_files_are_made() {
        let folder = format!("{MAKING}/a");
        assert_eq!(placed(&[("m-1", None, MAKING), ("m-2", Some(&folder), "")]), ["m-1", "m-2/a"]);
    }

    #[test]
    fn what_would_lie_in_one_place_is_told_apart() {
        assert_eq!(
            placed(&[
                ("m-1", Some("a"), ""),
                ("m-2", Some("a/b"), ""),
                ("m-3", None, "s.svs"),
                ("m-4", None, "s.svs"),
                ("m-5", Some("s.svs"), ""),
                ("m-6", Some("x"), ""),
                ("m-7", Some("x.info"), ""),
            ]),
            ["a~m-1", "a/b", "s~m-3.svs", "s~m-4.svs", "s.svs", "x", "x~m-7.info"]
        );
    }
}
