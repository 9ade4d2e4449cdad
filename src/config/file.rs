//! `cluster.toml` as it is written: sections, keys, and where each value stands.

use super::{
    ConfigError, Place,
    size::{Size, Span},
};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, ops::Range, path::Path};
use toml::Spanned;

/// Longest configuration accepted, in bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

/// A value that may be left out.
pub(crate) type Value<T> = Option<Spanned<T>>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) cluster: Cluster,
    pub(crate) auth: Auth,
    pub(crate) tls: Tls,
    pub(crate) coordinators: Vec<Coordinator>,
    pub(crate) node: Node,
    pub(crate) checks: Checks,
    /// The file's name and text, for the lines in messages.
    #[serde(skip)]
    source: Source,
}

#[derive(Debug, Default)]
struct Source {
    name: String,
    text: String,
}

/// `[cluster]`: the same on every server.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cluster {
    pub(crate) name: Value<String>,
    pub(crate) population: Value<u32>,
    pub(crate) copies_max: Value<usize>,
    pub(crate) copies_per_node_max: Value<usize>,
    pub(crate) heartbeat_ms: Value<u64>,
    pub(crate) unreachable_after_ms: Value<u64>,
    pub(crate) down_after_ms: Value<u64>,
}

/// `[auth]`: the same on every server.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Auth {
    pub(crate) secret: Value<String>,
    pub(crate) secret_file: Value<String>,
    pub(crate) previous_secret: Value<String>,
    pub(crate) previous_secret_file: Value<String>,
    pub(crate) signing_key_file: Value<String>,
    pub(crate) verifying_keys_file: Value<String>,
    pub(crate) first_password_file: Value<String>,
    pub(crate) providers: Vec<Provider>,
}

/// `[tls]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    pub(crate) certificate_file: Value<String>,
    pub(crate) key_file: Value<String>,
    pub(crate) ca_file: Value<String>,
    pub(crate) between_servers: Value<String>,
}

/// One `[[auth.providers]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    pub(crate) issuer: Spanned<String>,
    pub(crate) audience: Spanned<OneOrMore>,
    pub(crate) jwks_url: Value<String>,
    pub(crate) jwks_file: Value<String>,
    pub(crate) administrators: Value<Vec<String>>,
    pub(crate) role_claim: Value<String>,
    pub(crate) administrator_role: Value<String>,
    pub(crate) member_role: Value<String>,
}

/// A text, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// One `[[coordinators]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coordinator {
    pub(crate) id: Spanned<u64>,
    pub(crate) url: Spanned<String>,
    pub(crate) listen: Value<String>,
    pub(crate) data_dir: Value<String>,
}

/// `[node]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Node {
    pub(crate) listen: Value<String>,
    pub(crate) url: Value<String>,
    pub(crate) data_dir: Value<String>,
    pub(crate) name: Value<String>,
    pub(crate) zone: Value<String>,
    pub(crate) labels: Value<BTreeMap<String, String>>,
    pub(crate) reserve: Value<Size>,
    pub(crate) uploads_expire_after: Value<Span>,
    pub(crate) runs_max: Value<usize>,
    pub(crate) scrub_rate: Value<Size>,
    pub(crate) scrub_every: Value<Span>,
    pub(crate) coordinators: Value<Vec<String>>,
}

/// `[checks]`: of nodes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Checks {
    pub(crate) program: Value<Vec<String>>,
    pub(crate) url: Value<String>,
    pub(crate) within: Value<Span>,
    pub(crate) at_once: Value<usize>,
}

impl File {
    /// Reads and checks the form of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let failed = |cause: String| ConfigError::at(&name, format!("cannot be read: {cause}"));
        let len = fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
        if len > FILE_LEN_MAX {
            return Err(failed(format!("it is longer than {FILE_LEN_MAX} bytes")));
        }
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        Self::parse(&name, text)
    }

    /// Checks the form of a text that is called `name` in messages.
    pub(crate) fn parse(name: &str, text: String) -> Result<Self, ConfigError> {
        match toml::from_str::<Self>(&text) {
            Ok(file) => Ok(Self { source: Source { name: name.to_owned(), text }, ..file }),
            Err(error) => {
                let span = error.span();
                let place = span.as_ref().map_or_else(|| name.to_owned(), |span| line_of(name, &text, span));
                let message = plain(error.message());
                Err(match span.and_then(|span| key_before(&text, span.start)) {
                    Some(key) => ConfigError::at(place, format!("{key}: {message}")),
                    None => ConfigError::at(place, message),
                })
            }
        }
    }

    /// Where a value stands.
    pub(crate) fn place<T>(&self, value: &Spanned<T>) -> Place {
        Place::new(line_of(&self.source.name, &self.source.text, &value.span()))
    }
}

fn line_of(name: &str, text: &str, span: &Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    format!("{name}, line {}", before.matches('\n').count() + 1)
}

/// The key whose value stands at `at`, where both are on one line.
fn key_before(text: &str, at: usize) -> Option<&str> {
    let line = text.get(..at)?.rsplit('\n').next()?;
    line.split_once('=').map(|(key, _)| key.trim())
}

/// serde's words in those of the file's reader.
fn plain(message: &str) -> String {
    let message = message.trim().replace('\n', ", ").replace('`', "'");
    message
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key")
        .replace(", expected one of ", ", one of ")
}
