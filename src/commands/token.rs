//! `microtome token`: whoever knows the cluster's secret can make a token.

use crate::{
    config::{Layers, parse_duration},
    terminal::Terminal,
};
use anyhow::Context as _;
use clap::Args;
use microtome_proto::{
    Timestamp,
    token::{Keys, Role},
};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// Makes a token.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// How long it is valid: 90s, 30m, 12h, 7d
    #[arg(long = "for", value_name = "TIME", default_value = "12h", value_parser = parse_duration)]
    validity: Duration,
    /// Who carries it, for the servers' logs
    #[arg(long, value_name = "NAME", default_value = "administrator")]
    name: String,
    /// The configuration with the secret
    #[arg(long, value_name = "FILE", env = "MICROTOME_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    token: String,
    expires_at: Timestamp,
}

/// Prints a token.
pub(crate) fn run(terminal: Terminal, options: &Token) -> anyhow::Result<()> {
    let secret = Layers::load(options.config.as_deref())?.secret()?.context(
        "there is no secret to sign with: name the file that has it with --config, or set MICROTOME_AUTH_SECRET. \
         A cluster without a secret needs no token",
    )?;
    let now = Timestamp::now();
    let seconds = options.validity.as_secs();
    let now_s = u64::try_from(now.as_millis() / 1000).unwrap_or(0);
    let token = Keys::from_secret(&secret).sign(&options.name, Role::Administrator, now_s, seconds)?;
    let millis = i64::try_from(options.validity.as_millis()).unwrap_or(i64::MAX);
    let expires_at = Timestamp::from_millis(now.as_millis().saturating_add(millis));
    if terminal.json {
        return terminal.document(&Made { token, expires_at });
    }
    terminal.line(&token)
}
