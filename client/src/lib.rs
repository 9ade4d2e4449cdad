//! Talking to a cluster: knows some servers' addresses, finds the one that can answer, and tries again where that has a
//! chance.
//!
//! It owns the retry rules, the redirects, resumable upload and download. It knows nothing of where things *should* be:
//! every server is asked the same questions and either answers or sends the asker on.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod accounts;
mod backoff;
mod body;
mod calls;
mod cluster;
mod credentials;
mod download;
mod encryption;
mod error;
mod internal;
mod journal;
mod part;
mod servers;
mod source;
mod spaces;
mod transport;
mod upload;

pub use body::ByteStream;
pub use calls::Tile;
pub use cluster::{Cluster, TokenSource};
pub use credentials::{Credential, Credentials};
pub use download::Downloaded;
pub use encryption::Encryption;
pub use error::ClientError;
pub use journal::{FileKey, Journal};
pub use servers::check_address;
pub use source::{FileSource, Source};
pub use upload::{Progress, Upload};
