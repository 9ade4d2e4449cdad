//! What the applied state brings back after it was closed, killed or damaged.

use super::*;

fn put(state: &State, stamp: &str, changes: &[(&str, Option<&str>)]) {
    let changes = changes
        .iter()
        .map(|(key, record)| (key.as_bytes().to_vec(), record.map(|record| record.as_bytes().to_vec())))
        .collect();
    state.apply(stamp.as_bytes().to_vec(), |_| Ok((changes, ()))).unwrap();
}

fn keys(state: &State) -> Vec<String> {
    state.read(|view| {
        let keys = view.scan(b"k", None).map(|entry| String::from_utf8(entry.unwrap().0).unwrap());
        keys.collect()
    })
}

#[test]
fn it_stands_at_the_last_stamp_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (state, opened) = State::open(&path).unwrap();
    assert_eq!(opened, Opened::Empty);
    put(&state, "one", &[("k1", Some("a")), ("k2", Some("b"))]);
    put(&state, "two", &[("k1", None), ("k3", Some("c")), ("k3", Some("d"))]);
    drop(state);
    let (state, opened) = State::open(&path).unwrap();
    assert_eq!(opened, Opened::At(b"two".to_vec()));
    assert_eq!(keys(&state), ["k2", "k3"]);
    assert_eq!(state.read(|view| view.get(b"k3").unwrap()).unwrap(), b"d");
}

#[test]
fn a_range_goes_on_behind_a_key_and_ends_with_its_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let (state, _) = State::open(&folder.path().join("state")).unwrap();
    put(&state, "one", &[("a1", Some("")), ("b1", Some("")), ("b2", Some("")), ("c1", Some(""))]);
    let scan = |prefix: &str, after: Option<&str>| {
        let scanned =
            state.read(|view| view.scan(prefix.as_bytes(), after.map(str::as_bytes)).collect::<Result<Vec<_>, _>>());
        scanned.unwrap().len()
    };
    assert_eq!((scan("b", None), scan("b", Some("b1")), scan("b", Some("b2")), scan("b", Some("a"))), (2, 1, 0, 2));
}

/// A power cut took some of sled's pages and left others: it opened without a complaint, with records that never were
/// together.
#[test]
fn a_mixture_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (state, _) = State::open(&path).unwrap();
    put(&state, "one", &[("k1", Some("a")), ("k2", Some("b"))]);
    state.db.insert("k1", "older").unwrap();
    drop(state);
    let (state, opened) = State::open(&path).unwrap();
    assert!(matches!(opened, Opened::Emptied(_)), "{opened:?}");
    assert!(keys(&state).is_empty());
    drop(state);
    assert_eq!(State::open(&path).unwrap().1, Opened::Empty);
}

#[test]
fn cut_and_overwritten_files_are_noticed() {
    for damage in [cut_off as fn(&Path), overwrite] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (state, _) = State::open(&path).unwrap();
        let record = "x".repeat(1000);
        for n in 0..3000 {
            put(&state, &format!("stamp {n}"), &[(format!("k{n:04}").as_str(), Some(record.as_str()))]);
        }
        drop(state);
        damage(&path.join("db"));
        let (state, opened) = State::open(&path).unwrap();
        match opened {
            // An older state that is whole is as good as any: the log goes on from its stamp.
            Opened::At(stamp) => {
                let stamp = String::from_utf8(stamp).unwrap();
                let last: usize = stamp.strip_prefix("stamp ").unwrap().parse().unwrap();
                assert_eq!(keys(&state).len(), last + 1);
            }
            Opened::Empty | Opened::Emptied(_) => assert!(keys(&state).is_empty()),
        }
    }
}

fn cut_off(file: &Path) {
    let len = fs::metadata(file).unwrap().len();
    fs::File::options().write(true).open(file).unwrap().set_len(len / 2).unwrap();
}

fn overwrite(file: &Path) {
    use std::os::unix::fs::FileExt as _;
    let len = fs::metadata(file).unwrap().len();
    fs::File::options().write(true).open(file).unwrap().write_all_at(&[0xa5; 70_000], len / 3).unwrap();
}

#[test]
fn a_state_that_could_not_be_read_is_emptied_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (state, _) = State::open(&path).unwrap();
    put(&state, "one", &[("k1", Some("a"))]);
    state.distrust();
    drop(state);
    assert!(matches!(State::open(&path).unwrap().1, Opened::Emptied(_)));
    assert_eq!(State::open(&path).unwrap().1, Opened::Empty);
}

#[test]
fn a_walk_shows_its_moment_while_writes_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (state, _) = State::open(&folder.path().join("state")).unwrap();
    let state = Arc::new(state);
    for n in 0..2000 {
        put(&state, "before", &[(format!("k{n:04}").as_str(), Some("old"))]);
    }
    let mut frozen = state.freeze();
    let mut seen = Vec::new();
    let mut n = 0;
    while let Some(records) = frozen.next().unwrap() {
        seen.extend(records);
        put(
            &state,
            "after",
            &[(format!("k{:04}", 1999 - n).as_str(), Some("new")), (format!("k{n:04}").as_str(), None)],
        );
        put(&state, "after", &[(format!("later{n}").as_str(), Some("new"))]);
        n += 1;
    }
    assert_eq!((frozen.stamp(), frozen.records()), (b"before".as_slice(), 2000));
    assert_eq!(seen.len(), 2000);
    assert!(seen.iter().all(|(key, record)| key.starts_with(b"k") && record == b"old"));
}

#[test]
fn a_replaced_state_ends_a_walk_and_holds_the_new_records_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (state, _) = State::open(&path).unwrap();
    let state = Arc::new(state);
    put(&state, "one", &[("k1", Some("a"))]);
    let mut frozen = state.freeze();
    let records = (0..1500).map(|n| Ok((format!("k9{n:04}").into_bytes(), b"b".to_vec())));
    state.replace(b"nine".to_vec(), records).unwrap();
    assert_eq!(frozen.next().unwrap_err().kind(), io::ErrorKind::Interrupted);
    drop(frozen);
    drop(state);
    let (state, opened) = State::open(&path).unwrap();
    assert_eq!(opened, Opened::At(b"nine".to_vec()));
    assert_eq!(keys(&state).len(), 1500);
}
