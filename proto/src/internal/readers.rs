//! Who asks for something, and where it is.

use crate::{
    SessionId,
    token::{Bearer, Role},
};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// The header by which a server says for whom it asks: the subject of the token that it was asked with.
pub const ASKED_BY: &str = "microtome-asked-by";

/// Somebody whose token a node has proven, and whose rights stand in the books.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reader {
    /// What kind of bearer.
    pub role: Role,
    /// The token's subject.
    pub name: String,
    /// The space that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The login that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl From<&Bearer> for Reader {
    fn from(bearer: &Bearer) -> Self {
        let Bearer { role, name, space, session, .. } = bearer.clone();
        Self { role, name, space, session }
    }
}

/// Where a material's bytes can be read just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// Base URLs of live nodes with a verified copy, the least loaded first.
    pub holders: Vec<String>,
    /// Base URL of the node that receives its upload, or puts it together, while it does.
    #[serde(default)]
    pub receiving: Option<String>,
    /// Whether it is to be put together from parts: it is there, also where no node has anything of it yet.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub joining: bool,
}
