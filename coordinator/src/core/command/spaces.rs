//! What changes spaces, and what lies under their keys.

use microtome_proto::{MaterialId, space::PatchSpace};
use serde::{Deserialize, Serialize};

/// A change of a space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum SpaceCommand {
    /// Describes a space.
    Describe {
        /// Its name.
        space: String,
        /// What is said of it.
        patch: PatchSpace,
        /// Whether all that is not said becomes as in a new space. Otherwise it stays, and the space must be described.
        anew: bool,
    },
    /// Takes a space's description away. Refused while anything lies in it.
    Forget {
        /// Its name.
        space: String,
    },
    /// Deletes the file under a key.
    RemoveFile {
        /// The space.
        space: String,
        /// The key.
        key: String,
        /// What stands there: if it is another file by now, that one stays.
        material: MaterialId,
    },
}
