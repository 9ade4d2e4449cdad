//! Spaces: which file stands under which key, when that changes, and how much may lie there.

use super::support::*;
use crate::core::{
    access::Principal,
    command::{Command, Outcome, SpaceCommand},
    present::PresentError,
    same::{Sought, same},
    tables::{SpaceTotals, Spaces},
    view::Typed as _,
};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId,
    material::{Condition, Owner, ReplicaState, Terms},
    page::PageQuery,
    space::{FilesQuery, PatchSpace, SpaceFiles, Visibility},
};

const SPACE: &str = "lab";

fn describe(patch: PatchSpace) -> Command {
    Command::Space(SpaceCommand::Describe { space: SPACE.to_owned(), patch, anew: true })
}

fn quota(bytes: u64, per_owner: Option<u64>) -> Command {
    let per_owner = per_owner.map(Some);
    describe(PatchSpace { quota_bytes: Some(Some(bytes)), quota_bytes_per_owner: per_owner, ..PatchSpace::default() })
}

impl World {
    fn sent(&mut self, command: Command) -> (MaterialId, Generation) {
        match self.accept(command) {
            Outcome::Material { material, generation, .. } => (material, generation),
            outcome => panic!("{outcome:?}"),
        }
    }

    /// A file under a key, whole.
    fn file(&mut self, key: &str, node: &NodeId) -> MaterialId {
        let (id, generation) = self.sent(under(SPACE, key, None, create(5, 1, node)));
        self.verify(&id, node, generation);
        id
    }

    fn stands(&self, key: &str) -> Option<MaterialId> {
        self.scene().under_key(SPACE, key).unwrap().map(|(id, _)| id)
    }

    fn files(&self, prefix: &str, delimiter: &str, limit: u32, cursor: Option<String>) -> SpaceFiles {
        let (prefix, delimiter) = (Some(prefix.to_owned()), Some(delimiter.to_owned()));
        self.scene().files(SPACE, &FilesQuery { prefix, delimiter, limit: Some(limit), cursor }).unwrap()
    }
}

#[test]
fn a_key_leads_to_the_new_file_from_its_first_copy_on_and_the_old_one_stays_a_minute() {
    let mut world = World::new();
    let n = world.nodes(2);
    assert_eq!(world.stands("a"), None);
    let old = world.file("a", &n[0]);
    let (new, generation) = world.sent(under(SPACE, "a", None, create(7, 2, &n[1])));
    assert_eq!(world.stands("a"), Some(old.clone()), "while it arrives the old one stands there");
    world.verify(&new, &n[1], generation);
    assert_eq!(world.stands("a"), Some(new.clone()));
    let record = world.material(&old);
    let ends = record.terms.expires_at.unwrap();
    assert!(!record.is_deleted() && ends.millis_since(record.created_at) >= 60_000, "{record:?}");
    // A second copy changes nothing, nor does the old one's end.
    world.copy(&new, &n[0]);
    world.accept(delete(&old));
    assert_eq!((world.stands("a"), world.material(&new).terms.expires_at), (Some(new.clone()), None));
    world.accept(delete(&new));
    assert_eq!(world.stands("a"), None);
}

/// The sender's node reports while no coordinator leads, is started anew, and tells of the copy with all that it holds.
#[test]
fn a_copy_that_an_inventory_tells_of_stands_under_its_key_too() {
    let mut world = World::new();
    let n = world.nodes(1);
    let old = world.file("a", &n[0]);
    let (new, generation) = world.sent(under(SPACE, "a", None, create(5, 1, &n[0])));
    let tell = |world: &mut World, id: &MaterialId, generation| {
        let held = vec![held(id, generation, 5)];
        world.accept(Command::SettleNode { node: n[0].clone(), lost: Vec::new(), held });
    };
    let (late, later) = world.sent(under(SPACE, "a", Some(Condition::AnyOf(vec![hash(&old)])), create(5, 1, &n[0])));
    tell(&mut world, &new, generation);
    tell(&mut world, &late, later);
    assert_eq!(world.stands("a"), Some(new.clone()));
    assert!(world.material(&late).is_deleted(), "another stands there than was to be overwritten");
    let (newest, generation_newest) = world.sent(under(SPACE, "a", None, create(5, 1, &n[0])));
    tell(&mut world, &newest, generation_newest);
    assert_eq!(world.stands("a"), Some(newest));
    assert!(world.material(&new).terms.expires_at.is_some());
}

#[test]
fn of_writers_who_race_for_one_condition_one_wins() {
    let mut world = World::new();
    let n = world.nodes(2);
    let old = world.file("a", &n[0]);
    let on = |hash: &str| Some(Condition::AnyOf(vec![hash.to_owned()]));
    let wanted = |world: &mut World, node| world.sent(under(SPACE, "a", on(&hash(&old)), create(5, 1, node)));
    let ((one, first), (other, second)) = (wanted(&mut world, &n[0]), wanted(&mut world, &n[1]));
    world.verify(&other, &n[1], second);
    assert_eq!(world.stands("a"), Some(other.clone()));
    let late = verified(&one, &n[0], first, 5);
    assert_eq!(world.refused(late.clone()), Code::PreconditionFailed);
    assert_eq!((world.stands("a"), world.material(&one).is_deleted()), (Some(other.clone()), true));
    assert_eq!(world.replica(&one, &n[0]).unwrap().0, ReplicaState::Dropping);
    assert_eq!(world.refused(late), Code::Gone, "told again it is told that it was deleted");
    // What cannot hold any more is not begun; a wrong one says what is there.
    assert_eq!(world.refused(under(SPACE, "a", on(&hash(&old)), create(5, 1, &n[0]))), Code::PreconditionFailed);
    let nothing = under(SPACE, "a", Some(Condition::Nothing), create(5, 1, &n[0]));
    assert_eq!(world.refused(nothing.clone()), Code::PreconditionFailed);
    let something = under(SPACE, "b", Some(Condition::Something), create(5, 1, &n[0]));
    assert_eq!(world.refused(something), Code::PreconditionFailed);
    world.accept(delete(&other));
    world.accept(nothing);
}

/// Who only drops files off overwrites what they name. The refusal must not tell them the name.
#[test]
fn who_guesses_what_stands_under_a_key_is_not_told() {
    let mut world = World::new();
    let n = world.nodes(1);
    let old = world.file("a", &n[0]);
    let guess = Some(Condition::AnyOf(vec!["ab".repeat(32)]));
    let guessed = world.apply(under(SPACE, "a", guess, create(5, 1, &n[0])));
    let Outcome::Refused { code: Code::PreconditionFailed, detail } = guessed else { panic!("{guessed:?}") };
    assert!(!detail.contains(&hash(&old)), "{detail}");
}

#[test]
fn what_is_put_together_stands_under_its_key_when_it_is_whole_or_ends_with_its_parts() {
    let mut world = World::new();
    let n = world.nodes(1);
    let (one, other) = (world.part(2, &n[0]), world.part(3, &n[0]));
    let first = world.sent(under(SPACE, "a", Some(Condition::Nothing), join(&[one], &n[0])));
    let second = world.sent(under(SPACE, "a", Some(Condition::Nothing), join(std::slice::from_ref(&other), &n[0])));
    assert_eq!(world.stands("a"), None);
    world.verify(&first.0, &n[0], first.1);
    assert_eq!(world.stands("a"), Some(first.0));
    assert_eq!(world.refused(verified(&second.0, &n[0], second.1, 3)), Code::PreconditionFailed);
    assert!(world.material(&second.0).is_deleted() && world.material(&other).is_deleted());
    // The parts lie in no space: what they make does.
    world.accept(quota(3, None));
    let third = world.part(2, &n[0]);
    assert_eq!(world.refused(under(SPACE, "b", None, join(&[third], &n[0]))), Code::QuotaExceeded);
}

#[test]
fn a_file_is_removed_from_its_key_only_while_it_stands_there() {
    let mut world = World::new();
    let n = world.nodes(1);
    let remove = |material: &MaterialId| {
        let (space, key) = (SPACE.to_owned(), "a".to_owned());
        Command::Space(SpaceCommand::RemoveFile { space, key, material: material.clone() })
    };
    let old = world.file("a", &n[0]);
    let new = world.file("a", &n[0]);
    assert_eq!(world.refused(remove(&old)), Code::PreconditionFailed);
    world.accept(remove(&new));
    assert_eq!((world.stands("a"), world.material(&new).is_deleted()), (None, true));
    assert_eq!(world.refused(remove(&new)), Code::NotFound);
}

#[test]
fn a_quota_counts_from_the_announcement_on_and_is_never_overrun() {
    let mut world = World::new();
    let n = world.nodes(2);
    world.accept(quota(10, None));
    let here = |size| under(SPACE, "", None, create(size, 1, &NodeId::from_counter(1)));
    let (first, _) = world.sent(here(6));
    assert_eq!(world.refused(here(5)), Code::QuotaExceeded);
    let (second, generation) = world.sent(here(4));
    world.verify(&second, &n[0], generation);
    assert_eq!(world.refused(here(1)), Code::QuotaExceeded);
    world.accept(here(0));
    // Copies cost nothing more, elsewhere is elsewhere, and what is deleted makes room.
    world.copy(&second, &n[1]);
    world.accept(under("other", "", None, create(100, 1, &n[0])));
    world.accept(delete(&first));
    world.sent(here(6));
    assert_eq!(world.view.get_record::<SpaceTotals>(&SPACE.to_owned()).unwrap().unwrap().bytes, 10);
}

#[test]
fn a_length_that_is_told_last_is_held_against_the_quota_then() {
    let mut world = World::new();
    let n = world.nodes(1);
    world.accept(quota(10, None));
    let mut deferred = under(SPACE, "a", None, create(0, 1, &n[0]));
    if let Command::CreateMaterial { size_deferred, .. } = &mut deferred {
        *size_deferred = true;
    }
    let (long, first) = world.sent(deferred.clone());
    let (short, second) = world.sent(deferred);
    world.accept(verified(&short, &n[0], second, 7));
    assert_eq!(world.refused(verified(&long, &n[0], first, 4)), Code::QuotaExceeded);
    assert_eq!((world.stands("a"), world.material(&long).is_deleted()), (Some(short), true));
}

#[test]
fn owners_have_a_share_each() {
    let mut world = World::new();
    let n = world.nodes(1);
    world.accept(quota(10, Some(6)));
    let of = |whose: &Owner, size| owned(whose, under(SPACE, "", None, create(size, 1, &n[0])));
    let other = Owner { space: "lab".to_owned(), name: "bob".to_owned() };
    world.accept(of(&lab(), 6));
    assert_eq!(world.refused(of(&lab(), 1)), Code::QuotaExceeded);
    assert_eq!(world.refused(of(&other, 5)), Code::QuotaExceeded, "the space's own quota comes first");
    world.accept(of(&other, 4));
}

#[test]
fn a_space_is_taken_away_when_nothing_lies_in_it() {
    let mut world = World::new();
    let n = world.nodes(1);
    let forget = Command::Space(SpaceCommand::Forget { space: SPACE.to_owned() });
    assert_eq!(world.refused(forget.clone()), Code::NotFound);
    world.accept(describe(PatchSpace { visibility: Some(Visibility::Anonymous), ..PatchSpace::default() }));
    let id = world.file("a", &n[0]);
    assert_eq!(world.refused(forget.clone()), Code::Conflict);
    world.accept(delete(&id));
    world.accept(forget);
    assert!(world.view.get_record::<Spaces>(&SPACE.to_owned()).unwrap().is_none());
    let patch = SpaceCommand::Describe { space: SPACE.to_owned(), patch: PatchSpace::default(), anew: false };
    assert_eq!(world.refused(Command::Space(patch)), Code::NotFound);
}

#[test]
fn files_are_listed_by_key_a_page_at_a_time_and_folded_at_slashes() {
    let mut world = World::new();
    let n = world.nodes(1);
    for key in ["b/2", "a", "b/1", "b/1/x", "b", "b.txt", "c/9", "ä/1"] {
        world.file(key, &n[0]);
    }
    world.accept(under("lab2", "a", None, create(5, 1, &n[0])));
    let keys = |files: &SpaceFiles| files.items.iter().map(|file| file.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&world.files("", "", 100, None)), ["a", "b", "b.txt", "b/1", "b/1/x", "b/2", "c/9", "ä/1"]);
    let folded = world.files("", "/", 100, None);
    assert_eq!(
        (keys(&folded), folded.prefixes.join(" ")),
        (vec!["a".into(), "b".into(), "b.txt".into()], "b/ c/ ä/".into())
    );
    let below = world.files("b/", "/", 100, None);
    assert_eq!((keys(&below), below.prefixes), (vec!["b/1".to_owned(), "b/2".to_owned()], vec!["b/1/".to_owned()]));
    for delimiter in ["", "/"] {
        let whole = world.files("", delimiter, 100, None);
        let (mut cursor, mut all) = (None, SpaceFiles::default());
        loop {
            let page = world.files("", delimiter, 1, cursor);
            assert_eq!(page.items.len() + page.prefixes.len(), 1);
            all.items.extend(page.items);
            all.prefixes.extend(page.prefixes);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(all, whole);
    }
    let wrong = FilesQuery { delimiter: Some("x".to_owned()), ..FilesQuery::default() };
    assert!(matches!(world.scene().files(SPACE, &wrong), Err(PresentError::Query(_))));
    let file = &world.files("a", "", 1, None).items[0];
    assert_eq!((file.size, &file.etag), (5, &hash(&file.material)));
}

#[test]
fn who_lists_sees_what_they_may_read() {
    let mut world = World::new();
    let n = world.nodes(1);
    let member = |space: &str| Principal::Member(Owner { space: space.to_owned(), name: "ada".to_owned() });
    let own = world.sent(under("lab", "", None, create(5, 1, &n[0]))).0;
    let shared = world.sent(under("public", "", None, create(5, 1, &n[0]))).0;
    world.sent(under("other", "", None, create(5, 1, &n[0])));
    world.sent(create(5, 1, &n[0]));
    let ids = |principal: &Principal| {
        let page = world.scene().materials_for(principal, &PageQuery::default()).unwrap();
        page.items.into_iter().map(|material| material.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&member("lab")), [shared, own.clone()]);
    assert_eq!(ids(&Principal::Administrator).len(), 4);
    assert_eq!(ids(&Principal::Nobody).len(), 0);
    let names = |principal: &Principal| {
        let page = world.scene().spaces_for(principal, &PageQuery::default()).unwrap();
        page.items.into_iter().map(|space| space.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&member("lab")), ["lab", "public"]);
    assert_eq!(names(&Principal::Administrator), ["lab", "other", "public"]);
    assert_eq!(names(&Principal::Uploader(lab())), ["lab", "public"]);
    let page = world.scene().materials_in("lab", &PageQuery::default()).unwrap();
    assert_eq!(page.items.into_iter().map(|material| material.id).collect::<Vec<_>>(), [own]);
}

#[test]
fn a_file_that_is_there_is_found_by_its_hash_where_it_is_to_be() {
    let mut world = World::new();
    let n = world.nodes(1);
    let file = world.file("a", &n[0]);
    let (hashed, lab_terms) = (hash(&file), world.material(&file).terms);
    let find = |world: &World, principal: &Principal, terms: &Terms, size, blake3: &str| {
        same(&world.view, principal, &Sought { terms, size, blake3, population: 1 }).unwrap()
    };
    let administrator = Principal::Administrator;
    assert_eq!(find(&world, &administrator, &lab_terms, 5, &hashed), Some(file.clone()));
    assert_eq!(find(&world, &administrator, &lab_terms, 6, &hashed), None);
    assert_eq!(find(&world, &administrator, &lab_terms, 5, "other"), None);
    let keyless = Terms { key: None, ..lab_terms.clone() };
    assert_eq!(find(&world, &administrator, &keyless, 5, &hashed), None, "it may be overwritten under its key");
    let elsewhere = Terms { space: Some("other".to_owned()), ..lab_terms.clone() };
    assert_eq!(find(&world, &administrator, &elsewhere, 5, &hashed), None);
    assert_eq!(find(&world, &Principal::Uploader(lab()), &lab_terms, 5, &hashed), None, "whose it is not");
    assert_eq!(find(&world, &Principal::Member(lab()), &lab_terms, 5, &hashed), Some(file));
    world.file("a", &n[0]);
    assert_eq!(find(&world, &administrator, &lab_terms, 5, &hashed), None, "it was overwritten");
}
