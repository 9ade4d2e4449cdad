//! The demonstration's servers: real processes of this same program, which end when it ends.

use super::ports::Ports;
use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::process::{Child, Command};

/// Short times, so that healing can be watched; but all servers share one disk here, and a busy one holds up heartbeats
/// for a second or two.
const CONFIG: &str = "\
[cluster]
name = \"demo\"
population = 2
heartbeat_ms = 500
unreachable_after_ms = 3000
down_after_ms = 6000
";
/// How long a server may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// One server.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) url: String,
    log: PathBuf,
    child: Child,
    /// Whether its end was asked for or told already.
    ended: bool,
}

/// All servers.
pub(crate) struct Fleet {
    servers: Vec<Server>,
    coordinators: Vec<String>,
}

impl Fleet {
    /// Starts three coordinators and three nodes with their data and logs in `folder`.
    pub(crate) fn start(folder: &Path, ports: &Ports) -> anyhow::Result<Self> {
        let program = env::current_exe().context("cannot find this program's own file")?;
        let config = folder.join("cluster.toml");
        let coordinators: Vec<_> = ports.coordinators.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let entries =
            (1..).zip(&coordinators).map(|(id, url)| format!("\n[[coordinators]]\nid = {id}\nurl = \"{url}\"\n"));
        let text: String = std::iter::once(CONFIG.to_owned()).chain(entries).collect();
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;

        let mut fleet = Self { servers: Vec::new(), coordinators };
        for (number, port) in (1..).zip(ports.coordinators) {
            let name = format!("coordinator-{number}");
            let mut command = Command::new(&program);
            command.arg("coordinator").args(["--id", &number.to_string()]).arg("--config").arg(&config);
            fleet.spawn(&mut command, &name, port, folder)?;
        }
        for (number, port) in (1..).zip(ports.nodes) {
            let name = format!("node-{number}");
            let mut command = Command::new(&program);
            command.arg("node").args(["--name", &name]).arg("--config").arg(&config);
            fleet.spawn(&mut command, &name, port, folder)?;
        }
        Ok(fleet)
    }

    fn spawn(&mut self, command: &mut Command, name: &str, port: u16, folder: &Path) -> anyhow::Result<()> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        // What is set for servers of ours does not concern these.
        for (variable, _) in env::vars_os() {
            if variable.to_str().is_some_and(|name| name.starts_with("MICROTOME_") && name != "MICROTOME_LOG") {
                command.env_remove(variable);
            }
        }
        command
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .arg("--data-dir")
            .arg(folder.join(name))
            .args(["--exit-with-parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C is for us: we stop them in order.
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let url = format!("http://127.0.0.1:{port}");
        self.servers.push(Server { name: name.to_owned(), url, log, child, ended: false });
        Ok(())
    }

    /// The coordinators' addresses.
    pub(crate) fn coordinators(&self) -> &[String] {
        &self.coordinators
    }

    /// The name of the server at this address.
    pub(crate) fn name_of<'a>(&'a self, url: &'a str) -> &'a str {
        self.servers.iter().find(|server| server.url == url).map_or(url, |server| server.name.as_str())
    }

    /// Servers that have ended since this was last asked, with the last line of their logs.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Vec<String>> {
        let mut ended = Vec::new();
        for server in self.servers.iter_mut().filter(|server| !server.ended) {
            if let Some(status) = server.child.try_wait()? {
                server.ended = true;
                ended.push(format!("{} has ended ({status}): {}", server.name, last_line(&server.log)));
            }
        }
        Ok(ended)
    }

    /// An error where a server has ended that should run.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.ended()?.into_iter().next() {
            Some(ended) => bail!(ended),
            None => Ok(()),
        }
    }

    /// Kills the server at this address with SIGKILL; answers with its name.
    pub(crate) async fn kill(&mut self, url: &str) -> anyhow::Result<String> {
        let server = self.servers.iter_mut().find(|server| server.url == url);
        let server = server.with_context(|| format!("no server of the demonstration is at {url}"))?;
        server.ended = true;
        server.child.kill().await.with_context(|| format!("cannot kill {}", server.name))?;
        Ok(server.name.clone())
    }

    /// Stops all servers: nodes first, who tell the coordinators.
    pub(crate) async fn stop(&mut self) {
        for server in self.servers.iter_mut().rev() {
            server.ended = true;
            let pid = server.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid {
                // It may have ended just now.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        for server in &mut self.servers {
            let stopped: Result<std::io::Result<ExitStatus>, _> =
                tokio::time::timeout(STOP_WITHIN, server.child.wait()).await;
            if stopped.is_err() {
                let _ = server.child.kill().await;
            }
        }
    }
}

/// The last line of a log, which tells why a server has ended.
fn last_line(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("its log is empty");
    format!("{line} (all of it in {})", log.display())
}
