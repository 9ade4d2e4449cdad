//! Cases: made, described anew, deleted with all that belongs to them.

use super::{
    super::{Applied, Stop, earlier, key_reused, next, refuse},
    check_text, teams,
};
use crate::core::{
    command::Outcome,
    draft::Draft,
    keys,
    tables::{CaseRecord, Cases, CasesOfTeam, EndingCases, InCase, RequestRecord, Requests},
    view::{Typed as _, ViewError},
};
use microtome_proto::{
    CaseId, Code, TeamId, Timestamp,
    limits::{DESCRIPTION_LEN_MAX, LIFE_S_MAX},
};

/// After how many seconds materials are deleted: in any case, and without a reader.
type Lives = (Option<u64>, Option<u64>);

pub(super) struct Wanted<'a> {
    pub(super) request: Option<&'a str>,
    pub(super) team: &'a TeamId,
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) created_by: &'a str,
    pub(super) lives: Lives,
}

pub(super) fn create(draft: &mut Draft<'_>, at: Timestamp, wanted: &Wanted<'_>) -> Applied {
    if let Some(earlier) = earlier(draft, wanted.request)? {
        let RequestRecord::Case(case) = earlier else { return key_reused() };
        let record = living(draft, &case)?;
        let is_same = (&record.team, record.name.as_str(), record.created_by.as_str())
            == (wanted.team, wanted.name, wanted.created_by);
        return if is_same { Ok(Outcome::Case { case }) } else { key_reused() };
    }
    teams::known(draft, wanted.team)?;
    check_text("name", wanted.name)?;
    check_description(wanted.description)?;
    check_life(wanted.lives.0)?;
    check_life(wanted.lives.1)?;
    let case = CaseId::from_counter(next(draft, |meta| &mut meta.case_last)?);
    let record = CaseRecord {
        team: wanted.team.clone(),
        name: wanted.name.to_owned(),
        description: wanted.description.to_owned(),
        created_by: wanted.created_by.to_owned(),
        created_at: at,
        expires_in_s: wanted.lives.0,
        idle_expires_in_s: wanted.lives.1,
        request: wanted.request.map(str::to_owned),
        deleted_at: None,
    };
    draft.put::<Cases>(&case, &record)?;
    draft.put::<CasesOfTeam>(&(record.team, case.clone()), &())?;
    if let Some(request) = wanted.request {
        draft.put::<Requests>(&request.to_owned(), &RequestRecord::Case(case.clone()))?;
    }
    Ok(Outcome::Case { case })
}

/// 0 takes a time away.
pub(super) fn update(
    draft: &mut Draft<'_>,
    case: &CaseId,
    (name, description): (Option<&str>, Option<&str>),
    lives: Lives,
) -> Applied {
    let mut record = living(draft, case)?;
    if let Some(name) = name {
        check_text("name", name)?;
        name.clone_into(&mut record.name);
    }
    if let Some(description) = description {
        check_description(description)?;
        description.clone_into(&mut record.description);
    }
    let fields = [(lives.0, &mut record.expires_in_s), (lives.1, &mut record.idle_expires_in_s)];
    for (seconds, field) in fields.into_iter().filter(|(seconds, _)| seconds.is_some()) {
        *field = seconds.filter(|seconds| *seconds > 0);
        check_life(*field)?;
    }
    draft.put::<Cases>(case, &record)?;
    Ok(Outcome::Case { case: case.clone() })
}

pub(super) fn delete(draft: &mut Draft<'_>, at: Timestamp, case: &CaseId) -> Applied {
    let mut record = living(draft, case)?;
    record.deleted_at = Some(at);
    draft.remove::<CasesOfTeam>(&(record.team.clone(), case.clone()));
    if let Some(request) = record.request.take() {
        draft.remove::<Requests>(&request);
    }
    draft.put::<Cases>(case, &record)?;
    draft.put::<EndingCases>(case, &())?;
    empty(draft, case)?;
    Ok(Outcome::Done)
}

/// A deleted case without materials is no more.
pub(in super::super) fn empty(draft: &mut Draft<'_>, case: &CaseId) -> Result<(), ViewError> {
    if draft.get_record::<EndingCases>(case)?.is_some()
        && draft.scan_keys::<InCase>(&keys::numbered(case.as_str()), None).next().transpose()?.is_none()
    {
        draft.remove::<Cases>(case);
        draft.remove::<EndingCases>(case);
    }
    Ok(())
}

/// Refuses what is to belong to a case that is not there any more.
pub(in super::super) fn must_live(draft: &Draft<'_>, case: Option<&CaseId>) -> Result<(), Stop> {
    case.map_or(Ok(()), |case| living(draft, case).map(|_| ()))
}

fn living(draft: &Draft<'_>, case: &CaseId) -> Result<CaseRecord, Stop> {
    match draft.get_record::<Cases>(case)? {
        Some(record) if record.deleted_at.is_some() => refuse(Code::Gone, format!("case {case} was deleted")),
        Some(record) => Ok(record),
        None => refuse(Code::NotFound, format!("there is no case {case}")),
    }
}

fn check_description(text: &str) -> Result<(), Stop> {
    match text.len() > DESCRIPTION_LEN_MAX {
        true => refuse(Code::BadRequest, format!("a description has at most {DESCRIPTION_LEN_MAX} bytes")),
        false => Ok(()),
    }
}

fn check_life(seconds: Option<u64>) -> Result<(), Stop> {
    match seconds {
        Some(seconds) if !(1..=LIFE_S_MAX).contains(&seconds) => {
            refuse(Code::BadRequest, format!("{seconds} s: a material lives 1 to {LIFE_S_MAX} seconds"))
        }
        _ => Ok(()),
    }
}
