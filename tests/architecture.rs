//! ARCHITECTURE.md's map, kept true: which of our crates may use which, and what the pure ones must never touch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Each of our crates with those of ours that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("microtome-proto", &[]),
    ("microtome-slide", &[]),
    ("microtome-web", &[]),
    ("microtome-client", &["microtome-proto"]),
    ("microtome-server", &["microtome-proto"]),
    ("microtome-coordinator", &["microtome-proto", "microtome-server"]),
    ("microtome-node", &["microtome-proto", "microtome-client", "microtome-server", "microtome-slide"]),
    ("microtome-bench", &["microtome-proto", "microtome-client", "microtome-coordinator", "microtome-slide"]),
    (
        "microtome",
        &[
            "microtome-proto",
            "microtome-slide",
            "microtome-client",
            "microtome-coordinator",
            "microtome-node",
            "microtome-web",
        ],
    ),
    ("xtask", &[]),
];

/// What must not be used by crates that neither wait nor talk.
const WAITS_OR_TALKS: &[&str] = &["tokio", "tokio-util", "futures-util", "hyper", "axum", "reqwest", "openraft"];

/// What must not be written in the coordinator's core, with why.
const NOT_IN_CORE: &[(&str, &str)] = &[
    ("tokio::", "async"),
    ("async fn", "async"),
    ("::now()", "a clock"),
    ("std::fs", "I/O"),
    ("std::net", "I/O"),
    ("File::", "I/O"),
    ("rand::", "randomness"),
    ("HashMap", "an order that differs from run to run"),
    ("HashSet", "an order that differs from run to run"),
    ("openraft", "raft"),
    ("sled::", "a store"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The workspace's crates with the names of what they depend on in service.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo is there: it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap();
        all.iter().filter(|dependency| dependency["kind"].is_null()).map(name).collect()
    };
    metadata["packages"].as_array().unwrap().iter().map(|package| (name(package), of(package))).collect()
}

#[test]
fn dependencies_point_one_way() {
    let found = dependencies();
    let known: BTreeSet<_> = MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), known, "a crate is missing in this test, or gone");
    for (name, allowed) in MAY_USE {
        for used in found[*name].iter().filter(|used| known.contains(*used)) {
            assert!(allowed.contains(&used.as_str()), "{name} must not use {used}");
        }
    }
}

#[test]
fn what_is_pure_neither_waits_nor_talks() {
    let found = dependencies();
    for name in ["microtome-proto", "microtome-slide"] {
        for forbidden in WAITS_OR_TALKS {
            assert!(!found[name].contains(*forbidden), "{name} must not use {forbidden}");
        }
    }
}

#[test]
fn the_core_decides_without_clock_network_disk_or_chance() {
    let mut seen = 0;
    for path in sources(&root().join("coordinator/src/core")) {
        let text = fs::read_to_string(&path).unwrap();
        // Tests at a file's end may use what they like.
        let service = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, line) in service.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for (word, what) in NOT_IN_CORE {
                assert!(!line.contains(word), "{}:{}: {what} ({word})", path.display(), number + 1);
            }
        }
        seen += 1;
    }
    assert!(seen > 3, "the core has moved: found {seen} files");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
