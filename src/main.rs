//! The one program: servers, clients and the demonstration.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod commands;
mod config;
mod progress;
mod terminal;

use clap::Parser as _;
use std::{process::ExitCode, time::Duration};

fn main() -> ExitCode {
    let program = commands::Program::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start its threads")),
    };
    let outcome = runtime.block_on(commands::run(program));
    // A read that hangs on a dead network disk must not keep the program from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // Who reads our output ('head', say) had enough of it: that is no failure.
    if error.chain().any(|cause| cause.is::<terminal::Closed>()) {
        return ExitCode::SUCCESS;
    }
    terminal::note(&format!("{error:#}"));
    // A wrong setting ends as a wrong argument does.
    let is_usage = error.chain().any(|cause| cause.is::<config::ConfigError>() || cause.is::<commands::WrongUsage>());
    ExitCode::from(if is_usage { 2 } else { 1 })
}
