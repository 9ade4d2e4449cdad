//! Starting and stopping a node.

use crate::{
    Config, Node, NodeError,
    agent::{Agent, Introduction},
    blobs::{Blobs, Damage},
    check::Checks,
    clone::Clones,
    disk::{FolderLock, Layout, Space},
    http::{self, Locator},
    identity::Identity,
    incoming::Incoming,
    mending::{self, Others},
    pixels::{PixelLimits, Pixels},
    readers::Readers,
    runs::Runs,
    scrub::{self, Scrub},
    tasks,
    upload::Uploads,
};
use microtome_client::{Cluster, Encryption};
use microtome_proto::protocol::PROTOCOL;
use microtome_server::{Auth, Metrics, Tls, listen, raise_open_files_max, serve};
use parking_lot::Mutex;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64},
    },
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Open files that one open copy takes: its file and its leaves.
const FILES_PER_COPY: u64 = 2;
/// Bounds on the copies that stay open.
const OPEN_COPIES: (u64, u64) = (16, 8192);
/// Time that uploads, clones and runs get to make durable what they have.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Runs a node until `stop` is cancelled. It serves what it holds as soon as it listens, which `ready` is told, whether
/// or not a coordinator answers.
///
/// # Errors
/// [`NodeError`]: why it cannot start or go on, with a way out.
pub async fn run(config: Config, stop: CancellationToken, ready: oneshot::Sender<SocketAddr>) -> Result<(), NodeError> {
    config.check()?;
    let auth = Auth::new(&config.auth).map_err(|error| NodeError::Config(error.to_string()))?;
    let listener = listen(&config.listen).await?;
    let folder_error = |cause| NodeError::Folder { folder: config.data_dir.clone(), cause };
    let address = listener.local_addr().map_err(folder_error)?;
    auth.check_address(address.ip()).map_err(NodeError::Exposed)?;
    let url = config.url_at(address)?;
    let tls = Tls::open(&config.tls, &config.auth, [url.as_str(), config.listen.as_str()]);
    let tls = tls.map_err(|error| NodeError::Config(error.to_string()))?;
    // Ends also where this future is dropped or the node fails.
    let stop = stop.child_token();
    let _stopped = stop.clone().drop_guard();
    let (owned, token, security) = (config.clone(), stop.clone(), (auth, tls));
    let opened = tokio::task::spawn_blocking(move || open(&owned, url, security, token)).await;
    // The folder is this process's until this function ends.
    let (node, left_behind, _lock) = opened.map_err(|error| folder_error(io::Error::other(error)))??;
    Uploads::take_up(&node, left_behind);
    node.blobs.damage().supply(Others::of(&node, Handle::current()));
    let knobs = scrub::Knobs { bytes_per_s: config.scrub_bytes_per_s, every: config.scrub_every };
    node.tasks.spawn(node.auth.clone().keep_up(stop.clone()));
    node.tasks.spawn(node.tls.clone().keep_up(stop.clone()));
    node.tasks.spawn(mending::run(Arc::clone(&node)));
    node.tasks.spawn(scrub::run(Arc::clone(&node), knobs));
    node.tasks.spawn(scrub::forget(Arc::clone(&node)));
    node.empty_trash();

    let _ = ready.send(address);
    tracing::info!(%address, url = node.url, data_dir = %config.data_dir.display(), "the node serves");
    let introduction = Introduction {
        name: config.name_or_host(),
        zone: config.zone.clone(),
        labels: config.labels.clone(),
        coordinators: node.cluster.servers(),
    };
    // Of those that it was told to ask none may run just now.
    let known = introduction.coordinators.iter().cloned().chain(node.identity.coordinators());
    node.cluster.set_servers(known.collect::<Vec<_>>());
    let at_hand = Some(http::at_hand(&node));
    let serving = serve(listener, node.tls.acceptor(), at_hand, http::router(&node), stop.clone());
    let agent = Box::pin(Agent::new(Arc::clone(&node), introduction).run());
    let ended = async {
        let ended = agent.await;
        stop.cancel();
        ended
    };
    let ((), ended) = tokio::join!(serving, ended);
    node.tasks.close();
    if tokio::time::timeout(STOP_WITHIN, node.tasks.wait()).await.is_err() {
        tracing::warn!("some work did not end in time; it goes on with the next start");
    }
    // Nothing is served any more.
    let kept = tasks::blocking(move || node.readers.lock().keep(node.blobs.reads(), &node.layout)).await;
    if let Err(error) = kept {
        tracing::warn!(%error, "who has read what is forgotten: idle materials here live longer");
    }
    ended
}

/// Opens the data folder. Blocks.
pub(crate) fn open(
    config: &Config,
    url: String,
    (auth, tls): (Auth, Tls),
    stop: CancellationToken,
) -> Result<(Arc<Node>, Vec<Incoming>, FolderLock), NodeError> {
    let folder = |cause: io::Error| NodeError::Folder { folder: config.data_dir.clone(), cause };
    let layout = Layout::create(&config.data_dir).map_err(folder)?;
    let lock = FolderLock::take(&layout.lock()).map_err(folder)?;
    let lock = lock.ok_or_else(|| NodeError::FolderInUse(config.data_dir.clone()))?;
    let identity = Identity::open(&layout.identity()).map_err(folder)?;
    let space = Space::new(layout.root().to_owned(), config.reserve_bytes).map_err(folder)?;
    let metrics = Metrics::default();
    let damage = Damage::default();
    metrics.register(|registry| {
        registry.register("damaged_reads", "Reads that met bytes which the disk had changed", damage.reads());
        registry.register("mended_groups", "Groups of 16 KiB that were damaged and made right again", damage.mended());
    });
    let (least, most) = OPEN_COPIES;
    // A quarter of the open files is for copies, half of them for connections.
    let open_max = (raise_open_files_max() / 4 / FILES_PER_COPY).clamp(least, most);
    let blobs = Blobs::open(layout.clone(), open_max as usize, damage).map_err(folder)?;
    let left_behind = Incoming::left_behind(&layout, &blobs).map_err(folder)?;
    let (clones, uploads) = left_behind.into_iter().partition(Incoming::is_clone);
    let runs = Runs::new(&layout.runs(), config.runs_max).map_err(folder)?;
    let readers = Readers::open(&layout).map_err(folder)?;
    let scrub = Scrub::open(layout.scrub());
    let pixels = Pixels::new(&PixelLimits::default());
    pixels.show_in(&metrics);
    let (tokens, name) = (auth.clone(), format!("node {}", config.name_or_host()));
    let encryption = tls.client_config().map_err(|error| NodeError::Config(error.to_string()))?;
    let encryption = Encryption::of_server(encryption, tls.encrypts());
    let tokens = Arc::new(move || tokens.server_token(&name));
    let cluster = Cluster::encrypted(config.coordinators.clone(), tokens, encryption);
    let node = Arc::new(Node {
        identity,
        url,
        layout,
        space,
        blobs,
        differs: AtomicBool::new(false),
        orders_due: Notify::new(),
        uploads: Uploads::new(config.uploads_expire_after),
        has_told: tokio::sync::RwLock::new(false),
        failing: Mutex::default(),
        readers: Mutex::new(readers),
        checks: config.checks.clone().map(Checks::new),
        spoken: AtomicU32::new(PROTOCOL),
        clones: Clones::default(),
        pixels,
        runs,
        scrub,
        locator: Locator::new(&cluster),
        cluster,
        auth,
        tls,
        metrics,
        requests_active: AtomicU32::new(0),
        tiles_served: AtomicU64::new(0),
        started: Instant::now(),
        stop,
        tasks: TaskTracker::new(),
    });
    Clones::take_up(&node, clones);
    Ok((node, uploads, lock))
}
