//! Reading and writing past the page cache, where the file system can: what goes by once should not push out what is read
//! again and again, and its bytes are not copied once more.

use rustix::fs::OFlags;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

/// What direct access wants of memory, places and lengths, on any disk.
pub(crate) const ALIGNMENT: usize = 4096;

/// Opens a file past the page cache; nothing where the file system knows no such thing.
pub(crate) fn open(options: &OpenOptions, path: &Path) -> Option<File> {
    options.clone().custom_flags(OFlags::DIRECT.bits().cast_signed()).open(path).ok()
}

/// A file that is written past the page cache, but for what does not begin and end at multiples of the alignment: its end,
/// say.
#[derive(Debug)]
pub(crate) struct Writing {
    direct: Option<File>,
    file: File,
}

impl Writing {
    /// The `file` at `path`, which is open for writing.
    pub(crate) fn past_cache(file: File, path: &Path) -> Self {
        Self { direct: open(OpenOptions::new().write(true), path), file }
    }

    /// A `file` that goes through the page cache: it is read again soon.
    pub(crate) fn through_cache(file: File) -> Self {
        Self { direct: None, file }
    }

    /// The file as any other.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Writes `bytes`, which begin in a [`Memory`](super::memory::Memory), at `offset`.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let is_aligned = |number: u64| number.is_multiple_of(ALIGNMENT as u64);
        match &self.direct {
            Some(direct) if is_aligned(offset) && is_aligned(bytes.len() as u64) => {
                match direct.write_all_at(bytes, offset) {
                    // This disk wants more than that.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                        super::write_at(&self.file, bytes, offset)
                    }
                    written => written,
                }
            }
            _ => super::write_at(&self.file, bytes, offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::memory::Memory, *};

    #[test]
    fn what_is_written_in_any_order_is_read_and_the_end_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut expected = vec![0; 3 * ALIGNMENT + 7];
        let file = Writing::past_cache(File::create(&path).unwrap(), &path);
        let mut memory = Memory::default();
        for (offset, len) in [(2 * ALIGNMENT, ALIGNMENT + 7), (0, ALIGNMENT)] {
            let bytes = memory.first(len);
            bytes.fill(len as u8);
            file.write_at(bytes, offset as u64).unwrap();
            expected[offset..offset + len].copy_from_slice(bytes);
        }
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }
}
