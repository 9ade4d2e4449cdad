//! A snapshot: one file, whole or not there.
//!
//! It is: 8 bytes of magic, the header's length (u32, lowest byte first), the header in JSON, the records in key order
//! (length of the key, length of the record, both u32, then both), and BLAKE3 of everything before, 32 bytes. The hash
//! stands at the end so that a snapshot is written in one go, whatever its size. It is checked when the file is opened or
//! has been received: no record of a file that fails is ever used.

use super::walk::Record;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write as _},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

const MAGIC: &[u8; 8] = b"mtsnap\r\n";
/// The form of header and records.
pub(super) const VERSION: u32 = 1;
const HASH_LEN: u64 = 32;
/// Largest header, key or record, in bytes.
const PART_LEN_MAX: u32 = 64 << 20;
const BUFFER_LEN: usize = 256 << 10;

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    version: u32,
    /// The index of the last log entry in it.
    pub(crate) index: u64,
    /// How many records it has.
    pub(crate) records: u64,
    /// Where it stands, as the state keeps it.
    pub(crate) stamp: String,
}

impl Header {
    pub(crate) fn new(index: u64, records: u64, stamp: String) -> Self {
        Self { version: VERSION, index, records, stamp }
    }
}

/// A snapshot whose hash was checked.
#[derive(Debug)]
pub(crate) struct Snapshot {
    header: Arc<Header>,
    file: Arc<File>,
    len: u64,
    /// Its file, while it is received and not yet in its place; removed where it never gets there.
    pub(super) received: Option<tempfile::TempPath>,
}

impl Snapshot {
    /// Writes a snapshot into an empty file: `next` brings its records. The file is durable when this returns.
    pub(super) fn write(
        to: tempfile::NamedTempFile,
        header: &Header,
        mut next: impl FnMut() -> io::Result<Option<Vec<Record>>>,
    ) -> io::Result<Self> {
        let mut out = Hashing { to: BufWriter::with_capacity(BUFFER_LEN, to), hasher: blake3::Hasher::new() };
        let json = serde_json::to_vec(header)?;
        out.put(MAGIC)?;
        out.put(&length(&json)?)?;
        out.put(&json)?;
        while let Some(records) = next()? {
            for (key, record) in records {
                out.put(&length(&key)?)?;
                out.put(&length(&record)?)?;
                out.put(&key)?;
                out.put(&record)?;
            }
        }
        let hash = out.hasher.finalize();
        out.to.write_all(hash.as_bytes())?;
        let (file, path) = out.to.into_inner().map_err(io::IntoInnerError::into_error)?.into_parts();
        file.sync_all()?;
        let len = file.metadata()?.len();
        Ok(Self { header: Arc::new(header.clone()), file: Arc::new(file), len, received: Some(path) })
    }

    /// Reads the whole file once and compares its hash.
    pub(super) fn check(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let file = Arc::new(file);
        let hashed = len.checked_sub(HASH_LEN).ok_or_else(|| damaged("it is too short"))?;
        let whole = || Positioned { file: Arc::clone(&file), at: 0, end: hashed };
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut BufReader::with_capacity(BUFFER_LEN, whole()), &mut hasher)?;
        let mut wanted = [0; 32];
        file.read_exact_at(&mut wanted, hashed)?;
        if hasher.finalize() != wanted {
            return Err(damaged("its hash is wrong"));
        }
        let header = Arc::new(read_header(&mut whole())?);
        Ok(Self { header, file, len, received: None })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The file's length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The file's bytes, from the first one.
    pub(crate) fn reader(&self) -> impl Read + Send + use<> {
        Positioned { file: Arc::clone(&self.file), at: 0, end: self.len }
    }

    /// Its records, in key order.
    pub(crate) fn records(&self) -> io::Result<impl Iterator<Item = io::Result<Record>> + use<>> {
        let mut reader = BufReader::with_capacity(BUFFER_LEN, self.reader());
        read_header(&mut reader)?;
        Ok((0..self.header.records).map(move |_| read_record(&mut reader)))
    }

    /// The same snapshot, for one more to read.
    pub(super) fn share(&self) -> Self {
        Self { header: Arc::clone(&self.header), file: Arc::clone(&self.file), len: self.len, received: None }
    }

    /// Whether both are of one file.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file)
    }
}

fn read_header(reader: &mut impl Read) -> io::Result<Header> {
    let mut magic = [0; MAGIC.len()];
    reader.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(damaged("it is no snapshot"));
    }
    let len = read_length(reader)?;
    let header: Header = serde_json::from_slice(&read_part(reader, len)?)?;
    if header.version != VERSION {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "another version of the program wrote it"));
    }
    Ok(header)
}

fn read_record(reader: &mut impl Read) -> io::Result<Record> {
    let (key_len, record_len) = (read_length(reader)?, read_length(reader)?);
    Ok((read_part(reader, key_len)?, read_part(reader, record_len)?))
}

fn read_length(reader: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    let len = u32::from_le_bytes(bytes);
    if len > PART_LEN_MAX { Err(damaged("a part is too long")) } else { Ok(len) }
}

fn read_part(reader: &mut impl Read, len: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn length(part: &[u8]) -> io::Result<[u8; 4]> {
    let len = u32::try_from(part.len()).ok().filter(|len| *len <= PART_LEN_MAX);
    Ok(len.ok_or_else(|| damaged("a part is too long"))?.to_le_bytes())
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Writes and hashes.
struct Hashing {
    to: BufWriter<tempfile::NamedTempFile>,
    hasher: blake3::Hasher,
}

impl Hashing {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.to.write_all(bytes)
    }
}

/// Reads a shared file at a position of its own.
struct Positioned {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..len], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
