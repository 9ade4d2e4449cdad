//! Who a proven token speaks for, and until when.

use super::{LEEWAY_S, Refused};
use crate::{MaterialId, SessionId, material::Owner};
use serde::{Deserialize, Serialize};

/// What kind of bearer a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A coordinator or a node: may call `/internal`, and do everything else.
    Server,
    /// A person or a program that may do everything but that.
    Administrator,
    /// A user of the cluster's own, logged in: what they may do the coordinators know.
    User,
    /// Somebody whom a provider vouches for, or a token made by hand: reads and writes in one space.
    Member,
    /// Drops files off in one space, and reads nothing back.
    Uploader,
    /// Reads one material: its pixels, what is known of it, its file.
    Viewer,
}

/// What a token that was proven says. An uploader and a member have a space, a viewer has a material, a user a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The bearer's name; empty where the token has none. A user's is their id.
    pub name: String,
    /// What kind of bearer it is.
    pub role: Role,
    /// The only material that it may read, of a viewer.
    pub material: Option<MaterialId>,
    /// The space that it writes to, whatever a request says.
    pub space: Option<String>,
    /// The login that it comes from, of a user: it counts while that one has not ended.
    pub session: Option<SessionId>,
    /// When it may do so.
    pub validity: Validity,
}

/// From when until when a token is valid, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from_s: u64,
    /// Not after.
    pub until_s: u64,
}

impl Bearer {
    /// Whether its time has come and not yet gone, see [`Validity::holds`].
    ///
    /// # Errors
    /// [`Refused::Expired`], [`Refused::MaterialExpired`] or [`Refused::Early`].
    pub fn holds(&self, now_s: u64) -> Result<(), Refused> {
        self.validity.holds(now_s).map_err(|refused| match refused {
            Refused::Expired(ago_s) if self.role == Role::Viewer => Refused::MaterialExpired(ago_s),
            other => other,
        })
    }

    /// Whose the uploads are that it makes: its own, or an administrator's.
    pub fn owner(&self) -> Option<Owner> {
        let space = match self.role {
            Role::Uploader | Role::Member => self.space.clone()?,
            // A user's are theirs wherever they lie.
            Role::User => String::new(),
            Role::Server | Role::Administrator | Role::Viewer => return None,
        };
        Some(Owner { space, name: self.name.clone() })
    }
}

impl Validity {
    /// Whether its time has come and not yet gone, give or take what clocks may differ.
    ///
    /// # Errors
    /// [`Refused::Expired`] or [`Refused::Early`].
    pub const fn holds(self, now_s: u64) -> Result<(), Refused> {
        if self.until_s.saturating_add(LEEWAY_S) <= now_s {
            return Err(Refused::Expired(now_s - self.until_s));
        }
        if self.from_s > now_s.saturating_add(LEEWAY_S) {
            return Err(Refused::Early(self.from_s - now_s));
        }
        Ok(())
    }
}
