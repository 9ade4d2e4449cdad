//! What the check of a token costs: the first time, when its signature is proven, and from then on, when it is remembered.
//! Beside it the library's own check, which every server that uses it as it comes pays for each request.

use crate::{
    forge::{Forge, Kind, sign_with_secret},
    report,
};
use clap::Args;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::Jwk};
use microtome_proto::token::{Checker, Jwks, Key, KeyRing, Policy, now_s};
use serde::Serialize;
use serde_json::{Value, json};
use std::{hint::black_box, time::Instant};

const SECRET: &str = "a secret of some length";
const ISSUER: &str = "https://login.lab.example";

/// What the check of a token costs.
#[derive(Debug, Args)]
pub(crate) struct Tokens {
    /// How often everything is measured; the best counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Checks in a measurement of what is remembered; a thousandth of them of what is proven
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000_000))]
    checks: u32,
    /// Results as JSON
    #[arg(long)]
    json: bool,
}

/// Nanoseconds for one check.
#[derive(Debug, Serialize)]
struct Cost {
    algorithm: &'static str,
    token_bytes: usize,
    first_ns: f64,
    remembered_ns: f64,
    library_ns: f64,
}

/// Measures each algorithm in turn.
pub(crate) fn run(options: &Tokens) -> anyhow::Result<()> {
    let mut costs = vec![of_secret(options)?];
    for kind in Kind::ALL {
        costs.push(of_provider(options, kind)?);
    }
    if options.json {
        return report::json(&costs);
    }
    let row = |cost: &Cost| {
        let ratio = cost.library_ns / cost.remembered_ns;
        let first = cost.first_ns / cost.library_ns;
        vec![
            cost.algorithm.to_owned(),
            cost.token_bytes.to_string(),
            format!("{:.0}", cost.first_ns),
            format!("{:.0}", cost.remembered_ns),
            format!("{:.0}", cost.library_ns),
            format!("{first:.2}"),
            format!("{ratio:.0}"),
        ]
    };
    let header =
        ["algorithm", "bytes", "first ns", "remembered ns", "jsonwebtoken ns", "first / it", "it / remembered"];
    report::table(&header, costs.iter().map(row).collect())
}

fn claims() -> Value {
    let now = now_s();
    json!({ "iss": ISSUER, "aud": "microtome", "sub": "ada", "iat": now, "exp": now + 86_400, "scope": "openid email" })
}

fn of_secret(options: &Tokens) -> anyhow::Result<Cost> {
    let mut claims = claims();
    claims["role"] = json!("administrator");
    claims.as_object_mut().map(|all| all.remove("aud"));
    let token = sign_with_secret(SECRET.as_bytes(), "{\"typ\":\"JWT\",\"alg\":\"HS256\"}", &claims);
    let ring = KeyRing::new(vec![Key::from_secret(SECRET)?], []);
    measure(options, ("HS256", Algorithm::HS256), &token, ring, &DecodingKey::from_secret(SECRET.as_bytes()))
}

fn of_provider(options: &Tokens, kind: Kind) -> anyhow::Result<Cost> {
    let forge = Forge::shared();
    let policy = Policy {
        issuer: ISSUER.to_owned(),
        audiences: vec!["microtome".to_owned()],
        administrators: vec!["ada".to_owned()],
        role_claim: None,
        administrator_role: None,
        member_role: None,
    };
    let keys = Jwks::read(forge.jwks().to_string().as_bytes())?.keys;
    let ring = KeyRing::new(Vec::new(), [policy]).with_provider(0, keys);
    let decoding = DecodingKey::from_jwk(&serde_json::from_value::<Jwk>(forge.jwk(kind))?)?;
    measure(options, (kind.name(), kind.algorithm()), &forge.sign(kind, &claims()), ring, &decoding)
}

fn measure(
    options: &Tokens,
    (name, algorithm): (&'static str, Algorithm),
    token: &str,
    ring: KeyRing,
    decoding: &DecodingKey,
) -> anyhow::Result<Cost> {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["microtome"]);
    validation.validate_aud = algorithm != Algorithm::HS256;
    let checker = Checker::new(ring);
    // All are right about it before any is timed.
    checker.check(token, now_s())?;
    jsonwebtoken::decode::<Value>(token, decoding, &validation)?;
    let few = (options.checks / 1000).max(1);
    let mut cost = Cost {
        algorithm: name,
        token_bytes: token.len(),
        first_ns: f64::MAX,
        remembered_ns: f64::MAX,
        library_ns: f64::MAX,
    };
    for _ in 0..options.rounds {
        let first = time(few, || checker.ring().check(black_box(token), now_s()).is_ok());
        let remembered = time(options.checks, || checker.check(black_box(token), now_s()).is_ok());
        let library = time(few, || jsonwebtoken::decode::<Value>(black_box(token), decoding, &validation).is_ok());
        cost.first_ns = cost.first_ns.min(first);
        cost.remembered_ns = cost.remembered_ns.min(remembered);
        cost.library_ns = cost.library_ns.min(library);
    }
    Ok(cost)
}

/// Nanoseconds of one of so many.
fn time(count: u32, mut check: impl FnMut() -> bool) -> f64 {
    let begin = Instant::now();
    for _ in 0..count {
        black_box(check());
    }
    begin.elapsed().as_nanos() as f64 / f64::from(count)
}
