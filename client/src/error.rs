//! What can go wrong between a caller and a cluster. Every text names the server or the file and a way out.

use microtome_proto::{Code, Problem};
use std::{io, path::Path};

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A server refused, and said why.
    #[error("{}: {} ({}). {}", .0.title, .0.detail.trim_end_matches('.'), .0.code, .0.way_out)]
    Problem(Problem),
    /// No server answered before the deadline.
    #[error(
        "no answer from {servers}: {cause}. Start it, or name a server that runs with --server or MICROTOME_SERVER"
    )]
    Unreachable {
        /// The addresses that were tried.
        servers: String,
        /// The last failure.
        cause: String,
    },
    /// The text is no server's address.
    #[error(
        "'{0}' is no server's address: write http://HOST:PORT or https://HOST:PORT, http://127.0.0.1:7400 for example"
    )]
    Address(String),
    /// A server's certificate proves nothing to the caller.
    #[error(
        "the certificate of {server} is not to be believed: {cause}. Name the file with its authority with --ca or MICROTOME_CA          ('microtome ca' prints the cluster's own)"
    )]
    Untrusted {
        /// The server.
        server: String,
        /// Why.
        cause: String,
    },
    /// A file on this machine could not be read or written.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried, with the file's name.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The upload is not known any more where its bytes were going.
    #[error("the upload at {url} is gone: it was deleted, or its node lost it. Upload the file again from its start")]
    UploadGone {
        /// The upload's address.
        url: String,
    },
    /// The upload stopped, and did not go on for the whole time that it was given.
    #[error(
        "the upload to {url} stopped at byte {offset}: {cause}. Start its node again and repeat the command: \
         it goes on where it stopped. If that node never comes back, delete the upload first, whose id ends its \
         address, with 'microtome rm ID': it begins anew then"
    )]
    UploadStopped {
        /// The upload's address.
        url: String,
        /// Bytes that the node holds durably.
        offset: u64,
        /// The last failure.
        cause: String,
    },
    /// The file became shorter or longer while it was sent.
    #[error(
        "{name} changed while it was sent: it was {expected} bytes long. Upload it again when nothing writes to it"
    )]
    SourceChanged {
        /// The file.
        name: String,
        /// Its length at the beginning, in bytes.
        expected: u64,
    },
    /// Every replica answered with bytes that do not have the material's hash.
    #[error(
        "{name} arrived with the BLAKE3 hash {found}, not {expected}, from every replica. Look at 'microtome show' and \
         at the disks of its nodes"
    )]
    Damaged {
        /// The material's name.
        name: String,
        /// The hash in the log.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// A server answered something that this version does not understand.
    #[error(
        "{server} answered what this program does not understand: {what}. Check the address, and that both have the same version"
    )]
    Protocol {
        /// The server.
        server: String,
        /// What it answered.
        what: String,
    },
}

impl ClientError {
    /// The server's code, where a server refused.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            _ => None,
        }
    }

    pub(crate) fn protocol(server: &str, what: impl Into<String>) -> Self {
        Self::Protocol { server: server.to_owned(), what: what.into() }
    }

    pub(crate) fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing: format!("{doing} {}", path.display()), source }
    }
}

/// A server that needed another one for its answer passes the failure on.
impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => problem,
            ClientError::Unreachable { .. } => Self::new(Code::Unavailable, error.to_string()),
            _ => Self::new(Code::Internal, error.to_string()),
        }
    }
}

/// The innermost cause: the outer ones only tell that a request failed.
pub(crate) fn innermost(error: &reqwest::Error) -> &(dyn std::error::Error + 'static) {
    let mut inner: &(dyn std::error::Error + 'static) = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner
}

/// This machine has no certificates of authorities.
#[derive(Debug, thiserror::Error)]
#[error("this machine has no certificates of authorities")]
pub(crate) struct NoAuthorities;

/// What is wrong with a server's encryption, where that is what is wrong.
pub(crate) fn of_encryption(server: &str, error: &reqwest::Error) -> Option<ClientError> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = next {
        // What an I/O error was made of is not among its sources.
        if let Some(made_of) = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            next = Some(made_of);
            continue;
        }
        match inner.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(why)) => {
                return Some(ClientError::Untrusted { server: server.to_owned(), cause: why.to_string() });
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                let cause = "no TLS is spoken there (http:// is asked plain)".to_owned();
                return Some(ClientError::Unreachable { servers: server.to_owned(), cause });
            }
            _ => next = inner.source(),
        }
    }
    None
}

/// Why a request or an answer broke off, in words.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_as_one_sentence_and_a_way_out() {
        let text = ClientError::Problem(Problem::new(Code::NoSpace, "no node has 7 bytes.")).to_string();
        assert_eq!(
            text,
            "No node has room for it: no node has 7 bytes (no_space). Delete materials, add a node, or lower the population."
        );
    }
}
