//! Users, teams and cases as the API shows them, and who did what.

use super::{
    PresentError, Scene,
    page::{page, page_of, page_within},
};
use crate::core::{
    access::Principal,
    keys,
    tables::{
        Audit, CaseRecord, Cases, CasesOfTeam, SessionRecord, Sessions, SessionsOfUser, TeamRecord, Teams, TeamsOfUser,
        UserRecord, Users, UsersByName,
    },
    view::{Typed as _, ViewError},
};
use microtome_proto::{
    CaseId, SessionId, TeamId, UserId,
    account::{AuditEntry, Case, Membership, Session, Team, TeamMember, User},
    page::{Page, PageQuery},
};

impl Scene<'_> {
    /// A user.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn user(&self, id: &UserId) -> Result<Option<User>, ViewError> {
        Ok(self.view.get_record::<Users>(id)?.map(|record| present_user(id.clone(), record)))
    }

    /// A user by id or name.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn user_named(&self, text: &str) -> Result<Option<UserId>, ViewError> {
        match text.parse::<UserId>() {
            Ok(id) => Ok(self.view.get_record::<Users>(&id)?.map(|_| id)),
            Err(_) => self.view.get_record::<UsersByName>(&text.to_lowercase()),
        }
    }

    /// Users, in the order of their making.
    ///
    /// # Errors
    /// Where the state cannot be read or the query is not understood.
    pub fn users(&self, query: &PageQuery) -> Result<Page<User>, PresentError> {
        let (entries, next_cursor) = page::<Users>(self.view, query)?;
        let items = entries.into_iter().map(|(id, record)| present_user(id, record)).collect();
        Ok(Page { items, next_cursor })
    }

    /// The sessions of a user that have not ended.
    ///
    /// # Errors
    /// As [`Scene::users`].
    pub fn sessions(&self, user: &UserId, query: &PageQuery) -> Result<Page<Session>, PresentError> {
        let (entries, next_cursor) = page_within::<SessionsOfUser>(self.view, &keys::numbered(user.as_str()), query)?;
        let mut items = Vec::with_capacity(entries.len());
        for ((_, id), ()) in entries {
            items.extend(self.session(&id)?);
        }
        Ok(Page { items, next_cursor })
    }

    /// A session that has not ended.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn session(&self, id: &SessionId) -> Result<Option<Session>, ViewError> {
        let shown =
            |SessionRecord { label, created_at, ends_at, .. }| Session { id: id.clone(), label, created_at, ends_at };
        Ok(self.view.get_record::<Sessions>(id)?.map(shown))
    }

    /// A team.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn team(&self, id: &TeamId) -> Result<Option<Team>, ViewError> {
        self.view.get_record::<Teams>(id)?.map(|record| self.present_team(id.clone(), record)).transpose()
    }

    /// The teams of somebody, in the order of their making: all of them to who administers the cluster.
    ///
    /// # Errors
    /// As [`Scene::users`].
    pub fn teams(&self, asker: &Principal, query: &PageQuery) -> Result<Page<Team>, PresentError> {
        let everything = asker.is_administrator(self.view)?;
        let (ids, next_cursor) = match asker {
            Principal::User(user) if !everything => {
                let prefix = keys::numbered(user.as_str());
                let (entries, next) = page_within::<TeamsOfUser>(self.view, &prefix, query)?;
                (entries.into_iter().map(|((_, team), _)| team).collect::<Vec<_>>(), next)
            }
            _ if everything => {
                let (entries, next) = page::<Teams>(self.view, query)?;
                (entries.into_iter().map(|(id, _)| id).collect(), next)
            }
            _ => (Vec::new(), None),
        };
        let mut items = Vec::with_capacity(ids.len());
        for id in ids {
            items.extend(self.team(&id)?);
        }
        Ok(Page { items, next_cursor })
    }

    /// The teams that a user belongs to.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn memberships(&self, user: &UserId) -> Result<Vec<Membership>, ViewError> {
        let mut teams = Vec::new();
        for entry in self.view.scan_records::<TeamsOfUser>(&keys::numbered(user.as_str()), None) {
            let ((_, team), role) = entry?;
            let name = self.view.get_record::<Teams>(&team)?.map(|record| record.name).unwrap_or_default();
            teams.push(Membership { team, name, role });
        }
        Ok(teams)
    }

    /// A case that was not deleted.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn case(&self, id: &CaseId) -> Result<Option<Case>, ViewError> {
        let record = self.view.get_record::<Cases>(id)?.filter(|record| record.deleted_at.is_none());
        Ok(record.map(|record| present_case(id.clone(), record)))
    }

    /// The cases of a team, in the order of their making.
    ///
    /// # Errors
    /// As [`Scene::users`].
    pub fn cases_of_team(&self, team: &TeamId, query: &PageQuery) -> Result<Page<Case>, PresentError> {
        let (entries, next_cursor) = page_within::<CasesOfTeam>(self.view, &keys::numbered(team.as_str()), query)?;
        let mut items = Vec::with_capacity(entries.len());
        for ((_, id), ()) in entries {
            items.extend(self.case(&id)?);
        }
        Ok(Page { items, next_cursor })
    }

    /// The cases of all teams that somebody belongs to, in the order of their making.
    ///
    /// # Errors
    /// As [`Scene::users`].
    pub fn cases(&self, asker: &Principal, query: &PageQuery) -> Result<Page<Case>, PresentError> {
        let is_shown = |_: &CaseId, case: &CaseRecord| {
            Ok(case.deleted_at.is_none() && asker.role_in(self.view, &case.team)?.is_some())
        };
        let (entries, next_cursor) = page_of::<Cases>(self.view, &[], query, is_shown)?;
        Ok(Page { items: entries.into_iter().map(|(id, record)| present_case(id, record)).collect(), next_cursor })
    }

    /// Who did what, the newest first.
    ///
    /// # Errors
    /// As [`Scene::users`].
    pub fn audit(&self, query: &PageQuery) -> Result<Page<AuditEntry>, PresentError> {
        let (entries, next_cursor) = page::<Audit>(self.view, query)?;
        let shown = |(sequence, entry): (u64, crate::core::tables::AuditRecord)| AuditEntry {
            sequence,
            at: entry.at,
            by: entry.by,
            address: entry.address,
            act: entry.act,
            object: entry.object,
            detail: entry.detail,
        };
        Ok(Page { items: entries.into_iter().map(shown).collect(), next_cursor })
    }

    fn present_team(&self, id: TeamId, record: TeamRecord) -> Result<Team, ViewError> {
        let mut members = Vec::with_capacity(record.members.len());
        for (user, role) in record.members {
            let name = self.view.get_record::<Users>(&user)?.map(|record| record.name).unwrap_or_default();
            members.push(TeamMember { user, name, role });
        }
        Ok(Team { id, name: record.name, members, created_at: record.created_at })
    }
}

fn present_user(id: UserId, record: UserRecord) -> User {
    let UserRecord { name, service, administrator, disabled, created_at, .. } = record;
    User { id, name, service, administrator, disabled, created_at }
}

fn present_case(id: CaseId, record: CaseRecord) -> Case {
    Case {
        id,
        team: record.team,
        name: record.name,
        description: record.description,
        created_by: record.created_by,
        created_at: record.created_at,
        expires_in_s: record.expires_in_s,
        idle_expires_in_s: record.idle_expires_in_s,
    }
}
