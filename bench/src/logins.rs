//! Logging in, and asking as somebody who has: what a coordinator brings through of either, beside the hash of a password
//! alone, which a login cannot go below.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version, password_hash::SaltString};
use clap::Args;
use microtome_proto::account::{LoggedIn, Login};
use serde::Serialize;

use crate::Common;
use crate::fleet::{self, ANYWHERE};
use crate::load::{self, Seen};
use crate::report::{self, note};
use crate::stats::Spread;

const SECRET: &str = "a secret for one benchmark";
const NAME: &str = "admin";
const PASSWORD: &str = "correct horse battery staple";
/// How long the first user may take to be there.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Memory in KiB, passes and lanes, as coordinators have them.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);

#[derive(Debug, Args)]
pub(crate) struct Logins {
    /// Numbers of connections
    #[arg(long, default_values_t = [1, 8], value_delimiter = ',', value_name = "N,…",
          value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: Vec<u16>,
    /// How long each measurement takes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    #[command(flatten)]
    common: Common,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// `POST /v1/login`.
    Login,
    /// `GET /v1/me`, with the token of a login.
    Me,
    /// `GET /v1/materials` with it: a list that is empty.
    List,
}

const ALL: [What; 3] = [What::Login, What::Me, What::List];

#[derive(Debug, Serialize)]
struct Measurement {
    what: What,
    connections: u16,
    round: u32,
    per_s: f64,
    cpu_s_per_1000: f64,
    seen: Seen,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Milliseconds for one hash, on one thread, of each round.
    hash_ms: Vec<f64>,
    measurements: Vec<Measurement>,
}

pub(crate) async fn run(options: &Logins) -> anyhow::Result<()> {
    let (program, temporary) = (options.common.program()?, options.common.temporary()?);
    let password = temporary.path().join("password");
    fs::write(&password, PASSWORD)?;
    let server = fleet::start(&program, "coordinator", ANYWHERE, temporary.path(), |command| {
        command.env("MICROTOME_AUTH_SECRET", SECRET).env("MICROTOME_AUTH_FIRST_PASSWORD_FILE", &password);
        command.arg("coordinator")
    })?;
    let address = server.address()?;
    let login = login(address)?;
    ready(address, &login).await?;
    let mut report = Report { hash_ms: Vec::new(), measurements: Vec::new() };
    for round in 0..options.common.rounds {
        note(&format!("round {} of {}", round + 1, options.common.rounds));
        report.hash_ms.push(tokio::task::spawn_blocking(hash_ms).await??);
        for &connections in &options.connections {
            for what in ALL {
                // A user has so many logins: the measurement of logins ends those before it.
                let token = ready(address, &login).await?;
                let request = match what {
                    What::Login => login.clone(),
                    What::Me => get(address, "/v1/me", &token),
                    What::List => get(address, "/v1/materials", &token),
                };
                let (requests, time) = (Arc::new(vec![request]), Duration::from_secs(options.seconds));
                let before = server.process.usage()?;
                let asked = move || load::run(address, &requests, 0..usize::MAX, usize::from(connections), time);
                let seen = tokio::task::spawn_blocking(asked).await??;
                let cpu_s = server.process.usage()?.cpu_s - before.cpu_s;
                let (per_s, cpu_s_per_1000) =
                    (seen.requests as f64 / seen.seconds, cpu_s / seen.requests.max(1) as f64 * 1000.0);
                report.measurements.push(Measurement { what, connections, round, per_s, cpu_s_per_1000, seen });
            }
        }
    }
    show(&report, options.common.json)
}

fn login(address: SocketAddr) -> anyhow::Result<Vec<u8>> {
    let body = serde_json::to_string(&Login {
        name: NAME.to_owned(),
        password: microtome_proto::account::Confidential(PASSWORD.to_owned()),
    })?;
    let head = format!(
        "POST /v1/login HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Ok(format!("{head}{body}").into_bytes())
}

fn get(address: SocketAddr, path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// Waits until the first user can log in; an access token of theirs.
async fn ready(address: SocketAddr, login: &[u8]) -> anyhow::Result<String> {
    let started = Instant::now();
    loop {
        let request = login.to_vec();
        let answer = tokio::task::spawn_blocking(move || load::once(address, &request)).await?;
        match answer.ok().and_then(|answer| serde_json::from_slice::<LoggedIn>(&answer).ok()) {
            Some(logged_in) => return Ok(logged_in.access_token.0),
            None if started.elapsed() > READY_WITHIN => bail!("nobody can log in"),
            None => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// One hash of a password, by the parameters of the coordinators.
fn hash_ms() -> anyhow::Result<f64> {
    const HASHES: u32 = 8;
    let (memory, passes, lanes) = PARAMETERS;
    let parameters = Params::new(memory, passes, lanes, None).ok().context("the parameters of the hash")?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let salt = SaltString::encode_b64(&[7; 16]).ok().context("the salt of the hash")?;
    let started = Instant::now();
    for _ in 0..HASHES {
        argon2.hash_password(PASSWORD.as_bytes(), &salt).ok().context("the hash")?;
    }
    Ok(started.elapsed().as_secs_f64() * 1000.0 / f64::from(HASHES))
}

fn show(report: &Report, is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return report::json(report);
    }
    let spread = |values: &mut dyn Iterator<Item = f64>, digits| {
        Spread::of(values).map_or_else(|| "–".to_owned(), |spread| spread.show(digits))
    };
    let mut rows =
        vec![vec!["one hash alone, ms".to_owned(), String::new(), spread(&mut report.hash_ms.iter().copied(), 1)]];
    let mut connections: Vec<u16> = report.measurements.iter().map(|one| one.connections).collect();
    connections.sort_unstable();
    connections.dedup();
    for what in ALL {
        let name = match what {
            What::Login => "logins/s",
            What::Me => "GET /v1/me, by a login's token",
            What::List => "GET /v1/materials, by a login's token",
        };
        for &connections in &connections {
            let of =
                || report.measurements.iter().filter(move |one| one.what == what && one.connections == connections);
            rows.push(vec![
                name.to_owned(),
                connections.to_string(),
                spread(&mut of().map(|one| one.per_s), 0),
                spread(&mut of().map(|one| one.seen.p50_ms), 2),
                spread(&mut of().map(|one| one.seen.p99_ms), 2),
                spread(&mut of().map(|one| one.cpu_s_per_1000), 3),
            ]);
        }
    }
    rows.iter_mut().for_each(|row| row.resize(6, String::new()));
    report::table(&["what", "connections", "per s", "p50 ms", "p99 ms", "CPU s/1000"], rows)
}
