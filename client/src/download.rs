//! Download: from whichever replica answers, on from where the last one stopped, checked against the material's hash.

use crate::{ByteStream, ClientError, Cluster, backoff::Backoff, calls::with_range, part::Part, transport::Call};
use bytes::Bytes;
use microtome_proto::{
    Code, Problem,
    material::{Material, ReplicaState},
};
use rand::seq::SliceRandom as _;
use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

/// Time for one replica to begin its answer before the next one is asked.
const REPLICA_WITHIN: Duration = Duration::from_secs(5);
/// Pieces that may wait for the disk.
const PIECES_AHEAD: usize = 32;

/// A file that was downloaded whole and is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// Its length in bytes.
    pub size: u64,
    /// Bytes of it that an earlier, interrupted download had left.
    pub resumed_from: u64,
}

impl Cluster {
    /// Writes a material, or the bytes of it in `range`, to `writer`; goes on at another replica when one fails.
    /// Answers with the number of bytes. The hash is checked where the whole is fetched, after the last byte.
    ///
    /// # Errors
    /// `conflict` where the bytes have not all arrived, [`ClientError::Damaged`], or that no replica answers.
    pub async fn fetch(
        &self,
        material: &Material,
        range: Option<Range<u64>>,
        writer: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<u64, ClientError> {
        has_arrived(material)?;
        let whole = range.is_none();
        let range = range.map_or(0..material.size, |range| range.start..range.end.min(material.size));
        let mut pull = Pull::new(self, material, range.clone(), replicas(material), 0);
        let mut hasher = blake3::Hasher::new();
        let failed = |source| ClientError::Io { doing: "write the output".to_owned(), source };
        while let Some(piece) = pull.next().await? {
            hasher.update(&piece);
            writer.write_all(&piece).await.map_err(failed)?;
        }
        writer.flush().await.map_err(failed)?;
        if whole {
            check(material, &hasher)?;
        }
        Ok(range.end.saturating_sub(range.start))
    }

    /// Downloads a material into the file `to`. What has arrived lies in a `.part` file beside it, which a later
    /// download goes on with; `progress` is told how many bytes there are.
    ///
    /// # Errors
    /// `conflict` where the bytes have not all arrived, [`ClientError::Damaged`], [`ClientError::Io`], or that no replica
    /// answers.
    pub async fn download(
        &self,
        material: &Material,
        to: &Path,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Downloaded, ClientError> {
        has_arrived(material)?;
        let part_path = part_path(to, material);
        let size = material.size;
        let mut part = blocking(move || Part::open(part_path, size)).await?;
        let resumed_from = part.offset;
        let replicas = replicas(material);
        // After a first mixture, each replica and the cluster get a chance to send the whole before it is called
        // damaged.
        let rounds = replicas.len() + 2;
        let mut round = 0;
        loop {
            let mut pull = Pull::new(self, material, part.offset..size, replicas.clone(), round);
            part = fill(part, &mut pull, progress).await?;
            let Err(error) = check(material, &part.hasher) else { break };
            tracing::warn!(material = %material.id, "a download did not have the material's hash");
            part = blocking(move || part.restart()).await?;
            round += 1;
            if round == rounds {
                return Err(error);
            }
        }
        let to = to.to_owned();
        blocking(move || part.publish(&to)).await?;
        Ok(Downloaded { size, resumed_from })
    }
}

/// Before that nobody knows the hash, nor always the length, which is then told as 0.
fn has_arrived(material: &Material) -> Result<(), ClientError> {
    if material.blake3.is_some() {
        return Ok(());
    }
    let detail = format!("the bytes of {} are still arriving", material.id);
    Err(ClientError::Problem(Problem::new(Code::Conflict, detail)))
}

fn check(material: &Material, hasher: &blake3::Hasher) -> Result<(), ClientError> {
    let found = hasher.finalize().to_hex().to_string();
    match &material.blake3 {
        Some(expected) if *expected != found => {
            Err(ClientError::Damaged { name: material.name.clone(), expected: expected.clone(), found })
        }
        _ => Ok(()),
    }
}

/// Base URLs of the replicas that may answer, in random order, as many who download share the load; those that are damaged
/// come last.
fn replicas(material: &Material) -> Vec<String> {
    let live_in = |state: ReplicaState| {
        let live = material.replicas.iter().filter(move |replica| replica.live && replica.state == state);
        live.map(|replica| replica.url.clone()).collect::<Vec<_>>()
    };
    let mut replicas = live_in(ReplicaState::Verified);
    replicas.shuffle(&mut rand::rng());
    replicas.extend(live_in(ReplicaState::Damaged));
    replicas
}

fn part_path(to: &Path, material: &Material) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", material.id));
    to.with_file_name(name)
}

/// Moves the pieces to the disk, whose waits do not hold up the network.
async fn fill(
    mut part: Part,
    pull: &mut Pull<'_>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Part, ClientError> {
    let (pieces, mut receiver) = mpsc::channel::<Bytes>(PIECES_AHEAD);
    let writing = tokio::task::spawn_blocking(move || {
        while let Some(piece) = receiver.blocking_recv() {
            part.append(&piece)?;
        }
        Ok(part)
    });
    let mut failure = None;
    progress(pull.range.start);
    loop {
        match pull.next().await {
            Ok(Some(piece)) => {
                progress(pull.range.start);
                if pieces.send(piece).await.is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    drop(pieces);
    // The pieces that came stay in the part, also where no more come.
    let part = writing.await.map_err(panicked)??;
    failure.map_or(Ok(part), Err)
}

/// A download under way: what of the range is still missing, and whom to ask.
struct Pull<'a> {
    cluster: &'a Cluster,
    material: &'a Material,
    range: Range<u64>,
    /// Base URLs of replicas; the cluster itself is asked after them.
    replicas: Vec<String>,
    /// Whose turn it is.
    turn: usize,
    /// Failures since a piece came.
    failures: usize,
    stream: Option<ByteStream>,
    moved: Instant,
    backoff: Backoff,
}

impl<'a> Pull<'a> {
    fn new(
        cluster: &'a Cluster,
        material: &'a Material,
        range: Range<u64>,
        replicas: Vec<String>,
        turn: usize,
    ) -> Self {
        let (moved, backoff) = (Instant::now(), Backoff::new());
        Self { cluster, material, range, replicas, turn, failures: 0, stream: None, moved, backoff }
    }

    /// The next piece; `None` when the range is there.
    async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let mut all_lasting = true;
        while !self.range.is_empty() {
            let failure = match self.step().await {
                Ok(Some(mut piece)) => {
                    let missing = self.range.end - self.range.start;
                    piece.truncate(usize::try_from(missing).unwrap_or(usize::MAX));
                    self.range.start += piece.len() as u64;
                    (self.moved, self.backoff, self.failures) = (Instant::now(), Backoff::new(), 0);
                    return Ok(Some(piece));
                }
                Ok(None) => ClientError::protocol("a replica", "fewer bytes than it announced"),
                Err(error) => error,
            };
            self.stream = None;
            self.turn += 1;
            self.failures += 1;
            all_lasting &= lasting(&failure);
            if self.failures.is_multiple_of(self.replicas.len() + 1) {
                if self.moved.elapsed() >= self.cluster.deadline || all_lasting {
                    return Err(failure);
                }
                all_lasting = true;
                tokio::time::sleep(self.backoff.next()).await;
            }
        }
        Ok(None)
    }

    async fn step(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.stream.is_none() {
            self.stream = Some(self.open().await?);
        }
        match &mut self.stream {
            Some(stream) => stream.chunk().await,
            None => Ok(None),
        }
    }

    async fn open(&mut self) -> Result<ByteStream, ClientError> {
        let call = Call::get(format!("/v1/materials/{}/file", self.material.id));
        let call = with_range(call, Some(self.range.clone())).once();
        let call = match self.replicas.get(self.turn % (self.replicas.len() + 1)) {
            Some(base) => call.at(base),
            None => call,
        };
        let stream = self.cluster.with_deadline(REPLICA_WITHIN).stream(call).await?;
        let expected = self.material.blake3.as_deref();
        let tag = stream.etag().map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
        if tag.is_some() && expected.is_some() && tag != expected {
            return Err(ClientError::protocol(stream.server(), "another file under the same id"));
        }
        if stream.offset() != Some(self.range.start) {
            return Err(ClientError::protocol(stream.server(), "another range than was asked"));
        }
        Ok(stream)
    }
}

/// Whether every replica may be expected to say the same.
fn lasting(error: &ClientError) -> bool {
    match error {
        ClientError::Problem(problem) => !problem.is_retryable(),
        ClientError::Unreachable { .. } => false,
        _ => true,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    tokio::task::spawn_blocking(work).await.map_err(panicked)?
}

fn panicked(error: tokio::task::JoinError) -> ClientError {
    ClientError::Io { doing: "write the file".to_owned(), source: io::Error::other(error) }
}
