//! A proof of what the applied state holds, kept up to date with every change: the number of its records, and a digest
//! that does not depend on their order.
//!
//! sled may lose or revive records when power fails, and may open as if nothing had happened. The ledger is written in
//! the batch with the changes that it tells of, so whatever sled brings back is checked against it.

/// Length of a ledger's bytes.
pub(crate) const LEN: usize = 40;

/// The number of records, and the exclusive or of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    records: u64,
    digest: [u8; 32],
}

impl Ledger {
    /// A record was added.
    pub(crate) fn add(&mut self, key: &[u8], record: &[u8]) {
        self.records = self.records.wrapping_add(1);
        self.toggle(key, record);
    }

    /// A record was removed.
    pub(crate) fn remove(&mut self, key: &[u8], record: &[u8]) {
        self.records = self.records.wrapping_sub(1);
        self.toggle(key, record);
    }

    /// The number of records.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    pub(crate) fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&self.records.to_le_bytes());
        bytes[8..].copy_from_slice(&self.digest);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let (mut records, mut digest) = ([0; 8], [0; 32]);
        records.copy_from_slice(&bytes[..8]);
        digest.copy_from_slice(&bytes[8..]);
        Self { records: u64::from_le_bytes(records), digest }
    }

    fn toggle(&mut self, key: &[u8], record: &[u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(record);
        for (have, change) in self.digest.iter_mut().zip(hasher.finalize().as_bytes()) {
            *have ^= change;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_every_byte_does() {
        let of = |records: &[(&str, &str)]| {
            let mut ledger = Ledger::default();
            records.iter().for_each(|(key, record)| ledger.add(key.as_bytes(), record.as_bytes()));
            ledger
        };
        let both = of(&[("a", "1"), ("b", "2")]);
        assert_eq!(both, of(&[("b", "2"), ("a", "1")]));
        assert_ne!(both, of(&[("a", "2"), ("b", "1")]));
        assert_ne!(both, of(&[("a1", ""), ("b", "2")]));
        let mut one = both;
        one.remove(b"b", b"2");
        assert_eq!(one, of(&[("a", "1")]));
        assert_eq!(Ledger::from_bytes(&both.to_bytes()), both);
    }
}
