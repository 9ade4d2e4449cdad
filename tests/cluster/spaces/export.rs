//! A space as a tree of plain files. Needs root, who gives files away; otherwise it is left out, and says so.

use super::address;
use crate::harness::{Cluster, eventually, noise};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
};

async fn put(cluster: &Cluster, key: &str, bytes: &[u8]) {
    let url = address(cluster, 0, "lab", key);
    let status = cluster.send(&cluster.http.put(&url).body(bytes.to_vec())).await.status().as_u16();
    assert!([201, 204].contains(&status), "{status}");
}

fn inode(path: &Path) -> (u64, u64) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.dev(), found.ino())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_is_exported_linked_and_again_only_as_far_as_it_has_changed() {
    let cluster = Cluster::start(1, 1).await;
    let tree = cluster.dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    if fs::metadata(&tree).unwrap().uid() != 0 {
        eprintln!("left out: files are given away by root alone");
        return;
    }
    put(&cluster, "P/6/a.pdf", b"first").await;
    put(&cluster, "P/6/b.pdf", &noise(100_000, 1)).await;
    put(&cluster, "P", b"a file where others have a folder").await;
    let keyless = cluster.dir.path().join("slide.svs");
    fs::write(&keyless, noise(50_000, 2)).unwrap();
    let slide = cluster.command_json(&["put", "slide.svs", "--space", "lab"]);
    fs::write(tree.join("foreign.info"), "not ours").unwrap();
    let data_dir = cluster.nodes[0].data_dir.to_str().unwrap().to_owned();
    let owned = ["--owner", "12345", "--group", "54321", "--mode", "0440"];
    let export = |more: &[&str]| {
        let words = ["export", "lab", "tree", "--data-dir", &data_dir];
        cluster.command_json(&[&words[..], &owned, more].concat())
    };
    assert_eq!(export(&[]), json!({ "linked": 4, "copied": 0, "unchanged": 0, "removed": 0, "gone": 0 }));
    let a = tree.join("P/6/a.pdf");
    assert_eq!(fs::read(&a).unwrap(), b"first");
    let found = fs::metadata(&a).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777, found.nlink()), (12_345, 54_321, 0o440, 2));
    let info: Value = serde_json::from_slice(&fs::read(tree.join("P/6/a.pdf.info")).unwrap()).unwrap();
    assert_eq!(
        (&info["key"], &info["size"], &info["blake3"]),
        (&"P/6/a.pdf".into(), &5.into(), &blake3::hash(b"first").to_hex().as_str().into())
    );
    let id = info["id"].as_str().unwrap();
    let original = cluster.nodes[0].data_dir.join("materials").join(id).join("file");
    assert_eq!(inode(&a), inode(&original), "the node's own file, which is not there twice");
    assert_eq!(
        inode(&tree.join("slide.svs")),
        inode(&cluster.nodes[0].data_dir.join("materials").join(slide["id"].as_str().unwrap()).join("file"))
    );
    let beside: Vec<_> =
        fs::read_dir(&tree).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(beside.iter().any(|name| name.starts_with("P~m-")), "{beside:?}");
    assert!(!beside.iter().any(|name| name.starts_with('.')), "{beside:?}");
    // The node goes on with its file, whose owner is another now.
    assert_eq!(cluster.get(&address(&cluster, 0, "lab", "P/6/a.pdf")).await, b"first");
    assert_eq!(export(&[])["unchanged"], 4);

    // What has changed is changed, and nothing else; what is gone stays until it is said otherwise.
    put(&cluster, "P/6/a.pdf", b"second").await;
    let removed = cluster.http.delete(address(&cluster, 0, "lab", "P/6/b.pdf")).send().await.unwrap();
    assert_eq!(removed.status(), 204);
    assert_eq!(export(&[]), json!({ "linked": 1, "copied": 0, "unchanged": 2, "removed": 0, "gone": 1 }));
    assert_eq!(fs::read(&a).unwrap(), b"second");
    assert_eq!(fs::read(tree.join("P/6/b.pdf")).unwrap(), noise(100_000, 1));
    assert_eq!(export(&["--delete"])["removed"], 1);
    assert!(!tree.join("P/6/b.pdf").exists() && !tree.join("P/6/b.pdf.info").exists());
    assert_eq!(fs::read_to_string(tree.join("foreign.info")).unwrap(), "not ours");

    // Without the node's folder it is copied; a link that somebody has put in the way is not followed.
    let outside = cluster.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(cluster.dir.path().join("other")).unwrap();
    symlink(&outside, cluster.dir.path().join("other/P")).unwrap();
    let refused = cluster.command(&["export", "lab", "other"]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("in the way"),
        "{refused:?}"
    );
    fs::remove_file(cluster.dir.path().join("other/P")).unwrap();
    let copied = cluster.command_json(&["export", "lab", "other"]);
    assert_eq!(copied["copied"], 3);
    assert_eq!(fs::metadata(cluster.dir.path().join("other/P/6/a.pdf")).unwrap().mode() & 0o777, 0o440);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let writable = cluster.command(&["export", "lab", "tree", "--mode", "0640"]);
    assert_eq!(writable.status.code(), Some(2));
    // What is exported outlives the space.
    let all = cluster.client.files("lab", &microtome_proto::space::FilesQuery::default()).await.unwrap().items;
    for file in &all {
        cluster.client.delete_material(&file.material).await.unwrap();
    }
    eventually("freed on the node", || async {
        all.iter().all(|file| !Cluster::holds(&cluster.nodes[0], &file.material)).then_some(())
    })
    .await;
    assert_eq!(fs::read(&a).unwrap(), b"second");
}
