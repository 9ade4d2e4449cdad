//! A cluster of the real program on loopback: one coordinator and some nodes, on ports that the system chooses.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use microtome_client::Cluster;
use microtome_proto::page::PageQuery;

use crate::process::{Process, Usage};

const JOINED_WITHIN: Duration = Duration::from_secs(30);
/// A coordinator reads all its books before it listens.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// A port that the system chooses.
pub(crate) const ANYWHERE: &str = "127.0.0.1:0";
/// Lines of a server's log that are told with an error: the log goes with the temporary folder.
const LAST_LINES: usize = 20;

/// One server of ours.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// Base URL.
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.url.trim_start_matches("http://").parse().with_context(|| format!("the address {}", self.url))
    }
}

/// All of them; they end when this is dropped.
pub(crate) struct Fleet {
    // Nodes are dropped first, so that the coordinator hears of it.
    pub(crate) nodes: Vec<Server>,
    coordinator: Server,
    pub(crate) cluster: Cluster,
    program: PathBuf,
    folder: PathBuf,
}

impl Fleet {
    /// Starts a coordinator and `count` nodes, with their data and logs in `folder`, and waits until all are known.
    pub(crate) async fn start(program: &Path, folder: &Path, count: usize) -> anyhow::Result<Self> {
        let coordinator = start(program, "coordinator", ANYWHERE, folder, |command| command.arg("coordinator"))?;
        let nodes = (1..=count)
            .map(|number| start_node(program, number, folder, &coordinator.url))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let cluster = Cluster::new(vec![coordinator.url.clone()], None);
        let fleet = Fleet { nodes, coordinator, cluster, program: program.to_owned(), folder: folder.to_owned() };
        let started = Instant::now();
        loop {
            // An empty file could go to each node that is known, alive and has reported its room.
            let known = fleet.cluster.candidates(1).await.map_or(0, |page| page.items.len());
            let named = fleet.cluster.nodes(&PageQuery::default()).await.map_or(0, |page| page.items.len());
            if known.min(named) >= count {
                return Ok(fleet);
            }
            if started.elapsed() > JOINED_WITHIN {
                let nodes = (1..=count).map(|number| format!("node-{number}"));
                let logs = std::iter::once("coordinator".to_owned()).chain(nodes);
                let said: String = logs.map(|name| format!("\n{name}: {}", last_words(folder, &name))).collect();
                bail!("only {known} of {count} nodes joined the cluster{said}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops a node and starts it anew on its data, at another address.
    pub(crate) fn restart(&mut self, index: usize) -> anyhow::Result<()> {
        // Two cannot work on the same data.
        drop(self.nodes.remove(index));
        let node = start_node(&self.program, index + 1, &self.folder, &self.coordinator.url)?;
        self.nodes.insert(index, node);
        Ok(())
    }

    /// What all servers have used until now.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.nodes.iter().try_fold(self.coordinator.process.usage()?, |sum, node| Ok(sum + node.process.usage()?))
    }
}

pub(crate) fn start_node(program: &Path, number: usize, folder: &Path, coordinator: &str) -> anyhow::Result<Server> {
    let name = format!("node-{number}");
    start(program, &name, ANYWHERE, folder, |command| {
        command.args(["node", "--name", &name, "--coordinator", coordinator])
    })
}

/// Starts a server and waits until it tells where it listens.
pub(crate) fn start(
    program: &Path,
    name: &str,
    listen: &str,
    folder: &Path,
    arguments: impl FnOnce(&mut Command) -> &mut Command,
) -> anyhow::Result<Server> {
    let log = log_of(folder, name);
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|name| name.starts_with("MICROTOME_")) {
            command.env_remove(variable);
        }
    }
    arguments(&mut command)
        .args(["--json", "--listen", listen, "--exit-with-parent", &std::process::id().to_string()])
        .arg("--data-dir")
        .arg(folder.join(name))
        .env("MICROTOME_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file);
    let mut process = Process::spawn(name, &mut command)?;
    let output = process.child.stdout.take().context("no pipe from the server")?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // Nobody listens any more where it took too long.
        let _ = tell.send(BufReader::new(output).read_line(&mut line).map(|_| line));
    });
    let line = match told.recv_timeout(READY_WITHIN) {
        Ok(line) => line.with_context(|| format!("cannot read what {name} says"))?,
        Err(_) => bail!("{name} does not get ready: {}", last_words(folder, name)),
    };
    let ready: serde_json::Value =
        serde_json::from_str(&line).with_context(|| format!("{name} does not start: {}", last_words(folder, name)))?;
    let url = ready["url"].as_str().with_context(|| format!("{name} does not say where it listens: {line}"))?;
    Ok(Server { process, url: url.to_owned() })
}

fn log_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

/// The end of a server's log.
fn last_words(folder: &Path, name: &str) -> String {
    let text = fs::read_to_string(log_of(folder, name)).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
