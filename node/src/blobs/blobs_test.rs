use super::*;
use crate::disk::{direct, memory::Memory};
use microtome_proto::Timestamp;
use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

pub(super) const LEN: usize = 100_000;
const GROUP: usize = tree::GROUP_LEN as usize;

pub(super) fn data(number: u8) -> Vec<u8> {
    (0..LEN).map(|i| (i as u32).wrapping_mul(0x9e37_79b9).to_be_bytes()[0] ^ number).collect()
}

pub(super) fn id(number: u8) -> MaterialId {
    format!("m-{number:010}").parse().unwrap()
}

/// Publishes the file with [`data`] of `number`.
pub(crate) fn publish(blobs: &Blobs, number: u8) -> Arc<Blob> {
    let (folder, manifest) = incoming(blobs, number, &data(number));
    blobs.publish(&folder, &manifest).unwrap()
}

/// The folder of a file that has arrived, and what is to be written down of it.
pub(crate) fn incoming(blobs: &Blobs, number: u8, data: &[u8]) -> (PathBuf, Manifest) {
    let folder = blobs.layout.incoming_of(&id(number));
    disk::create_folder(&folder).unwrap();
    let (mut leaves, mut spine) = (Vec::new(), tree::SpineBuilder::new(data.len() as u64));
    tree::LeafHasher::new(data.len() as u64, 0).update(data, |leaf| {
        leaves.push(leaf);
        spine.push(leaf);
    });
    fs::write(folder.join(FILE), data).unwrap();
    fs::write(folder.join(LEAVES), tree::to_bytes(&leaves)).unwrap();
    let spine = spine.finish().unwrap();
    if spine.len() > 1 {
        fs::write(folder.join(SPINE), tree::to_bytes(&spine)).unwrap();
    }
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        material: id(number),
        generation: Generation(3),
        size: data.len() as u64,
        blake3: format_hash(&tree::root(&spine)),
        name: "a".to_owned(),
        media_type: "image/tiff".to_owned(),
        concat: None,
        owner: None,
        metadata: None,
        created_at: Timestamp::from_millis(0),
    };
    (folder, manifest)
}

pub(crate) fn blobs(folder: &Path, open_max: usize) -> Blobs {
    Blobs::open(Layout::create(folder).unwrap(), open_max, Damage::default()).unwrap()
}

pub(super) fn flip(blob: &Blob, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(blob.folder().join(FILE)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[!byte[0]], offset).unwrap();
}

#[test]
fn any_range_is_read_right_the_first_time_and_later() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(dir.path(), 8);
    let data = data(1);
    let cuts = [0, 1, 16_383, 16_384, 16_385, 40_000, 98_304, 99_999, LEN];
    publish(&blobs, 1);
    let mut generation = 3;
    for &start in &cuts {
        for &end in cuts.iter().filter(|end| **end >= start) {
            // Opened anew: nothing of it has been checked.
            generation += 1;
            let blob = blobs.adopt(&id(1), Generation(generation)).unwrap();
            for _ in 0..2 {
                let mut buf = vec![0; end - start];
                blob.read_exact_at(&mut buf, start as u64).unwrap();
                assert!(buf == data[start..end], "{start}..{end}");
            }
        }
    }
    let blob = blobs.get(&id(1)).unwrap();
    for offset in [LEN as u64, LEN as u64 - 1, u64::MAX] {
        assert_eq!(blob.read_exact_at(&mut [0; 2], offset).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

/// Reads without waiting; nothing where the system cannot tell, or a page was thrown out meanwhile.
fn at_hand<const LEN: usize>(blob: &Blob, offset: u64) -> Option<[u8; LEN]> {
    let mut buf = [0; LEN];
    match blob.at_hand()?.read_exact_at(&mut buf, offset) {
        Ok(()) => Some(buf),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            None
        }
    }
}

#[test]
fn a_read_without_waiting_gives_only_what_was_checked() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(dir.path(), 8);
    let blob = publish(&blobs, 1);
    assert_eq!(at_hand::<100>(&blob, 20_000), None, "its files are not open");
    blob.read_exact_at(&mut [0; 100], 20_000).unwrap();
    if let Some(read) = at_hand::<100>(&blob, 20_050) {
        assert_eq!(read, data(1)[20_050..20_150]);
    }
    assert_eq!(at_hand::<100>(&blob, 40_000), None, "another group");
    assert_eq!(at_hand::<8>(&blob, 40_000), None, "another group");
    let beyond = blob.at_hand().unwrap().read_exact_at(&mut [0; 8], LEN as u64 - 7).unwrap_err();
    assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn look_ups_give_what_the_file_has_at_any_place() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(dir.path(), 8);
    let (blob, data) = (publish(&blobs, 1), data(1));
    blob.read_exact_at(&mut vec![0; LEN], 0).unwrap();
    // Also from one page into the next, and up to the file's end.
    for offset in (4085..4100).chain(16_370..16_390).chain(LEN - 12..LEN - 7) {
        for _ in 0..2 {
            if let Some(read) = at_hand::<8>(&blob, offset as u64) {
                assert_eq!(read, data[offset..offset + 8], "{offset}");
            }
        }
    }
}

/// What is kept of a file that was closed must not stand for the one that is opened later.
#[test]
fn look_ups_in_a_copy_that_is_opened_again_wait_for_its_check() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(dir.path(), 1);
    let (first, second) = (publish(&blobs, 1), publish(&blobs, 2));
    first.read_exact_at(&mut [0; 10], 0).unwrap();
    at_hand::<8>(&first, 0);
    second.read_exact_at(&mut [0; 10], 20_000).unwrap();
    assert_eq!(at_hand::<8>(&first, 0), None, "it was closed for the other one");
    assert_eq!(at_hand::<8>(&second, 0), None, "its first group is not checked");
    first.read_exact_at(&mut [0; 10], 20_000).unwrap();
    assert_eq!(at_hand::<8>(&first, 0), None, "its first group was checked only before");
}

/// A copy that was closed in between is not trusted for what it was.
#[test]
fn a_copy_that_is_opened_again_is_checked_again() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(dir.path(), 1);
    let (first, second) = (publish(&blobs, 1), publish(&blobs, 2));
    let mut buf = [0; 10];
    first.read_exact_at(&mut buf, 0).unwrap();
    flip(&first, 5);
    second.read_exact_at(&mut buf, 0).unwrap();
    assert_eq!(first.read_exact_at(&mut buf, 0).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(blobs.damage.reads().get(), 1);
}

#[test]
fn a_dropped_copy_is_gone_for_those_who_still_know_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(dir.path(), 8);
    let blob = publish(&blobs, 1);
    assert_eq!(blobs.remove(&id(1), Generation(2)).unwrap(), Removed::Newer);
    assert_eq!(blobs.remove(&id(1), Generation(3)).unwrap(), Removed::Gone);
    assert_eq!(blobs.remove(&id(1), Generation(3)).unwrap(), Removed::Absent);
    assert_eq!(blob.read_exact_at(&mut [0; 1], 0).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(blobs.totals(), (0, 0));
    disk::empty_trash(&blobs.layout);
    assert_eq!(fs::read_dir(blobs.layout.trash()).unwrap().count(), 0);
}

/// Its folder was moved by an order before, whose sync the disk failed.
#[test]
fn a_drop_that_failed_half_way_ends_when_it_is_ordered_again() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(dir.path(), 8);
    let blob = publish(&blobs, 1);
    fs::rename(blob.folder(), blobs.layout.trash().join("moved")).unwrap();
    assert_eq!(blobs.remove(&id(1), Generation(3)).unwrap(), Removed::Gone);
    assert_eq!(blobs.totals(), (0, 0));
}

#[test]
fn copies_are_there_again_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let first = blobs(dir.path(), 8);
    publish(&first, 2);
    publish(&first, 1);
    let held = first.held();
    drop(first);
    let again = blobs(dir.path(), 8);
    assert_eq!(again.held(), held);
    assert_eq!(again.totals(), (2, 2 * LEN as u64));
    let mut buf = vec![0; LEN];
    again.get(&id(2)).unwrap().read_exact_at(&mut buf, 0).unwrap();
    assert!(buf == data(2));
}

/// The disk changes bytes past the page cache and puts them right again, while readers of small and large ranges, those that
/// wait and those that do not, have some groups checked and others not. Each gets the right bytes or an error.
#[test]
fn nobody_sees_what_the_disk_changed_whoever_else_reads() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(dir.path(), 8);
    let (blob, data) = (publish(&blobs, 1), data(1));
    let Some(disk) = direct::open(fs::File::options().write(true), &blob.folder().join(FILE)) else { return };
    fs::File::open(blob.folder().join(FILE)).unwrap().sync_all().unwrap();
    let until = Instant::now() + Duration::from_millis(1500);
    let is_over = || Instant::now() > until;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut memory = Memory::default();
            for round in 0_usize.. {
                let start = round * 7 % (LEN / 4096) * 4096;
                for damage in [1, 0] {
                    let page = memory.first(4096);
                    page.copy_from_slice(&data[start..start + 4096]);
                    page[round % 4096] ^= damage;
                    disk.write_all_at(page, start as u64).unwrap();
                }
                if is_over() {
                    break;
                }
            }
        });
        for reader in 0..4_usize {
            let (blob, data, passing) = (&blob, &data, Passing::open(Arc::clone(&blob)));
            scope.spawn(move || {
                let mut seen = 0;
                for round in 0_usize.. {
                    let start = (round * 7919 + reader * 104_729) % LEN;
                    // Every fourth one reads whole groups.
                    let start = if round % 4 == 0 { start / GROUP * GROUP } else { start };
                    let len = [10, 3000, 40_000, 2 * GROUP][round % 4].min(LEN - start);
                    let mut buf = vec![0; len];
                    let read = match (round + reader) % 3 {
                        0 => blob.read_for_others(&mut buf, start as u64),
                        1 => {
                            let mut memory = Memory::default();
                            let read = passing.read(&mut memory, len, start as u64);
                            buf.copy_from_slice(memory.filled(len));
                            read
                        }
                        _ => blob.at_hand().map_or(Err(io::ErrorKind::WouldBlock.into()), |it| {
                            it.read_exact_at(&mut buf, start as u64)
                        }),
                    };
                    if read.is_ok() {
                        assert!(buf == data[start..start + len], "{start} and {len} bytes");
                        seen += 1;
                    }
                    if is_over() {
                        break;
                    }
                }
                assert!(seen > 0);
            });
        }
    });
}
