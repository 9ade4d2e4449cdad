//! What a value must be, beyond its form.

use super::{ConfigError, Listed, NodeConfig, Setting, size::Span};
use microtome_node::CheckConfig;
use microtome_proto::{
    CoordinatorId,
    limits::{COORDINATORS_MAX, LABELS_MAX, NAME_LEN_MAX, POPULATION_MAX},
};
use std::{collections::BTreeMap, net::IpAddr, path::Path, time::Duration};

/// Shortest time between heartbeats, in milliseconds.
const HEARTBEAT_MS_MIN: u64 = 50;
/// Longest span of any of the three, in milliseconds: a day.
const TIMING_MS_MAX: u64 = 86_400_000;
/// Longest time for a check.
const CHECK_WITHIN_MAX: Duration = Duration::from_secs(86_400);
/// Most checks at once on a node.
const CHECKS_AT_ONCE_MAX: usize = 64;
/// Most runs at once on a node.
const RUNS_MAX: usize = 1024;

pub(super) fn listen(listen: Setting<String>) -> Result<String, ConfigError> {
    let port = listen.value.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        let what =
            format!("'{}' is no address to listen on: write HOST:PORT, 127.0.0.1:7400 for example", listen.value);
        return Err(listen.wrong(what));
    }
    Ok(listen.value)
}

pub(super) fn url(url: &Setting<String>) -> Result<String, ConfigError> {
    microtome_client::check_address(&url.value).map_err(|error| url.wrong(error))
}

/// Where a coordinator is reached: what the list says, where it is listed. Everybody else goes by the list.
pub(super) fn own_url(
    said: Option<&Setting<String>>,
    id: CoordinatorId,
    listed: Option<&str>,
) -> Result<Option<String>, ConfigError> {
    let Some(said) = said else { return Ok(listed.map(str::to_owned)) };
    let address = url(said)?;
    match listed {
        Some(listed) if listed != address => Err(said.wrong(format!(
            "coordinator {id} is listed with the url {listed}, and all others go by that: leave {address} out, or list it \
             in every server's 'coordinators' instead"
        ))),
        _ => Ok(Some(address)),
    }
}

/// The node's address where only its own machine reaches it, and a coordinator that others reach: it would send them there.
pub(crate) fn only_here(node: &NodeConfig) -> Option<(&str, &str)> {
    let address = node.url.as_ref().unwrap_or(&node.listen);
    let told = node.coordinators.iter().find(|coordinator| !is_loopback(coordinator))?;
    is_loopback(address).then_some((address, told))
}

fn is_loopback(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    // What stands in brackets has colons of its own.
    let host = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(authority, |(host, _)| host);
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// The host and port in a URL, to listen on.
pub(super) fn authority(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next()?;
    authority.rsplit_once(':').map(|_| authority.to_owned())
}

pub(super) fn name(name: Setting<String>) -> Result<String, ConfigError> {
    if name.value.is_empty() || name.value.len() > NAME_LEN_MAX || name.value.chars().any(char::is_control) {
        return Err(name.wrong(format!("a name has 1 to {NAME_LEN_MAX} bytes and no control characters")));
    }
    Ok(name.value)
}

pub(super) fn population(population: &Setting<u32>) -> Result<u32, ConfigError> {
    if !(1..=POPULATION_MAX).contains(&population.value) {
        return Err(population.wrong(format!("population = {} is not within 1 and {POPULATION_MAX}", population.value)));
    }
    Ok(population.value)
}

pub(super) fn at_least_one(key: &str, number: &Setting<usize>) -> Result<usize, ConfigError> {
    match number.value {
        0 => Err(number.wrong(format!("{key} = 0: without copies under way no lost one is made again"))),
        number => Ok(number),
    }
}

pub(super) fn runs_max(runs: &Setting<usize>) -> Result<usize, ConfigError> {
    if runs.value > RUNS_MAX {
        return Err(runs.wrong(format!("runs_max = {} is more than {RUNS_MAX}", runs.value)));
    }
    Ok(runs.value)
}

/// A program is named by its path: a name would be looked for where the environment says.
pub(super) fn check_program(program: Setting<Vec<String>>) -> Result<Vec<String>, ConfigError> {
    match program.value.first() {
        Some(path) if Path::new(path).is_absolute() => Ok(program.value),
        Some(name) => Err(program.wrong(format!("'{name}' is no whole path of a program: write /usr/bin/… and so on"))),
        None => Err(program.wrong("it is empty: name a program and its arguments, or leave it out")),
    }
}

pub(super) fn check_url(url: Setting<String>) -> Result<String, ConfigError> {
    match CheckConfig::check_url(&url.value) {
        Ok(()) => Ok(url.value),
        Err(what) => Err(url.wrong(what)),
    }
}

pub(super) fn check_within(within: &Setting<Span>) -> Result<Duration, ConfigError> {
    match within.value.0 {
        time if (Duration::from_secs(1)..=CHECK_WITHIN_MAX).contains(&time) => Ok(time),
        _ => Err(within.wrong("a check may take 1 s to 1 d")),
    }
}

pub(super) fn checks_at_once(at_once: &Setting<usize>) -> Result<usize, ConfigError> {
    match at_once.value {
        1..=CHECKS_AT_ONCE_MAX => Ok(at_once.value),
        other => Err(at_once.wrong(format!("at_once = {other} is not within 1 and {CHECKS_AT_ONCE_MAX}"))),
    }
}

pub(super) fn labels(labels: Setting<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>, ConfigError> {
    let fits = |text: &String| text.len() <= NAME_LEN_MAX && !text.chars().any(char::is_control);
    if labels.value.len() > LABELS_MAX {
        return Err(labels.wrong(format!("a node has at most {LABELS_MAX} labels, not {}", labels.value.len())));
    }
    if let Some((key, _)) = labels.value.iter().find(|(key, value)| key.is_empty() || !fits(key) || !fits(value)) {
        return Err(
            labels.wrong(format!("the label '{key}' is empty, longer than {NAME_LEN_MAX} bytes or not plain text"))
        );
    }
    Ok(labels.value)
}

/// Silence must last longer than a heartbeat to mean something, and longer still to cost copies.
pub(super) fn timing(
    heartbeat: &Setting<u64>,
    unreachable: &Setting<u64>,
    down: &Setting<u64>,
) -> Result<(), ConfigError> {
    if heartbeat.value < HEARTBEAT_MS_MIN {
        return Err(heartbeat.wrong(format!("heartbeat_ms = {} is less than {HEARTBEAT_MS_MIN}", heartbeat.value)));
    }
    if down.value > TIMING_MS_MAX {
        return Err(down.wrong(format!("down_after_ms = {} is more than a day", down.value)));
    }
    more(("unreachable_after_ms", unreachable), ("heartbeat_ms", heartbeat))?;
    more(("down_after_ms", down), ("unreachable_after_ms", unreachable))
}

fn more(larger: (&str, &Setting<u64>), smaller: (&str, &Setting<u64>)) -> Result<(), ConfigError> {
    if larger.1.value > smaller.1.value {
        return Ok(());
    }
    // Whoever wrote only one of the two is told about that one.
    let written = if larger.1.place.is_some() { larger.1 } else { smaller.1 };
    let (larger, smaller) = ((larger.0, larger.1.value), (smaller.0, smaller.1.value));
    Err(written.wrong(format!("{} ({}) must be more than {} ({})", larger.0, larger.1, smaller.0, smaller.1)))
}

pub(super) fn coordinators(all: Vec<Listed>) -> Result<BTreeMap<CoordinatorId, String>, ConfigError> {
    let mut checked: BTreeMap<CoordinatorId, String> = BTreeMap::new();
    for one in all {
        let (id, address) = (one.id.value, url(&one.url)?);
        if id == 0 {
            return Err(one.id.wrong("coordinators are numbered from 1"));
        }
        if checked.contains_key(&id) {
            return Err(one.id.wrong(format!("two coordinators have the id {id}")));
        }
        if checked.values().any(|known| *known == address) {
            return Err(one.url.wrong(format!("two coordinators have the url {address}")));
        }
        if checked.len() == COORDINATORS_MAX {
            return Err(one.id.wrong(format!("more than {COORDINATORS_MAX} coordinators only make writes slow")));
        }
        checked.insert(id, address);
    }
    Ok(checked)
}
