//! `microtome ca`: the authority by which a cluster's servers are believed.

use crate::{config::Layers, terminal::Terminal};
use anyhow::Context as _;
use clap::Args;
use std::{fs, path::PathBuf};

/// Prints the certificate of the cluster's authority.
#[derive(Debug, Args)]
pub(crate) struct Ca {
    /// The configuration with the secret or the key
    #[arg(long, value_name = "FILE", env = "MICROTOME_CONFIG")]
    config: Option<PathBuf>,
}

/// Prints it as PEM, for `--ca`, browsers and others.
pub(crate) fn run(terminal: Terminal, options: &Ca) -> anyhow::Result<()> {
    let layers = Layers::load(options.config.as_deref())?;
    let auth = layers.auth()?;
    let tls = layers.tls(auth.is_on())?;
    let pem = match (tls.certificate, tls.ca_file) {
        (None, _) => microtome_coordinator::authority_pem(&auth)?.context(
            "there is no secret that an authority follows from: name the file that has it with --config, or set \
             MICROTOME_AUTH_SECRET. A cluster without a secret is asked by http://",
        )?,
        (Some(_), Some(file)) => {
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?
        }
        (Some(files), None) => anyhow::bail!(
            "the certificate in {} is by an authority of your own, which this machine believes already or 'ca_file' under \
             [tls] would name",
            files.certificate.display()
        ),
    };
    if terminal.json {
        return terminal.document(&serde_json::json!({ "certificate": pem }));
    }
    terminal.line(pem.trim_end())
}
