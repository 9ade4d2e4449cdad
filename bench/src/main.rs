//! How fast, against what: each benchmark runs the real program and a peer in turn on the same machine in the same minutes,
//! so that what counts is the ratio. Everything is on loopback, bounded in time, and cleaned up afterwards.

mod answer;
mod books;
mod coordinators;
mod crowd;
mod fleet;
#[path = "../../proto/src/token/tests/forge.rs"]
mod forge;
mod healing;
mod load;
mod logins;
mod memory;
mod opening;
mod process;
mod report;
mod roads;
mod servers;
mod slides;
mod stats;
mod tokens;
mod upload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Benchmarks of Microtome beside its peers.
#[derive(Debug, Parser)]
#[command(name = "microtome-bench", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tiles and regions on every road, beside peers that serve the same
    Roads(roads::Roads),
    /// The first tile of a slide, and what an open slide costs, beside openslide-python
    Opening(opening::Opening),
    /// Many viewers at once, with and without readers that are slow
    Crowd(crowd::Crowd),
    /// Uploads and clones, beside a copy with fsync of the same file
    Upload(upload::Upload),
    /// Writes of three coordinators, time without a leader, and what a million materials cost, beside etcd
    Coordinators(coordinators::Coordinators),
    /// The planning of a large cluster after failures, simulated: no servers, no bytes
    Healing(healing::Healing),
    /// Logins, and requests of those who have logged in, beside the hash of a password
    Logins(logins::Logins),
    /// The check of a token, the first time and remembered, beside the library's own
    Tokens(tokens::Tokens),
}

/// What every benchmark takes.
#[derive(Debug, Args)]
struct Common {
    /// The program to measure [default: the one beside this one]
    #[arg(long, value_name = "FILE")]
    microtome: Option<PathBuf>,
    /// Where the temporary folder is made: the disk that is measured [default: the system's]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Results as JSON
    #[arg(long)]
    json: bool,
}

impl Common {
    /// The program to measure.
    fn program(&self) -> anyhow::Result<PathBuf> {
        let program = match &self.microtome {
            Some(program) => program.clone(),
            None => std::env::current_exe().context("cannot find this program's own file")?.with_file_name("microtome"),
        };
        if !program.is_file() {
            anyhow::bail!("{} is no program: build it with 'cargo build --release'", program.display());
        }
        // A bare name would be searched for elsewhere.
        program.canonicalize().with_context(|| format!("cannot find {}", program.display()))
    }

    /// A folder that goes when the benchmark ends.
    fn temporary(&self) -> anyhow::Result<tempfile::TempDir> {
        let parent = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        tempfile::Builder::new()
            .prefix("microtome-bench-")
            .tempdir_in(&parent)
            .with_context(|| format!("cannot make a folder in {}", parent.display()))
    }
}

fn main() -> ExitCode {
    let program = Program::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start its threads")),
    };
    // What is dropped on the way out stops the servers and removes the folder, also after an error or a signal.
    let outcome = runtime.block_on(run(program));
    // After a signal nothing that computes or loads is waited for: what is to be cleaned up was dropped with the run.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    report::note(&format!("{error:#}"));
    ExitCode::FAILURE
}

async fn run(program: Program) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Comes when the terminal is closed.
    let mut hangup = signal(SignalKind::hangup())?;
    let benchmark = async {
        match program.command {
            Command::Roads(options) => Box::pin(roads::run(&options)).await,
            Command::Opening(options) => Box::pin(opening::run(&options)).await,
            Command::Crowd(options) => Box::pin(crowd::run(&options)).await,
            Command::Upload(options) => Box::pin(upload::run(&options)).await,
            Command::Coordinators(options) => Box::pin(coordinators::run(&options)).await,
            Command::Healing(options) => tokio::task::spawn_blocking(move || healing::run(&options)).await?,
            Command::Logins(options) => Box::pin(logins::run(&options)).await,
            Command::Tokens(options) => tokio::task::spawn_blocking(move || tokens::run(&options)).await?,
        }
    };
    tokio::select! {
        outcome = benchmark => outcome,
        _ = terminate.recv() => anyhow::bail!("stopped"),
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
        _ = hangup.recv() => anyhow::bail!("the terminal was closed"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Program::command().debug_assert();
    }
}
