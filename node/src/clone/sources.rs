//! The nodes that a clone pulls from: the load is spread over them, and who fails or lies is left out.

use parking_lot::Mutex;
use std::collections::HashMap;

/// A source that failed so often, with no success between, is left out until its next offer after a pause.
const FAILURES_MAX: u32 = 3;

/// What is known of the sources of one clone.
#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<HashMap<String, Source>>);

#[derive(Debug, Default)]
struct Source {
    offered: bool,
    active: u32,
    failures: u32,
    lied: bool,
}

impl Sources {
    /// These, and no others, may be asked from now on.
    pub(super) fn offer<'a>(&self, urls: impl IntoIterator<Item = &'a String>) {
        let mut sources = self.0.lock();
        sources.values_mut().for_each(|source| source.offered = false);
        for url in urls {
            sources.entry(url.clone()).or_default().offered = true;
        }
        sources.retain(|_, source| source.offered || source.active > 0 || source.lied);
    }

    /// A new try begins: who only failed is asked again. Who lied is not, unless there is nobody else: it may have mended
    /// meanwhile what its disk had changed.
    pub(super) fn begin(&self) {
        let mut sources = self.0.lock();
        sources.values_mut().for_each(|source| (source.active, source.failures) = (0, 0));
        if !sources.values().any(Source::is_able) {
            sources.values_mut().for_each(|source| source.lied = false);
        }
    }

    /// The source with the least to do; it has one thing more to do then.
    pub(super) fn take(&self) -> Option<String> {
        let mut sources = self.0.lock();
        let able = sources.iter_mut().filter(|(_, source)| source.is_able());
        let (url, source) = able.min_by_key(|(url, source)| (source.active, source.failures, (*url).clone()))?;
        source.active += 1;
        Some(url.clone())
    }

    /// It has served.
    pub(super) fn served(&self, url: &str) {
        self.change(url, |source| source.failures = 0);
    }

    /// It has failed.
    pub(super) fn failed(&self, url: &str) {
        self.change(url, |source| source.failures += 1);
    }

    /// It has sent bytes that are not the material's.
    pub(super) fn lied(&self, url: &str) {
        self.change(url, |source| source.lied = true);
    }

    /// How many can be asked.
    pub(super) fn able(&self) -> usize {
        self.0.lock().values().filter(|source| source.is_able()).count()
    }

    fn change(&self, url: &str, change: impl FnOnce(&mut Source)) {
        if let Some(source) = self.0.lock().get_mut(url) {
            source.active = source.active.saturating_sub(1);
            change(source);
        }
    }
}

impl Source {
    fn is_able(&self) -> bool {
        self.offered && !self.lied && self.failures < FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_spread_and_liars_are_left_out_while_there_are_others() {
        let (a, b) = ("http://a".to_owned(), "http://b".to_owned());
        let sources = Sources::default();
        assert_eq!(sources.take(), None);
        sources.offer([&a, &b]);
        let (first, second) = (sources.take().unwrap(), sources.take().unwrap());
        assert_ne!(first, second);
        sources.lied(&a);
        for _ in 0..FAILURES_MAX {
            sources.failed(&b);
        }
        assert_eq!((sources.take(), sources.able()), (None, 0));
        sources.offer([&a, &b]);
        sources.begin();
        assert_eq!(sources.take(), Some(b));
        assert_eq!(sources.able(), 1);
        sources.offer([&a]);
        sources.begin();
        assert_eq!(sources.take(), Some(a), "nobody else has it");
    }
}
