//! A simulated cluster under faults comes to rest with everything in its place, and loses nothing on the way.

use super::{invariants, simulation::Simulation, support::histories};
use crate::core::command::Command;
use microtome_proto::node::Scheduling;
use proptest::prelude::*;

#[test]
fn a_quiet_cluster_takes_uploads_and_comes_to_rest() {
    let mut simulation = Simulation::new(3);
    simulation.second();
    for _ in 0..20 {
        simulation.upload(30, 2);
    }
    let seconds = simulation.settle_down(20);
    assert_eq!(simulation.acknowledged.len(), 20);
    assert!(seconds <= 10, "{seconds} s for an upload of 3 s and a copy of 3 s");
}

#[test]
fn a_dead_node_is_healed_and_its_return_trimmed() {
    let mut simulation = Simulation::new(4);
    simulation.second();
    for _ in 0..20 {
        simulation.upload(30, 2);
    }
    simulation.settle_down(20);
    simulation.nodes[1].kill();
    for _ in 0..20 {
        simulation.second();
    }
    let gone = simulation.nodes[1].id.clone();
    let live = |simulation: &Simulation| {
        let scene = simulation.world.scene();
        simulation.acknowledged.iter().all(|id| scene.material(id).unwrap().unwrap().population_live == 2)
    };
    assert!(live(&simulation), "10 s of silence, 3 s of copying, and some to spare");
    simulation.nodes[1].start();
    simulation.settle_down(30);
    assert!(!simulation.node_record(&gone).instance.is_empty() && live(&simulation));
}

#[test]
fn parts_are_put_together_wherever_they_are() {
    let mut simulation = Simulation::new(4);
    simulation.second();
    for nth in 0..12 {
        simulation.upload_part(30, nth);
    }
    simulation.settle_down(20);
    simulation.join_parts();
    // Its place dies on the way, and comes back.
    (0..3).for_each(|_| simulation.second());
    simulation.nodes[0].kill();
    (0..30).for_each(|_| simulation.second());
    simulation.nodes[0].start();
    simulation.settle_down(120);
    assert_eq!(simulation.acknowledged.len(), 1);
}

#[test]
fn what_is_idle_ends_on_all_disks_and_what_is_read_stays() {
    let mut simulation = Simulation::new(4);
    simulation.second();
    for _ in 0..6 {
        simulation.upload(30, 2);
    }
    simulation.settle_down(20);
    (0..6).for_each(|nth| simulation.limit(nth, 20, true));
    for second in 0..100 {
        simulation.read(0);
        // A leader and a node are lost on the way.
        if second == 30 {
            simulation.fail_over();
            simulation.nodes[1].kill();
        }
        simulation.second();
    }
    simulation.nodes[1].start();
    simulation.read(0);
    simulation.settle_down(15);
    assert_eq!((simulation.ended, simulation.acknowledged.len()), (5, 1));
    (0..60).for_each(|_| simulation.second());
    assert_eq!(simulation.ended, 6);
    assert!(simulation.nodes.iter().all(|node| node.disk.is_empty()));
}

#[derive(Debug, Clone)]
enum Fault {
    Pass(usize),
    Upload(u64, u32),
    Delete(usize),
    Submit(usize),
    Part(u64, usize),
    Join,
    Kill(usize),
    Start(usize),
    CutOff(usize),
    Rejoin(usize),
    Wipe(usize),
    Drain(usize),
    Uncordon(usize),
    Remove(usize),
    Rebalance(bool),
    FailOver,
    Limit(usize, u64, bool),
    Read(usize),
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => (1..15usize).prop_map(Fault::Pass),
        6 => (0..100u64, 1..4u32).prop_map(|(size, population)| Fault::Upload(size, population)),
        1 => any::<usize>().prop_map(Fault::Delete),
        2 => any::<usize>().prop_map(Fault::Submit),
        4 => (0..100u64, any::<usize>()).prop_map(|(size, nth)| Fault::Part(size, nth)),
        2 => Just(Fault::Join),
        2 => any::<usize>().prop_map(Fault::Kill),
        2 => any::<usize>().prop_map(Fault::Start),
        2 => any::<usize>().prop_map(Fault::CutOff),
        2 => any::<usize>().prop_map(Fault::Rejoin),
        1 => any::<usize>().prop_map(Fault::Wipe),
        2 => any::<usize>().prop_map(Fault::Drain),
        1 => any::<usize>().prop_map(Fault::Uncordon),
        1 => any::<usize>().prop_map(Fault::Remove),
        2 => any::<bool>().prop_map(Fault::Rebalance),
        1 => Just(Fault::FailOver),
        2 => (any::<usize>(), 1..60u64, any::<bool>()).prop_map(|(nth, seconds, idle)| Fault::Limit(nth, seconds, idle)),
        4 => any::<usize>().prop_map(Fault::Read),
    ]
}

proptest! {
    #![proptest_config(histories(12))]

    #[test]
    fn with_faults_over_the_cluster_comes_to_rest(faults in proptest::collection::vec(faults(), 0..60)) {
        let mut simulation = Simulation::new(5);
        simulation.second();
        let count = simulation.nodes.len();
        for fault in faults {
            match fault {
                Fault::Pass(seconds) => (0..seconds).for_each(|_| simulation.second()),
                Fault::Upload(size, population) => simulation.upload(size, population),
                Fault::Delete(nth) => simulation.delete(nth),
                Fault::Submit(nth) => simulation.submit(nth),
                Fault::Part(size, nth) => simulation.upload_part(size, nth),
                Fault::Join => simulation.join_parts(),
                Fault::Kill(nth) => simulation.nodes[nth % count].kill(),
                Fault::Start(nth) => simulation.nodes[nth % count].start(),
                Fault::CutOff(nth) => simulation.nodes[nth % count].is_cut_off = true,
                Fault::Rejoin(nth) => simulation.nodes[nth % count].is_cut_off = false,
                Fault::Wipe(nth) => simulation.wipe(nth % count),
                Fault::Drain(nth) => simulation.schedule(nth % count, Scheduling::Draining),
                Fault::Uncordon(nth) => simulation.schedule(nth % count, Scheduling::Active),
                Fault::Remove(nth) => simulation.remove(nth % count),
                Fault::Rebalance(wanted) => drop(simulation.world.accept(Command::Rebalance { wanted })),
                Fault::FailOver => simulation.fail_over(),
                Fault::Limit(nth, seconds, is_idle) => simulation.limit(nth, seconds, is_idle),
                Fault::Read(nth) => simulation.read(nth),
            }
        }
        for nth in 0..count {
            simulation.nodes[nth].start();
            simulation.nodes[nth].is_cut_off = false;
            simulation.schedule(nth, Scheduling::Active);
        }
        simulation.settle_down(150);
        invariants::check(&simulation.world.view);
    }
}
