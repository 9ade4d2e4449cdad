//! The servers' configuration: `cluster.toml`, over it the environment, over that the command line.
//!
//! Every value has a default. A wrong one is refused with the line, the variable or the flag that it came from.

mod auth;
mod checks;
mod file;
mod size;
mod text;
mod tls;

pub(crate) use checks::only_here;
use file::{File, Value};
use microtome_coordinator::Config as CoordinatorConfig;
use microtome_node::{CheckConfig, Config as NodeConfig};
use microtome_proto::CoordinatorId;
use size::Span;
pub(crate) use size::{Size, parse_duration};
use std::{
    collections::BTreeMap,
    env, fmt,
    path::{Path, PathBuf},
    time::Duration,
};
pub(crate) use text::parse_pair;
use text::{FromText, comma_list};

/// Whoever was interrupted before a weekend goes on after it.
const UPLOADS_EXPIRE_AFTER: Duration = Duration::from_secs(3 * 86_400);
/// A scrub reads 2.7 TB a day.
const SCRUB_RATE: u64 = 32 << 20;
/// A scanner reads a slide of 25 GB in a few minutes.
const CHECK_WITHIN: Duration = Duration::from_secs(600);
const CHECKS_AT_ONCE: usize = 2;
const SCRUB_EVERY: Duration = Duration::from_secs(7 * 86_400);

/// A value is wrong; the text tells which, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(String);

impl ConfigError {
    pub(crate) fn at(place: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self(format!("{place}: {what}"))
    }
}

/// Where a value was written: a line, a variable, a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place(String);

impl Place {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A value, and where it was written; nowhere where it is the default.
#[derive(Debug, Clone)]
struct Setting<T> {
    value: T,
    place: Option<Place>,
}

impl<T> Setting<T> {
    fn is_variable(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.0.starts_with("MICROTOME_"))
    }

    fn wrong(&self, what: impl fmt::Display) -> ConfigError {
        ConfigError::at(self.place.as_ref().map_or("the configuration", |place| place.0.as_str()), what)
    }
}

/// One of the coordinators as it is listed somewhere.
struct Listed {
    id: Setting<CoordinatorId>,
    url: Setting<String>,
}

impl Listed {
    /// Reads `ID=URL`.
    fn parse(text: &str, place: &str) -> Result<Self, ConfigError> {
        let wrong = || {
            let what = format!("'{text}' is not of the form ID=URL, 1=http://127.0.0.1:7400 for example");
            ConfigError::at(place, what)
        };
        let (id, url) = text.split_once('=').ok_or_else(wrong)?;
        let id: CoordinatorId = id.trim().parse().map_err(|_| wrong())?;
        let place = Some(Place::new(place));
        Ok(Self {
            id: Setting { value: id, place: place.clone() },
            url: Setting { value: url.trim().to_owned(), place },
        })
    }
}

/// The settings' variables, without their prefix `MICROTOME_`.
const VARIABLES: [&str; 39] = [
    "CLUSTER_NAME",
    "CLUSTER_POPULATION",
    "CLUSTER_COPIES_MAX",
    "CLUSTER_COPIES_PER_NODE_MAX",
    "CLUSTER_HEARTBEAT_MS",
    "CLUSTER_UNREACHABLE_AFTER_MS",
    "CLUSTER_DOWN_AFTER_MS",
    "AUTH_SECRET",
    "AUTH_SECRET_FILE",
    "AUTH_PREVIOUS_SECRET",
    "AUTH_PREVIOUS_SECRET_FILE",
    "AUTH_SIGNING_KEY_FILE",
    "AUTH_VERIFYING_KEYS_FILE",
    "AUTH_FIRST_PASSWORD_FILE",
    "TLS_CERTIFICATE_FILE",
    "TLS_KEY_FILE",
    "TLS_CA_FILE",
    "TLS_BETWEEN_SERVERS",
    "COORDINATORS",
    "COORDINATOR_ID",
    "COORDINATOR_LISTEN",
    "COORDINATOR_URL",
    "COORDINATOR_DATA_DIR",
    "NODE_LISTEN",
    "NODE_URL",
    "NODE_DATA_DIR",
    "NODE_NAME",
    "NODE_ZONE",
    "NODE_LABELS",
    "NODE_RESERVE",
    "NODE_UPLOADS_EXPIRE_AFTER",
    "NODE_RUNS_MAX",
    "NODE_SCRUB_RATE",
    "NODE_SCRUB_EVERY",
    "NODE_COORDINATORS",
    "CHECKS_PROGRAM",
    "CHECKS_URL",
    "CHECKS_WITHIN",
    "CHECKS_AT_ONCE",
];

/// What differs from machine to machine, as the command line gives it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Flags {
    pub(crate) id: Option<CoordinatorId>,
    pub(crate) listen: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) data_dir: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) labels: Vec<(String, String)>,
    /// URLs for a node, `ID=URL` for a coordinator.
    pub(crate) coordinators: Vec<String>,
}

/// The layers that a value is looked for in.
pub(crate) struct Layers {
    file: File,
    variables: BTreeMap<String, String>,
}

impl Layers {
    /// From the file, where one is named, and this process's environment.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let file = path.map(File::read).transpose()?.unwrap_or_default();
        let variables = env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("MICROTOME_"))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        Ok(Self { file, variables: variables.collect() })
    }

    #[cfg(test)]
    fn of(text: &str, variables: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(Self { file: File::parse("cluster.toml", text.to_owned())?, variables })
    }

    /// Variables that look like settings and are none: misspelt, perhaps, or put there by others.
    pub(crate) fn unknown_variables(&self) -> Vec<String> {
        // A coordinator's own keys are singular, though it stands below [[coordinators]]: who writes the plural is told.
        let sections = ["CLUSTER_", "AUTH_", "TLS_", "COORDINATOR", "NODE_", "CHECKS_"];
        let unknown = self.variables.keys().filter(|name| {
            let name = name.strip_prefix("MICROTOME_").unwrap_or(name);
            sections.iter().any(|section| name.starts_with(section)) && !VARIABLES.contains(&name)
        });
        unknown.cloned().collect()
    }

    /// What a coordinator is to run with.
    pub(crate) fn coordinator(&self, flags: &Flags) -> Result<CoordinatorConfig, ConfigError> {
        let all = checks::coordinators(self.all_coordinators(&flags.coordinators)?)?;
        let id = self.own_id(flags.id, &all)?;
        let own = self.file.coordinators.iter().find(|one| *one.id.get_ref() == id);
        let listed = all.get(&id).map(String::as_str);
        let listen =
            self.get_or_else(own.map(|own| &own.listen), flags.listen.as_deref(), "COORDINATOR_LISTEN", || {
                listed.and_then(checks::authority).unwrap_or_else(|| "127.0.0.1:7400".to_owned())
            })?;
        let url = self.over(None, flags.url.as_deref(), "COORDINATOR_URL")?;
        let url = checks::own_url(url.as_ref(), id, listed)?;
        let data_dir =
            self.get_or_else(own.map(|own| &own.data_dir), flags.data_dir.as_deref(), "COORDINATOR_DATA_DIR", || {
                format!("microtome-data/coordinator-{id}")
            })?;
        let cluster = &self.file.cluster;
        let name = self.get_or(&cluster.name, None, "CLUSTER_NAME", "microtome".to_owned())?;
        let population = self.get_or(&cluster.population, None, "CLUSTER_POPULATION", 2)?;
        let copies = self.get_or(&cluster.copies_max, None, "CLUSTER_COPIES_MAX", 256)?;
        let per_node = self.get_or(&cluster.copies_per_node_max, None, "CLUSTER_COPIES_PER_NODE_MAX", 8)?;
        let heartbeat = self.get_or(&cluster.heartbeat_ms, None, "CLUSTER_HEARTBEAT_MS", 1000)?;
        let unreachable = self.get_or(&cluster.unreachable_after_ms, None, "CLUSTER_UNREACHABLE_AFTER_MS", 3000)?;
        let down = self.get_or(&cluster.down_after_ms, None, "CLUSTER_DOWN_AFTER_MS", 10_000)?;
        checks::timing(&heartbeat, &unreachable, &down)?;
        let auth = self.auth()?;
        Ok(CoordinatorConfig {
            id,
            listen: checks::listen(listen)?,
            url,
            data_dir: PathBuf::from(data_dir.value),
            coordinators: all,
            cluster_name: checks::name(name)?,
            tls: self.tls(auth.is_on())?,
            auth,
            first_password: self.first_password()?,
            heartbeat_ms: heartbeat.value,
            unreachable_after_ms: unreachable.value,
            down_after_ms: down.value,
            population: checks::population(&population)?,
            copies_max: checks::at_least_one("copies_max", &copies)?,
            copies_per_node_max: checks::at_least_one("copies_per_node_max", &per_node)?,
        })
    }

    /// What a node is to run with.
    pub(crate) fn node(&self, flags: &Flags) -> Result<NodeConfig, ConfigError> {
        let node = &self.file.node;
        let listen = self.get_or(&node.listen, flags.listen.as_deref(), "NODE_LISTEN", "127.0.0.1:7500".to_owned())?;
        let url = self.get(&node.url, flags.url.as_deref(), "NODE_URL")?;
        let data_dir =
            self.get_or(&node.data_dir, flags.data_dir.as_deref(), "NODE_DATA_DIR", "microtome-data/node".to_owned())?;
        let name = self.get(&node.name, flags.name.as_deref(), "NODE_NAME")?;
        let zone = self.get(&node.zone, flags.zone.as_deref(), "NODE_ZONE")?;
        let reserve = self.get(&node.reserve, None, "NODE_RESERVE")?;
        let expire_after =
            self.get_or(&node.uploads_expire_after, None, "NODE_UPLOADS_EXPIRE_AFTER", Span(UPLOADS_EXPIRE_AFTER))?;
        let runs_max = self.get_or(&node.runs_max, None, "NODE_RUNS_MAX", 2)?;
        let scrub_rate = self.get_or(&node.scrub_rate, None, "NODE_SCRUB_RATE", Size(SCRUB_RATE))?;
        let scrub_every = self.get_or(&node.scrub_every, None, "NODE_SCRUB_EVERY", Span(SCRUB_EVERY))?;
        let auth = self.auth()?;
        Ok(NodeConfig {
            listen: checks::listen(listen)?,
            url: url.as_ref().map(checks::url).transpose()?,
            data_dir: PathBuf::from(data_dir.value),
            coordinators: self.coordinators_of_node(&flags.coordinators)?,
            name: name.map(checks::name).transpose()?,
            zone: zone.map(checks::name).transpose()?,
            labels: self.labels(&flags.labels)?,
            tls: self.tls(auth.is_on())?,
            auth,
            reserve_bytes: reserve.map(|size: Setting<Size>| size.value.0),
            checks: self.checks()?,
            uploads_expire_after: Some(expire_after.value.0).filter(|after| !after.is_zero()),
            runs_max: checks::runs_max(&runs_max)?,
            scrub_bytes_per_s: scrub_rate.value.0,
            scrub_every: scrub_every.value.0,
        })
    }

    /// How what is uploaded is checked; not at all, where neither a program nor a service is named.
    fn checks(&self) -> Result<Option<CheckConfig>, ConfigError> {
        let written = &self.file.checks;
        let program = self.get(&written.program, None, "CHECKS_PROGRAM")?;
        let url = self.get(&written.url, None, "CHECKS_URL")?;
        let within = self.get_or(&written.within, None, "CHECKS_WITHIN", Span(CHECK_WITHIN))?;
        let at_once = self.get_or(&written.at_once, None, "CHECKS_AT_ONCE", CHECKS_AT_ONCE)?;
        let within = checks::check_within(&within)?;
        let at_once = checks::checks_at_once(&at_once)?;
        if program.is_none() && url.is_none() {
            return Ok(None);
        }
        let url = url.map(checks::check_url).transpose()?;
        let program = program.map(checks::check_program).transpose()?.unwrap_or_default();
        Ok(Some(CheckConfig { program, url, within, at_once }))
    }

    /// The value from the flag, the variable `MICROTOME_…` or the file, in this order.
    fn get<T: Clone + FromText>(
        &self,
        written: &Value<T>,
        flag: Option<&str>,
        variable: &str,
    ) -> Result<Option<Setting<T>>, ConfigError> {
        let written = written
            .as_ref()
            .map(|value| Setting { value: value.get_ref().clone(), place: Some(self.file.place(value)) });
        self.over(written, flag, variable)
    }

    /// The flag or the variable, where there is one, over what was found below.
    fn over<T: FromText>(
        &self,
        below: Option<Setting<T>>,
        flag: Option<&str>,
        variable: &str,
    ) -> Result<Option<Setting<T>>, ConfigError> {
        debug_assert!(VARIABLES.contains(&variable), "{variable} is missing in the list");
        let variable = format!("MICROTOME_{variable}");
        let found = match (flag, self.variables.get(&variable)) {
            (Some(text), _) => Some((format!("'{text}' on the command line"), text)),
            (None, Some(text)) => Some((variable, text.as_str())),
            (None, None) => None,
        };
        let Some((place, text)) = found else { return Ok(below) };
        let value = T::from_text(text).map_err(|what| ConfigError::at(&place, what))?;
        Ok(Some(Setting { value, place: Some(Place(place)) }))
    }

    fn get_or<T: Clone + FromText>(
        &self,
        written: &Value<T>,
        flag: Option<&str>,
        variable: &str,
        default: T,
    ) -> Result<Setting<T>, ConfigError> {
        Ok(self.get(written, flag, variable)?.unwrap_or(Setting { value: default, place: None }))
    }

    fn get_or_else(
        &self,
        written: Option<&Value<String>>,
        flag: Option<&str>,
        variable: &str,
        default: impl FnOnce() -> String,
    ) -> Result<Setting<String>, ConfigError> {
        let found = self.get(written.unwrap_or(&None), flag, variable)?;
        Ok(found.unwrap_or_else(|| Setting { value: default(), place: None }))
    }

    /// Numbers and URLs of all coordinators: from the flags, `MICROTOME_COORDINATORS` or the file.
    fn all_coordinators(&self, flags: &[String]) -> Result<Vec<Listed>, ConfigError> {
        match self.variables.get("MICROTOME_COORDINATORS") {
            _ if !flags.is_empty() => flags.iter().map(|text| Listed::parse(text, "--coordinator")).collect(),
            Some(text) => comma_list(text).iter().map(|one| Listed::parse(one, "MICROTOME_COORDINATORS")).collect(),
            None => {
                let written = self.file.coordinators.iter().map(|one| Listed {
                    id: Setting { value: *one.id.get_ref(), place: Some(self.file.place(&one.id)) },
                    url: Setting { value: one.url.get_ref().clone(), place: Some(self.file.place(&one.url)) },
                });
                Ok(written.collect())
            }
        }
    }

    /// Which of the coordinators this one is.
    fn own_id(&self, flag: Option<CoordinatorId>, all: &BTreeMap<u64, String>) -> Result<CoordinatorId, ConfigError> {
        let flag = flag.map(|id| id.to_string());
        let found: Option<Setting<CoordinatorId>> = self.over(None, flag.as_deref(), "COORDINATOR_ID")?;
        let listed = || all.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match found {
            Some(id) if all.is_empty() || all.contains_key(&id.value) => Ok(id.value),
            Some(id) => {
                Err(id.wrong(format!("there is no coordinator {}: the configuration has {}", id.value, listed())))
            }
            None => match all.first_key_value() {
                None => Ok(1),
                Some((only, _)) if all.len() == 1 => Ok(*only),
                Some(_) => {
                    let what = format!("which of the coordinators {} is this one? Say it with --id", listed());
                    Err(ConfigError(what))
                }
            },
        }
    }

    fn coordinators_of_node(&self, flags: &[String]) -> Result<Vec<String>, ConfigError> {
        let found = match (flags, self.get(&self.file.node.coordinators, None, "NODE_COORDINATORS")?) {
            ([], Some(found)) => found,
            ([], None) => {
                let all = checks::coordinators(self.all_coordinators(&[])?)?;
                let default = || vec!["http://127.0.0.1:7400".to_owned()];
                return Ok(if all.is_empty() { default() } else { all.into_values().collect() });
            }
            (flags, _) => Setting { value: flags.to_vec(), place: Some(Place::new("--coordinator")) },
        };
        if found.value.is_empty() {
            return Err(found.wrong("at least one coordinator's address is needed"));
        }
        let place = found.place;
        found.value.into_iter().map(|value| checks::url(&Setting { value, place: place.clone() })).collect()
    }

    fn labels(&self, flags: &[(String, String)]) -> Result<BTreeMap<String, String>, ConfigError> {
        let found = self.get_or(&self.file.node.labels, None, "NODE_LABELS", BTreeMap::new())?;
        let place = if flags.is_empty() { found.place } else { Some(Place::new("--label")) };
        let mut value = found.value;
        value.extend(flags.iter().cloned());
        checks::labels(Setting { value, place })
    }
}

#[cfg(test)]
mod tests;
