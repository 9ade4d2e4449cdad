//! How many wrong passwords a name and an address take: so many in a quarter of an hour. The leader's own memory; a new leader
//! begins anew.
//!
//! The time is handed in. An attempt counts before its password is looked at, so that many at once gain nothing, and a right
//! one is taken back.

use microtome_proto::limits::{LOGIN_FAILURES_PER_ADDRESS_MAX, LOGIN_FAILURES_PER_NAME_MAX};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

/// Failures count for so long from the first one on, in milliseconds.
const WINDOW_MS: u64 = 15 * 60_000;
/// Most names, and most addresses, that are remembered: whoever tries more of them has the older half forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// Attempts to log in.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    names: Counted,
    addresses: Counted,
}

impl Attempts {
    /// Somebody tries.
    ///
    /// # Errors
    /// Where there were too many wrong passwords: the seconds until there may be others.
    pub(crate) fn begin(&mut self, name: &str, address: &str, now_ms: u64) -> Result<(), u32> {
        let (name, address) = (name.to_lowercase(), network(address));
        let waits = [
            self.names.wait_s(&name, LOGIN_FAILURES_PER_NAME_MAX, now_ms),
            self.addresses.wait_s(&address, LOGIN_FAILURES_PER_ADDRESS_MAX, now_ms),
        ];
        match waits.into_iter().flatten().max() {
            Some(wait_s) => Err(wait_s),
            None => {
                self.names.count(name, now_ms);
                self.addresses.count(address, now_ms);
                Ok(())
            }
        }
    }

    /// The password was right: the name's failures are forgotten. The address's stay, or its own password would reset them.
    pub(crate) fn succeeded(&mut self, name: &str, address: &str) {
        self.names.0.remove(&name.to_lowercase());
        if let Some(failures) = self.addresses.0.get_mut(&network(address)) {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

#[derive(Debug)]
struct Failures {
    count: u32,
    since_ms: u64,
}

#[derive(Debug, Default)]
struct Counted(HashMap<String, Failures>);

impl Counted {
    fn wait_s(&mut self, key: &str, max: u32, now_ms: u64) -> Option<u32> {
        let failures = self.0.get(key)?;
        let ends_ms = failures.since_ms.saturating_add(WINDOW_MS);
        if ends_ms <= now_ms {
            self.0.remove(key);
            return None;
        }
        (failures.count >= max).then(|| u32::try_from((ends_ms - now_ms).div_ceil(1000)).unwrap_or(u32::MAX))
    }

    fn count(&mut self, key: String, now_ms: u64) {
        if self.0.len() >= REMEMBERED_MAX && !self.0.contains_key(&key) {
            let mut begun: Vec<u64> = self.0.values().map(|failures| failures.since_ms).collect();
            let (_, middle, _) = begun.select_nth_unstable(REMEMBERED_MAX / 2);
            let (middle, kept_max) = (*middle, REMEMBERED_MAX / 2);
            let mut kept = 0;
            self.0.retain(|_, failures| {
                let is_kept = failures.since_ms >= middle && kept < kept_max;
                kept += usize::from(is_kept);
                is_kept
            });
        }
        self.0.entry(key).or_insert(Failures { count: 0, since_ms: now_ms }).count += 1;
    }
}

/// Whoever has one address of the newer kind has a whole network of them.
fn network(address: &str) -> String {
    let parsed = address.parse::<std::net::SocketAddr>().map(|address| address.ip());
    match parsed.or_else(|_| address.parse::<IpAddr>()) {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_so_many_wrong_passwords_and_its_right_one_resets_them() {
        let mut attempts = Attempts::default();
        for nth in 0..LOGIN_FAILURES_PER_NAME_MAX {
            assert_eq!(attempts.begin("Ada", &format!("10.0.0.{nth}"), 1_000), Ok(()));
        }
        // From wherever, in whatever case.
        assert_eq!(attempts.begin("ADA", "10.0.1.1", 61_000), Err(840));
        assert_eq!(attempts.begin("bob", "10.0.1.1", 61_000), Ok(()));
        assert_eq!(attempts.begin("ada", "10.0.1.1", 1_000 + WINDOW_MS), Ok(()), "a quarter of an hour later");
        for _ in 0..30 {
            attempts.succeeded("ada", "10.0.1.1");
            assert_eq!(attempts.begin("ada", "10.0.1.1", 2_000_000), Ok(()));
        }
    }

    #[test]
    fn an_address_takes_more_whatever_the_names_and_its_own_right_password_does_not_reset_it() {
        let mut attempts = Attempts::default();
        for nth in 0..LOGIN_FAILURES_PER_ADDRESS_MAX {
            assert_eq!(attempts.begin(&format!("name {nth}"), "10.0.0.1", 0), Ok(()));
            let own = attempts.begin("own", "10.0.0.1", 0);
            assert_eq!(own.is_ok(), nth + 1 < LOGIN_FAILURES_PER_ADDRESS_MAX);
            if own.is_ok() {
                attempts.succeeded("own", "10.0.0.1");
            }
        }
        assert!(attempts.begin("another", "10.0.0.1", 0).is_err());
        assert_eq!(attempts.begin("another", "10.0.0.2", 0), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_a_network_counts_as_one() {
        let mut attempts = Attempts::default();
        for nth in 0..2 * REMEMBERED_MAX {
            let address = format!("10.{}.{}.{}", nth >> 16, (nth >> 8) & 255, nth & 255);
            assert_eq!(attempts.begin(&format!("name {nth}"), &address, nth as u64), Ok(()));
            assert!(attempts.names.0.len() <= REMEMBERED_MAX && attempts.addresses.0.len() <= REMEMBERED_MAX);
        }
        assert!(!attempts.names.0.contains_key("name 0") && attempts.names.0.contains_key("name 19999"));
        assert_eq!(network("2001:db8:1:2:3::4"), network("[2001:db8:1:2::9]:7400"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
    }
}
