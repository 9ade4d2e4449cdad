//! A cluster some of whose coordinators are of the version before.

use super::support::*;
use crate::core::{
    command::Command,
    tables::Meta,
    view::{Typed as _, stored_key, stored_record},
};
use microtome_proto::protocol::{FIRST, PROTOCOL};

#[test]
fn what_not_all_coordinators_understand_is_not_planned() {
    let (mut world, n, m) = World::replicated(3);
    let generation = world.generation(&m, &n[0]);
    world.damaged.insert(n[0].clone(), vec![(m.clone(), generation)]);
    n.iter().for_each(|node| world.beat(node));
    let mut meta = world.view.get_record::<Meta>(&()).unwrap().unwrap();
    meta.raised_to = 0;
    let key = stored_key::<Meta>(&());
    let old = stored_record::<Meta>(&key, &meta).unwrap();
    let new = world.view.insert(key.clone(), old).unwrap();
    assert_eq!(world.plan(), []);
    world.view.insert(key, new);
    assert_eq!(world.plan(), [Command::ReplicaDamaged { material: m, node: n[0].clone(), generation }]);
}

#[test]
fn the_protocol_only_rises() {
    let mut world = World::new();
    let protocol = |world: &World| world.view.get_record::<Meta>(&()).unwrap().unwrap().protocol();
    assert_eq!(protocol(&world), PROTOCOL);
    for (raised, stands) in [(FIRST, PROTOCOL), (PROTOCOL + 1, PROTOCOL + 1), (PROTOCOL, PROTOCOL + 1)] {
        world.accept(Command::RaiseProtocol { protocol: raised });
        assert_eq!(protocol(&world), stands);
    }
}
