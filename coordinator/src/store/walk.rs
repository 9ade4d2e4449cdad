//! A walk over all records as they were at one moment, while writes go on.
//!
//! A record that is about to change and has not been passed yet is set aside as it was; the walk takes what was set
//! aside instead of what it found there, whether it found that before the change or after it. So a writer waits for a few
//! records at most, and memory holds what changed meanwhile.

use std::collections::BTreeMap;

/// A key and its record.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// Where the walk is, and what was set aside for it.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    passed: Option<Vec<u8>>,
    aside: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Walk {
    /// The key behind which the walk goes on.
    pub(crate) fn passed(&self) -> Option<&[u8]> {
        self.passed.as_deref()
    }

    /// `key`, which holds `old` now, is about to change.
    pub(crate) fn before_change(&mut self, key: &[u8], old: Option<&[u8]>) {
        let is_passed = self.passed.as_deref().is_some_and(|passed| key <= passed);
        if !is_passed && !self.aside.contains_key(key) {
            self.aside.insert(key.to_vec(), old.map(<[u8]>::to_vec));
        }
    }

    /// Turns the next records that are there, in order, into those that were there. `is_last`: no more follow.
    pub(crate) fn pass(&mut self, present: Vec<Record>, is_last: bool) -> Vec<Record> {
        let upto = if is_last { None } else { present.last().map(|(key, _)| key.clone()) };
        let aside = match &upto {
            None => std::mem::take(&mut self.aside),
            Some(upto) => {
                let mut later = self.aside.split_off(upto);
                let last = later.remove_entry(upto);
                let mut passed = std::mem::replace(&mut self.aside, later);
                passed.extend(last);
                passed
            }
        };
        if upto.is_some() {
            self.passed = upto;
        }
        if aside.is_empty() {
            return present;
        }
        let mut records: BTreeMap<Vec<u8>, Vec<u8>> = present.into_iter().collect();
        for (key, old) in aside {
            match old {
                Some(old) => records.insert(key, old),
                None => records.remove(&key),
            };
        }
        records.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is written between the chunks, the walk brings what was there when it began.
        #[test]
        fn brings_the_first_moment(
            begin in proptest::collection::btree_map(0u8..40, any::<u8>(), 0..40),
            writes in proptest::collection::vec((0u8..3, 0u8..40, proptest::option::of(any::<u8>())), 0..80),
            chunk in 1usize..7,
        ) {
            let mut now: BTreeMap<Vec<u8>, Vec<u8>> = begin.iter().map(|(k, v)| (vec![*k], vec![*v])).collect();
            let wanted: Vec<Record> = now.clone().into_iter().collect();
            let mut walk = Walk::default();
            let mut got = Vec::new();
            let look = |walk: &Walk, now: &BTreeMap<Vec<u8>, Vec<u8>>| -> Vec<Record> {
                let after = walk.passed().map(<[u8]>::to_vec);
                now.iter()
                    .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
                    .take(chunk)
                    .map(|(key, record)| (key.clone(), record.clone()))
                    .collect()
            };
            let mut is_last = false;
            // What was found and is not passed yet.
            let mut found: Option<Vec<Record>> = None;
            for (step, key, record) in writes {
                if is_last {
                    break;
                }
                if step == 1 {
                    found.get_or_insert_with(|| look(&walk, &now));
                }
                if step == 2 {
                    let present = found.take().unwrap_or_else(|| look(&walk, &now));
                    is_last = present.len() < chunk;
                    got.extend(walk.pass(present, is_last));
                }
                let key = vec![key];
                walk.before_change(&key, now.get(&key).map(Vec::as_slice));
                match record {
                    Some(record) => now.insert(key, vec![record]),
                    None => now.remove(&key),
                };
            }
            while !is_last {
                let present = found.take().unwrap_or_else(|| look(&walk, &now));
                is_last = present.len() < chunk;
                got.extend(walk.pass(present, is_last));
            }
            prop_assert_eq!(got, wanted);
        }
    }
}
