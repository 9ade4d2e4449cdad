//! Whether the control API behaves as one thing, whoever is asked and whatever fails: the population of a few materials is
//! set and read by several clients at several coordinators, each call once, and every history must be linearizable: there is
//! an order of its calls, each at a moment between its beginning and its end, that explains all that was read.
//!
//! A call that ended without an answer may have acted at any time after it began, or never.

use crate::harness::{Cluster, token};
use microtome_proto::{
    MaterialId,
    material::{Material, PatchMaterial},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const CLIENTS: u64 = 5;
const REGISTERS: u32 = 4;
/// Calls of one register: what a check costs grows with those whose end is not known.
const CALLS_MAX: usize = 150;
const ANSWER_WITHIN: Duration = Duration::from_millis(1500);
const FIRST: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Set(u32),
    Read(u32),
}

/// A call, from its beginning to its end, in microseconds; without an end where no answer came.
#[derive(Debug, Clone, Copy)]
struct Record {
    call: Call,
    begin: u64,
    end: Option<u64>,
}

type History = Arc<Mutex<Vec<Record>>>;

/// Clients at work on registers.
pub struct Registers {
    histories: Vec<(MaterialId, History)>,
    tasks: JoinSet<()>,
}

impl Registers {
    pub async fn start(cluster: &Cluster, secret: &str, seed: u64) -> Self {
        let mut histories = Vec::new();
        for nth in 0..REGISTERS {
            let material = cluster.put(&format!("register {nth}"), b"", FIRST).await;
            histories.push((material.id, History::default()));
        }
        let urls: Vec<_> = cluster.coordinators.iter().map(|server| server.url.clone()).collect();
        let zero = Instant::now();
        let mut tasks = JoinSet::new();
        for nth in 0..CLIENTS {
            let (urls, histories, token) = (urls.clone(), histories.clone(), token(secret));
            let chance = StdRng::seed_from_u64(seed * 1000 + 300 + nth);
            tasks.spawn(work(urls, token, histories, chance, zero));
        }
        Self { histories, tasks }
    }

    /// How many calls were made, how many of them without an answer. Panics where a history has no order.
    pub async fn judge(mut self, seed: u64) -> (usize, usize) {
        self.tasks.shutdown().await;
        let (mut calls, mut unknown) = (0, 0);
        for (id, history) in self.histories {
            let history = history.lock().unwrap().clone();
            assert!(is_linearizable(&history, FIRST), "seed {seed}: the history of {id} has no order: {history:#?}");
            calls += history.len();
            unknown += history.iter().filter(|record| record.end.is_none()).count();
        }
        (calls, unknown)
    }
}

async fn work(
    urls: Vec<String>,
    token: String,
    histories: Vec<(MaterialId, History)>,
    mut chance: StdRng,
    zero: Instant,
) {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(ANSWER_WITHIN).build().unwrap();
    let now = || zero.elapsed().as_micros() as u64;
    loop {
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..150))).await;
        let (id, history) = &histories[chance.random_range(0..histories.len())];
        if history.lock().unwrap().len() >= CALLS_MAX {
            continue;
        }
        let url = format!("{}/v1/materials/{id}", urls[chance.random_range(0..urls.len())]);
        let value = chance.random_range(1..=3);
        let (request, set) = match chance.random_range(0..3) {
            0 => {
                let patch = PatchMaterial { population: Some(value), ..PatchMaterial::default() };
                (http.patch(url).json(&patch), true)
            }
            _ => (http.get(url), false),
        };
        // It is in the history from its beginning: the task may end before its answer.
        let begin = now();
        let place = set.then(|| {
            let mut history = history.lock().unwrap();
            history.push(Record { call: Call::Set(value), begin, end: None });
            history.len() - 1
        });
        let answer = request.bearer_auth(&token).send().await;
        let Ok(answer) = answer else { continue };
        if answer.status() != 200 {
            continue;
        }
        let Ok(material) = answer.json::<Material>().await else { continue };
        let end = Some(now());
        let mut history = history.lock().unwrap();
        match place {
            Some(place) => history[place].end = end,
            None => history.push(Record { call: Call::Read(material.population), begin, end }),
        }
    }
}

/// Whether there is an order (the search of Wing and Gong, with memory of what was tried).
fn is_linearizable(history: &[Record], first: u32) -> bool {
    let mut history = history.to_vec();
    history.sort_by_key(|record| record.begin);
    let mut tried = HashSet::new();
    let mut stack = vec![(vec![false; history.len()], first)];
    while let Some((done, value)) = stack.pop() {
        let open = || (0..history.len()).filter(|&nth| !done[nth]);
        // What was never answered need not have acted.
        let Some(soonest_end) = open().filter_map(|nth| history[nth].end).min() else { return true };
        for nth in open().take_while(|&nth| history[nth].begin <= soonest_end) {
            let next = match history[nth].call {
                Call::Set(next) => next,
                Call::Read(read) if read == value => value,
                Call::Read(_) => continue,
            };
            let mut done = done.clone();
            done[nth] = true;
            if tried.insert((done.clone(), next)) {
                stack.push((done, next));
            }
        }
    }
    history.is_empty()
}

#[cfg(test)]
mod tests {
    use super::{Call::*, *};

    fn history(calls: &[(Call, u64, u64)]) -> Vec<Record> {
        let end = |end: u64| (end > 0).then_some(end);
        calls.iter().map(|&(call, begin, last)| Record { call, begin, end: end(last) }).collect()
    }

    #[test]
    fn an_order_is_found_where_there_is_one_and_only_there() {
        for (calls, expected) in [
            (vec![], true),
            (vec![(Read(1), 1, 2)], true),
            (vec![(Read(2), 1, 2)], false),
            (vec![(Set(2), 1, 2), (Read(2), 3, 4)], true),
            (vec![(Set(2), 1, 2), (Read(1), 3, 4)], false),
            // Side by side both may be.
            (vec![(Set(2), 1, 5), (Read(1), 2, 3), (Read(2), 4, 6)], true),
            (vec![(Set(2), 1, 5), (Read(2), 2, 3), (Read(1), 4, 6)], false),
            // Without an answer it acts late, or never.
            (vec![(Set(2), 1, 0), (Read(1), 2, 3), (Read(2), 8, 9)], true),
            (vec![(Set(2), 1, 0), (Read(1), 2, 3), (Read(1), 8, 9)], true),
            (vec![(Set(2), 1, 0), (Read(2), 2, 3), (Read(1), 8, 9)], false),
            (vec![(Set(2), 1, 0), (Set(3), 2, 3), (Read(2), 4, 5), (Read(3), 6, 7)], false),
        ] {
            assert_eq!(is_linearizable(&history(&calls), 1), expected, "{calls:?}");
        }
    }
}
