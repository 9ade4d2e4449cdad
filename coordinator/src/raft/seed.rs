//! A data folder that begins with books from elsewhere, as if a leader's snapshot had brought them.

use super::types::{LogId, Stamp, StoredMembership};
use crate::{
    Config, CoordinatorError,
    core::view::Memory,
    store::{StoreError, folder::Folder, snapshot::Header, snapshots::Snapshots},
};
use openraft::{BasicNode, Membership, impls::leader_id_adv::LeaderId};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

/// Records written in one go.
const CHUNK_LEN: usize = 512;

/// Fills the data folder of a coordinator that is alone: when it starts it has these books. Blocks.
///
/// # Errors
/// [`CoordinatorError`], where the folder is another's or cannot be written.
pub fn seed(config: &Config, books: &Memory) -> Result<(), CoordinatorError> {
    let (folder, _lock) = Folder::open(&config.data_dir, config.id, &config.cluster_name)?;
    let path = folder.snapshots();
    let failed = |error: io::Error| StoreError::io(&path, error);
    let begin = LogId::new(LeaderId { term: 1, node_id: config.id }, 0);
    // Its address is what it is started with.
    let nodes = BTreeMap::from([(config.id, BasicNode::default())]);
    let membership = Membership::new(vec![BTreeSet::from([config.id])], nodes)
        .map_err(|error| CoordinatorError::Stopped(error.to_string()))?;
    let stamp = Stamp { applied: Some(begin), membership: StoredMembership::new(Some(begin), membership) };
    let stamp = serde_json::to_string(&stamp).map_err(|error| failed(error.into()))?;
    let mut records = books.iter();
    let next = || {
        let chunk: Vec<_> =
            records.by_ref().take(CHUNK_LEN).map(|(key, record)| (key.clone(), record.clone())).collect();
        Ok((!chunk.is_empty()).then_some(chunk))
    };
    Snapshots::open(&path)?.write(&Header::new(begin.index, books.len() as u64, stamp), next).map_err(failed)?;
    Ok(())
}
