//! Teams: always with one administrator at least, so that there is somebody to ask.

use super::{
    super::{Applied, Stop, earlier, key_reused, next, refuse},
    check_text, users,
};
use crate::core::{
    command::Outcome,
    draft::Draft,
    keys,
    tables::{CasesOfTeam, RequestRecord, Requests, TeamRecord, TeamRole, Teams, TeamsOfUser},
    view::{Typed as _, ViewError},
};
use microtome_proto::{
    Code, TeamId, Timestamp, UserId,
    limits::{TEAM_MEMBERS_MAX, TEAMS_OF_USER_MAX},
};
use std::collections::BTreeMap;

pub(super) fn create(
    draft: &mut Draft<'_>,
    at: Timestamp,
    request: Option<&str>,
    name: &str,
    administrator: &UserId,
) -> Applied {
    if let Some(earlier) = earlier(draft, request)? {
        let RequestRecord::Team(team) = earlier else { return key_reused() };
        let record = known(draft, &team)?;
        let is_same = record.name == name && record.members.contains_key(administrator);
        return if is_same { Ok(Outcome::Team { team }) } else { key_reused() };
    }
    check_text("name", name)?;
    let team = TeamId::from_counter(next(draft, |meta| &mut meta.team_last)?);
    let record = TeamRecord {
        name: name.to_owned(),
        members: BTreeMap::new(),
        request: request.map(str::to_owned),
        created_at: at,
    };
    join(draft, &team, record, administrator, TeamRole::Administrator)?;
    if let Some(request) = request {
        draft.put::<Requests>(&request.to_owned(), &RequestRecord::Team(team.clone()))?;
    }
    Ok(Outcome::Team { team })
}

pub(super) fn update(draft: &mut Draft<'_>, team: &TeamId, name: Option<&str>) -> Applied {
    let mut record = known(draft, team)?;
    if let Some(name) = name {
        check_text("name", name)?;
        name.clone_into(&mut record.name);
    }
    draft.put::<Teams>(team, &record)?;
    Ok(Outcome::Team { team: team.clone() })
}

pub(super) fn delete(draft: &mut Draft<'_>, team: &TeamId) -> Applied {
    let record = known(draft, team)?;
    if draft.scan_keys::<CasesOfTeam>(&keys::numbered(team.as_str()), None).next().transpose()?.is_some() {
        return refuse(Code::Conflict, format!("{team} has cases: delete them first"));
    }
    for user in record.members.keys() {
        draft.remove::<TeamsOfUser>(&(user.clone(), team.clone()));
    }
    if let Some(request) = &record.request {
        draft.remove::<Requests>(request);
    }
    draft.remove::<Teams>(team);
    Ok(Outcome::Done)
}

pub(super) fn set_member(draft: &mut Draft<'_>, team: &TeamId, user: &UserId, role: TeamRole) -> Applied {
    let record = known(draft, team)?;
    if role == TeamRole::Member && is_only_head(&record, user) {
        return headless(team, user);
    }
    join(draft, team, record, user, role)?;
    Ok(Outcome::Team { team: team.clone() })
}

pub(super) fn remove_member(draft: &mut Draft<'_>, team: &TeamId, user: &UserId) -> Applied {
    let mut record = known(draft, team)?;
    if !record.members.contains_key(user) {
        return refuse(Code::NotFound, format!("{user} does not belong to {team}"));
    }
    if is_only_head(&record, user) {
        return headless(team, user);
    }
    record.members.remove(user);
    draft.put::<Teams>(team, &record)?;
    draft.remove::<TeamsOfUser>(&(user.clone(), team.clone()));
    Ok(Outcome::Team { team: team.clone() })
}

/// Takes a user out of all teams.
pub(super) fn leave_all(draft: &mut Draft<'_>, user: &UserId) -> Result<(), Stop> {
    let mut left = Vec::new();
    let mut headed = Vec::new();
    for team in of_user(draft, user)? {
        let mut record = known(draft, &team)?;
        if is_only_head(&record, user) {
            headed.push(format!("'{}' ({team})", record.name));
        }
        record.members.remove(user);
        left.push((team, record));
    }
    if !headed.is_empty() {
        let detail = format!(
            "{user} is the only administrator of {}: make another member administrator there first",
            headed.join(", ")
        );
        return refuse(Code::Conflict, detail);
    }
    for (team, record) in left {
        draft.put::<Teams>(&team, &record)?;
        draft.remove::<TeamsOfUser>(&(user.clone(), team));
    }
    Ok(())
}

pub(super) fn known(draft: &Draft<'_>, team: &TeamId) -> Result<TeamRecord, Stop> {
    match draft.get_record::<Teams>(team)? {
        Some(record) => Ok(record),
        None => refuse(Code::NotFound, format!("there is no team {team}")),
    }
}

fn join(
    draft: &mut Draft<'_>,
    team: &TeamId,
    mut record: TeamRecord,
    user: &UserId,
    role: TeamRole,
) -> Result<(), Stop> {
    users::known(draft, user)?;
    if record.members.insert(user.clone(), role).is_none() {
        if record.members.len() > TEAM_MEMBERS_MAX {
            return refuse(Code::Conflict, format!("{team} has {TEAM_MEMBERS_MAX} members already"));
        }
        if of_user(draft, user)?.len() >= TEAMS_OF_USER_MAX {
            return refuse(Code::Conflict, format!("{user} belongs to {TEAMS_OF_USER_MAX} teams already"));
        }
    }
    draft.put::<Teams>(team, &record)?;
    Ok(draft.put::<TeamsOfUser>(&(user.clone(), team.clone()), &role)?)
}

fn of_user(draft: &Draft<'_>, user: &UserId) -> Result<Vec<TeamId>, ViewError> {
    draft.scan_keys::<TeamsOfUser>(&keys::numbered(user.as_str()), None).map(|key| key.map(|(_, team)| team)).collect()
}

fn is_only_head(record: &TeamRecord, user: &UserId) -> bool {
    let mut heads = record.members.iter().filter(|(_, role)| **role == TeamRole::Administrator);
    record.members.get(user) == Some(&TeamRole::Administrator) && heads.all(|(head, _)| head == user)
}

fn headless(team: &TeamId, user: &UserId) -> Applied {
    let detail = format!("{user} is the only administrator of {team}: make another member administrator first");
    refuse(Code::Conflict, detail)
}
