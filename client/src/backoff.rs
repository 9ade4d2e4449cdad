//! How long to wait before the next try.

use rand::Rng as _;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3);

/// Waits that double, each drawn from the upper half of its span so that a crowd does not come back at one moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    span: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { span: FIRST }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.span.mul_f64(rand::rng().random_range(0.5..1.0));
        self.span = (self.span * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..20).map(|_| backoff.next()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits[4] > waits[0]);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
    }
}
