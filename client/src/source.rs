//! What an upload reads from.

use crate::ClientError;
use bytes::Bytes;
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;

/// Bytes read at once.
const PIECE_LEN: usize = 1 << 20;
/// Pieces read ahead of the connection.
const PIECES_AHEAD: usize = 2;

/// Bytes of a known number that can be read from any place, as often as wanted. Reading may block.
pub trait Source: Send + Sync + 'static {
    /// For messages.
    fn name(&self) -> String;
    /// Length in bytes.
    fn size(&self) -> u64;
    /// Reads some bytes at `offset`; 0 only at the end.
    ///
    /// # Errors
    /// As the medium has them.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// A file; its length is that at the time of opening.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    path: PathBuf,
    size: u64,
}

impl FileSource {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`ClientError::Io`], also for what is no file.
    pub fn open(path: &Path) -> Result<Self, ClientError> {
        let failed = |error| ClientError::io("read", path, error);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::other("it is no file")));
        }
        Ok(Self { file, path: path.to_owned(), size: metadata.len() })
    }
}

impl Source for FileSource {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
}

impl Source for Bytes {
    fn name(&self) -> String {
        format!("{} bytes in memory", self.len())
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let len = buf.len().min(self.len() - start);
        buf[..len].copy_from_slice(&self[start..start + len]);
        Ok(len)
    }
}

/// A source being read on the blocking pool, a little ahead of who takes the pieces.
pub(crate) struct Reading {
    source: Arc<dyn Source>,
    taken: Arc<AtomicU64>,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Reading {
    /// Starts to read at `offset`; answers with the request's body.
    pub(crate) fn start(source: &Arc<dyn Source>, offset: u64) -> (Self, reqwest::Body) {
        let reading = Self { source: Arc::clone(source), taken: Arc::default(), failure: Arc::default() };
        let (pieces, receiver) = mpsc::channel(PIECES_AHEAD);
        let (source, failure) = (Arc::clone(source), Arc::clone(&reading.failure));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read_pieces(&*source, offset, &pieces) {
                let kind = error.kind();
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                // The body ends in an error too, so that what was read is not taken for the whole.
                let _ = pieces.blocking_send(Err(kind.into()));
            }
        });
        let taken = Arc::clone(&reading.taken);
        let stream = futures_util::stream::unfold(receiver, move |mut receiver| {
            let taken = Arc::clone(&taken);
            async move {
                let piece: io::Result<Bytes> = receiver.recv().await?;
                if let Ok(bytes) = &piece {
                    taken.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                }
                Some((piece, receiver))
            }
        });
        (reading, reqwest::Body::wrap_stream(stream))
    }

    /// Bytes that the connection has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Why reading failed, where it did.
    pub(crate) fn failure(&self) -> Option<ClientError> {
        let error = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(if error.kind() == io::ErrorKind::UnexpectedEof {
            ClientError::SourceChanged { name: self.source.name(), expected: self.source.size() }
        } else {
            ClientError::Io { doing: format!("read {}", self.source.name()), source: error }
        })
    }
}

/// Ends early, without an error, when nobody takes the pieces any more.
fn read_pieces(source: &dyn Source, from: u64, pieces: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut offset = from;
    while offset < source.size() {
        let len = usize::try_from(source.size() - offset).unwrap_or(PIECE_LEN).min(PIECE_LEN);
        let mut piece = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match source.read_at(&mut piece[filled..], offset + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        offset += len as u64;
        if pieces.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
