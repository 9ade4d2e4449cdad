//! Upload by tus, interrupted in every way.

use crate::fake::{Ask, Fake, id, noise, ready, receiving};
use bytes::Bytes;
use microtome_client::{ClientError, Cluster, FileSource, Source, Upload};
use microtome_proto::{Code, material::Material};
use std::{
    fs, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const SIZE: usize = 3_000_000;

/// What a node holds of an upload.
type Held = Arc<Mutex<Vec<u8>>>;

fn offset(ask: Ask, held: &Held) {
    let offset = held.lock().unwrap().len().to_string();
    ask.answer(204, &[("upload-offset", &offset), ("tus-resumable", "1.0.0")], b"");
}

/// Takes at most `take` bytes; answers only where it took all.
fn take(mut ask: Ask, held: &Held, take: usize) {
    assert_eq!(ask.header("upload-offset"), held.lock().unwrap().len().to_string());
    assert_eq!(ask.header("content-type"), "application/offset+octet-stream");
    let wanted: usize = ask.header("content-length").parse().unwrap();
    let body = ask.body(take);
    held.lock().unwrap().extend(&body);
    if body.len() == wanted {
        offset(ask, held);
    }
}

fn client(server: &str) -> Cluster {
    Cluster::new(vec![server.to_owned()], None)
}

async fn send(cluster: &Cluster, material: &Material, bytes: &[u8]) -> Result<(), ClientError> {
    send_within(Duration::from_secs(240), cluster, material, bytes).await
}

async fn send_within(
    standstill_max: Duration,
    cluster: &Cluster,
    material: &Material,
    bytes: &[u8],
) -> Result<(), ClientError> {
    let source: Arc<dyn Source> = Arc::new(Bytes::copy_from_slice(bytes));
    let upload = Upload::new(cluster, material, source, &|_| ()).unwrap().unwrap();
    upload.with_standstill_max(standstill_max).finish().await
}

#[tokio::test]
async fn a_file_is_sent_whole_and_its_progress_told() {
    let held = Held::default();
    let node = {
        let held = Arc::clone(&held);
        Fake::start(move |ask| match ask.method.as_str() {
            "HEAD" => offset(ask, &held),
            _ => take(ask, &held, usize::MAX),
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slide.svs");
    fs::write(&path, noise(SIZE)).unwrap();
    let durable = AtomicU64::new(0);
    let progress = |progress: microtome_client::Progress| {
        assert!(progress.durable <= progress.sent && progress.sent <= progress.size);
        durable.store(progress.durable, Ordering::SeqCst);
    };
    let material = receiving(SIZE, &format!("{}/v1/uploads/{}", node.url, id()));
    client(&node.url).upload(&material, Arc::new(FileSource::open(&path).unwrap()), &progress).await.unwrap();
    assert_eq!(*held.lock().unwrap(), noise(SIZE));
    assert_eq!(durable.into_inner(), SIZE as u64);
}

/// The node holds fewer bytes after the cut than it had taken: what was not durable yet is sent again.
#[tokio::test]
async fn a_cut_connection_goes_on_from_the_durable_offset() {
    let held = Held::default();
    let node = {
        let held = Arc::clone(&held);
        Fake::start(move |ask| match ask.method.as_str() {
            "HEAD" => offset(ask, &held),
            "PATCH" if held.lock().unwrap().is_empty() => {
                take(ask, &held, 1_500_000);
                held.lock().unwrap().truncate(1 << 20);
            }
            "PATCH" => take(ask, &held, usize::MAX),
            _ => ask.answer_json(&receiving(SIZE, &format!("http://{}/upload", "127.0.0.1:1"))),
        })
    };
    // The cluster is asked where the upload is by now; here it does not know better.
    let url = format!("{}/v1/uploads/{}", node.url, id());
    let coordinator = {
        let url = url.clone();
        Fake::start(move |ask| ask.answer_json(&receiving(SIZE, &url)))
    };
    send(&client(&coordinator.url), &receiving(SIZE, &url), &noise(SIZE)).await.unwrap();
    assert_eq!(*held.lock().unwrap(), noise(SIZE));
    assert_eq!(node.asked().iter().filter(|ask| ask.starts_with("PATCH")).count(), 2);
}

#[tokio::test]
async fn a_node_that_comes_back_at_another_address_is_found() {
    let held = Held::default();
    let second = {
        let held = Arc::clone(&held);
        Fake::start(move |ask| match ask.method.as_str() {
            "HEAD" => offset(ask, &held),
            _ => take(ask, &held, usize::MAX),
        })
    };
    let first = {
        let held = Arc::clone(&held);
        Fake::start(move |ask| match ask.method.as_str() {
            "HEAD" if held.lock().unwrap().is_empty() => offset(ask, &held),
            "PATCH" => take(ask, &held, 1 << 20),
            _ => ask.refuse(Code::NotReady),
        })
    };
    let (here, there) = (format!("{}/up", first.url), format!("{}/up", second.url));
    let coordinator = Fake::start(move |ask| ask.answer_json(&receiving(SIZE, &there)));
    let cluster = client(&coordinator.url);
    let source: Arc<dyn Source> = Arc::new(Bytes::from(noise(SIZE)));
    cluster.upload(&receiving(SIZE, &here), source, &|_| ()).await.unwrap();
    assert_eq!(*held.lock().unwrap(), noise(SIZE));
}

#[tokio::test]
async fn another_offset_is_asked_for_and_sent_from() {
    let held: Held = Arc::new(Mutex::new(noise(SIZE)[..1000].to_vec()));
    let node = {
        let held = Arc::clone(&held);
        let patches = AtomicU64::new(0);
        Fake::start(move |ask| match ask.method.as_str() {
            "PATCH" if patches.fetch_add(1, Ordering::SeqCst) == 0 => {
                held.lock().unwrap().extend(&noise(SIZE)[1000..5000]);
                ask.refuse(Code::OffsetMismatch);
            }
            "PATCH" => take(ask, &held, usize::MAX),
            _ => offset(ask, &held),
        })
    };
    send(&client(&node.url), &receiving(SIZE, &format!("{}/up", node.url)), &noise(SIZE)).await.unwrap();
    assert_eq!(*held.lock().unwrap(), noise(SIZE));
}

#[tokio::test]
async fn an_upload_that_is_gone_says_so() {
    let node = Fake::start(|ask| ask.refuse(Code::Gone));
    let url = format!("{}/up", node.url);
    let error = send(&client(&node.url), &receiving(9, &url), &noise(9)).await.unwrap_err();
    assert!(matches!(error, ClientError::UploadGone { url: gone } if gone == url));
}

/// The last answer is lost: the node knows the upload no more because it became a material.
#[tokio::test]
async fn an_upload_that_was_finished_unheard_is_done() {
    let held = Held::default();
    let node = {
        let held = Arc::clone(&held);
        Fake::start(move |mut ask| match ask.method.as_str() {
            "PATCH" => held.lock().unwrap().extend(ask.body(usize::MAX)),
            "HEAD" if held.lock().unwrap().is_empty() => offset(ask, &held),
            "HEAD" => ask.refuse(Code::NotFound),
            _ => ask.answer_json(&ready(&noise(SIZE), &[])),
        })
    };
    send(&client(&node.url), &receiving(SIZE, &format!("{}/up", node.url)), &noise(SIZE)).await.unwrap();
    assert_eq!(held.lock().unwrap().len(), SIZE);
}

#[tokio::test]
async fn a_refusal_for_good_is_told_as_it_is() {
    let node = Fake::start(|mut ask| match ask.method.as_str() {
        "HEAD" => offset(ask, &Held::default()),
        _ => {
            let _ = ask.body(usize::MAX);
            ask.refuse(Code::HashMismatch);
        }
    });
    let error = send(&client(&node.url), &receiving(9, &format!("{}/up", node.url)), &noise(9)).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::HashMismatch));
}

#[tokio::test]
async fn a_node_that_stays_away_ends_the_upload_with_a_way_out() {
    let node = Fake::start(|ask| match ask.method.as_str() {
        "HEAD" => offset(ask, &Held::default()),
        "PATCH" => drop(ask),
        _ => ask.refuse(Code::NotFound),
    });
    let material = receiving(9, &format!("{}/up", node.url));
    let sent = send_within(Duration::from_secs(3), &client(&node.url), &material, &noise(9)).await;
    let error = sent.unwrap_err();
    assert!(matches!(error, ClientError::UploadStopped { offset: 0, .. }), "{error}");
    assert!(error.to_string().contains("repeat the command"), "{error}");
    assert!(error.to_string().contains("microtome rm"), "{error}");
}

#[tokio::test]
async fn an_empty_file_is_told_to_be_whole() {
    let node = Fake::start(|ask| offset(ask, &Held::default()));
    send(&client(&node.url), &receiving(0, &format!("{}/up", node.url)), b"").await.unwrap();
    assert_eq!(node.asked(), ["HEAD /up", "PATCH /up"]);
}

/// Says that it is longer than it is, as a file does that is cut while it is sent.
struct Shrunk(Bytes);

impl Source for Shrunk {
    fn name(&self) -> String {
        "shrunk.svs".to_owned()
    }
    fn size(&self) -> u64 {
        self.0.len() as u64 + 1
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
}

#[tokio::test]
async fn a_file_that_shrinks_is_noticed() {
    let node = Fake::start(|ask| match ask.method.as_str() {
        "HEAD" => offset(ask, &Held::default()),
        _ => take(ask, &Held::default(), SIZE / 2),
    });
    let material = receiving(SIZE + 1, &format!("{}/up", node.url));
    let source = Arc::new(Shrunk(noise(SIZE).into()));
    let error = client(&node.url).upload(&material, source, &|_| ()).await.unwrap_err();
    assert!(matches!(&error, ClientError::SourceChanged { name, .. } if name == "shrunk.svs"), "{error}");
}
