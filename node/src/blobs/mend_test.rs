use super::{
    mend::{NOTED_MAX, Piece},
    tests::{LEN, blobs, data, flip, id, incoming, publish},
    tree::{GROUP_LEN, LEAF_LEN},
    *,
};
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use std::{fs, ops::Range};

/// Another copy of the file with [`data`] of 1, with a hash tree.
struct Other {
    leaves: Vec<u8>,
    lies: bool,
    fetched: Mutex<Vec<Range<u64>>>,
}

impl Supply for &'static Other {
    fn fetch(
        &self,
        material: &MaterialId,
        piece: Piece,
        is_right: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Vec<u8>, String> {
        assert_eq!(*material, id(1));
        let mut bytes = match piece {
            Piece::Bytes(range) => {
                self.fetched.lock().push(range.clone());
                data(1)[range.start as usize..range.end as usize].to_vec()
            }
            Piece::Leaves(len) => {
                assert_eq!(len, self.leaves.len() as u64);
                self.leaves.clone()
            }
        };
        bytes[0] ^= u8::from(self.lies);
        if is_right(&bytes) { Ok(bytes) } else { Err("it lies".to_owned()) }
    }
}

/// A copy, and another one of the same material on another node.
fn copies(folder: &Path, lies: bool) -> (Blobs, Arc<Blob>, &'static Other) {
    let blobs = blobs(folder, 8);
    let blob = publish(&blobs, 1);
    let leaves = fs::read(blob.folder().join(LEAVES)).unwrap();
    let other: &'static Other = Box::leak(Box::new(Other { leaves, lies, fetched: Mutex::default() }));
    blobs.damage().supply(other);
    (blobs, blob, other)
}

fn read(blob: &Blob) -> io::Result<Vec<u8>> {
    let mut buf = vec![0; LEN];
    blob.read_exact_at(&mut buf, 0).map(|()| buf)
}

fn on_disk(blob: &Blob) -> Vec<u8> {
    fs::read(blob.folder().join(FILE)).unwrap()
}

fn mended(blobs: &Blobs) -> u64 {
    blobs.damage().mended().get()
}

#[test]
fn a_reader_does_not_notice_a_damaged_group_where_another_copy_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let (blobs, blob, other) = copies(dir.path(), false);
    flip(&blob, 20_000);
    flip(&blob, LEN as u64 - 1);
    assert!(read(&blob).unwrap() == data(1));
    assert!(on_disk(&blob) == data(1), "the disk has it right again");
    let last = LEN as u64 / GROUP_LEN * GROUP_LEN..LEN as u64;
    assert_eq!(*other.fetched.lock(), [GROUP_LEN..2 * GROUP_LEN, last], "no more than that");
    assert_eq!((mended(&blobs), blobs.damage().reads().get(), blob.is_damaged()), (2, 1, false));
}

#[test]
fn a_file_that_is_cut_short_is_filled_up() {
    let dir = tempfile::tempdir().unwrap();
    let (blobs, blob, _) = copies(dir.path(), false);
    fs::File::options().write(true).open(blob.folder().join(FILE)).unwrap().set_len(50_000).unwrap();
    assert!(read(&blob).unwrap() == data(1));
    assert!(on_disk(&blob) == data(1));
    assert_eq!(mended(&blobs), 4, "groups 3 to 6");
}

#[test]
fn what_nobody_has_right_is_an_error_and_noted_until_somebody_has() {
    let dir = tempfile::tempdir().unwrap();
    let (_, blob, _) = copies(dir.path(), true);
    flip(&blob, 40_000);
    let error = read(&blob).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "bytes 32768 to 49152 are damaged, and it lies");
    assert_eq!(blob.damaged_groups(), [2]);
    let mut buf = vec![0; 32_768];
    blob.read_exact_at(&mut buf, 0).unwrap();
    assert!(buf == data(1)[..32_768], "all else is read");

    // It is known after a restart, too.
    let again = blobs(dir.path(), 8);
    let blob = again.get(&id(1)).unwrap();
    assert_eq!((blob.damaged_groups(), again.damaged().len()), (vec![2], 1));
    let leaves = fs::read(blob.folder().join(LEAVES)).unwrap();
    let other: &'static Other = Box::leak(Box::new(Other { leaves, lies: false, fetched: Mutex::default() }));
    again.damage().supply(other);
    blob.mend(2..3, false).unwrap();
    assert!(on_disk(&blob) == data(1) && !blob.is_damaged());
    assert!(blobs(dir.path(), 8).damaged().is_empty());
}

#[test]
fn those_who_mend_with_this_copy_are_told_of_damage_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (_, blob, other) = copies(dir.path(), false);
    flip(&blob, 5);
    let error = blob.read_for_others(&mut [0; 100], 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(other.fetched.lock().is_empty(), "it would wait for the one who waits for it");
    assert_eq!(blob.damaged_groups(), [0]);
    blob.mend(0..1, false).unwrap();
    blob.read_for_others(&mut [0; 100], 0).unwrap();
}

/// The tree follows from the file where that is whole, whether or not anybody else has it.
#[test]
fn a_damaged_hash_tree_is_mended_from_the_file_or_from_another_copy() {
    let flip_leaf = |blob: &Blob, leaf: u64| {
        let mut leaves = fs::read(blob.folder().join(LEAVES)).unwrap();
        leaves[(leaf * LEAF_LEN) as usize] ^= 1;
        fs::write(blob.folder().join(LEAVES), &leaves).unwrap();
    };
    for (lies, is_file_damaged) in [(false, false), (false, true), (true, false)] {
        let dir = tempfile::tempdir().unwrap();
        let (_, blob, other) = copies(dir.path(), lies);
        flip_leaf(&blob, 3);
        if is_file_damaged {
            flip(&blob, 60_000);
        }
        assert!(read(&blob).unwrap() == data(1), "{lies} {is_file_damaged}");
        assert!(fs::read(blob.folder().join(LEAVES)).unwrap() == other.leaves);
    }

    let dir = tempfile::tempdir().unwrap();
    let (_, blob, other) = copies(dir.path(), false);
    blob.read_exact_at(&mut [0; 10], 0).unwrap();
    flip_leaf(&blob, 5);
    assert!(read(&blob).unwrap() == data(1), "the leaves were proven before the disk changed one");
    assert!(other.fetched.lock().is_empty(), "no byte of the file was wrong");

    fs::remove_file(blob.folder().join(LEAVES)).unwrap();
    blob.close();
    assert!(read(&blob).unwrap() == data(1), "they are not there at all");
}

#[test]
fn a_tree_and_a_file_that_are_both_damaged_and_nobody_has_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (_, blob, _) = copies(dir.path(), true);
    fs::write(blob.folder().join(LEAVES), b"short").unwrap();
    flip(&blob, 60_000);
    let error = read(&blob).unwrap_err();
    assert_eq!(error.to_string(), "the hash tree is damaged, and so is the file");
    assert!(blob.is_damaged());
}

#[test]
fn a_walk_finds_every_damaged_group_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (_, blob, _) = copies(dir.path(), false);
    let mut walk = Walk::open(Arc::clone(&blob)).unwrap();
    assert!(walk.wrong(0..blob.group_count()).unwrap().is_empty());
    for offset in [0, 50_000, LEN as u64 - 1] {
        flip(&blob, offset);
    }
    assert_eq!(walk.wrong(0..blob.group_count()).unwrap(), [0, 3, 6]);
    assert_eq!(walk.wrong(1..4).unwrap(), [3]);
    fs::File::options().write(true).open(blob.folder().join(FILE)).unwrap().set_len(70_000).unwrap();
    assert_eq!(walk.wrong(1..7).unwrap(), [3, 4, 5, 6], "it is cut short");
    blob.mend(0..7, true).unwrap();
    assert!(walk.wrong(0..7).unwrap().is_empty());
    assert_eq!(blob.bytes_of(0..7), LEN as u64);
}

#[test]
fn a_copy_that_is_given_up_is_set_aside_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let (blobs, blob, _) = copies(dir.path(), false);
    assert!(blobs.give_up(&blob, "the test wants it").unwrap());
    assert!(blobs.get(&id(1)).is_none());
    assert_eq!(fs::read_dir(blobs.layout.set_aside()).unwrap().count(), 1);
    assert!(!blobs.give_up(&blob, "the test wants it").unwrap());
}

/// Only copies are mended. What readers met before it was one has to be noticed once more, or nobody would wake for it.
#[test]
fn what_readers_met_while_a_copy_was_made_is_noticed_when_it_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(dir.path(), 8);
    let is_noticed = || blobs.damage().noticed().now_or_never().is_some();
    let (folder, manifest) = incoming(&blobs, 1, &data(1));
    let arrived = Arc::new(Arrived::new(LEN as u64, LEN as u64));
    arrived.insert(0);
    let clone = blobs.arriving(manifest.clone(), &folder, arrived).unwrap();
    flip(&clone, 40_000);
    assert_eq!(read(&clone).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(is_noticed() && !is_noticed() && blobs.damaged().is_empty());

    let copy = blobs.publish(&folder, &manifest).unwrap();
    assert!(is_noticed() && !is_noticed());
    assert_eq!((blobs.damaged().len(), copy.damaged_groups()), (1, vec![2]));
    // The same where it is counted under another generation.
    let copy = blobs.adopt(&id(1), Generation(4)).unwrap();
    assert!(is_noticed() && !is_noticed());
    assert_eq!((blobs.damaged().len(), copy.damaged_groups()), (1, vec![2]));

    publish(&blobs, 2);
    assert!(!is_noticed(), "nothing is wrong with this one");
}

/// After a restart a copy would count as whole whose damage the disk did not take down.
#[test]
fn notes_that_the_disk_does_not_take_are_written_when_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let (at, blob, _) = copies(dir.path(), true);
    let note = blob.folder().join("damaged.json");
    // No file can take its place.
    fs::create_dir_all(note.join("in the way")).unwrap();
    flip(&blob, 40_000);
    read(&blob).unwrap_err();
    assert!(blob.is_damaged() && blob.knows_a_part());
    blob.note_again();
    fs::remove_dir_all(&note).unwrap();
    assert!(!blobs(dir.path(), 8).get(&id(1)).unwrap().is_damaged(), "nothing tells of it yet");
    blob.note_again();
    assert!(blobs(dir.path(), 8).get(&id(1)).unwrap().is_damaged());

    // The same where it is counted under another generation before.
    fs::remove_file(&note).unwrap();
    fs::create_dir_all(note.join("in the way")).unwrap();
    flip(&blob, 60_000);
    blob.note_damage(3..4);
    fs::remove_dir_all(&note).unwrap();
    let blob = at.adopt(&id(1), Generation(4)).unwrap();
    let again = blobs(dir.path(), 8).get(&id(1)).unwrap();
    assert_eq!((again.damaged_groups(), again.knows_a_part()), (vec![2, 3], true));

    flip(&blob, 40_000);
    flip(&blob, 60_000);
    blob.mend(2..4, false).unwrap();
    assert!(blobs(dir.path(), 8).get(&id(1)).unwrap().is_damaged(), "of the others nothing is known");
    blob.survey_begins();
    blob.survey_ends();
    assert!(!note.exists() && !blob.is_damaged());
}

/// Others may be damaged than those that were noted: that some of these are mended says nothing of them.
#[test]
fn that_more_is_damaged_than_is_noted_is_known_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let at = blobs(dir.path(), 8);
    let data = vec![7; (NOTED_MAX + 2) * GROUP_LEN as usize];
    let (folder, manifest) = incoming(&at, 1, &data);
    let blob = at.publish(&folder, &manifest).unwrap();
    blob.note_damage(0..NOTED_MAX as u64 + 2);
    assert!(blob.knows_a_part());
    blob.mend(0..10, false).unwrap();
    assert_eq!(blob.damaged_groups().len(), NOTED_MAX - 10);
    let again = blobs(dir.path(), 8).get(&id(1)).unwrap();
    assert!(again.knows_a_part());
    assert_eq!(again.damaged_groups(), blob.damaged_groups());
    // As 0.1.0 wrote it.
    let all: Vec<_> = (0..NOTED_MAX).collect();
    for (text, is_cut) in [("[1,2]".to_owned(), false), (format!("{all:?}"), true), (String::new(), true)] {
        fs::write(blob.folder().join("damaged.json"), &text).unwrap();
        assert_eq!(blobs(dir.path(), 8).get(&id(1)).unwrap().knows_a_part(), is_cut, "{text}");
    }
}
