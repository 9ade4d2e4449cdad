//! What an identity provider's tokens may claim here.

use super::{Bearer, Refused, Role, Validity};
use crate::{UserId, limits::NAME_LEN_MAX};
use serde_json::{Map, Value};

/// What is expected of a provider's tokens, and who of its people may do what. None of them ever speaks for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The `iss` of its tokens, to the letter.
    pub issuer: String,
    /// One of these must stand in `aud`.
    pub audiences: Vec<String>,
    /// Subjects (`sub`) that are administrators.
    pub administrators: Vec<String>,
    /// The claim that tells what somebody is, by being, or having in its list, one of the roles below. Points lead into
    /// objects: `realm_access.roles`.
    pub role_claim: Option<String>,
    /// What that claim says of administrators.
    pub administrator_role: Option<String>,
    /// What it says of those who read in their space, and do not only send files there.
    pub member_role: Option<String>,
}

impl Policy {
    /// Whom a token with these claims speaks for.
    pub(super) fn bearer(&self, claims: &Map<String, Value>, validity: Validity) -> Result<Bearer, Refused> {
        let fits = |audience: &Value| audience.as_str().is_some_and(|one| self.audiences.iter().any(|own| own == one));
        let is_meant = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(fits),
            Some(one) => fits(one),
            None => false,
        };
        if !is_meant {
            return Err(Refused::Audience);
        }
        let name = name(claims);
        let space = space(claims)?;
        let role = match &space {
            _ if self.administrators.contains(&name) && !name.is_empty() => Role::Administrator,
            _ if self.has(&self.administrator_role, claims) => Role::Administrator,
            Some(_) if self.has(&self.member_role, claims) => Role::Member,
            Some(_) => Role::Uploader,
            None => return Err(Refused::NoRights("it names no space (goup_path, space), and no administrator")),
        };
        Ok(Bearer { name, role, material: None, space, session: None, validity })
    }

    /// Whether the claims give a role.
    fn has(&self, role: &Option<String>, claims: &Map<String, Value>) -> bool {
        let (Some(claim), Some(role)) = (&self.role_claim, role) else { return false };
        match found(claims, claim) {
            Some(Value::Array(all)) => all.iter().any(|one| one == role),
            Some(one) => one == role,
            None => false,
        }
    }
}

/// The claim of this name, or else what its points lead to.
fn found<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// Whom a token of the cluster's own keys speaks for.
pub(super) fn own(claims: &Map<String, Value>, validity: Validity) -> Result<Bearer, Refused> {
    // Whoever means somebody else by it has signed it for another purpose (RFC 7519, 4.1.3).
    if claims.contains_key("aud") {
        return Err(Refused::Audience);
    }
    let space = space(claims)?;
    let role = match (claims.get("role"), &space) {
        (Some(role), _) => {
            serde_json::from_value(role.clone()).map_err(|_| Refused::NoRights("its role is unknown"))?
        }
        (None, Some(_)) => Role::Uploader,
        (None, None) => return Err(Refused::NoRights("it names neither a role nor a space (goup_path, space)")),
    };
    if matches!(role, Role::Uploader | Role::Member) && space.is_none() {
        return Err(Refused::NoRights("an uploader's or a member's token names a space (goup_path, space)"));
    }
    let session = match (role, claims.get("sid").and_then(Value::as_str)) {
        (Role::User, Some(id)) => Some(id.parse().map_err(|_| Refused::NoRights("its session is none"))?),
        (Role::User, None) => return Err(Refused::NoRights("a user's token names a session")),
        _ => None,
    };
    let name = name(claims);
    // It is an id, and goes where names go.
    if role == Role::User && name.parse::<UserId>().is_err() {
        return Err(Refused::NoRights("a user's token names a user"));
    }
    let material = match (role, claims.get("material").and_then(Value::as_str)) {
        (Role::Viewer, Some(id)) => Some(id.parse().map_err(|_| Refused::NoRights("its material is none"))?),
        (Role::Viewer, None) => return Err(Refused::NoRights("a viewer's token names a material")),
        _ => None,
    };
    Ok(Bearer { name, role, material, space, session, validity })
}

fn name(claims: &Map<String, Value>) -> String {
    claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The space that the claims name, by either of its names.
fn space(claims: &Map<String, Value>) -> Result<Option<String>, Refused> {
    let named = |claim: &str| match claims.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) if is_name(name) => Ok(Some(name.clone())),
        Some(_) => Err(Refused::NoRights("its space is no name of 1 to 255 bytes")),
    };
    match (named("space")?, named("goup_path")?) {
        (Some(one), Some(other)) if one != other => Err(Refused::NoRights("its space and its goup_path differ")),
        (one, other) => Ok(one.or(other)),
    }
}

/// Whether a space may have this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_LEN_MAX && !name.chars().any(char::is_control)
}
