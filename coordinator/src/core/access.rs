//! Who may do what to what: decided from the books, and from nothing else.
//!
//! Administrators of the cluster may do everything. A material of a case is its team's: members read it, the team's
//! administrators delete it. A material of a space is read by those who read there. What somebody has sent is theirs to
//! read and to delete, but for who only drops off, and but for what they gave to a case.

use super::{
    tables::{
        CaseRecord, Cases, MaterialRecord, Materials, Revoked, RunRecord, SpaceRecord, Spaces, TeamRole, TeamsOfUser,
        UserRecord, Users,
    },
    view::{Typed, View, ViewError},
};
use microtome_proto::{
    CaseId, MaterialId, TeamId, UserId,
    limits::REVOKED_MAX,
    material::Owner,
    space::{Member, PUBLIC, SpaceRole, Visibility},
};

/// Somebody who asks, as far as the books are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// May do everything: by the token, or because no tokens are checked.
    Administrator,
    /// A user of the cluster's own. Administrators among them are told by the books.
    User(UserId),
    /// Somebody whose token names a space.
    Member(Owner),
    /// The same, who only sends.
    Uploader(Owner),
    /// Somebody with a token for one material.
    Viewer(MaterialId),
    /// Somebody without a token.
    Nobody,
}

/// What somebody may do to a material.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    /// See it, its bytes and its pixels.
    pub read: bool,
    /// Rename it, and say how many copies of it there are and how long it lives.
    pub change: bool,
    /// Delete it.
    pub delete: bool,
}

impl Rights {
    const ALL: Self = Self { read: true, change: true, delete: true };

    const fn and(self, other: Self) -> Self {
        Self { read: self.read || other.read, change: self.change || other.change, delete: self.delete || other.delete }
    }
}

/// What somebody may do in a space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpaceRights {
    /// See and read what lies there.
    pub read: bool,
    /// Send files there, and overwrite them.
    pub write: bool,
    /// Delete them, and say who may do what there.
    pub manage: bool,
}

impl SpaceRights {
    const ALL: Self = Self { read: true, write: true, manage: true };
    const READ: Self = Self { read: true, write: false, manage: false };

    const fn of(role: SpaceRole) -> Self {
        match role {
            SpaceRole::Dropper => Self { read: false, write: true, manage: false },
            SpaceRole::Reader => Self::READ,
            SpaceRole::Writer => Self { read: true, write: true, manage: false },
            SpaceRole::Manager => Self::ALL,
        }
    }

    const fn and(self, other: Self) -> Self {
        Self { read: self.read || other.read, write: self.write || other.write, manage: self.manage || other.manage }
    }
}

/// A space as it was described, or as one is that nobody has described.
///
/// # Errors
/// Where the state cannot be read.
pub fn space(view: &dyn View, name: &str) -> Result<SpaceRecord, ViewError> {
    let described = view.get_record::<Spaces>(&name.to_owned())?;
    Ok(described.unwrap_or_else(|| undescribed(name)))
}

/// A space that nobody has described.
pub fn undescribed(name: &str) -> SpaceRecord {
    let visibility = if name == PUBLIC { Visibility::Public } else { Visibility::Private };
    SpaceRecord { visibility, ..SpaceRecord::default() }
}

impl Principal {
    /// Whose what they make is; nobody's in particular where an administrator makes it.
    pub fn owner(&self) -> Option<Owner> {
        match self {
            Self::User(id) => Some(Owner { space: String::new(), name: id.to_string() }),
            Self::Member(owner) | Self::Uploader(owner) => Some(owner.clone()),
            Self::Administrator | Self::Viewer(_) | Self::Nobody => None,
        }
    }

    /// Whether they may do everything.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn is_administrator(&self, view: &dyn View) -> Result<bool, ViewError> {
        match self {
            Self::Administrator => Ok(true),
            Self::User(id) => Ok(user(view, id)?.is_some_and(|user| user.administrator)),
            _ => Ok(false),
        }
    }

    /// What they may do in a space.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn rights_in(&self, view: &dyn View, name: &str) -> Result<SpaceRights, ViewError> {
        if self.is_administrator(view)? {
            return Ok(SpaceRights::ALL);
        }
        let space = space(view, name)?;
        let visible = match (space.visibility, self) {
            (Visibility::Anonymous, _) | (Visibility::Public, Self::User(_) | Self::Member(_)) => SpaceRights::READ,
            _ => SpaceRights::default(),
        };
        let given = match self {
            // Drops them off, whoever else may read there.
            Self::Uploader(owner) if owner.space == name || name == PUBLIC => {
                return Ok(SpaceRights::of(SpaceRole::Dropper));
            }
            Self::Member(owner) if owner.space == name => SpaceRights::of(SpaceRole::Writer),
            Self::Member(_) if name == PUBLIC => SpaceRights::of(SpaceRole::Writer),
            Self::User(id) if user(view, id)?.is_some() => {
                let mut rights = SpaceRights::default();
                for (member, role) in &space.members {
                    let is_meant = match member {
                        Member::User(other) => other == id,
                        Member::Team(team) => self.role_in(view, team)?.is_some(),
                    };
                    if is_meant {
                        rights = rights.and(SpaceRights::of(*role));
                    }
                }
                rights
            }
            _ => SpaceRights::default(),
        };
        Ok(visible.and(given))
    }

    /// What they are in a team; an administrator of the cluster is one of each team.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn role_in(&self, view: &dyn View, team: &TeamId) -> Result<Option<TeamRole>, ViewError> {
        if self.is_administrator(view)? {
            return Ok(Some(TeamRole::Administrator));
        }
        match self {
            Self::User(id) if user(view, id)?.is_some() => view.get_record::<TeamsOfUser>(&(id.clone(), team.clone())),
            _ => Ok(None),
        }
    }

    /// What they are in the team of a case, and the case; none where it is not there for them.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn role_in_case(&self, view: &dyn View, id: &CaseId) -> Result<Option<(TeamRole, CaseRecord)>, ViewError> {
        let Some(case) = view.get_record::<Cases>(id)?.filter(|case| case.deleted_at.is_none()) else {
            return Ok(None);
        };
        Ok(self.role_in(view, &case.team)?.map(|role| (role, case)))
    }

    /// What they may do to a run: whoever submitted it may cancel it, and who may change all that it works on.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn rights_on_run(&self, view: &dyn View, run: &RunRecord) -> Result<Rights, ViewError> {
        let is_own = match self {
            Self::User(id) => user(view, id)?.is_some() && run.owner.is_some() && run.owner == self.owner(),
            Self::Member(_) => run.owner.is_some() && run.owner == self.owner(),
            _ => false,
        };
        if is_own || self.is_administrator(view)? {
            return Ok(Rights::ALL);
        }
        let mut all = Rights::ALL;
        for input in &run.inputs {
            let rights = match view.get_record::<Materials>(input)? {
                Some(record) => self.rights_on(view, input, &record)?,
                None => Rights::default(),
            };
            all = Rights { read: all.read && rights.read, change: all.change && rights.change, delete: false };
        }
        Ok(all)
    }

    /// What they may do to a material.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn rights_on(&self, view: &dyn View, id: &MaterialId, record: &MaterialRecord) -> Result<Rights, ViewError> {
        if self.is_administrator(view)? {
            return Ok(Rights::ALL);
        }
        if let Self::Viewer(own) = self {
            return Ok(Rights { read: own == id, ..Rights::default() });
        }
        if let Some(case) = &record.terms.case {
            let role = self.role_in_case(view, case)?.map(|(role, _)| role);
            let is_head = role == Some(TeamRole::Administrator);
            return Ok(Rights { read: role.is_some(), change: is_head, delete: is_head });
        }
        let in_space = match &record.terms.space {
            Some(space) => self.rights_in(view, space)?,
            None => SpaceRights::default(),
        };
        let is_known = match self {
            Self::User(id) => user(view, id)?.is_some(),
            Self::Member(_) => true,
            _ => false,
        };
        let is_own = is_known && record.owner.is_some() && record.owner == self.owner();
        let by_space = Rights { read: in_space.read, change: in_space.manage, delete: in_space.manage };
        let by_owner = if is_own { Rights::ALL } else { Rights::default() };
        Ok(by_space.and(by_owner))
    }
}

/// Whether who is no administrator may take back one more token of their own. Half of the list is the administrators': nobody
/// who makes tokens and takes them back keeps them from taking back one that was stolen.
///
/// # Errors
/// Where the state cannot be read.
pub fn may_revoke_own(view: &dyn View) -> Result<bool, ViewError> {
    Ok(view.scan_keys::<Revoked>(&[], None).nth(REVOKED_MAX / 2 - 1).transpose()?.is_none())
}

/// A user who is not shut out.
fn user(view: &dyn View, id: &UserId) -> Result<Option<UserRecord>, ViewError> {
    Ok(view.get_record::<Users>(id)?.filter(|user| !user.disabled))
}
