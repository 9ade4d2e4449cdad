//! Who may ask for what, where the token alone does not tell: a guard in front of all routes, closed to what it does not know.
//!
//! Each route needs something ([`Need`]); what a request's body decides its handler asks for, see [`super::terms`]. What
//! anybody may do stands in [`Principal`].

use super::{App, Shared, leader};
use crate::{
    control::unreadable,
    core::{
        access::{Principal, Rights},
        command::Actor,
        tables::{Materials, Sessions},
        view::{Typed as _, View, ViewError},
    },
};
use axum::{
    RequestPartsExt as _,
    extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State},
    http::{HeaderValue, Method, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, MaterialId, Problem, Timestamp,
    internal::{ASKED_BY, Reader},
    material::Owner,
    token::Role,
};
use microtome_server::auth::Asker;
use std::sync::Arc;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// To be known.
    Token,
    /// What its handler asks for: its body decides, or a list leaves out what is not for the asker.
    Handler,
    /// To be known, and what its handler asks for besides.
    Known,
    /// To read the material in the path.
    Read,
    /// To change it.
    Change,
    /// To delete it.
    Delete,
    /// To administer the cluster. So does all that is not listed.
    Administrator,
}

impl Need {
    fn of(method: &Method, route: &str) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match (method.as_str(), route) {
            ("POST", "/v1/materials" | "/v1/uploads") => Self::Handler,
            (_, "/v1/materials" | "/v1/spaces") if reads => Self::Handler,
            (_, "/v1/spaces/{space}" | "/v1/spaces/{space}/files" | "/v1/spaces/{space}/files/{*key}") => Self::Handler,
            (_, "/v1/me") if reads => Self::Token,
            ("PUT", "/v1/me/password") | ("POST", "/v1/logout" | "/v1/tokens/revoke") => Self::Token,
            // Whose they are decides.
            (_, "/v1/users/{id}" | "/v1/users/{id}/sessions") if reads => Self::Known,
            ("DELETE", "/v1/users/{id}/sessions/{session}") => Self::Known,
            (_, route) if is_of_teams(route) => Self::Known,
            (_, "/v1/runs" | "/v1/runs/{id}" | "/v1/runs/{id}/outputs") if reads => Self::Known,
            ("POST", "/v1/runs" | "/v1/runs/{id}/cancel") => Self::Known,
            ("PATCH", "/v1/materials/{id}") => Self::Change,
            ("DELETE", "/v1/materials/{id}") => Self::Delete,
            ("POST", "/v1/materials/{id}/tokens") => Self::Read,
            (_, "/v1/cluster" | "/v1/nodes" | "/v1/nodes/candidates" | "/v1/nodes/{id}") if reads => Self::Token,
            (_, "/v1/pipelines" | "/v1/pipelines/{id}") if reads => Self::Token,
            (_, route) if reads && is_of_material(route) => Self::Read,
            _ => Self::Administrator,
        }
    }
}

fn is_of_teams(route: &str) -> bool {
    ["/v1/teams", "/v1/cases"]
        .iter()
        .any(|start| route.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn is_of_material(route: &str) -> bool {
    ["/v1/materials/{id}", "/tiles/{id}/", "/dzi/{name}", "/iiif/{version}/{id}", "/regions/{id}"]
        .iter()
        .any(|start| route.starts_with(start))
}

/// Middleware: what the token does not tell the books do. Readers are sent on to nodes with a token for their material alone.
pub(super) async fn guard(State(app): Shared, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let asker = match Asker::of(&parts.extensions) {
        // What needs no token, such as a preflight request, has no asker either, and reads no books.
        Err(_) if parts.method == Method::OPTIONS => return next.run(Request::from_parts(parts, body)).await,
        Err(problem) => return problem.into_response(),
        Ok(asker) => asker.clone(),
    };
    if !asker.is_by_books() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let read = match app.admit(&mut parts, &asker).await {
        Ok(read) => read,
        Err(problem) => return problem.into_response(),
    };
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(id) = read
        && response.status() == StatusCode::TEMPORARY_REDIRECT
        && let Err(problem) = app.auth.hand_on(&asker, &id, &mut response)
    {
        return problem.into_response();
    }
    response
}

impl App {
    /// Refuses what the asker may not; the material, where reading one is asked for.
    async fn admit(&self, parts: &mut Parts, asker: &Asker) -> Result<Option<MaterialId>, Problem> {
        let route = parts.extract::<MatchedPath>().await;
        let route = route.as_ref().map_or("", MatchedPath::as_str);
        let need = Need::of(&parts.method, route);
        self.group.linearize_by_lease().await?;
        let principal = self.principal(asker)?;
        if principal == Principal::Nobody && need != Need::Read && need != Need::Handler {
            return Err(denied(&principal, ""));
        }
        let allows: fn(Rights) -> bool = match need {
            Need::Token | Need::Known | Need::Handler => return Ok(None),
            Need::Administrator if self.books(|view| principal.is_administrator(view))? => return Ok(None),
            Need::Administrator => return Err(forbidden("only an administrator of the cluster may do this")),
            Need::Read => |rights| rights.read,
            Need::Change => |rights| rights.change,
            Need::Delete => |rights| rights.delete,
        };
        let id = material_in(
            &parts
                .extract::<RawPathParams>()
                .await
                .map_err(|error| Problem::new(Code::BadRequest, format!("the path: {error}")))?,
        );
        // What names no material its handler refuses.
        let Some(id) = id else { return Ok(None) };
        match self.rights_on(&principal, &id)? {
            // Nor does who has no token learn what is not there.
            None if principal == Principal::Nobody => Err(denied(&principal, "")),
            Some(rights) if !allows(rights) => {
                Err(denied(&principal, &format!("this is not among your rights on {id}")))
            }
            _ => Ok(Some(id)),
        }
    }

    /// Whom a request's bearer is to the books.
    ///
    /// # Errors
    /// `token_revoked` where the login that the token comes from has ended.
    pub(super) fn principal(&self, asker: &Asker) -> Result<Principal, Problem> {
        match asker.bearer() {
            Some(bearer) => self.principal_of(&Reader::from(bearer), bearer.material.as_ref()),
            None => Ok(if asker.is_by_books() { Principal::Nobody } else { Principal::Administrator }),
        }
    }

    fn principal_of(&self, bearer: &Reader, material: Option<&MaterialId>) -> Result<Principal, Problem> {
        let owner =
            |space: &Option<String>| Owner { space: space.clone().unwrap_or_default(), name: bearer.name.clone() };
        let ended = || Problem::new(Code::TokenRevoked, "the login that this token comes from has ended");
        Ok(match bearer.role {
            Role::Server | Role::Administrator => Principal::Administrator,
            Role::Member => Principal::Member(owner(&bearer.space)),
            Role::Uploader => Principal::Uploader(owner(&bearer.space)),
            Role::Viewer => Principal::Viewer(material.cloned().ok_or_else(ended)?),
            Role::User => {
                let session = bearer.session.as_ref().ok_or_else(ended)?;
                let session = self.books(|view| view.get_record::<Sessions>(session))?.ok_or_else(ended)?;
                if session.user.as_str() != bearer.name || session.ends_at <= Timestamp::now() {
                    return Err(ended());
                }
                Principal::User(session.user)
            }
        })
    }

    /// Refuses somebody whom a node asks about where they may not read a material.
    pub(super) fn must_read(&self, reader: &Reader, id: &MaterialId) -> Result<(), Problem> {
        let principal = self.principal_of(reader, None)?;
        match self.rights_on(&principal, id)? {
            Some(rights) if rights.read => Ok(()),
            Some(_) => Err(forbidden(&format!("this is not among your rights on {id}"))),
            None => Err(Problem::new(Code::NotFound, format!("there is no material {id}"))),
        }
    }

    /// What somebody may do to a material; none where there is no such material.
    pub(super) fn rights_on(&self, principal: &Principal, id: &MaterialId) -> Result<Option<Rights>, Problem> {
        self.books(|view| match view.get_record::<Materials>(id)? {
            Some(record) => principal.rights_on(view, id, &record).map(Some),
            None => Ok(None),
        })
    }

    /// Reads the books as this coordinator has them.
    pub(super) fn books<T>(&self, read: impl FnOnce(&dyn View) -> Result<T, ViewError>) -> Result<T, Problem> {
        self.group.read(read).map_err(|error| unreadable(&error))
    }
}

/// Who asks for a change, to be written beside it; none where a server of the cluster does.
pub(super) struct By(pub(super) Option<Actor>);

impl By {
    pub(super) async fn of(app: &App, parts: &Parts) -> Result<Self, Problem> {
        let asker = Asker::of(&parts.extensions)?;
        let name = match asker.bearer().map(|bearer| bearer.role) {
            // For somebody else, or for the cluster.
            Some(Role::Server) => match parts.headers.get(ASKED_BY).map(HeaderValue::to_str) {
                Some(Ok(name)) => name,
                _ => return Ok(Self(None)),
            },
            _ => asker.name(),
        };
        Ok(Self(Some(Actor { name: name.to_owned(), address: leader::address(app, parts).await })))
    }
}

impl FromRequestParts<Arc<App>> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        Self::of(app, parts).await
    }
}

/// The material that a path is about.
fn material_in(params: &RawPathParams) -> Option<MaterialId> {
    let named = |wanted: &str| params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    match (named("id"), named("name")) {
        (Some(id), _) => id.parse().ok(),
        (None, Some(name)) => name.strip_suffix(".dzi").or(name.strip_suffix("_files"))?.parse().ok(),
        (None, None) => None,
    }
}

/// Why somebody may not: who has no token may get one first.
pub(super) fn denied(principal: &Principal, detail: &str) -> Problem {
    match principal {
        Principal::Nobody => Problem::new(Code::Unauthorized, "the request carries no token"),
        _ => forbidden(detail),
    }
}

pub(super) fn forbidden(detail: &str) -> Problem {
    Problem::new(Code::Forbidden, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_the_administrators() {
        let need = |request: &str| {
            let (method, route) = request.split_once(' ').unwrap();
            Need::of(&method.parse().unwrap(), route)
        };
        for request in [
            "PUT /v1/materials/{id}",
            "POST /v1/nodes/{id}/{act}",
            "POST /v1/coordinators",
            "DELETE /v1/coordinators/{id}",
            "POST /v1/cluster/rebalance",
            "GET /metrics",
            "GET /v1/something/new",
            "GET /v1/users",
            "POST /v1/users",
            "PATCH /v1/users/{id}",
            "DELETE /v1/users/{id}",
            "POST /v1/users/{id}/tokens",
            "GET /v1/audit",
            "GET /v1/teamsters",
            "GET ",
        ] {
            assert_eq!(need(request), Need::Administrator, "{request}");
        }
        for (request, wanted) in [
            ("GET /v1/materials/{id}", Need::Read),
            ("HEAD /v1/materials/{id}/file", Need::Read),
            ("GET /tiles/{id}/{*rest}", Need::Read),
            ("GET /dzi/{name}", Need::Read),
            ("GET /iiif/{version}/{id}/{*rest}", Need::Read),
            ("GET /regions/{id}", Need::Read),
            ("POST /v1/materials/{id}/tokens", Need::Read),
            ("PATCH /v1/materials/{id}", Need::Change),
            ("DELETE /v1/materials/{id}", Need::Delete),
            ("POST /v1/uploads", Need::Handler),
            ("GET /v1/materials", Need::Handler),
            ("PUT /v1/spaces/{space}/files/{*key}", Need::Handler),
            ("GET /v1/me", Need::Token),
            ("PUT /v1/me/password", Need::Token),
            ("POST /v1/logout", Need::Token),
            ("POST /v1/tokens/revoke", Need::Token),
            ("GET /v1/users/{id}", Need::Known),
            ("PUT /v1/teams/{id}/members/{user}", Need::Known),
            ("DELETE /v1/cases/{id}", Need::Known),
            ("POST /v1/runs", Need::Known),
            ("POST /v1/runs/{id}/cancel", Need::Known),
            ("GET /v1/cluster", Need::Token),
        ] {
            assert_eq!(need(request), wanted, "{request}");
        }
    }
}
