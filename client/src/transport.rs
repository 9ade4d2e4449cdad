//! One call: server after server, redirect after redirect, again and again until it is answered, refused for good or
//! the deadline has come.
//!
//! Every call is safe to repeat: it either changes nothing, or says what should be true, or carries an idempotency key.

use crate::{
    ClientError, Cluster,
    backoff::Backoff,
    error::{cause, innermost, of_encryption},
};
use bytes::Bytes;
use microtome_proto::{Code, Problem};
use rand::Rng as _;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io,
    time::{Duration, Instant},
};

/// Redirects followed in one try.
const REDIRECTS_MAX: usize = 5;
/// Time in which a server must begin its answer to one try.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// Longest wait that a server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// Largest answer read as a whole, in bytes.
const ANSWER_LEN_MAX: usize = 64 << 20;
/// A failing server is asked this often before its failure is believed.
const INTERNAL_TRIES_MAX: u32 = 3;

/// A request that can be repeated.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<Bytes>,
    at: Option<String>,
    streamed: bool,
    once: bool,
}

/// A server's answer with a status of success.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Who answered, after all redirects.
    pub(crate) server: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body, unless the call is streamed.
    pub(crate) whole: Bytes,
    /// The body still to be read, of a streamed call.
    pub(crate) rest: Option<Response>,
}

/// Why one try failed, and whether another has a chance.
struct Failure {
    error: ClientError,
    again: bool,
    /// Nothing listens at the address, or nothing that is believed: it was not asked.
    refused: bool,
    /// What the server asked to wait.
    wait: Duration,
    /// Our own deadline cut the try short: it says nothing of the server.
    hurried: bool,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            at: None,
            streamed: false,
            once: false,
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: &impl Serialize) -> Result<Self, ClientError> {
        Self::new(Method::POST, path).json(body)
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, ClientError> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| ClientError::Io { doing: "write the request as JSON".to_owned(), source: error.into() })?;
        self.body = Some(bytes.into());
        Ok(self.header(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Appends a parameter, where it is set.
    pub(crate) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name.to_owned(), value.to_string())));
        self
    }

    /// Asks only the server with this base URL; with an empty path it is the whole URL.
    pub(crate) fn at(mut self, base: &str) -> Self {
        self.at = Some(base.to_owned());
        self
    }

    /// Makes a repetition of a creating call harmless.
    pub(crate) fn keyed(self) -> Self {
        self.keyed_by(&format!("{:032x}", rand::rng().random::<u128>()))
    }

    /// The same with a key of the caller's.
    pub(crate) fn keyed_by(self, key: &str) -> Self {
        match HeaderValue::from_str(key) {
            Ok(value) => self.header(HeaderName::from_static("idempotency-key"), value),
            Err(_) => self,
        }
    }

    /// Asks each server once only: the caller knows others to turn to.
    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Leaves the answer's body to be read by the caller.
    pub(crate) fn streamed(mut self) -> Self {
        self.streamed = true;
        self
    }
}

impl Cluster {
    /// Sends `call` until it succeeds, is refused for good, or the deadline has come.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, ClientError> {
        self.send_counting(call, &mut 0).await
    }

    /// The same; `acted` counts the tries before the last one that a server may have carried out unheard.
    pub(crate) async fn send_counting(&self, call: &Call, acted: &mut u32) -> Result<Answer, ClientError> {
        let begin = Instant::now();
        let mut backoff = Backoff::new();
        let mut internal_failures = 0;
        let mut last: Option<Failure> = None;
        loop {
            let round = call.at.as_ref().map_or_else(|| self.servers(), |base| vec![base.clone()]);
            let mut all_refused = true;
            for server in &round {
                let left = self.deadline.saturating_sub(begin.elapsed()).max(Duration::from_millis(1));
                let failure = match self.attempt(call, server, left).await {
                    Ok(answer) => {
                        self.shared.servers.prefer(server);
                        return Ok(answer);
                    }
                    Err(failure) => failure,
                };
                *acted += u32::from(failure.may_have_acted());
                internal_failures += u32::from(failure.error.code() == Some(Code::Internal));
                if !failure.again || internal_failures >= INTERNAL_TRIES_MAX {
                    return Err(failure.error);
                }
                tracing::debug!(%server, path = call.path, error = %failure.error, "trying again");
                all_refused &= failure.refused;
                // What was heard before tells more than a try that had no time left.
                if last.is_none() || !failure.hurried {
                    last = Some(failure);
                }
                if begin.elapsed() >= self.deadline {
                    break;
                }
            }
            let Some(heard) = last.take() else {
                return Err(ClientError::Address(String::new()));
            };
            let wait = backoff.next().max(heard.wait);
            let limit = if all_refused { self.refused_max } else { self.deadline };
            if call.once || begin.elapsed() + wait >= limit {
                return Err(given_up(heard.error, &round));
            }
            tokio::time::sleep(wait).await;
            last = Some(heard);
        }
    }

    /// Sends `call` and reads the JSON answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        let answer = self.send(call).await?;
        serde_json::from_slice(&answer.whole)
            .map_err(|error| ClientError::protocol(&answer.server, format!("in its JSON, {error}")))
    }

    /// Sends `call`, which removes something: where only a later try finds nothing, an earlier one, whose answer was
    /// lost, has removed it.
    pub(crate) async fn remove(&self, call: &Call) -> Result<(), ClientError> {
        let mut acted = 0;
        match self.send_counting(call, &mut acted).await {
            Err(error) if acted > 0 && matches!(error.code(), Some(Code::NotFound | Code::Gone)) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// One try at one server, and wherever that sends us.
    async fn attempt(&self, call: &Call, server: &str, within: Duration) -> Result<Answer, Failure> {
        let mut url = self.address(&format!("{server}{}", call.path)).map_err(Failure::lasting)?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        for hop in 0..=REDIRECTS_MAX {
            let mut request = self.http().map_err(Failure::lasting)?.request(call.method.clone(), url.clone());
            request = request.headers(call.headers.clone());
            // Servers of the cluster send us to servers of the cluster only: the token goes along.
            if let Some(token) = (self.shared.token)() {
                request = request.bearer_auth(token);
            }
            if let Some(body) = &call.body {
                request = request.body(body.clone());
            }
            let origin = origin(&url);
            let head = tokio::time::timeout(within.min(HEAD_WITHIN), request.send()).await;
            let response = match head {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(Failure::connection(&origin, &error, hop == 0)),
                Err(_) => return Err(Failure { hurried: within < HEAD_WITHIN, ..Failure::silent(&origin) }),
            };
            let status = response.status();
            if status.is_success() {
                return read(call, origin, response, within).await;
            }
            match self.redirect(&url, &response) {
                Some(target) => url = target.map_err(Failure::lasting)?,
                None => return Err(refusal(&origin, status, response).await),
            }
        }
        let error = ClientError::protocol(server, format!("more than {REDIRECTS_MAX} redirects for {}", call.path));
        Err(Failure { again: true, ..Failure::lasting(error) })
    }
}

impl Cluster {
    /// Where the answer sends us; `None` where it is no redirect that keeps the method.
    pub(crate) fn redirect(&self, from: &Url, response: &Response) -> Option<Result<Url, ClientError>> {
        if !matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
            return None;
        }
        let location = response.headers().get(reqwest::header::LOCATION)?.to_str().ok()?;
        let target = from.join(location).map_err(|_| ClientError::Address(location.chars().take(200).collect()));
        Some(target.and_then(|target| self.address(target.as_str())))
    }
}

async fn read(call: &Call, server: String, mut response: Response, within: Duration) -> Result<Answer, Failure> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    if call.streamed {
        return Ok(Answer { server, status, headers, whole: Bytes::new(), rest: Some(response) });
    }
    match tokio::time::timeout(within.max(HEAD_WITHIN), whole(&server, response)).await {
        Ok(body) => body.map(|whole| Answer { server, status, headers, whole, rest: None }),
        Err(_) => Err(Failure::silent(&server)),
    }
}

async fn whole(server: &str, mut response: Response) -> Result<Bytes, Failure> {
    let mut all = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if all.len() + chunk.len() <= ANSWER_LEN_MAX => all.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                let what = format!("a body of more than {ANSWER_LEN_MAX} bytes");
                return Err(Failure::lasting(ClientError::protocol(server, what)));
            }
            Ok(None) => return Ok(all.into()),
            Err(error) => return Err(Failure::connection(server, &error, false)),
        }
    }
}

/// What a status without success means.
async fn refusal(server: &str, status: StatusCode, response: Response) -> Failure {
    let body = match tokio::time::timeout(HEAD_WITHIN, whole(server, response)).await {
        Ok(Ok(body)) => body,
        Ok(Err(failure)) => return failure,
        Err(_) => return Failure::silent(server),
    };
    match problem_in(status, &body) {
        Some(problem) => Failure {
            again: problem.is_retryable(),
            refused: false,
            hurried: false,
            wait: Duration::from_secs(problem.retry_after_s.unwrap_or(0).into()).min(RETRY_AFTER_MAX),
            error: ClientError::Problem(problem),
        },
        None => Failure {
            again: matches!(status.as_u16(), 502..=504),
            ..Failure::lasting(ClientError::protocol(server, format!("the status {status} without a reason")))
        },
    }
}

/// The problem in an answer's body. HEAD's answers have none: some codes can be told from the status alone.
pub(crate) fn problem_in(status: StatusCode, body: &[u8]) -> Option<Problem> {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return Some(problem);
    }
    let code = match status.as_u16() {
        401 => Code::Unauthorized,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        410 => Code::Gone,
        423 => Code::Locked,
        429 => Code::TooManyRequests,
        500 => Code::Internal,
        503 => Code::NotReady,
        _ => return None,
    };
    Some(Problem::new(code, format!("the server answered {status} and said no more")))
}

fn given_up(error: ClientError, round: &[String]) -> ClientError {
    match error {
        ClientError::Unreachable { cause, .. } if round.len() > 1 => {
            ClientError::Unreachable { servers: round.join(", "), cause }
        }
        other => other,
    }
}

/// Scheme, host and port of a URL.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl Failure {
    /// Whether the server may have done what it was asked, though it did not say so.
    fn may_have_acted(&self) -> bool {
        let refused = matches!(self.error.code(), Some(Code::NotReady | Code::NotFound | Code::Gone));
        !self.refused && !refused
    }

    fn lasting(error: ClientError) -> Self {
        Self { error, again: false, refused: false, wait: Duration::ZERO, hurried: false }
    }

    fn connection(server: &str, error: &reqwest::Error, first_hop: bool) -> Self {
        if let Some(failure) = of_encryption(server, error) {
            return Self { again: true, refused: first_hop, ..Self::lasting(failure) };
        }
        let refused = innermost(error)
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        Self {
            error: ClientError::Unreachable { servers: server.to_owned(), cause: cause(error) },
            again: !error.is_builder(),
            refused: refused && first_hop,
            wait: Duration::ZERO,
            hurried: false,
        }
    }

    fn silent(server: &str) -> Self {
        let error =
            ClientError::Unreachable { servers: server.to_owned(), cause: "it did not answer in time".to_owned() };
        Self { again: true, ..Self::lasting(error) }
    }
}
