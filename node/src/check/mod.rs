//! The operator's check of what was uploaded: a program, a service, or both, asked when all bytes are durable and before
//! anything of them counts.
//!
//! It owns how many are made at once, how long one may take, and what was refused lately. A check has three ends: the file
//! is accepted, it is refused, or nothing can be told, which never counts as either. It must never change a file.

mod program;
mod refused;
mod service;

pub(crate) use refused::{Refused, problem};

use microtome_proto::{MaterialId, limits::CHECK_REASON_LEN_MAX};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};
use tokio::sync::Semaphore;

/// How what is uploaded is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckConfig {
    /// A program and its arguments, in which `{file}` stands for the file's path and `{id}` for the material's id; none,
    /// where this is empty.
    pub program: Vec<String>,
    /// A service that is asked by POST.
    pub url: Option<String>,
    /// How long each of them may take.
    pub within: Duration,
    /// Files that are checked at once.
    pub at_once: usize,
}

impl CheckConfig {
    /// Whether a service can be asked at an address.
    ///
    /// # Errors
    /// A sentence, where it can not.
    pub fn check_url(url: &str) -> Result<(), String> {
        microtome_server::outside::address(url).map(drop)
    }
}

/// What is to be checked.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subject {
    pub(crate) id: MaterialId,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) media_type: String,
    pub(crate) blake3: String,
    pub(crate) space: Option<String>,
    pub(crate) case: Option<String>,
    /// Where a service gets its bytes, while they are checked.
    #[serde(rename = "file")]
    pub(crate) url: String,
    #[serde(skip)]
    pub(crate) path: PathBuf,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The file may be published.
    Accepted,
    /// It may not, for this reason.
    Refused(String),
}

/// Nothing can be told about the file, for this reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Untold(pub(crate) String);

/// Asks the operator's program and service.
pub(crate) struct Checks {
    config: CheckConfig,
    turns: Semaphore,
    refused: Refused,
}

impl Checks {
    pub(crate) fn new(config: CheckConfig) -> Self {
        let turns = Semaphore::new(config.at_once.max(1));
        Self { config, turns, refused: Refused::default() }
    }

    /// How long a check may take in all, once it has its turn.
    pub(crate) fn within(&self) -> Duration {
        self.config.within * 2
    }

    /// What was refused lately.
    pub(crate) fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Has the file checked, when it is its turn. Where this is dropped the check is ended.
    ///
    /// # Errors
    /// Where nothing can be told.
    pub(crate) async fn judge(&self, subject: &Subject) -> Result<Verdict, Untold> {
        let _turn = self.turns.acquire().await.map_err(|error| Untold(error.to_string()))?;
        if let Some((program, arguments)) = self.config.program.split_first() {
            let verdict = program::run(program, arguments, subject, self.config.within).await?;
            if verdict != Verdict::Accepted {
                return Ok(verdict);
            }
        }
        match &self.config.url {
            Some(url) => service::ask(url, subject, self.config.within).await,
            None => Ok(Verdict::Accepted),
        }
    }
}

/// The last lines of what a check says, as they can be told: bounded, and plain text.
fn reason(said: &str) -> String {
    let plain = said.chars().map(|c| if c.is_control() { ' ' } else { c });
    let words = plain.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    let begin = words.len().saturating_sub(CHECK_REASON_LEN_MAX);
    let begin = (begin..=words.len()).find(|at| words.is_char_boundary(*at)).unwrap_or(words.len());
    words.get(begin..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_check_says_is_bounded_and_plain() {
        assert_eq!(reason("a.svs:\u{1b}[31m Eicar\r\n\nFOUND\0"), "a.svs: [31m Eicar FOUND");
        let long = reason(&"é".repeat(CHECK_REASON_LEN_MAX));
        assert!(long.len() <= CHECK_REASON_LEN_MAX && long.starts_with('é'), "{}", long.len());
    }
}
