use super::*;
use crate::{
    disk::Layout,
    incoming::{Expected, Incoming},
};
use microtome_proto::{
    Generation, MaterialId,
    internal::{Belonging, Reserve},
};
use std::fs;

struct Bench {
    _dir: tempfile::TempDir,
    incoming: Incoming,
    data: Vec<u8>,
}

impl Bench {
    fn new(size: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        let reserve = Reserve {
            material: "m-0123456789".parse::<MaterialId>().unwrap(),
            generation: Generation(1),
            size: size as u64,
            name: "a".to_owned(),
            media_type: "image/tiff".to_owned(),
            blake3: None,
            concat: None,
            owner: None,
            metadata: None,
            belonging: Belonging::default(),
        };
        let incoming = Incoming::create(&layout, Expected::upload(reserve)).unwrap();
        let data = (0..size).map(|i| (i as u32).wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
        Self { _dir: dir, incoming, data }
    }

    fn resume(&self) -> Writer {
        Writer::resume(&self.incoming).unwrap()
    }

    /// Writes on from where the writer stands up to `to`, and makes it durable.
    fn write_durably(&self, writer: &mut Writer, to: usize) -> u64 {
        let from = writer.offset() as usize;
        writer.write(&self.data[from..to]).unwrap();
        writer.checkpoint(true).commit().unwrap()
    }

    /// Goes on after a crash: what was told as durable is there, and the rest completes the file.
    fn completes(&self, durable: u64) {
        let mut writer = self.resume();
        let offset = writer.offset();
        assert!(offset >= durable, "{durable} bytes were told as durable, and the upload stands at {offset}");
        let stored = fs::read(self.incoming.folder().join(FILE)).unwrap();
        assert_eq!(&stored[..offset as usize], &self.data[..offset as usize], "the offset passes over wrong bytes");
        self.write_durably(&mut writer, self.data.len());
        let root = tree::root(&writer.finish().unwrap());
        assert_eq!(&root, blake3::hash(&self.data).as_bytes());
        assert_eq!(fs::read(self.incoming.folder().join(FILE)).unwrap(), self.data);
    }
}

/// A client sends any lengths it likes: what it was told after each stays.
#[test]
fn every_offset_that_was_told_survives_a_restart() {
    let bench = Bench::new(100_000);
    let mut durable = 0;
    for to in [1, 2, 1000, 16_383, 16_384, 16_385, 49_152, 50_000, 70_001, 99_999] {
        let mut writer = bench.resume();
        assert_eq!(writer.offset(), durable);
        durable = bench.write_durably(&mut writer, to);
        assert_eq!(durable, to as u64);
    }
    bench.completes(durable);
}

/// The machine stops at any moment: of what came after the last checkpoint any part may be on disk, in any order.
#[test]
fn whatever_a_crash_leaves_of_the_later_writes_the_durable_part_stays() {
    let told = 40_000;
    let leaf_lens = [64, 65, 80, 95, 96, 97, 128];
    let file_lens = [40_000, 40_001, 49_151, 49_152, 60_000, 90_000];
    for leaf_len in leaf_lens {
        for file_len in file_lens {
            for torn in [false, true] {
                let bench = Bench::new(100_000);
                let mut writer = bench.resume();
                bench.write_durably(&mut writer, told);
                bench.write_durably(&mut writer, 90_000);
                let folder = bench.incoming.folder();
                // The tail's note of the later checkpoint never came.
                Tail::new(told as u64, &tree::leaf(100_000, 2, &bench.data[32_768..told])).write(folder).unwrap();
                let mut file = fs::read(folder.join(FILE)).unwrap();
                let mut leaves = fs::read(folder.join(LEAVES)).unwrap();
                if torn {
                    // Sizes came to disk, the contents did not.
                    file[told..].fill(0);
                    leaves[64..].fill(0);
                }
                file.truncate(file_len);
                leaves.resize(leaf_len, 0);
                fs::write(folder.join(FILE), &file).unwrap();
                fs::write(folder.join(LEAVES), &leaves).unwrap();
                bench.completes(told as u64);
            }
        }
    }
}

/// The disk lost data that it had said was durable, back to before the last checkpoint: the upload goes on where the
/// bytes are right.
#[test]
fn bytes_that_the_disk_lost_are_asked_for_again() {
    for lost_from in [0, 5_000, 30_000, 70_000] {
        let bench = Bench::new(100_000);
        let mut writer = bench.resume();
        bench.write_durably(&mut writer, 90_000);
        let path = bench.incoming.folder().join(FILE);
        let mut file = fs::read(&path).unwrap();
        file[lost_from..].fill(0xee);
        fs::write(&path, &file).unwrap();
        let offset = bench.resume().offset();
        assert_eq!(offset, lost_from as u64 / GROUP_LEN * GROUP_LEN);
        bench.completes(offset);
    }
}

/// What came with a checksum becomes durable at once, however long it is: its leaves are appended in steps, each synced before
/// the next one, and a crash tears the last of them. What is not proven again at a resume must have been synced.
#[test]
fn the_leaves_of_a_long_body_are_appended_in_steps_that_are_proven_again() {
    let bench = Bench::new((5 * LEAVES_AT_ONCE + 2) * GROUP_LEN as usize);
    let mut writer = bench.resume();
    // Not at a step's beginning.
    bench.write_durably(&mut writer, GROUP_LEN as usize);
    writer.write(&bench.data[GROUP_LEN as usize..]).unwrap();
    let checkpoint = writer.checkpoint(true);
    let (mut next, mut appended) = (LEAF_LEN, fs::read(bench.incoming.folder().join(LEAVES)).unwrap());
    for (place, leaves) in checkpoint.steps() {
        assert_eq!(place, next);
        assert!(leaves.len() <= PROVEN_AGAIN * LEAF_LEN as usize, "{} bytes at once", leaves.len());
        next += leaves.len() as u64;
        appended.extend_from_slice(leaves);
    }
    checkpoint.commit().unwrap();
    assert_eq!(fs::read(bench.incoming.folder().join(LEAVES)).unwrap(), appended);
    assert_eq!(next, (5 * LEAVES_AT_ONCE as u64 + 2) * LEAF_LEN, "nothing is left out");
}

/// Of a step that was not synced any page may be on disk and any other not.
#[test]
fn a_tear_anywhere_in_the_last_step_is_found() {
    let groups = 4 * LEAVES_AT_ONCE;
    for torn in groups - LEAVES_AT_ONCE..groups {
        for torn_len in [1, LEAF_LEN as usize, 2 * LEAF_LEN as usize] {
            let bench = Bench::new(groups * GROUP_LEN as usize + 1);
            let mut writer = bench.resume();
            bench.write_durably(&mut writer, groups * GROUP_LEN as usize);
            let path = bench.incoming.folder().join(LEAVES);
            let mut leaves = fs::read(&path).unwrap();
            let end = (torn * LEAF_LEN as usize + torn_len).min(leaves.len());
            leaves[torn * LEAF_LEN as usize..end].iter_mut().for_each(|byte| *byte = !*byte);
            fs::write(&path, &leaves).unwrap();
            let offset = bench.resume().offset();
            assert_eq!(offset, torn as u64 * GROUP_LEN, "{torn_len} bytes are torn");
            bench.completes(offset);
        }
    }
}

#[test]
fn an_empty_file_is_whole_at_once() {
    let bench = Bench::new(0);
    let mut writer = bench.resume();
    assert!(writer.is_whole());
    writer.checkpoint(true).commit().unwrap();
    assert_eq!(fs::read(bench.incoming.folder().join(LEAVES)).unwrap(), blake3::hash(b"").as_bytes());
    assert!(bench.resume().is_whole());
    assert_eq!(&tree::root(&bench.resume().finish().unwrap()), blake3::hash(b"").as_bytes());
}

#[test]
fn more_than_was_announced_is_refused_untouched() {
    let bench = Bench::new(20_000);
    let mut writer = bench.resume();
    assert!(writer.write(&[0; 20_001]).is_err());
    assert_eq!(writer.offset(), 0);
    bench.completes(0);
}
