//! What was refused lately: a sender whose connection broke before it heard so asks again.

use microtome_proto::{Code, MaterialId, Problem, material::Owner};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// For how long.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Refusals that are kept; of more the oldest go.
const KEPT_MAX: usize = 10_000;

/// The refusals, until they are too old or the node is stopped.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<HashMap<MaterialId, Refusal>>);

#[derive(Debug, Clone)]
struct Refusal {
    at: Instant,
    owner: Option<Owner>,
    reason: String,
}

impl Refused {
    pub(crate) fn remember(&self, material: &MaterialId, owner: Option<Owner>, reason: String) {
        let mut all = self.0.lock();
        all.retain(|_, refusal| refusal.at.elapsed() < KEPT_FOR);
        if all.len() >= KEPT_MAX {
            let oldest = all.iter().min_by_key(|(_, refusal)| refusal.at).map(|(id, _)| id.clone());
            oldest.map(|id| all.remove(&id));
        }
        all.insert(material.clone(), Refusal { at: Instant::now(), owner, reason });
    }

    /// Whose a refused upload was, and what its sender is told.
    pub(crate) fn get(&self, material: &MaterialId) -> Option<(Option<Owner>, Problem)> {
        let refusal = self.0.lock().get(material).cloned()?;
        Some((refusal.owner, problem(&refusal.reason)))
    }
}

/// What the sender of a refused file is told.
pub(crate) fn problem(reason: &str) -> Problem {
    Problem::new(Code::RefusedByCheck, reason)
}
