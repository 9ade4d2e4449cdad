//! The books of a large cluster, as they are after years of uploads: written as a snapshot would bring them, since a
//! million uploads by their commands take minutes. A test holds them against what the commands write.

use std::collections::BTreeMap;

use microtome_coordinator::core::apply::apply;
use microtome_coordinator::core::command::{Command, Outcome, Proposal};
use microtome_coordinator::core::tables::{
    ByHash, MaterialRecord, Materials, MaterialsByAge, Meta, OnNode, ReplicaRecord, Totals, TotalsRecord,
};
use microtome_coordinator::core::view::{Memory, Table, Typed as _, ViewError, stored_key, stored_record};
use microtome_proto::material::{ReplicaState, Terms};
use microtome_proto::protocol::PROTOCOL;
use microtome_proto::{ClusterId, Generation, MaterialId, NodeId, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng as _, seq::IndexedRandom as _};

/// Zones: node `n` stands in zone `n mod ZONES`.
pub(crate) const ZONES: usize = 10;
/// Sizes of materials are one to sixteen of these.
const SIZE_UNIT: u64 = 64 << 20;
/// Bytes of a material in the mean.
const SIZE_MEAN: u64 = SIZE_UNIT * 17 / 2;

/// How large a cluster is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) nodes: u32,
    pub(crate) materials: u32,
}

impl Size {
    /// Bytes of each disk: half of them are used in the mean.
    pub(crate) fn disk_total(self) -> u64 {
        2 * SIZE_MEAN * 21 / 10 * u64::from(self.materials) / u64::from(self.nodes)
    }
}

/// A node's zone.
pub(crate) fn zone(nth: usize) -> String {
    format!("zone-{}", nth % ZONES)
}

/// A node's address.
pub(crate) fn url(nth: usize) -> String {
    format!("http://node-{nth}:7500")
}

/// What a node calls its data folder.
pub(crate) fn instance(nth: usize) -> String {
    format!("{nth:032x}")
}

/// Founds a cluster, registers its nodes and stores its materials, the copies of each in different zones.
pub(crate) fn found(size: Size, chance: &mut StdRng) -> Result<(Memory, Vec<NodeId>), ViewError> {
    let mut view = Memory::new();
    write(&mut view, Command::Found { cluster: ClusterId::from_random(7), name: "simulated".to_owned() })?;
    write(&mut view, Command::RaiseProtocol { protocol: PROTOCOL })?;
    let mut nodes = Vec::new();
    for nth in 0..size.nodes as usize {
        let register = Command::RegisterNode {
            instance: instance(nth),
            name: format!("node-{nth}"),
            url: url(nth),
            zone: Some(zone(nth)),
            labels: BTreeMap::new(),
            version: "0.1.0".to_owned(),
        };
        if let Outcome::Node { node } = write(&mut view, register)? {
            nodes.push(node);
        }
    }
    let mut filling =
        Filling { meta: view.get_record::<Meta>(&())?.unwrap_or_default(), view, totals: BTreeMap::new() };
    for _ in 0..size.materials {
        let holders = holders(if chance.random_ratio(1, 10) { 3 } else { 2 }, nodes.len(), chance);
        let holders: Vec<_> = holders.into_iter().map(|nth| &nodes[nth]).collect();
        filling.store(chance.random_range(1..=16) * SIZE_UNIT, &holders)?;
    }
    Ok((filling.close()?, nodes))
}

/// So many nodes by chance, no two of them in one zone.
fn holders(count: usize, nodes: usize, chance: &mut StdRng) -> Vec<usize> {
    let mut holders = Vec::<usize>::new();
    let all: Vec<usize> = (0..ZONES).collect();
    for &zone in all.choose_multiple(chance, count) {
        let in_zone = (nodes - zone).div_ceil(ZONES);
        holders.push(zone + ZONES * chance.random_range(0..in_zone));
    }
    holders
}

/// Applies a command at the beginning of time.
fn write(view: &mut Memory, command: Command) -> Result<Outcome, ViewError> {
    let (changes, outcome) = apply(view, &Proposal { at: Timestamp::from_millis(0), by: None, command })?;
    for (key, record) in changes {
        match record {
            Some(record) => view.insert(key, record),
            None => view.remove(&key),
        };
    }
    Ok(outcome)
}

/// Books that materials are written into.
struct Filling {
    view: Memory,
    meta: microtome_coordinator::core::tables::MetaRecord,
    totals: BTreeMap<NodeId, TotalsRecord>,
}

impl Filling {
    fn put<T: Table>(&mut self, key: &T::Key, record: &T::Record) -> Result<(), ViewError> {
        let key = stored_key::<T>(key);
        let record = stored_record::<T>(&key, record)?;
        self.view.insert(key, record);
        Ok(())
    }

    /// A material whose copies are all verified.
    fn store(&mut self, size: u64, holders: &[&NodeId]) -> Result<(), ViewError> {
        let Some(cluster) = self.meta.cluster.clone() else { return Ok(()) };
        self.meta.material_last += 1;
        self.meta.materials += 1;
        self.meta.bytes += size;
        let sequence = self.meta.material_last;
        let id = MaterialId::from_counter(&cluster, sequence);
        let mut replicas = Vec::new();
        for &node in holders {
            self.meta.generation_last += 1;
            replicas.push(ReplicaRecord::new(node, ReplicaState::Verified, Generation(self.meta.generation_last)));
            self.put::<OnNode>(&(node.clone(), id.clone()), &())?;
            let totals = self.totals.entry(node.clone()).or_default();
            totals.replicas += 1;
            totals.bytes += size;
        }
        self.put::<MaterialsByAge>(&sequence, &id)?;
        self.put::<ByHash>(&(String::new(), blake3(sequence), id.clone()), &())?;
        let record = MaterialRecord {
            sequence,
            name: name(sequence),
            size,
            size_deferred: false,
            media_type: MEDIA_TYPE.to_owned(),
            announced: None,
            blake3: Some(blake3(sequence)),
            population: replicas.len() as u32,
            origin: None,
            concat: None,
            owner: None,
            terms: Terms::default(),
            used_at: None,
            request: None,
            created_at: Timestamp::from_millis(0),
            deleted_at: None,
            replicas,
        };
        self.put::<Materials>(&id, &record)
    }

    fn close(mut self) -> Result<Memory, ViewError> {
        for (node, totals) in std::mem::take(&mut self.totals) {
            self.put::<Totals>(&node, &totals)?;
        }
        let meta = self.meta.clone();
        self.put::<Meta>(&(), &meta)?;
        Ok(self.view)
    }
}

const MEDIA_TYPE: &str = "image/tiff";

fn name(sequence: u64) -> String {
    format!("slide-{sequence:07}.svs")
}

fn blake3(sequence: u64) -> String {
    format!("{sequence:064x}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use microtome_coordinator::core::view::View as _;
    use rand::SeedableRng as _;

    /// The same materials, made by uploads and copies.
    fn by_commands(books: &Memory, nodes: u32) -> Memory {
        let mut chance = StdRng::seed_from_u64(0);
        let (mut view, _) = found(Size { nodes, materials: 0 }, &mut chance).unwrap();
        for entry in books.scan_records::<MaterialsByAge>(&[], None).collect::<Vec<_>>().into_iter().rev() {
            let record = books.get_record::<Materials>(&entry.unwrap().1).unwrap().unwrap();
            let MaterialRecord { sequence, name, size, media_type, population, replicas, .. } = record;
            let mut wanted = Some((name, media_type));
            for ReplicaRecord { node, .. } in replicas {
                let material = MaterialId::from_counter(&ClusterId::from_random(7), sequence);
                let assign = match wanted.take() {
                    None => Command::AddReplica { material: material.clone(), node: node.clone() },
                    Some((name, media_type)) => Command::CreateMaterial {
                        request: None,
                        name,
                        size,
                        size_deferred: false,
                        media_type,
                        blake3: None,
                        population,
                        origin: None,
                        partial: false,
                        owner: None,
                        terms: Terms::default(),
                        node: node.clone(),
                    },
                };
                let (Outcome::Material { generation, .. } | Outcome::Assigned { generation }) =
                    write(&mut view, assign).unwrap()
                else {
                    panic!("refused")
                };
                let blake3 = blake3(sequence);
                write(&mut view, Command::ReplicaVerified { material, node, generation, size, blake3 }).unwrap();
            }
        }
        view
    }

    #[test]
    fn the_books_are_those_that_commands_write() {
        let (books, nodes) = found(Size { nodes: 40, materials: 100 }, &mut StdRng::seed_from_u64(1)).unwrap();
        let by_commands = by_commands(&books, 40);
        assert_eq!(nodes.len(), 40);
        assert!(books.scan(&[], None).map(Result::unwrap).eq(by_commands.scan(&[], None).map(Result::unwrap)));
    }
}
