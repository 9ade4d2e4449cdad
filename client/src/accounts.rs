//! What users ask about users, teams and cases, a method for each call of the API.

use crate::{ClientError, Cluster, transport::Call};
use microtome_proto::{
    CaseId, SessionId, TeamId, UserId,
    account::{
        AuditEntry, Case, ChangePassword, Confidential, CreateAccessToken, CreateCase, CreateTeam, CreateUser,
        CreatedAccessToken, LoggedIn, Login, Me, PatchCase, PatchTeam, PatchUser, PutMember, Refresh, Revoke, Session,
        Team, TeamRole, User,
    },
    material::Material,
    page::{Page, PageQuery},
};
use reqwest::Method;
use std::fmt::Write as _;

impl Cluster {
    /// `POST /v1/login`. Asked once: each wrong password counts.
    ///
    /// # Errors
    /// `wrong_login` and `too_many_requests` among the problems.
    pub async fn log_in(&self, name: &str, password: &str) -> Result<LoggedIn, ClientError> {
        let login = Login { name: name.to_owned(), password: Confidential(password.to_owned()) };
        self.ask(&Call::post("/v1/login", &login)?.once()).await
    }

    /// `POST /v1/login/refresh`.
    ///
    /// # Errors
    /// `unauthorized` and `token_revoked` among the problems: whoever is told so logs in again.
    pub async fn refresh_login(&self, refresh_token: &Confidential) -> Result<LoggedIn, ClientError> {
        self.ask(&Call::post("/v1/login/refresh", &Refresh { refresh_token: refresh_token.clone() })?).await
    }

    /// `POST /v1/logout`.
    ///
    /// # Errors
    /// `conflict` where the token is of no login.
    pub async fn log_out(&self) -> Result<(), ClientError> {
        self.send(&Call::new(Method::POST, "/v1/logout")).await.map(|_| ())
    }

    /// `GET /v1/me`.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn me(&self) -> Result<Me, ClientError> {
        self.ask(&Call::get("/v1/me")).await
    }

    /// `PUT /v1/me/password`. Asked once: each wrong password counts.
    ///
    /// # Errors
    /// `wrong_login` among the problems.
    pub async fn change_password(&self, old: &str, new: &str) -> Result<(), ClientError> {
        let change = ChangePassword { old: Confidential(old.to_owned()), new: Confidential(new.to_owned()) };
        self.send(&Call::new(Method::PUT, "/v1/me/password").json(&change)?.once()).await.map(|_| ())
    }

    /// A page of `GET /v1/users`.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn users(&self, query: &PageQuery) -> Result<Page<User>, ClientError> {
        self.page("/v1/users", query).await
    }

    /// `POST /v1/users`.
    ///
    /// # Errors
    /// `conflict` where the name is taken.
    pub async fn create_user(&self, wanted: &CreateUser) -> Result<User, ClientError> {
        self.ask(&Call::post("/v1/users", wanted)?.keyed()).await
    }

    /// `PATCH /v1/users/{id}`.
    ///
    /// # Errors
    /// `not_found` and `conflict` among the problems.
    pub async fn patch_user(&self, id: &UserId, patch: &PatchUser) -> Result<User, ClientError> {
        self.ask(&Call::new(Method::PATCH, format!("/v1/users/{id}")).json(patch)?).await
    }

    /// `DELETE /v1/users/{id}`.
    ///
    /// # Errors
    /// `not_found` and `conflict` among the problems.
    pub async fn delete_user(&self, id: &UserId) -> Result<(), ClientError> {
        self.remove(&Call::new(Method::DELETE, format!("/v1/users/{id}"))).await
    }

    /// `POST /v1/users/{id}/tokens`: a token for a service account, which is shown this once.
    ///
    /// # Errors
    /// `conflict` where it is a person.
    pub async fn create_access_token(
        &self,
        id: &UserId,
        wanted: &CreateAccessToken,
    ) -> Result<CreatedAccessToken, ClientError> {
        self.ask(&Call::post(format!("/v1/users/{id}/tokens"), wanted)?).await
    }

    /// A page of `GET /v1/users/{id}/sessions`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn sessions(&self, id: &UserId, query: &PageQuery) -> Result<Page<Session>, ClientError> {
        self.page(&format!("/v1/users/{id}/sessions"), query).await
    }

    /// `DELETE /v1/users/{id}/sessions/{session}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn end_session(&self, id: &UserId, session: &SessionId) -> Result<(), ClientError> {
        self.remove(&Call::new(Method::DELETE, format!("/v1/users/{id}/sessions/{session}"))).await
    }

    /// `POST /v1/tokens/revoke`.
    ///
    /// # Errors
    /// `bad_request` where it is no token of the cluster's, `forbidden` where it is another's.
    pub async fn revoke_token(&self, token: &str) -> Result<(), ClientError> {
        self.send(&Call::post("/v1/tokens/revoke", &Revoke { token: Confidential(token.to_owned()) })?)
            .await
            .map(|_| ())
    }

    /// A page of `GET /v1/teams`.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn teams(&self, query: &PageQuery) -> Result<Page<Team>, ClientError> {
        self.page("/v1/teams", query).await
    }

    /// `GET /v1/teams/{id}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn team(&self, id: &TeamId) -> Result<Team, ClientError> {
        self.ask(&Call::get(format!("/v1/teams/{id}"))).await
    }

    /// `POST /v1/teams`.
    ///
    /// # Errors
    /// `bad_request` among the problems.
    pub async fn create_team(&self, wanted: &CreateTeam) -> Result<Team, ClientError> {
        self.ask(&Call::post("/v1/teams", wanted)?.keyed()).await
    }

    /// `PATCH /v1/teams/{id}`.
    ///
    /// # Errors
    /// `not_found` and `forbidden` among the problems.
    pub async fn patch_team(&self, id: &TeamId, patch: &PatchTeam) -> Result<Team, ClientError> {
        self.ask(&Call::new(Method::PATCH, format!("/v1/teams/{id}")).json(patch)?).await
    }

    /// `DELETE /v1/teams/{id}`.
    ///
    /// # Errors
    /// `conflict` where it has cases.
    pub async fn delete_team(&self, id: &TeamId) -> Result<(), ClientError> {
        self.remove(&Call::new(Method::DELETE, format!("/v1/teams/{id}"))).await
    }

    /// `PUT /v1/teams/{id}/members/{user}`, the user by id or name.
    ///
    /// # Errors
    /// `conflict` where the team would have no administrator.
    pub async fn put_member(&self, team: &TeamId, user: &str, role: TeamRole) -> Result<Team, ClientError> {
        self.ask(&Call::new(Method::PUT, member(team, user)).json(&PutMember { role })?).await
    }

    /// `DELETE /v1/teams/{id}/members/{user}`, the user by id or name.
    ///
    /// # Errors
    /// `conflict` where the team would have no administrator.
    pub async fn remove_member(&self, team: &TeamId, user: &str) -> Result<(), ClientError> {
        self.remove(&Call::new(Method::DELETE, member(team, user))).await
    }

    /// A page of `GET /v1/cases`, of one team or of all that one belongs to.
    ///
    /// # Errors
    /// `not_found` where it is no team of one's own.
    pub async fn cases(&self, team: Option<&TeamId>, query: &PageQuery) -> Result<Page<Case>, ClientError> {
        let call = Call::get("/v1/cases").query("team", team).query("limit", query.limit);
        self.ask(&call.query("cursor", query.cursor.as_deref())).await
    }

    /// `GET /v1/cases/{id}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn case(&self, id: &CaseId) -> Result<Case, ClientError> {
        self.ask(&Call::get(format!("/v1/cases/{id}"))).await
    }

    /// `POST /v1/cases`.
    ///
    /// # Errors
    /// `not_found` where it is no team of one's own.
    pub async fn create_case(&self, wanted: &CreateCase) -> Result<Case, ClientError> {
        self.ask(&Call::post("/v1/cases", wanted)?.keyed()).await
    }

    /// `PATCH /v1/cases/{id}`.
    ///
    /// # Errors
    /// `forbidden` among the problems.
    pub async fn patch_case(&self, id: &CaseId, patch: &PatchCase) -> Result<Case, ClientError> {
        self.ask(&Call::new(Method::PATCH, format!("/v1/cases/{id}")).json(patch)?).await
    }

    /// `DELETE /v1/cases/{id}`, with all its materials.
    ///
    /// # Errors
    /// `forbidden` among the problems.
    pub async fn delete_case(&self, id: &CaseId) -> Result<(), ClientError> {
        self.remove(&Call::new(Method::DELETE, format!("/v1/cases/{id}"))).await
    }

    /// A page of `GET /v1/cases/{id}/materials`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn materials_of_case(&self, id: &CaseId, query: &PageQuery) -> Result<Page<Material>, ClientError> {
        self.page(&format!("/v1/cases/{id}/materials"), query).await
    }

    /// A page of `GET /v1/audit`.
    ///
    /// # Errors
    /// `forbidden` among the problems.
    pub async fn audit(&self, query: &PageQuery) -> Result<Page<AuditEntry>, ClientError> {
        self.page("/v1/audit", query).await
    }
}

fn member(team: &TeamId, user: &str) -> String {
    let mut path = format!("/v1/teams/{team}/members/");
    for byte in user.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => path.push(char::from(byte)),
            // A name may have any sign in it.
            _ => {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}
