//! The token check.
//!
//! A cluster with a secret or a key checks a token on every request but health's; one without checks nothing, and its
//! servers listen on loopback only (see [`Auth::check_address`]). Each server checks by itself: it has the cluster's keys
//! from its configuration and an identity provider's from the provider ([`keys`]). What a bearer may do stands in one table,
//! [`Bearer::may`](microtome_proto::token::Bearer::may).

mod carried;
mod keys;
mod middleware;
mod revoked;
#[cfg(test)]
mod tests;

pub use middleware::{Asker, administrators, server, user};
pub use revoked::token_hash;

use axum::{
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    response::Response,
};
use carried::{in_query, stands_for, token};
use keys::{Keys, Pace};
use microtome_proto::{
    Code, MaterialId, Problem, SessionId, Timestamp, UserId,
    token::{
        Allowed, Bearer, Claims, Denied, InvalidKey, MATERIAL_TOKEN_S, MadeToken, Role, Settings, Signer,
        may_be_for_all, now_s,
    },
};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// How long a token lives that a server makes for its own calls, in seconds.
const SERVER_TOKEN_S: u64 = 300;
/// For how long one is sent along before the next is made, in seconds: who gets it has proven it before.
const SERVER_TOKEN_USED_S: u64 = 60;

/// Checks tokens, or nothing where the cluster has no secret and no key. Clones share all.
#[derive(Clone, Default)]
pub struct Auth(Option<Arc<Checked>>, Tokenless);

/// What becomes of requests without a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Tokenless {
    /// They are refused.
    #[default]
    Refused,
    /// Those that the books may allow to everybody are asked about there.
    Asked,
}

struct Checked {
    keys: Arc<Keys>,
    signer: Signer,
    /// The last token for own calls, for whom, and when it was made.
    own: Mutex<Option<(String, u64, String)>>,
}

impl Auth {
    /// From the configuration. Files with keys are read.
    ///
    /// # Errors
    /// Where a key or a file cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, InvalidKey> {
        Self::paced(settings, Pace::default())
    }

    fn paced(settings: &Settings, pace: Pace) -> Result<Self, InvalidKey> {
        settings.check()?;
        let Some(signer) = settings.signer()? else { return Ok(Self(None, Tokenless::default())) };
        let keys = Arc::new(Keys::open(settings, pace)?);
        let checked = Checked { keys, signer, own: Mutex::default() };
        Ok(Self(Some(Arc::new(checked)), Tokenless::default()))
    }

    /// The same for a server that has the books: what they may allow to everybody needs no token, see
    /// [`may_be_for_all`].
    #[must_use]
    pub fn asking_the_books(self) -> Self {
        Self(self.0, Tokenless::Asked)
    }

    /// Whether tokens are checked.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whoever logs in, or is given a token, needs servers that check them.
    ///
    /// # Errors
    /// `conflict` where tokens are not checked.
    pub fn must_be_on(&self) -> Result<(), Problem> {
        self.checked().map(|_| ())
    }

    /// Keeps the keys of providers and those in files as they are there, until `stop` is cancelled.
    pub async fn keep_up(self, stop: CancellationToken) {
        if let Some(checked) = &self.0 {
            stop.run_until_cancelled(checked.keys.follow()).await;
        }
    }

    /// Without a secret only loopback may be listened on.
    ///
    /// # Errors
    /// A sentence with a way out.
    pub fn check_address(&self, address: IpAddr) -> Result<(), String> {
        if self.is_on() {
            return Ok(());
        }
        if address.is_loopback() {
            tracing::warn!("no secret is set: whoever reaches {address} may read and delete everything");
            return Ok(());
        }
        Err(format!(
            "without a secret everybody who reaches {address} could read and delete everything: \
             set 'secret' under [auth] in cluster.toml (the same on every server), or listen on 127.0.0.1"
        ))
    }

    /// Checks a request as the router would, by what was proven before alone: nothing is computed or waited for. `false`
    /// says nothing of the request.
    pub fn at_hand(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
        let Some(checked) = &self.0 else {
            return check_origin(Role::Administrator, method, headers).is_ok();
        };
        let Some(token) = token(method, uri, headers) else { return false };
        let whatever = |bearer: Arc<Bearer>| bearer.may(method, uri.path()) == Ok(Allowed::Whatever);
        checked.keys.remembered(token, now_s()).is_some_and(whatever)
    }

    /// Checks a request for `role`: [`Role::Server`] for what servers say to each other, [`Role::Administrator`] for all
    /// else, of which each bearer may do its part.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn check(&self, role: Role, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Asker, Problem> {
        let Some(checked) = &self.0 else {
            return check_origin(role, method, headers).map(|()| Asker::everybody());
        };
        let Some(token) = token(method, uri, headers) else {
            let is_asked = self.1 == Tokenless::Asked && role == Role::Administrator;
            return match is_asked && may_be_for_all(method, uri.path()) {
                true => Ok(Asker::nobody()),
                false => Err(Problem::new(Code::Unauthorized, "the request carries no token")),
            };
        };
        let asker = Self::judge(role, checked.keys.prove(token).await?, method, uri, headers)?;
        // Whoever was sent on by a coordinator has got a token for the material in the query, and some send theirs, too.
        if asker.is_by_books()
            && let Some(given) = in_query(uri)
            && let Ok(bearer) = checked.keys.prove(given).await
            && let Ok(by_material) = Self::judge(role, bearer, method, uri, headers)
        {
            return Ok(by_material);
        }
        Ok(asker)
    }

    /// What the bearer of a token may ask.
    fn judge(
        role: Role,
        bearer: Arc<Bearer>,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Asker, Problem> {
        if role == Role::Server && bearer.role != Role::Server {
            return Err(Denied::ServersOnly.into());
        }
        let mut allowed = bearer.may(method, uri.path())?;
        if let Some(meant) = stands_for(method, headers) {
            // What it stands for is what it will be.
            allowed = bearer.may(&meant, uri.path())?;
        }
        Ok(Asker { bearer: Some(bearer), by_books: allowed == Allowed::ByBooks })
    }

    /// A token for a server's own call, where tokens are checked.
    pub fn server_token(&self, subject: &str) -> Option<String> {
        let checked = self.0.as_ref()?;
        let now = now_s();
        let mut own = checked.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, made, token)) = &*own
            && known == subject
            && (*made..made.saturating_add(SERVER_TOKEN_USED_S)).contains(&now)
        {
            return Some(token.clone());
        }
        let token = checked.signer.sign(&Claims::new(subject, Role::Server, now, SERVER_TOKEN_S)).ok()?;
        *own = Some((subject.to_owned(), now, token.clone()));
        Some(token)
    }

    /// A token that speaks for a user as long as this session is there, and for `seconds` at most.
    ///
    /// # Errors
    /// `conflict` where tokens are not checked.
    pub fn user_token(&self, user: &UserId, session: &SessionId, seconds: u64) -> Result<String, Problem> {
        let mut claims = Claims::new(user.as_str(), Role::User, now_s(), seconds);
        claims.session = Some(session.clone());
        self.checked()?.signer.sign(&claims).map_err(|error| Problem::new(Code::Internal, error.to_string()))
    }

    /// Who a token speaks for.
    ///
    /// # Errors
    /// `conflict` where tokens are not checked; otherwise why it is not taken.
    pub async fn bearer(&self, token: &str) -> Result<Arc<Bearer>, Problem> {
        Ok(self.checked()?.keys.prove(token).await?)
    }

    /// From now on the tokens with these [`token_hash`]es count no more, and no others: the set of this version.
    pub fn revoke(&self, version: u64, tokens: Vec<String>) {
        if let Some(checked) = &self.0 {
            checked.keys.revoke(version, tokens);
        }
    }

    /// The version of the tokens taken back that is known here; 0 where none is.
    pub fn revoked_version(&self) -> u64 {
        self.0.as_ref().map_or(0, |checked| checked.keys.revoked_version())
    }

    fn checked(&self) -> Result<&Checked, Problem> {
        self.0.as_deref().ok_or_else(|| {
            let detail = "this cluster has neither a secret nor a key: it checks no tokens, and makes none. Without them \
                          everybody on this machine may do everything; with 'secret' under [auth] in cluster.toml people log in";
            Problem::new(Code::Conflict, detail)
        })
    }

    /// A token that reads one material for `seconds`, in the name of whoever asked for it.
    ///
    /// # Errors
    /// `conflict` where tokens are not checked.
    pub fn material_token(&self, asker: &Asker, material: &MaterialId, seconds: u64) -> Result<MadeToken, Problem> {
        self.checked()?.viewer(asker.name(), material, seconds)
    }

    /// Readers that are sent on to another server get a token for the material alone: a node knows nothing of rights, and who
    /// follows a redirect leaves their own token behind. It stands in place of one that came in the query, which would be
    /// found first.
    ///
    /// # Errors
    /// `conflict` where tokens are not checked.
    pub fn hand_on(&self, asker: &Asker, material: &MaterialId, response: &mut Response) -> Result<(), Problem> {
        let Some(location) = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()) else {
            return Ok(());
        };
        let made = self.material_token(asker, material, MATERIAL_TOKEN_S)?;
        let (path, query) = location.split_once('?').unwrap_or((location, ""));
        let others = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("token="));
        let own = format!("token={}", made.token);
        let query = others.chain([own.as_str()]).collect::<Vec<_>>().join("&");
        let location = HeaderValue::try_from(format!("{path}?{query}"));
        let location = location.map_err(|_| Problem::new(Code::BadRequest, "the path cannot be sent on"))?;
        response.headers_mut().insert(header::LOCATION, location);
        Ok(())
    }

    /// A token for somebody outside whom a server asks to look at it; none where tokens are not checked.
    pub fn token_for_check(&self, material: &MaterialId, seconds: u64) -> Option<String> {
        let checked = self.0.as_ref()?;
        checked.viewer("check", material, seconds).ok().map(|made| made.token)
    }
}

impl Checked {
    fn viewer(&self, subject: &str, material: &MaterialId, seconds: u64) -> Result<MadeToken, Problem> {
        let mut claims = Claims::new(subject, Role::Viewer, now_s(), seconds);
        claims.material = Some(material.clone());
        let token = self.signer.sign(&claims).map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        let ends = i64::try_from(claims.exp.saturating_mul(1000)).unwrap_or(i64::MAX);
        Ok(MadeToken { token, expires_at: Timestamp::from_millis(ends) })
    }
}

/// Without a secret, being on this machine is all that protects the cluster, and a browser on it runs anybody's pages:
/// those of other origins may look, as with any image server, and change nothing.
fn check_origin(role: Role, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let looks = matches!(*method, Method::GET | Method::HEAD) && role == Role::Administrator;
    match headers.get(header::ORIGIN) {
        Some(origin) if !looks && !is_loopback(origin) => Err(Problem::new(
            Code::Forbidden,
            "a page of another origin may change nothing in a cluster that has no secret",
        )),
        _ => Ok(()),
    }
}

/// Whether a page that has this origin came from this very machine.
fn is_loopback(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
