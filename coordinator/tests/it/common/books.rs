//! What a coordinator finds in its folder when it starts.

use super::{Server, alone};
use microtome_coordinator::{
    core::{
        apply::apply,
        command::{Command, Outcome, Proposal},
        view::Memory,
    },
    seed,
};
use microtome_proto::{ClusterId, Generation, MaterialId, NodeId, Timestamp, material::Terms};

/// Books in which no node has been heard of for a while, as a coordinator finds them at its start.
pub struct Books {
    view: Memory,
    at: Timestamp,
}

impl Books {
    pub fn new(at: Timestamp) -> Self {
        let mut books = Self { view: Memory::new(), at };
        books.write(Command::Found { cluster: ClusterId::from_random(1), name: "lab".to_owned() });
        books
    }

    pub fn write(&mut self, command: Command) -> Outcome {
        let (changes, outcome) = apply(&self.view, &Proposal { at: self.at, by: None, command }).unwrap();
        for (key, record) in changes {
            match record {
                Some(record) => self.view.insert(key, record),
                None => self.view.remove(&key),
            };
        }
        outcome
    }

    /// A node, and an upload to it.
    pub fn write_upload(&mut self, instance: &str) -> (NodeId, MaterialId, Generation) {
        let registered = self.write(Command::RegisterNode {
            instance: instance.to_owned(),
            name: "first".to_owned(),
            url: "http://127.0.0.1:1".to_owned(),
            zone: None,
            labels: Default::default(),
            version: "0.1.0".to_owned(),
        });
        let Outcome::Node { node } = registered else { panic!("{registered:?}") };
        let made = self.write(Command::CreateMaterial {
            request: None,
            name: "slide".to_owned(),
            size: 1000,
            size_deferred: false,
            media_type: "image/tiff".to_owned(),
            blake3: None,
            population: 1,
            origin: None,
            partial: false,
            owner: None,
            terms: Terms::default(),
            node: node.clone(),
        });
        let Outcome::Material { material, generation, .. } = made else { panic!("{made:?}") };
        (node, material, generation)
    }

    /// A coordinator that starts with them.
    pub async fn serve(&self) -> Server {
        let root = tempfile::tempdir().unwrap();
        let config = alone(root.path().join("one"));
        seed(&config, &self.view).unwrap();
        Server::of_its_own(config, root).await
    }
}
