//! What is measured, and the rules that healing must keep.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use microtome_proto::MaterialId;
use serde::Serialize;

/// Rules broken that are told: one story is enough to look for its cause.
const BROKEN_MAX: usize = 10;

/// Sums over a scenario.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tally {
    /// Bytes that copies moved, also those of copies that never became whole.
    pub(crate) copied: u64,
    /// The least bytes with which every material that can be healed has its population again.
    pub(crate) least: u64,
    /// Copies that were made or begun, and dropped.
    pub(crate) in_vain: u64,
    /// Materials of which no copy was left on a node that answers.
    pub(crate) out_of_reach: u64,
    pub(crate) commands: u64,
    pub(crate) rounds: u32,
    /// CPU time of all rounds of planning.
    pub(crate) planning: Duration,
    pub(crate) planning_worst: Duration,
    pub(crate) broken: Vec<String>,
    /// Copies that lack for good, by material.
    #[serde(skip)]
    lacking: BTreeMap<MaterialId, usize>,
    /// When the last of them was there again.
    #[serde(skip)]
    pub(crate) healed_ms: Option<u64>,
}

impl Tally {
    /// Bytes copied beside the least.
    pub(crate) fn ratio(&self) -> Option<f64> {
        (self.least > 0).then(|| self.copied as f64 / self.least as f64)
    }

    pub(crate) fn round(&mut self, planning: Duration, commands: usize) {
        self.rounds += 1;
        self.planning += planning;
        self.planning_worst = self.planning_worst.max(planning);
        self.commands += commands as u64;
    }

    /// Copies of a material are lost for good, and so many others answer.
    pub(crate) fn lost(&mut self, material: MaterialId, size: u64, copies: usize, others: usize) {
        if others == 0 {
            self.out_of_reach += 1;
        } else if copies > 0 && self.lacking.insert(material, copies).is_none() {
            self.least += copies as u64 * size;
        }
    }

    /// A copy has become whole.
    pub(crate) fn arrived(&mut self, material: &MaterialId, now_ms: u64) {
        let Some(lacking) = self.lacking.get_mut(material) else { return };
        *lacking -= 1;
        if *lacking == 0 {
            self.lacking.remove(material);
        }
        if self.lacking.is_empty() {
            self.healed_ms = Some(now_ms);
        }
    }

    /// A rule that must hold.
    pub(crate) fn rule(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        if !holds && self.broken.len() < BROKEN_MAX {
            self.broken.push(broken());
        }
    }
}

/// How full the disks of the nodes that answer are.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Fullness {
    least: f64,
    mean: f64,
    most: f64,
}

impl Fullness {
    pub(crate) fn of(fractions: impl Iterator<Item = f64>) -> Self {
        let (mut fullness, mut count) = (Self { least: 1.0, mean: 0.0, most: 0.0 }, 0.0);
        for fraction in fractions {
            fullness.least = fullness.least.min(fraction);
            fullness.most = fullness.most.max(fraction);
            fullness.mean += fraction;
            count += 1.0;
        }
        Self { mean: fullness.mean / f64::max(count, 1.0), ..fullness }
    }
}

impl fmt::Display for Fullness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} {:.1} {:.1}", self.least * 100.0, self.mean * 100.0, self.most * 100.0)
    }
}
