//! Identifiers. All are opaque strings that fit in a URL path unescaped: lower-case letters, digits and `-`.
//!
//! Node, material and run ids are made from counters in the replicated log, so none is ever used twice. A material's
//! counter passes through a bijection keyed by the cluster's id: two clusters on one machine do not give out the same
//! tile addresses, which browsers may have cached, and ids do not tell how many materials there are.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

/// Longest identifier accepted from outside, in bytes.
pub const ID_LEN_MAX: usize = 40;

/// The text is no identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {kind} id")]
pub struct InvalidId {
    kind: &'static str,
    text: String,
}

fn checked(kind: &'static str, prefix: &str, text: &str) -> Result<String, InvalidId> {
    let body = text.strip_prefix(prefix).unwrap_or_default();
    let plain = body.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if body.is_empty() || text.len() > ID_LEN_MAX || !plain {
        let shown: String = text.chars().take(ID_LEN_MAX).filter(|c| !c.is_control()).collect();
        return Err(InvalidId { kind, text: shown });
    }
    Ok(text.to_owned())
}

macro_rules! id {
    ($(#[doc = $doc:literal])* $name:ident, $kind:literal, $prefix:literal) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                checked($kind, $prefix, text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let description = concat!($($doc,)*).trim_ascii();
                let pattern = format!("^{}[a-z0-9]{{1,{}}}$", $prefix, ID_LEN_MAX - $prefix.len());
                json_schema!({ "type": "string", "description": description, "pattern": pattern })
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A storage node, `n-1`. A wiped disk means a new id.
    NodeId, "node", "n-"
);
id!(
    /// A material (a stored file), `m-` and ten letters or digits.
    MaterialId, "material", "m-"
);
id!(
    /// A run of a pipeline, `r-1`.
    RunId, "run", "r-"
);
id!(
    /// A user of the cluster's own: a person or a service account, `u-1`.
    UserId, "user", "u-"
);
id!(
    /// A team, `t-1`.
    TeamId, "team", "t-"
);
id!(
    /// A case, `case-1`.
    CaseId, "case", "case-"
);
id!(
    /// A login, or a service account's token: `s-` and letters or digits that were drawn.
    SessionId, "session", "s-"
);
id!(
    /// A cluster, `c-` and letters or digits drawn once at its birth. A node joins one cluster for life.
    ClusterId, "cluster", "c-"
);

impl NodeId {
    /// The id of the `counter`th node.
    pub fn from_counter(counter: u64) -> Self {
        Self(format!("n-{counter}"))
    }
}

impl RunId {
    /// The id of the `counter`th run.
    pub fn from_counter(counter: u64) -> Self {
        Self(format!("r-{counter}"))
    }
}

impl UserId {
    /// The id of the `counter`th user.
    pub fn from_counter(counter: u64) -> Self {
        Self(format!("u-{counter}"))
    }
}

impl TeamId {
    /// The id of the `counter`th team.
    pub fn from_counter(counter: u64) -> Self {
        Self(format!("t-{counter}"))
    }
}

impl CaseId {
    /// The id of the `counter`th case.
    pub fn from_counter(counter: u64) -> Self {
        Self(format!("case-{counter}"))
    }
}

impl SessionId {
    /// A session's id from 128 random bits, drawn by the proposer.
    pub fn from_random(bits: u128) -> Self {
        Self(format!("s-{}{}", base32((bits >> 64) as u64, 13), base32(bits as u64, 13)))
    }
}

impl ClusterId {
    /// A cluster's id from 64 random bits, drawn by the proposer.
    pub fn from_random(bits: u64) -> Self {
        Self(format!("c-{}", base32(bits, 13)))
    }
}

impl MaterialId {
    /// The id of the `counter`th material of a cluster: unique for counters below 2^50.
    pub fn from_counter(cluster: &ClusterId, counter: u64) -> Self {
        Self(format!("m-{}", base32(scramble(cluster.as_str(), counter), 10)))
    }
}

/// Crockford's alphabet: no i, l, o, u, which people misread.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn base32(value: u64, digits: u32) -> String {
    (0..digits).rev().map(|i| char::from(BASE32[((value >> (5 * i)) & 31) as usize])).collect()
}

/// A Feistel network of four rounds over 50 bits: a bijection whatever its round function is.
fn scramble(key: &str, counter: u64) -> u64 {
    const HALF: u64 = (1 << 25) - 1;
    let (mut left, mut right) = ((counter >> 25) & HALF, counter & HALF);
    for round in 0..4u64 {
        // FNV-1a over the key, the round and the half: spread, not secrecy, is wanted.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in key.bytes().chain(round.to_le_bytes()).chain(right.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        (left, right) = (right, left ^ ((hash >> 32) & HALF));
    }
    (left << 25) | right
}

/// A coordinator's number in `cluster.toml`, from 1.
pub type CoordinatorId = u64;

/// Fences late writers: every assignment of a replica or of a run's attempt carries a generation from the log, and a
/// report or an order with an older one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn material_ids_differ_between_counters_and_clusters() {
        let (a, b) = (ClusterId::from_random(1), ClusterId::from_random(2));
        let ids: HashSet<_> =
            [&a, &b].into_iter().flat_map(|c| (0..20_000).map(move |n| MaterialId::from_counter(c, n))).collect();
        assert_eq!(ids.len(), 40_000);
        assert!(ids.iter().all(|id| id.as_str().parse::<MaterialId>().as_ref() == Ok(id)));
    }

    #[test]
    fn no_path_trick_is_an_id() {
        for text in ["", "m-", "m-..", "m-a/b", "m-A", "m-é", "n-1", "m-\0", &format!("m-{}", "a".repeat(50))] {
            assert!(text.parse::<MaterialId>().is_err(), "{text:?}");
        }
    }
}
