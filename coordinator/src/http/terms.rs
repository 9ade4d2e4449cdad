//! Where something that is made belongs: what its maker says, what their token says, and whether they may.

use super::{
    App,
    access::forbidden,
    check::{bad, file_key, life, space_name},
    condition::condition,
};
use crate::core::{
    access::{self, Principal},
    tables::{Keys, Materials, Runs},
    view::Typed as _,
};
use axum::http::HeaderMap;
use microtome_proto::{
    Code, Problem, Timestamp,
    material::{Condition, CreateMaterial, Origin, Owner, Terms},
    space::PUBLIC,
};
use microtome_server::auth::Asker;

/// How long something lives unless it is said of itself, in seconds: in any case, and without a reader.
type Lives = (Option<u64>, Option<u64>);

impl App {
    /// The terms of a material that somebody wants to make.
    ///
    /// # Errors
    /// Where they may not, or what they want does not fit together.
    pub(super) fn terms(&self, asker: &Asker, wanted: &CreateMaterial, headers: &HeaderMap) -> Result<Terms, Problem> {
        let principal = self.principal(asker)?;
        life("expires_in_s", wanted.expires_in_s)?;
        life("idle_expires_in_s", wanted.idle_expires_in_s)?;
        if wanted.case.is_some() && wanted.space.is_some() {
            return Err(bad("'case' is there, and 'space', too: a material belongs to one of them"));
        }
        let space = match &wanted.case {
            Some(_) => None,
            None => space(&principal, wanted),
        };
        let ((expires_in_s, idle_s), only_drops) = match (&wanted.case, &space) {
            (Some(_), _) => (self.must_be_of_case(&principal, wanted)?, false),
            (None, Some(space)) => self.must_write_in(&principal, space)?,
            (None, None) => ((None, None), false),
        };
        if let Some(key) = &wanted.key {
            file_key(key)?;
            if space.is_none() {
                return Err(bad("'key' is there, and no space: a file is served under a key of a space"));
            }
        }
        let condition = match (&wanted.key, condition(headers)?) {
            (Some(_), condition) => overwriting(condition, only_drops)?,
            (None, Some(_)) => {
                return Err(bad("If-Match or If-None-Match is there, and no key: they say what must stand under one"));
            }
            (None, None) => None,
        };
        Ok(Terms {
            space,
            key: wanted.key.clone(),
            condition,
            case: wanted.case.clone(),
            expires_at: wanted.expires_in_s.or(expires_in_s).map(ends_at),
            idle_s: wanted.idle_expires_in_s.or(idle_s),
        })
    }

    /// Whose an output of a run is, and its terms: those of what it was made of, but for the key, and for the end of what was
    /// overwritten meanwhile, which is that version's alone.
    pub(super) fn terms_of_output(&self, origin: &Origin) -> Result<(Option<Owner>, Terms), Problem> {
        self.books(|view| {
            let run = view.get_record::<Runs>(&origin.run)?;
            let Some(id) = run.and_then(|run| run.inputs.into_iter().next()) else { return Ok(Default::default()) };
            let Some(input) = view.get_record::<Materials>(&id)? else { return Ok(Default::default()) };
            let mut terms = Terms { condition: None, ..input.terms };
            if let (Some(space), Some(key)) = (terms.space.clone(), terms.key.take())
                && view.get_record::<Keys>(&(space.clone(), key))?.as_ref() != Some(&id)
            {
                terms.expires_at = access::space(view, &space)?.expires_in_s.map(ends_at);
            }
            Ok((input.owner, terms))
        })
    }

    fn must_be_of_case(&self, principal: &Principal, wanted: &CreateMaterial) -> Result<Lives, Problem> {
        let Some(id) = &wanted.case else { return Ok((None, None)) };
        match self.books(|view| principal.role_in_case(view, id))? {
            Some((_, case)) => Ok((case.expires_in_s, case.idle_expires_in_s)),
            None => Err(Problem::new(Code::NotFound, format!("there is no case {id} of a team of yours"))),
        }
    }

    /// How long things live there, and whether the asker reads nothing back.
    fn must_write_in(&self, principal: &Principal, name: &str) -> Result<(Lives, bool), Problem> {
        space_name(name)?;
        let (rights, space) = self.books(|view| Ok((principal.rights_in(view, name)?, access::space(view, name)?)))?;
        match rights.write {
            true => Ok(((space.expires_in_s, space.idle_expires_in_s), !rights.read)),
            false => Err(forbidden(&format!("you may not send files to the space '{name}'"))),
        }
    }
}

/// Who does not see what stands under a key overwrites only what they name: otherwise whoever drops files off could take
/// others' away.
fn overwriting(condition: Option<Condition>, only_drops: bool) -> Result<Option<Condition>, Problem> {
    match condition {
        None if only_drops => Ok(Some(Condition::Nothing)),
        Some(Condition::Something) if only_drops => {
            Err(forbidden("who only drops files off says which file is overwritten: 'If-Match' with its ETag"))
        }
        condition => Ok(condition),
    }
}

/// The end of what lives for so many seconds from now on.
pub(super) fn ends_at(seconds: u64) -> Timestamp {
    Timestamp::now().plus_millis(seconds.saturating_mul(1_000))
}

/// The space that something lies in: a token's own comes before what its bearer says, and what is not private is seen by all.
fn space(principal: &Principal, wanted: &CreateMaterial) -> Option<String> {
    match principal {
        Principal::Member(owner) | Principal::Uploader(owner) => {
            let is_own = wanted.private == Some(true) || wanted.space.as_ref() == Some(&owner.space);
            Some(if is_own { owner.space.clone() } else { PUBLIC.to_owned() })
        }
        _ => wanted.space.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_drops_off_overwrites_what_they_name() {
        let named = Some(Condition::AnyOf(vec!["ab".to_owned()]));
        assert_eq!(overwriting(None, false).unwrap(), None);
        assert_eq!(overwriting(None, true).unwrap(), Some(Condition::Nothing));
        assert_eq!(overwriting(named.clone(), true).unwrap(), named);
        assert_eq!(overwriting(Some(Condition::Something), true).unwrap_err().code, Code::Forbidden);
    }

    #[test]
    fn what_a_token_says_comes_before_what_its_bearer_says() {
        let lab = Principal::Uploader(Owner { space: "lab".to_owned(), name: String::new() });
        let wanted = |space: Option<&str>, private| CreateMaterial {
            space: space.map(str::to_owned),
            private,
            ..CreateMaterial::default()
        };
        let lies = |name, private| space(&lab, &wanted(name, private)).unwrap();
        assert_eq!(lies(None, None), "public");
        assert_eq!(lies(None, Some(false)), "public");
        assert_eq!(lies(None, Some(true)), "lab");
        assert_eq!(lies(Some("lab"), None), "lab");
        assert_eq!(lies(Some("other"), Some(true)), "lab");
        assert_eq!(lies(Some("other"), None), "public");
        assert_eq!(space(&Principal::Administrator, &wanted(Some("any"), None)).as_deref(), Some("any"));
        assert_eq!(space(&Principal::Administrator, &wanted(None, Some(true))), None);
    }
}
