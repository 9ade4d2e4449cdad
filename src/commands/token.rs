//! `microtome token`: whoever knows the cluster's secret, or has its key, can make a token.

use super::{Context, WrongUsage};
use crate::{
    config::{Layers, parse_duration},
    terminal::note,
};
use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use microtome_proto::{
    MaterialId, Timestamp,
    token::{Claims, MadeToken, Role, now_s},
};
use std::{io::Read as _, path::PathBuf, time::Duration};

/// Who a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum For {
    /// May do everything
    Administrator,
    /// Sends files to one space (--space), and reads nothing back
    Uploader,
    /// Sends files to one space (--space), and reads what lies there
    Member,
    /// Reads one material (--material)
    Viewer,
}

/// Longest text in which a token is looked for, in bytes.
const TEXT_LEN_MAX: u64 = 16 << 10;

/// What else is done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Act {
    /// Take a token back: it counts no more from now on
    Revoke {
        /// The token; '-' reads it from standard input, where others do not see it
        #[arg(value_name = "TOKEN")]
        taken_back: String,
    },
}

/// Makes a token.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) act: Option<Act>,
    /// Who it is for: an uploader where --space is given, a viewer where --material is, an administrator otherwise
    #[arg(long, value_enum)]
    role: Option<For>,
    /// The space that an uploader or a member sends to
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
    /// The material that a viewer reads
    #[arg(long, value_name = "ID", conflicts_with = "space")]
    material: Option<MaterialId>,
    /// How long it is valid: 90s, 30m, 12h, 7d
    #[arg(long, alias = "for", value_name = "TIME", default_value = "12h", value_parser = parse_duration)]
    expires_in: Duration,
    /// Who carries it, for the servers' logs [default: its role]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print the public key of the cluster's signing key instead, as a JWKS for 'verifying_keys_file'
    #[arg(long, conflicts_with_all = ["role", "space", "material", "name"])]
    public_key: bool,
    /// The configuration with the secret or the key
    #[arg(long, value_name = "FILE", env = "MICROTOME_CONFIG")]
    config: Option<PathBuf>,
}

/// Prints a token, or takes one back.
pub(crate) async fn run(context: &Context, options: &Token) -> anyhow::Result<()> {
    let terminal = context.terminal;
    if let Some(Act::Revoke { taken_back }) = &options.act {
        let mut text = taken_back.clone();
        if text == "-" {
            text.clear();
            std::io::stdin().take(TEXT_LEN_MAX).read_to_string(&mut text)?;
        }
        context.cluster.revoke_token(text.trim()).await?;
        note("the token counts no more; nodes hear of it with their next heartbeats");
        return Ok(());
    }
    let role = options.role()?;
    let auth = Layers::load(options.config.as_deref())?.auth()?;
    let signer = auth.signer()?.context(
        "there is no secret to sign with: name the file that has it with --config, or set MICROTOME_AUTH_SECRET. \
         A cluster without a secret needs no token",
    )?;
    if options.public_key {
        let keys =
            signer.jwks().context("the cluster signs with its secret: only a 'signing_key_file' has a public key")?;
        return terminal.document(&keys);
    }
    let name = options.name.as_deref().unwrap_or(match role {
        Role::Uploader => "uploader",
        Role::Member => "member",
        Role::Viewer => "viewer",
        _ => "administrator",
    });
    let mut claims = Claims::new(name, role, now_s(), options.expires_in.as_secs());
    claims.space.clone_from(&options.space);
    claims.material.clone_from(&options.material);
    let token = signer.sign(&claims)?;
    if terminal.json {
        let ends = i64::try_from(claims.exp.saturating_mul(1000)).unwrap_or(i64::MAX);
        return terminal.document(&MadeToken { token, expires_at: Timestamp::from_millis(ends) });
    }
    terminal.line(&token)
}

impl Token {
    fn role(&self) -> Result<Role, WrongUsage> {
        let fitting = match (&self.space, &self.material) {
            (Some(_), _) => For::Uploader,
            (_, Some(_)) => For::Viewer,
            _ => For::Administrator,
        };
        if self.space.as_ref().is_some_and(|space| space.is_empty() || space.len() > 255) {
            return Err(WrongUsage("a space's name has 1 to 255 bytes"));
        }
        match (self.role.unwrap_or(fitting), fitting) {
            (For::Uploader, For::Uploader) => Ok(Role::Uploader),
            (For::Member, For::Uploader) => Ok(Role::Member),
            (For::Viewer, For::Viewer) => Ok(Role::Viewer),
            (For::Administrator, For::Administrator) => Ok(Role::Administrator),
            (For::Uploader | For::Member, _) => {
                Err(WrongUsage("an uploader or a member sends to one space: name it with --space"))
            }
            (For::Viewer, _) => Err(WrongUsage("a viewer reads one material: name it with --material")),
            (For::Administrator, _) => Err(WrongUsage("an administrator is bound to no space and no material")),
        }
    }
}
