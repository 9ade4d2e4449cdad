//! The check in front of routes.

use super::Auth;
use axum::{
    extract::{Request, State},
    http::{Extensions, Method},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, Problem,
    material::Owner,
    token::{Bearer, Denied, Role},
};
use std::sync::Arc;

/// Who asks, for handlers to take from a request's extensions: nobody in particular where tokens are not checked.
#[derive(Debug, Clone)]
pub struct Asker {
    pub(super) bearer: Option<Arc<Bearer>>,
    pub(super) by_books: bool,
}

impl Asker {
    /// Who asks, as the check in front of the routes has found out.
    ///
    /// # Errors
    /// `internal` where none stood there: nobody is taken for somebody who may.
    pub fn of(extensions: &Extensions) -> Result<&Self, Problem> {
        extensions.get().ok_or_else(|| Problem::new(Code::Internal, "the request came past the token check"))
    }

    /// Who asks where tokens are not checked.
    pub(super) const fn everybody() -> Self {
        Self { bearer: None, by_books: false }
    }

    /// Somebody without a token, who may what the books allow to everybody.
    pub(super) const fn nobody() -> Self {
        Self { bearer: None, by_books: true }
    }

    /// Who it is, where tokens are checked.
    pub fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_deref()
    }

    /// The same, of whom the books have said so.
    #[must_use]
    pub fn allowed(&self) -> Self {
        Self { by_books: false, ..self.clone() }
    }

    /// Whether the request may be carried out only where the books say so.
    pub const fn is_by_books(&self) -> bool {
        self.by_books
    }

    /// The name for what is made in the asker's name.
    pub fn name(&self) -> &str {
        self.bearer().map_or("", |bearer| bearer.name.as_str())
    }

    /// Whose the uploads are that it makes; nobody's in particular where tokens are not checked, or an administrator asks.
    pub fn owner(&self) -> Option<Owner> {
        self.bearer().and_then(Bearer::owner)
    }

    /// Whether an upload is its own. Administrators go on with everybody's.
    pub fn owns(&self, owner: Option<&Owner>) -> bool {
        self.owner().is_none_or(|own| owner == Some(&own))
    }

    /// Only a server of the cluster may go on.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn must_be_server(&self) -> Result<(), Problem> {
        match self.bearer() {
            Some(bearer) if bearer.role != Role::Server => Err(Denied::ServersOnly.into()),
            _ => Ok(()),
        }
    }
}

/// Middleware for what users call.
pub async fn user(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    guarded(&auth, Role::Administrator, request, next).await
}

/// Middleware for what servers say to each other.
pub async fn server(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    guarded(&auth, Role::Server, request, next).await
}

/// Middleware, behind [`user`], for what needs no look at the books: administrators', or nobody's.
pub async fn administrators(request: Request, next: Next) -> Response {
    match Asker::of(request.extensions()) {
        Ok(asker) if asker.is_by_books() => Problem::from(Denied::AdministratorsOnly).into_response(),
        Ok(_) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn guarded(auth: &Auth, role: Role, mut request: Request, next: Next) -> Response {
    // A browser asks before it sends a token: preflight requests carry none.
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    match auth.check(role, request.method(), request.uri(), request.headers()).await {
        Ok(asker) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}
