//! `microtome coordinator` and `microtome node`: one server each, until it is told to stop.

use crate::{
    config::{ConfigError, Flags, Layers, only_here, parse_pair},
    terminal::Terminal,
};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use microtome_proto::CoordinatorId;
use std::{env, io, net::SocketAddr, path::PathBuf};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How the log on standard error looks.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// What both servers take.
#[derive(Debug, Args)]
struct Common {
    /// The configuration; the defaults are right for one machine
    #[arg(long, value_name = "FILE", env = "MICROTOME_CONFIG")]
    config: Option<PathBuf>,
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where people and other servers reach it, if not where it listens
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where its data lies
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The log's form; what is logged is set by MICROTOME_LOG (info, debug, microtome_node=debug, …)
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// End when the process with this id, which started this one, ends
    #[arg(long, hide = true)]
    exit_with_parent: Option<i32>,
}

/// Runs a coordinator.
#[derive(Debug, Args)]
pub(crate) struct Coordinator {
    /// Which of the coordinators this is
    #[arg(long, value_name = "N")]
    id: Option<CoordinatorId>,
    /// All coordinators, this one too, instead of the configuration's
    #[arg(long, value_name = "ID=URL")]
    coordinator: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Runs a storage node.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// Its name, the host's otherwise
    #[arg(long)]
    name: Option<String>,
    /// The failure domain it stands in
    #[arg(long)]
    zone: Option<String>,
    /// A label
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_pair)]
    labels: Vec<(String, String)>,
    /// A coordinator, instead of the configuration's; any one is enough
    #[arg(long, value_name = "URL")]
    coordinator: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Serves until a signal comes.
pub(crate) async fn coordinator(terminal: Terminal, options: Coordinator) -> anyhow::Result<()> {
    let layers = prepare(&options.common)?;
    let flags = Flags { id: options.id, coordinators: options.coordinator, ..options.common.into_flags() };
    let config = layers.coordinator(&flags)?;
    if config.coordinators.len().is_multiple_of(2) && !config.coordinators.is_empty() {
        tracing::warn!(
            coordinators = config.coordinators.len(),
            "more than half must run: one coordinator less would bear the loss of as many"
        );
    }
    let (name, url) = (format!("coordinator {}", config.id), config.url.clone());
    let (ready, listening) = oneshot::channel();
    let served = microtome_coordinator::run(config, microtome_web::console(), stop_on_signal()?, ready);
    let (served, ()) = tokio::join!(served, announce(terminal, &name, url, listening));
    served.with_context(|| name)
}

/// Serves until a signal comes.
pub(crate) async fn node(terminal: Terminal, options: Node) -> anyhow::Result<()> {
    let layers = prepare(&options.common)?;
    let flags = Flags {
        name: options.name,
        zone: options.zone,
        labels: options.labels,
        coordinators: options.coordinator,
        ..options.common.into_flags()
    };
    let config = layers.node(&flags)?;
    if let Some((address, coordinator)) = only_here(&config) {
        tracing::warn!(
            address,
            coordinator,
            "other machines do not reach this node at its address: 'listen' says where it listens (0.0.0.0:7500), 'url' how \
             they reach it (http://HOST:7500)"
        );
    }
    let url = config.url.clone();
    let (ready, listening) = oneshot::channel();
    let served = microtome_node::run(config, stop_on_signal()?, ready);
    let (served, ()) = tokio::join!(served, announce(terminal, "node", url, listening));
    served.context("node")
}

impl Common {
    fn into_flags(self) -> Flags {
        Flags { listen: self.listen, url: self.url, data_dir: self.data_dir, ..Flags::default() }
    }
}

fn prepare(common: &Common) -> anyhow::Result<Layers> {
    if let Some(parent) = common.exit_with_parent {
        exit_with(parent)?;
    }
    log_to_stderr(common.log_format)?;
    let layers = Layers::load(common.config.as_deref())?;
    for variable in layers.unknown_variables() {
        tracing::warn!(variable, "this variable is not a setting of ours and changes nothing");
    }
    Ok(layers)
}

/// Tells whoever waits for it that the server can be asked.
async fn announce(terminal: Terminal, name: &str, url: Option<String>, listening: oneshot::Receiver<SocketAddr>) {
    // A server that fails before it listens says why by itself.
    let Ok(address) = listening.await else { return };
    let url = url.unwrap_or_else(|| format!("http://{address}"));
    // Who started it may have closed the output: it serves all the same.
    let _ = if terminal.json {
        terminal.record(&serde_json::json!({ "server": name, "url": url, "listen": address.to_string() }))
    } else {
        terminal.line(&format!("{name} is ready at {url}"))
    };
}

/// Cancelled by SIGTERM or SIGINT; a second one ends the process at once.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = stop.clone();
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if again {
                std::process::exit(1);
            }
            tracing::info!("stopping");
            told.cancel();
        }
    });
    Ok(stop)
}

fn log_to_stderr(format: LogFormat) -> Result<(), ConfigError> {
    let filter = match env::var("MICROTOME_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text)
            .map_err(|error| ConfigError::at("MICROTOME_LOG", format!("'{text}' is no filter of the log: {error}")))?,
        _ => EnvFilter::new("info,openraft=error"),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// The kernel kills us when the parent ends, however it ends.
fn exit_with(parent: i32) -> anyhow::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot tie this process to its parent")?;
    // The parent may have ended before the kernel was asked.
    if getppid().is_none_or(|pid| pid.as_raw_nonzero().get() != parent) {
        anyhow::bail!("the process {parent} that started this one has ended");
    }
    Ok(())
}
