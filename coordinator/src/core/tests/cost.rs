//! Planning looks at what is out of order, not at what is stored.

use super::support::*;
use crate::core::{
    access::Principal,
    command::{Command, Life, Outcome},
    orders::orders,
    plan::{Agenda, Touched},
    present::{LOOKS_MAX, Scene},
    view::{Entry, Memory, View, ViewError},
};
use microtome_proto::{material::Owner, node::Scheduling, page::PageQuery, space::FilesQuery};
use std::cell::Cell;

/// A view that counts what is read.
struct Counting<'a> {
    view: &'a Memory,
    reads: Cell<usize>,
}

impl<'a> Counting<'a> {
    fn of(world: &'a World) -> Self {
        Self { view: &world.view, reads: Cell::new(0) }
    }

    /// What was read since the last call.
    fn take(&self) -> usize {
        self.reads.take()
    }
}

impl View for Counting<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        self.reads.set(self.reads.get() + 1);
        View::get(self.view, key)
    }

    fn scan<'a>(&'a self, prefix: &[u8], after: Option<&[u8]>) -> Box<dyn Iterator<Item = Entry> + 'a> {
        Box::new(self.view.scan(prefix, after).inspect(|_| self.reads.set(self.reads.get() + 1)))
    }
}

/// A node of four is down, and has a copy of each of 300 materials, whose other ones are spread over the rest.
fn after_a_death() -> World {
    let mut world = World::new();
    let n = world.nodes(4);
    for i in 0..300 {
        world.stored(5, 2, &[&n[0], &n[1 + i % 3]]);
    }
    world.pass(10, &[&n[1], &n[2], &n[3]]);
    world
}

#[test]
fn progress_costs_no_more_than_what_is_under_way() {
    let mut world = World::new();
    let n = world.nodes(4);
    for i in 0..300 {
        world.stored(GIB / 10, 2, &[&n[i % 2], &n[(i + 1) % 2]]);
    }
    world.accept(Command::Rebalance { wanted: true });
    let under_way = world.plan_and_apply().len();
    assert_eq!(under_way, 4);
    let view = Counting::of(&world);
    world.plan_with(&view, &mut Agenda::default());
    let planned = view.take();
    assert!(planned <= 20 * under_way, "{planned} records read to see that all slots are taken");
    Scene { view: &view, ..world.scene() }.rebalance().unwrap();
    let shown = view.take();
    assert!(shown <= 20 * under_way, "{shown} records read for what is being moved");
    world.accept(Command::Rebalance { wanted: false });
    schedule(&mut world, &n[0], Scheduling::Draining);
    world.plan_and_apply();
    let view = Counting::of(&world);
    Scene { view: &view, ..world.scene() }.node(&n[0]).unwrap();
    let (shown, under_way) = (view.take(), 2 * world.knobs.copies_per_node_max);
    assert!(shown <= 3 * under_way, "{shown} records read for a node with 300 copies");
}

#[test]
fn while_something_is_moved_no_more_than_a_sample_is_looked_at() {
    let mut world = World::new();
    let n = world.nodes(2);
    (0..2_000).for_each(|_| drop(world.stored(GIB / 100, 2, &[&n[0], &n[1]])));
    world.stored(8 * GIB, 1, &[&n[0]]);
    world.stored(GIB, 1, &[&n[0]]);
    world.accept(Command::Rebalance { wanted: true });
    world.knobs.moves_per_node_max = 1;
    assert_eq!(world.plan_and_apply().len(), 1);
    world.knobs.moves_per_node_max = 8;
    let view = Counting::of(&world);
    world.plan_with(&view, &mut Agenda::default());
    let planned = view.take();
    assert!(planned <= 2 * 1_000 + 50, "{planned} records read of the 2,000 copies on the node");
}

#[test]
fn a_settled_cluster_costs_no_more_to_plan_than_its_nodes() {
    let mut world = World::new();
    let n = world.nodes(4);
    for i in 0..300 {
        world.stored(5, 2, &[&n[i % 4], &n[(i + 1) % 4]]);
    }
    let reads = |world: &World| {
        let view = Counting::of(world);
        world.plan_with(&view, &mut Agenda::default());
        let planned = view.take();
        orders(&view, &n[0], &world.observed, world.now_ms, &world.timing).unwrap();
        (planned, view.take())
    };
    let (planned, ordered) = reads(&world);
    assert!(planned <= 4 * 4 && ordered == 0, "{planned} and {ordered} records read");
    world.pass(10, &[&n[1], &n[2], &n[3]]);
    let (planned, _) = reads(&world);
    let placed = 3 * world.knobs.copies_per_node_max;
    assert!(planned <= 2 * 150 + placed + 4 * 4, "{planned} records read for the 150 materials of the dead node");
}

#[test]
fn what_waits_for_its_turn_is_not_looked_at_again() {
    let mut world = after_a_death();
    let mut agenda = Agenda::default();
    let view = Counting::of(&world);
    let planned = world.plan_with(&view, &mut agenda).len();
    assert_eq!((planned, view.take() > 300), (3 * world.knobs.copies_per_node_max, true));
    for command in world.plan() {
        let (changes, _) = world.decide(command);
        let mut touched = Touched::default();
        touched.note(&changes);
        agenda.note(touched);
        world.write(changes);
    }
    let view = Counting::of(&world);
    assert_eq!(world.plan_with(&view, &mut agenda), []);
    let reads = view.take();
    assert!(reads <= 3 * planned + 4 * 4, "{reads} records read while 276 materials wait for their turn");
}

/// After a node was lost everyone who looked at the cluster had all its copies looked at, and the console looks all the
/// time.
#[test]
fn who_looks_at_the_cluster_costs_no_more_than_its_nodes() {
    let world = after_a_death();
    let mut agenda = Agenda::default();
    world.plan_with(&world.view, &mut agenda);
    assert_eq!((agenda.healing().materials, agenda.healing().bytes_left), (300, 1_500));
    let view = Counting::of(&world);
    Scene { view: &view, ..world.scene() }.overview().unwrap();
    Scene { view: &view, ..world.scene() }.rebalance().unwrap();
    assert!(view.take() <= 2 * 4, "{} records read", view.take());
    // Nor does what the planner adds up, while nothing changes.
    view.take();
    world.plan_with(&view, &mut agenda);
    assert_eq!((agenda.healing().materials, agenda.healing().bytes_left), (300, 1_500));
    let placed = 3 * world.knobs.copies_per_node_max;
    assert!(view.take() <= 2 * placed + 4 * 4, "{} records read", view.take());
}

#[test]
fn a_page_costs_what_it_shows_however_much_there_is() {
    let mut world = World::new();
    let n = world.nodes(1);
    for i in 0..2_500 {
        let space = if i == 0 { "first" } else { "lab" };
        world.accept(under(space, &format!("{}/{i:04}", i % 3), None, create(5, 1, &n[0])));
    }
    for i in 0..30 {
        let command = under("lab", &format!("a/{i:04}"), None, create(5, 1, &n[0]));
        let Outcome::Material { material, generation, .. } = world.accept(command) else { panic!() };
        world.verify(&material, &n[0], generation);
    }
    let view = Counting::of(&world);
    let scene = Scene { view: &view, ..world.scene() };
    let page = PageQuery { limit: Some(10), cursor: None };
    assert_eq!(scene.materials_in("lab", &page).unwrap().items.len(), 10);
    let files = FilesQuery { limit: Some(10), ..FilesQuery::default() };
    assert_eq!(scene.files("lab", &files).unwrap().items.len(), 10);
    let folded = FilesQuery { delimiter: Some("/".to_owned()), ..files };
    assert_eq!(scene.files("lab", &folded).unwrap().prefixes, ["a/"]);
    scene.spaces_for(&Principal::Administrator, &page).unwrap();
    let shown = view.take();
    assert!(shown <= 110, "{shown} records read for three pages of ten and two spaces");
    // Who may read little of much gets a short page, and goes on behind it.
    let member = Principal::Member(Owner { space: "first".to_owned(), name: "ada".to_owned() });
    let first = scene.materials_for(&member, &page).unwrap();
    let looked = view.take();
    assert!(first.items.is_empty() && looked <= 4 * LOOKS_MAX + 10, "{looked} records read for a page");
    let rest = scene.materials_for(&member, &PageQuery { limit: Some(10), cursor: first.next_cursor }).unwrap();
    assert_eq!((rest.items.len(), rest.next_cursor), (1, None));
}

#[test]
fn what_ends_later_costs_a_round_nothing() {
    let mut world = World::new();
    let n = world.nodes(2);
    let all: Vec<_> = (0..300).map(|_| world.stored(5, 2, &[&n[0], &n[1]])).collect();
    let (counting, mut agenda) = (Counting::of(&world), Agenda::default());
    world.plan_with(&counting, &mut agenda);
    counting.take();
    world.plan_with(&counting, &mut agenda);
    let before = counting.take();
    for (nth, material) in all.iter().enumerate() {
        let expires_at = Some(Some(world.at().plus_millis(60_000 + nth as u64)));
        let material = material.clone();
        world.accept(Command::Life(Life::Set { material, name: None, population: None, expires_at, idle_s: None }));
    }
    let (counting, mut agenda) = (Counting::of(&world), Agenda::default());
    world.plan_with(&counting, &mut agenda);
    counting.take();
    world.plan_with(&counting, &mut agenda);
    let after = counting.take();
    assert!(after <= before + 1, "{before} reads, then {after}");
}
