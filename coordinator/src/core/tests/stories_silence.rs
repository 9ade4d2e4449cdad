//! Who is taken for lost when nodes fall silent, or their leader does, one story a test.

use super::support::*;
use crate::core::observed::Observed;
use microtome_proto::node::Availability;

#[test]
fn a_node_that_comes_and_goes_starts_no_storm() {
    // Silent for 11 s, back for 2 s, over and over: no copy may be made and dropped with each turn.
    let mut world = World::new();
    let n = world.nodes(4);
    let materials: Vec<_> = (0..5).map(|_| world.stored(5, 2, &[&n[0], &n[1]])).collect();
    let all = [&n[0], &n[1], &n[2], &n[3]];
    let mut begun = 0;
    for _ in 0..10 {
        begun += copies(&world.work(11, &all[1..])) + copies(&world.work(2, &all));
    }
    assert_eq!(begun, materials.len());
    world.pass(7, &all);
    assert_eq!(world.plan_and_apply().len(), materials.len(), "now that it stays, the surplus goes");
}

/// Ten nodes with a bad switch went for 15 s every 45 s: each time copies of what they hold were begun, and dropped when
/// they were back.
#[test]
fn a_node_that_comes_and_goes_is_waited_for_longer_each_time() {
    let mut world = World::new();
    let n = world.nodes(4);
    world.stored(5, 2, &[&n[0], &n[1]]);
    let all = [&n[0], &n[1], &n[2], &n[3]];
    let mut silence = |seconds| {
        let planned = world.work(seconds, &all[1..]);
        world.work(20, &all);
        planned.len()
    };
    assert_eq!(silence(15), 1, "the first time nobody knows that it comes back");
    assert_eq!((silence(15), silence(25)), (0, 1), "then it is waited for 20 s");
    assert_eq!((silence(35), silence(45)), (0, 1), "then for 40 s");
    assert_eq!((silence(75), silence(85), silence(85)), (0, 1, 1), "and never for more than 80 s");
    world.work(3_700, &all);
    assert_eq!(world.work(11, &all[1..]).len(), 1, "a node that was steady for an hour is as good as any");
}

#[test]
fn a_leader_that_was_halted_does_not_call_its_nodes_dead() {
    // The leader's process was stopped for a minute. All nodes look silent at once: it was the leader who was deaf.
    let mut world = World::new();
    let n = world.nodes(3);
    world.stored(5, 2, &[&n[0], &n[1]]);
    world.pass(1, &[&n[0], &n[1], &n[2]]);
    world.now_ms += 60_000;
    assert_eq!(world.availability(&n[0]), Availability::Up, "also to one who asks before the leader plans again");
    assert_eq!(world.plan(), []);
    world.observed.tick(world.now_ms, &world.timing, world.knobs.failure_pause_ms);
    assert_eq!(world.plan(), []);
    world.pass(1, &[&n[0], &n[1], &n[2]]);
    assert_eq!(world.plan(), []);
    world.pass(10, &[&n[1], &n[2]]);
    assert_eq!(world.plan().len(), 1, "but a node that stays silent is");
}

#[test]
fn a_leader_that_is_halted_again_and_again_still_finds_the_dead_node_and_no_other() {
    let (mut world, n, m) = World::replicated(3);
    world.pass(1, &[&n[0], &n[1], &n[2]]);
    for _ in 0..4 {
        assert_eq!(world.plan(), [], "it was not silent for long enough while the leader listened");
        world.now_ms += 60_000;
        assert_eq!(world.availability(&n[1]), Availability::Up);
        world.pass(2, &[&n[1], &n[2]]);
    }
    assert_eq!(world.availability(&n[0]), Availability::Down);
    assert_eq!(world.plan(), [add(&m, &n[2])]);
}

#[test]
fn a_new_leader_waits_before_it_judges() {
    let (mut world, n, m) = World::replicated(3);
    world.now_ms += 500_000;
    world.observed = Observed::new(world.now_ms);
    assert_eq!(world.availability(&n[0]), Availability::Unreachable, "never heard by this leader");
    world.pass(9, &[&n[1], &n[2]]);
    assert_eq!(world.availability(&n[1]), Availability::Up);
    assert_eq!(world.plan(), []);
    world.pass(1, &[&n[1], &n[2]]);
    assert_eq!(world.availability(&n[0]), Availability::Down);
    assert_eq!(world.plan(), [add(&m, &n[2])]);
}
