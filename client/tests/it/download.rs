//! Download: verified, resumed, from whichever replica has the right bytes.

use crate::fake::{Ask, Fake, id, nobody, noise, ready, receiving};
use microtome_client::{ClientError, Cluster};
use microtome_proto::{Code, material::Material};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

const SIZE: usize = 2_000_000;

/// Answers a range of `bytes`, hanging up after `cut` bytes of it.
fn serve(ask: Ask, bytes: &[u8], cut: usize) {
    let range = ask.header("range").strip_prefix("bytes=").unwrap().to_owned();
    let (start, end) = range.split_once('-').unwrap();
    let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
    let content_range = format!("bytes {start}-{end}/{}", bytes.len());
    let part = &bytes[start..=end];
    ask.answer_cut(206, &[("content-range", &content_range)], part, cut.min(part.len()));
}

fn client(server: &str) -> Cluster {
    Cluster::new(vec![server.to_owned()], None).with_deadline(Duration::from_secs(60))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_broken_download_goes_on_at_another_replica() {
    let starts = Arc::new(Mutex::new(Vec::new()));
    let node = || {
        let starts = Arc::clone(&starts);
        Fake::start(move |ask| {
            let first = starts.lock().unwrap().is_empty();
            starts.lock().unwrap().push(ask.header("range").to_owned());
            serve(ask, &noise(SIZE), if first { 700_000 } else { SIZE });
        })
    };
    let (a, b) = (node(), node());
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("slide.svs");
    let material = ready(&noise(SIZE), &[&a.url, &b.url]);
    let done = client(&nobody()).download(&material, &to, &|_| ()).await.unwrap();
    assert_eq!((done.size, done.resumed_from), (SIZE as u64, 0));
    assert_eq!(fs::read(&to).unwrap(), noise(SIZE));
    assert_eq!(files(folder.path()), [to]);
    assert_eq!(starts.lock().unwrap().len(), 2);
    assert!(a.asked().len() == 1 && b.asked().len() == 1);
}

#[tokio::test]
async fn a_stopped_download_is_resumed_from_its_part() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("slide.svs");
    let lame = Fake::start(|ask| match ask.header("range") {
        "bytes=0-1999999" => serve(ask, &noise(SIZE), 700_000),
        _ => drop(ask),
    });
    let material = ready(&noise(SIZE), &[&lame.url]);
    let hasty = client(&nobody()).with_deadline(Duration::from_secs(6));
    let error = hasty.download(&material, &to, &|_| ()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(!to.exists());

    let whole = Fake::start(|ask| serve(ask, &noise(SIZE), SIZE));
    let done = client(&whole.url).download(&ready(&noise(SIZE), &[]), &to, &|_| ()).await.unwrap();
    assert!(done.resumed_from > 0 && done.resumed_from <= 700_000, "{done:?}");
    assert_eq!(fs::read(&to).unwrap(), noise(SIZE));
}

#[tokio::test]
async fn wrong_bytes_are_noticed_and_fetched_from_elsewhere() {
    let wrong = Fake::start(|ask| {
        let mut bytes = noise(SIZE);
        bytes[SIZE / 2] ^= 1;
        serve(ask, &bytes, SIZE);
    });
    let right = Fake::start(|ask| serve(ask, &noise(SIZE), SIZE));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("slide.svs");
    // The cluster is asked last and sends to a good one.
    let material = ready(&noise(SIZE), &[&wrong.url]);
    client(&right.url).download(&material, &to, &|_| ()).await.unwrap();
    assert_eq!(fs::read(&to).unwrap(), noise(SIZE));

    let error = client(&wrong.url).download(&material, &folder.path().join("other"), &|_| ()).await.unwrap_err();
    assert!(matches!(error, ClientError::Damaged { .. }), "{error}");
    assert!(!folder.path().join("other").exists());
}

#[tokio::test]
async fn a_range_is_fetched_to_a_writer() {
    let node = Fake::start(|ask| serve(ask, &noise(SIZE), SIZE));
    let mut out = Vec::new();
    let material = ready(&noise(SIZE), &[&node.url]);
    let len = client(&nobody()).fetch(&material, Some(1000..1_001_000), &mut out).await.unwrap();
    assert_eq!(len, 1_000_000);
    assert_eq!(out, noise(SIZE)[1000..1_001_000]);
}

#[tokio::test]
async fn an_empty_material_is_an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("empty");
    client(&nobody()).download(&ready(b"", &[]), &to, &|_| ()).await.unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"");
}

/// The length of an upload may be told at its end: until then the material has 0 bytes and no hash, and what was written
/// to standard output was nothing, and no error.
#[tokio::test]
async fn what_still_arrives_is_refused() {
    let node = Fake::start(|ask| serve(ask, &noise(SIZE), SIZE));
    let deferred = Material { size_unknown: true, ..receiving(0, &node.url) };
    let folder = tempfile::tempdir().unwrap();
    for material in [deferred, receiving(SIZE, &node.url)] {
        for range in [None, Some(0..1000)] {
            let mut out = Vec::new();
            let error = client(&node.url).fetch(&material, range, &mut out).await.unwrap_err();
            assert_eq!(error.code(), Some(Code::Conflict), "{error}");
            assert!(out.is_empty());
        }
        let error = client(&node.url).download(&material, &folder.path().join("slide.svs"), &|_| ()).await.unwrap_err();
        assert_eq!(error.code(), Some(Code::Conflict), "{error}");
    }
    assert!(node.asked().is_empty() && files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_missing_material_is_told_at_once() {
    let fake = Fake::start(|ask| ask.refuse(Code::NotFound));
    let mut out = Vec::new();
    let error = client(&fake.url).fetch(&ready(b"xyz", &[]), None, &mut out).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::NotFound));
    assert_eq!(fake.asked(), [format!("GET /v1/materials/{}/file", id())]);
}
