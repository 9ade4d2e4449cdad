//! The heartbeats of many nodes: each has a connection of its own and speaks once a second, spread over the second.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use microtome_proto::NodeId;
use microtome_proto::internal::Heartbeat;
use microtome_proto::node::NodeReport;
use serde::Serialize;

use crate::books::instance;
use crate::load::{self, Connection};
use crate::stats::percentile;

const EVERY: Duration = Duration::from_secs(1);
/// How long it takes until all notice that they are to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Nodes that heartbeat until this is dropped.
pub(super) struct Beating {
    stopped: Arc<AtomicBool>,
    answered: mpsc::Receiver<(Instant, io::Result<Duration>)>,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

/// How heartbeats were answered.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Beats {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Beating {
    pub(super) fn start(address: SocketAddr, nodes: &[NodeId], disk_total: u64) -> io::Result<Self> {
        let requests: Vec<_> =
            nodes.iter().enumerate().map(|(nth, node)| request(node, nth, disk_total)).collect::<Result<_, _>>()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (tell, answered) = mpsc::channel();
        let told = Arc::clone(&stopped);
        let thread = thread::Builder::new().name("heartbeats".to_owned()).spawn(move || {
            load::alone(async move {
                let begin = tokio::time::Instant::now();
                let count = requests.len().max(1) as u32;
                for (nth, request) in requests.into_iter().enumerate() {
                    let first = begin + EVERY * nth as u32 / count;
                    tokio::task::spawn_local(beat(address, request, first, tell.clone()));
                }
                while !told.load(Ordering::Relaxed) {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Ok(())
            })
        })?;
        Ok(Beating { stopped, answered, thread: Some(thread) })
    }

    /// How those were answered that have come since the last call and were sent after `since`.
    pub(super) fn take(&self, since: Instant) -> Beats {
        let (mut times, mut failed) = (Vec::new(), 0);
        for (_, answer) in self.answered.try_iter().filter(|(sent, _)| *sent >= since) {
            match answer {
                Ok(time) => times.push(time.as_nanos() as u64),
                Err(_) => failed += 1,
            }
        }
        times.sort_unstable();
        let milliseconds = |share| percentile(&times, share) as f64 / 1e6;
        Beats {
            answered: times.len() as u64,
            failed,
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
            max_ms: milliseconds(1.0),
        }
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It failed or ended: either way no more heartbeats are sent.
            let _ = thread.join();
        }
    }
}

/// One node: speaks every second from `first` on.
async fn beat(
    address: SocketAddr,
    request: Vec<u8>,
    first: tokio::time::Instant,
    tell: mpsc::Sender<(Instant, io::Result<Duration>)>,
) {
    let mut ticks = tokio::time::interval_at(first, EVERY);
    let mut connection = None;
    loop {
        ticks.tick().await;
        let sent = Instant::now();
        let answer = async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => Connection::open(address).await?,
            };
            open.ask(&request).await?;
            connection = Some(open);
            Ok(sent.elapsed())
        };
        if tell.send((sent, answer.await)).is_err() {
            return;
        }
    }
}

fn request(node: &NodeId, nth: usize, disk_total: u64) -> serde_json::Result<Vec<u8>> {
    let report = NodeReport {
        disk_total,
        disk_free: disk_total / 2,
        stored: disk_total / 2,
        memory_total: 64 << 30,
        memory_free: 32 << 30,
        ..NodeReport::default()
    };
    let beat = Heartbeat { instance: instance(nth), report, ..Heartbeat::default() };
    let body = serde_json::to_vec(&beat)?;
    let head = format!(
        "POST /internal/v1/nodes/{node}/heartbeat HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    Ok([head.into_bytes(), body].concat())
}
