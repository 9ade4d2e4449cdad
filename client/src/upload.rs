//! Resumable upload by tus 1.0: one long PATCH from the offset that the node holds, and again after every interruption.

use crate::{
    ClientError, Cluster, Source,
    backoff::Backoff,
    error::cause,
    source::Reading,
    transport::{Call, problem_in},
};
use microtome_proto::{
    Code, MaterialId,
    material::{Material, MaterialState},
    tus,
};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long an upload may stand still, its node being away, before it is given up.
const STANDSTILL_MAX: Duration = Duration::from_secs(120);
/// How long the connection may take nothing while there is something to send.
const STALL_MAX: Duration = Duration::from_secs(30);
/// How long the node may take to make the last bytes durable and to have the file checked, by the operator's check, too. One
/// that takes longer is asked again.
const FINISH_WITHIN: Duration = Duration::from_secs(900);
/// Time for a question between two tries.
const QUESTION_WITHIN: Duration = Duration::from_secs(5);
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes on their way or there.
    pub sent: u64,
    /// Bytes that the node said it holds durably.
    pub durable: u64,
    /// The whole length in bytes.
    pub size: u64,
}

/// An upload under way.
pub struct Upload<'a> {
    cluster: &'a Cluster,
    material: MaterialId,
    url: String,
    source: Arc<dyn Source>,
    size: u64,
    durable: u64,
    standstill_max: Duration,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

/// One try ended before the whole was there.
enum Interrupted {
    /// Nothing helps.
    ForGood(ClientError),
    /// It goes on at once, with the offset asked again.
    GoOn,
    /// It goes on after a pause.
    Later(String),
}

/// What the cluster knows of an upload.
enum Standing {
    /// It has become a material.
    Whole,
    /// It is at another address.
    Moved,
    /// Nothing new.
    Same,
    /// Nobody could be asked.
    Unknown,
}

impl From<ClientError> for Interrupted {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { cause, .. } => Self::Later(cause),
            ClientError::Problem(problem) if problem.is_retryable() => Self::Later(problem.to_string()),
            other => Self::ForGood(other),
        }
    }
}

impl Cluster {
    /// Sends the bytes of a material that was created. Returns when they are durable and verified on a node; goes on
    /// after a lost connection and after a restart of the node.
    ///
    /// # Errors
    /// [`ClientError::UploadGone`], [`ClientError::UploadStopped`], [`ClientError::SourceChanged`], or a problem such
    /// as `hash_mismatch`.
    pub async fn upload(
        &self,
        material: &Material,
        source: Arc<dyn Source>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), ClientError> {
        match Upload::new(self, material, source, progress)? {
            Some(upload) => upload.finish().await,
            None => Ok(()),
        }
    }
}

impl<'a> Upload<'a> {
    /// `None` where the cluster has the bytes already.
    ///
    /// # Errors
    /// [`ClientError::SourceChanged`] where the source has not the material's length.
    pub fn new(
        cluster: &'a Cluster,
        material: &Material,
        source: Arc<dyn Source>,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Result<Option<Self>, ClientError> {
        let Some(url) = material.upload_url.clone() else { return Ok(None) };
        let size = source.size();
        if size != material.size {
            return Err(ClientError::SourceChanged { name: source.name(), expected: material.size });
        }
        let material = material.id.clone();
        let standstill_max = STANDSTILL_MAX;
        Ok(Some(Self { cluster, material, url, source, size, durable: 0, standstill_max, progress }))
    }

    /// Gives up after standing still for this long (two minutes otherwise).
    #[must_use]
    pub fn with_standstill_max(mut self, standstill_max: Duration) -> Self {
        self.standstill_max = standstill_max;
        self
    }

    /// Sends what is missing.
    ///
    /// # Errors
    /// See [`Cluster::upload`].
    pub async fn finish(mut self) -> Result<(), ClientError> {
        let mut backoff = Backoff::new();
        let mut moved = Instant::now();
        loop {
            let before = self.durable;
            let cause = match self.go_on().await {
                Ok(()) => return Ok(()),
                Err(Interrupted::ForGood(error)) => return Err(error),
                Err(Interrupted::GoOn) => "it did not go on from the offset that it told".to_owned(),
                Err(Interrupted::Later(cause)) => cause,
            };
            if self.durable > before {
                (moved, backoff) = (Instant::now(), Backoff::new());
            }
            if moved.elapsed() >= self.standstill_max {
                return Err(ClientError::UploadStopped { url: self.url, offset: self.durable, cause });
            }
            tracing::debug!(url = self.url, offset = self.durable, cause, "upload interrupted, going on");
            tokio::time::sleep(backoff.next()).await;
            if matches!(self.look_again().await, Standing::Whole) {
                return Ok(());
            }
        }
    }

    /// Asks for the offset, then sends from there.
    async fn go_on(&mut self) -> Result<(), Interrupted> {
        let mut tries = 0;
        loop {
            let Some(durable) = self.ask_offset().await? else { return Ok(()) };
            self.durable = durable;
            self.tell(durable);
            // Also with nothing left to be sent: the node may have been killed before the whole became a copy, and
            // the answer to a PATCH is what acknowledges it.
            match self.patch().await {
                Ok(offset) => {
                    let taken = offset > self.durable;
                    self.durable = offset;
                    self.tell(offset);
                    if offset == self.size {
                        return Ok(());
                    }
                    if !taken {
                        return Err(Interrupted::Later("the node took nothing".to_owned()));
                    }
                }
                Err(Interrupted::GoOn) if tries < 3 => tries += 1,
                Err(other) => return Err(other),
            }
        }
    }

    /// Bytes that the node holds durably; `None` where the upload has become a material already.
    async fn ask_offset(&mut self) -> Result<Option<u64>, Interrupted> {
        let call = Call::new(Method::HEAD, "").at(&self.url).header(name(tus::RESUMABLE), VERSION);
        match self.cluster.with_deadline(QUESTION_WITHIN).send(&call).await {
            Ok(answer) => {
                let offset = number(&answer.headers, tus::OFFSET).filter(|offset| *offset <= self.size);
                let missing = || ClientError::protocol(&answer.server, "no Upload-Offset within the file");
                Ok(Some(offset.ok_or_else(missing)?))
            }
            Err(error) if matches!(error.code(), Some(Code::NotFound | Code::Gone)) => match self.look_again().await {
                Standing::Whole => Ok(None),
                Standing::Moved => Err(Interrupted::GoOn),
                Standing::Same => Err(Interrupted::ForGood(ClientError::UploadGone { url: self.url.clone() })),
                Standing::Unknown => Err(Interrupted::Later("no coordinator tells where it is".to_owned())),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the cluster where the upload is by now: its node may have another address.
    async fn look_again(&mut self) -> Standing {
        match self.cluster.with_deadline(QUESTION_WITHIN).material(&self.material).await {
            Ok(Material { upload_url: Some(url), .. }) if url != self.url => {
                self.url = url;
                Standing::Moved
            }
            Ok(Material { upload_url: None, blake3: Some(_), state, .. }) if state != MaterialState::Deleting => {
                Standing::Whole
            }
            Ok(_) => Standing::Same,
            Err(error) if matches!(error.code(), Some(Code::NotFound | Code::Gone)) => Standing::Same,
            Err(_) => Standing::Unknown,
        }
    }

    /// Sends everything from the offset on in one request; answers with the new offset.
    async fn patch(&mut self) -> Result<u64, Interrupted> {
        let url = self.cluster.address(&self.url)?;
        let left = self.size - self.durable;
        let (reading, body) = Reading::start(&self.source, self.durable);
        let mut request = self
            .cluster
            .http()?
            .patch(url.clone())
            .header(tus::RESUMABLE, VERSION)
            .header(tus::OFFSET, self.durable)
            .header(CONTENT_TYPE, tus::PATCH_TYPE)
            .header(CONTENT_LENGTH, left)
            .body(body);
        if let Some(token) = (self.cluster.shared.token)() {
            request = request.bearer_auth(token);
        }
        let response = self.watch(request.send(), &reading, left).await;
        if let Some(error) = reading.failure() {
            return Err(Interrupted::ForGood(error));
        }
        let response = response?;
        if let Some(target) = self.cluster.redirect(&url, &response) {
            self.url = target?.into();
            return Err(Interrupted::GoOn);
        }
        if response.status().is_success() {
            let offset = number(response.headers(), tus::OFFSET).filter(|offset| *offset <= self.size);
            return offset.ok_or_else(|| {
                Interrupted::ForGood(ClientError::protocol(&self.url, "no Upload-Offset within the file"))
            });
        }
        Err(self.refusal(response).await)
    }

    /// Waits for the answer, tells progress, and notices a connection on which nothing moves.
    async fn watch(
        &self,
        answer: impl Future<Output = reqwest::Result<Response>>,
        reading: &Reading,
        left: u64,
    ) -> Result<Response, Interrupted> {
        let mut answer = std::pin::pin!(answer);
        let mut tick = tokio::time::interval(PROGRESS_EVERY);
        let (mut taken, mut moved) = (0, Instant::now());
        loop {
            tokio::select! {
                answer = &mut answer => return answer.map_err(|error| Interrupted::Later(cause(&error))),
                _ = tick.tick() => {}
            }
            let now = reading.taken();
            if now > taken {
                (taken, moved) = (now, Instant::now());
                self.tell(self.durable + taken);
            }
            let limit = if taken == left { FINISH_WITHIN } else { STALL_MAX };
            if moved.elapsed() > limit {
                return Err(Interrupted::Later(format!("nothing moved for {} s", limit.as_secs())));
            }
        }
    }

    async fn refusal(&self, response: Response) -> Interrupted {
        let status = response.status();
        let body = tokio::time::timeout(QUESTION_WITHIN, response.bytes()).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        match problem_in(status, &body) {
            Some(problem) if problem.code == Code::OffsetMismatch => Interrupted::GoOn,
            // Asking for the offset tells gone from finished.
            Some(problem) if matches!(problem.code, Code::NotFound | Code::Gone) => Interrupted::GoOn,
            Some(problem) => ClientError::Problem(problem).into(),
            None if status == StatusCode::CONFLICT => Interrupted::GoOn,
            None if status.is_server_error() => Interrupted::Later(status.to_string()),
            None => Interrupted::ForGood(ClientError::protocol(&self.url, format!("the status {status}"))),
        }
    }

    fn tell(&self, sent: u64) {
        (self.progress)(Progress { sent, durable: self.durable, size: self.size });
    }
}

const VERSION: HeaderValue = HeaderValue::from_static(tus::VERSION);

fn name(header: &'static str) -> HeaderName {
    HeaderName::from_static(header)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
