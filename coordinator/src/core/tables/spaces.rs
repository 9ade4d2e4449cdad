//! Spaces, what lies in them and under which keys.

use super::TotalsRecord;
use crate::core::{keys, view::Table};
use microtome_proto::{
    MaterialId, Timestamp,
    material::Owner,
    space::{Member, SpaceRole, Visibility},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who an owner is in a key: told apart from all others, whatever tokens call their bearers.
pub fn owner_text(owner: &Owner) -> String {
    // JSON escapes the zero at which a key's text would end.
    serde_json::Value::from(vec![owner.space.as_str(), owner.name.as_str()]).to_string()
}

/// A space that was described. One that only tokens name is as [`SpaceRecord::default`] has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpaceRecord {
    /// Who may read what lies in it, beside its members.
    pub visibility: Visibility,
    /// Who may do what in it.
    pub members: BTreeMap<Member, SpaceRole>,
    /// Most bytes that lie in it, each counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Most of one owner's bytes that lie in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes_per_owner: Option<u64>,
    /// After how many seconds its materials are deleted, used or not, unless they say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// After how many seconds without a reader they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_expires_in_s: Option<u64>,
    /// When it was described first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

table!(
    /// The spaces that were described, by name.
    Spaces, b'P', String => SpaceRecord,
    |name| name.as_bytes().to_vec(), |bytes| String::from_utf8(bytes.to_vec()).ok()
);
table!(
    /// Sum: what lies in a space, deleted materials left out; also of spaces that only tokens name.
    SpaceTotals, b'p', String => TotalsRecord,
    |name| name.as_bytes().to_vec(), |bytes| String::from_utf8(bytes.to_vec()).ok()
);
table!(
    /// Sum: what one owner has in a space.
    OwnerTotals, b'W', (String, String) => TotalsRecord,
    |key| keys::texts(&key.0, &key.1), |bytes| keys::take_texts(bytes)
);
table!(
    /// Index: the materials in a space, the newest first.
    InSpace, b'I', (String, u64) => MaterialId,
    |key| [keys::text(&key.0), keys::newest_first(key.1)].concat(),
    |bytes| {
        let (space, rest) = keys::take_text(bytes)?;
        Some((space, keys::decode_newest_first(rest)?))
    }
);
table!(
    /// Under which key of a space which material is served.
    Keys, b'K', (String, String) => MaterialId, |key| keys::texts(&key.0, &key.1), |bytes| keys::take_texts(bytes)
);
table!(
    /// Index: verified materials by space (empty where they lie in none) and hash, so that nothing is sent twice.
    ByHash, b'H', (String, String, MaterialId) => (),
    |key| [keys::texts(&key.0, &key.1), keys::material(&key.2)].concat(),
    |bytes| {
        let (space, rest) = keys::take_text(bytes)?;
        let (hash, rest) = keys::take_text(rest)?;
        Some((space, hash, keys::whole(keys::take_material(rest))?))
    }
);
