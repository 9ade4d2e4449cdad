//! Opening reads kilobytes, whatever the slide's size, and a tile reads little more than itself.

use crate::common::{FILES, File, Form, Image, JPEG, LZW, Value, image, memory::cost, pixels, shared};
use microtome_slide::{FileSource, ReadAt, Slide};
use std::{
    collections::BTreeMap,
    io::{self, Seek as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counts what is read of another source.
struct Counting<S> {
    source: S,
    bytes: AtomicU64,
    reads: AtomicU64,
}

impl<S> Counting<S> {
    fn new(source: S) -> Arc<Self> {
        Arc::new(Self { source, bytes: AtomicU64::new(0), reads: AtomicU64::new(0) })
    }

    fn take(&self) -> (u64, u64) {
        (self.bytes.swap(0, Ordering::Relaxed), self.reads.swap(0, Ordering::Relaxed))
    }
}

impl<S: ReadAt> ReadAt for Counting<S> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.source.read_exact_at(buf, offset)
    }
}

/// A long file of zeros with something in a few places.
struct Sparse {
    len: u64,
    parts: BTreeMap<u64, Vec<u8>>,
}

impl ReadAt for Sparse {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf.fill(0);
        for (&start, part) in &self.parts {
            for (index, byte) in part.iter().enumerate() {
                if let Some(at) = (start + index as u64).checked_sub(offset).filter(|&at| at < buf.len() as u64) {
                    buf[at as usize] = *byte;
                }
            }
        }
        Ok(())
    }
}

const SIDE: u64 = 240;
const COLUMNS: u64 = 1200;
const ROWS: u64 = 1000;

/// A BigTIFF of 24 GB: 1.2 million tiles, so 19 MB of tables, behind 24 GB of tiles.
fn huge() -> Sparse {
    let file = File { big_endian: false, big: true };
    let (tables, tile) = pixels::jpeg_tile(&pixels::picture(SIDE as u32, SIDE as u32), false);
    let stride = 20_000;
    let mut parts = BTreeMap::new();
    let tables_at = 16 + COLUMNS * ROWS * stride;
    let lens_at = tables_at + COLUMNS * ROWS * 8;
    let directory_at = lens_at + COLUMNS * ROWS * 8;
    // Only the last tile and its entries are really there.
    let last = COLUMNS * ROWS - 1;
    parts.insert(tables_at + last * 8, (16 + last * stride).to_le_bytes().to_vec());
    parts.insert(lens_at + last * 8, (tile.len() as u64).to_le_bytes().to_vec());
    parts.insert(16 + last * stride, tile);
    parts.insert(0, file.header(directory_at));

    let short = |value| Value::Short(vec![value]);
    let image = Image::default()
        .with(256, Value::Long(vec![(SIDE * COLUMNS) as u32]))
        .with(257, Value::Long(vec![(SIDE * ROWS) as u32]))
        .with(258, Value::Short(vec![8; 3]))
        .with(259, short(JPEG))
        .with(262, short(2))
        .with(277, short(3))
        .with(322, Value::Long(vec![SIDE as u32]))
        .with(323, Value::Long(vec![SIDE as u32]))
        .with(324, Value::Offset(vec![0, 0]))
        .with(325, Value::Offset(vec![0, 0]))
        .with(347, Value::Bytes(tables))
        .described("Aperio Image Library|MPP = 0.25");
    let mut directory = file.directory(&image.fields, directory_at, 0);
    // The tables are far too long for the helper: their counts and places are put in by hand.
    for (tag, at) in [(324u16, tables_at), (325, lens_at)] {
        let entry = (8..directory.len()).step_by(20).find(|&at| directory[at..at + 2] == tag.to_le_bytes()).unwrap();
        directory[entry + 4..entry + 12].copy_from_slice(&(COLUMNS * ROWS).to_le_bytes());
        directory[entry + 12..entry + 20].copy_from_slice(&at.to_le_bytes());
    }
    let len = directory_at + directory.len() as u64;
    parts.insert(directory_at, directory);
    Sparse { len, parts }
}

#[test]
fn a_slide_of_24_gb_opens_with_a_few_small_reads() {
    let source = Counting::new(huge());
    assert!(source.len() > 24_000_000_000);
    let slide = Slide::open(source.clone()).unwrap();
    let (bytes, reads) = source.take();
    eprintln!("opened with {reads} reads of {bytes} bytes");
    assert!(bytes < 8 << 10 && reads < 60, "{reads} reads of {bytes} bytes");
    assert_eq!(slide.levels()[0].columns, COLUMNS as u32);

    let mut out = Vec::new();
    let (column, row) = (COLUMNS as u32 - 1, ROWS as u32 - 1);
    assert!(slide.native_tile(&*source, 0, column, row, &mut out).unwrap());
    let (bytes, reads) = source.take();
    assert!(reads == 3 && bytes < out.len() as u64 + 16, "{reads} reads of {bytes} bytes for {}", out.len());
    let off = pixels::difference(&slide.tile(0, column, row).unwrap(), &pixels::picture(SIDE as u32, SIDE as u32));
    assert!(off < 2.0, "{off}");
}

#[test]
fn a_real_slide_opens_with_kilobytes() {
    let Some(folder) = shared::folder() else { return };
    let source = Counting::new(FileSource::open(folder.join("CMU-1-Small-Region.svs")).unwrap());
    let slide = Slide::open(source.clone()).unwrap();
    let (bytes, reads) = source.take();
    eprintln!("opened with {reads} reads of {bytes} bytes");
    assert!(bytes < 8 << 10 && reads < 150, "{reads} reads of {bytes} bytes");
    assert_eq!(slide.levels().len(), 1);
}

/// The same on a disk: a file with holes, whose tables alone would be 19 MB.
#[test]
fn a_file_of_24_gb_opens_in_moments_and_shows_its_tile() {
    let sparse = huge();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(sparse.len).unwrap();
    for (&at, part) in &sparse.parts {
        file.seek(io::SeekFrom::Start(at)).unwrap();
        file.write_all(part).unwrap();
    }
    let source = Counting::new(FileSource::open(file.path()).unwrap());
    let mut out = Vec::new();
    let (slide, opened) = cost(|| Slide::open(source.clone()).unwrap());
    let (_, first) = cost(|| slide.native_tile(&*source, 0, COLUMNS as u32 - 1, ROWS as u32 - 1, &mut out).unwrap());
    let ((bytes, reads), time) = (source.take(), opened.time + first.time);
    eprintln!(
        "opened and a tile cut in {time:?} with {reads} reads of {bytes} bytes; the slide holds {} bytes",
        opened.kept
    );
    assert!(bytes < out.len() as u64 + (4 << 10) && reads < 60, "{reads} reads of {bytes} bytes for {}", out.len());
    assert!(time.as_millis() < 20, "{time:?}");
}

/// A node keeps the slides that it opened: ten thousand of them with all that a scanner writes must not be felt.
#[test]
fn ten_thousand_slides_stay_open_in_less_than_150_mb() {
    const EACH_MAX: u64 = 15_000;
    let strips = |name: &str| image(FILES[0], &pixels::picture(12, 9), Form::strips(LZW, 4)).described(name);
    let level = |side: u32| {
        let image = image(FILES[0], &pixels::picture(side, side), Form::tiles(JPEG, 16));
        image.described(&format!("Aperio Image Library v12.0.15\r\n{}", "|Key of some length = a value".repeat(30)))
    };
    let pyramid = [
        level(96),
        strips("Aperio\nthumbnail"),
        level(48),
        level(24),
        strips("Aperio\nlabel"),
        strips("Aperio\nmacro"),
    ];
    let source = Arc::new(FILES[0].write(&pyramid));
    let (slides, made) = cost(|| (0..10_000).map(|_| Slide::open(source.clone()).unwrap()).collect::<Vec<_>>());
    eprintln!("an open slide holds {} bytes", made.kept / 10_000);
    assert_eq!((slides.len(), slides[9_999].levels().len(), slides[0].associated().len()), (10_000, 3, 3));
    assert!(made.kept < 10_000 * EACH_MAX, "{} bytes each", made.kept / 10_000);

    // The huge one holds no more, as its tables stay in the file.
    let source = Arc::new(huge());
    let (_slide, huge) = cost(|| Slide::open(source.clone()).unwrap());
    eprintln!("the one of 24 GB {} bytes", huge.kept);
    assert!(huge.kept < EACH_MAX, "{} bytes", huge.kept);
    let Some(folder) = shared::folder() else { return };
    let (_slide, real) = cost(|| Slide::open(shared::source(&folder.join("CMU-1-Small-Region.svs"))).unwrap());
    eprintln!("a real one {} bytes", real.kept);
    assert!(real.kept < EACH_MAX, "{} bytes", real.kept);
}
