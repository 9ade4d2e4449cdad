//! Who reads what here, told until the coordinators say that it is written down where it has to be.
//!
//! It is memory: a node that is killed forgets it, and what it holds is then waited for longer. One that is stopped writes it
//! down, and takes it up again at its next start; the note is gone before anything is served, so that it never counts twice.

use crate::{
    blobs::Reads,
    disk::{self, Layout},
};
use microtome_proto::{
    MaterialId, Timestamp,
    internal::{Read, Uses},
    limits::USES_MAX,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    time::{Duration, Instant},
};

/// The version written.
const VERSION: u32 = 1;

/// Reads that are to be told, each with the latest time at which it can have been.
#[derive(Debug)]
pub(crate) struct Readers {
    reads: BTreeMap<MaterialId, Instant>,
    started: Instant,
    /// For how long all reads were known when this was started.
    before: Duration,
}

/// What is written down at a stop.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    version: u32,
    at: Timestamp,
    /// Since when all reads are known.
    since: Timestamp,
    reads: Vec<(MaterialId, Timestamp)>,
}

impl Readers {
    /// With what a proper stop has left behind, which is gone from the disk then. Blocks.
    ///
    /// # Errors
    /// Where it cannot be taken away.
    pub(crate) fn open(layout: &Layout) -> io::Result<Self> {
        let path = layout.readers();
        let note = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => disk::sync_folder(layout.root())?,
        }
        let (started, now) = (Instant::now(), Timestamp::now());
        // A clock that was set back tells nothing.
        let Some(note) = note.filter(|note| note.version == VERSION && note.at <= now) else {
            return Ok(Self { reads: BTreeMap::new(), started, before: Duration::ZERO });
        };
        let ago = |at: Timestamp| Duration::from_millis(now.millis_since(at));
        let reads = note.reads.into_iter();
        let reads = reads.map(|(material, at)| (material, started.checked_sub(ago(at)).unwrap_or(started)));
        Ok(Self { reads: reads.collect(), started, before: ago(note.since) })
    }

    /// Writes it down, where nobody reads any more. Blocks.
    pub(crate) fn keep(&mut self, reads: &Reads, layout: &Layout) -> io::Result<()> {
        self.take(reads);
        let now = Timestamp::now();
        let at = |read_at: &Instant| now.minus_millis(millis(read_at.elapsed()));
        let reads = self.reads.iter().map(|(material, read_at)| (material.clone(), at(read_at))).collect();
        let since = now.minus_millis(millis(self.known_for()));
        let note = Note { version: VERSION, at: now, since, reads };
        disk::write(&layout.readers(), &serde_json::to_vec(&note).map_err(io::Error::other)?)
    }

    /// What the next heartbeat tells. It stays to be told until that was [`heard`](Self::heard).
    pub(crate) fn tell(&mut self, reads: &Reads) -> Uses {
        self.take(reads);
        let told = |(material, read_at): (&MaterialId, &Instant)| Read {
            material: material.clone(),
            ago_ms: millis(read_at.elapsed()),
        };
        let mut open = reads.open();
        let (more_read, more_open) = (self.reads.len() > USES_MAX, open.len() > USES_MAX);
        let cut = open.iter().nth(USES_MAX).cloned();
        if let Some(cut) = cut {
            open.split_off(&cut);
        }
        let read = self.reads.iter().take(USES_MAX).map(told).collect();
        let known_for_ms = millis(self.known_for());
        Uses { read, open: open.into_iter().collect(), more_read, more_open, known_for_ms }
    }

    /// A leader has heard what was told; of `due` it wants to hear again.
    pub(crate) fn heard(&mut self, told: &Uses, due: &[MaterialId]) {
        for read in &told.read {
            if !due.contains(&read.material) {
                self.reads.remove(&read.material);
            }
        }
    }

    fn take(&mut self, reads: &Reads) {
        let fresh = reads.take();
        let now = Instant::now();
        self.reads.extend(fresh.into_iter().map(|material| (material, now)));
    }

    fn known_for(&self) -> Duration {
        self.before + self.started.elapsed()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proper_stop_forgets_nothing_and_its_note_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        let (read, other): (MaterialId, MaterialId) = ("m-1".parse().unwrap(), "m-2".parse().unwrap());
        let mut readers = Readers::open(&layout).unwrap();
        readers.before = Duration::from_secs(3600);
        let at = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        readers.reads = [(read.clone(), at), (other, at)].into();
        let told = readers.tell(&Reads::default());
        readers.heard(&told, std::slice::from_ref(&read));
        readers.keep(&Reads::default(), &layout).unwrap();

        let mut again = Readers::open(&layout).unwrap();
        let told = again.tell(&Reads::default());
        assert!(told.known_for_ms >= 3_600_000);
        let [Read { material, ago_ms }] = &told.read[..] else { panic!("{told:?}") };
        assert!(*material == read && (60_000..120_000).contains(ago_ms), "{told:?}");
        // It was killed then.
        let mut anew = Readers::open(&layout).unwrap();
        let told = anew.tell(&Reads::default());
        assert!(told.read.is_empty() && told.known_for_ms < 3_600_000, "{told:?}");
    }
}
