//! Attacks by name, and what must go on working.

mod attacks;
pub(crate) mod forge;
mod keys;
mod policies;

use super::*;
use forge::{Forge, Kind};
use serde_json::{Value, json};

const NOW: u64 = 4_000_000_000;
const SECRET: &str = "a secret of some length";
const ISSUER: &str = "https://login.lab.example";
const OTHER: &str = "https://login.elsewhere.example";

/// A provider whose one administrator is `ada`.
fn policy(issuer: &str) -> Policy {
    Policy {
        issuer: issuer.to_owned(),
        audiences: vec!["microtome".to_owned()],
        administrators: vec!["ada".to_owned()],
        role_claim: None,
        administrator_role: None,
        member_role: None,
    }
}

fn keys(forge: &Forge) -> Vec<Key> {
    Jwks::read(forge.jwks().to_string().as_bytes()).unwrap().keys
}

/// The cluster's secret, [`ISSUER`] with the keys of `forge`, and [`OTHER`] with those of the other.
fn ring(forge: &Forge, other: &Forge) -> KeyRing {
    let own = vec![Key::from_secret(SECRET).unwrap()];
    KeyRing::new(own, [policy(ISSUER), policy(OTHER)]).with_provider(0, keys(forge)).with_provider(1, keys(other))
}

fn claims(changes: &Value) -> Value {
    let mut claims = json!({ "iss": ISSUER, "aud": "microtome", "sub": "ada", "iat": NOW, "exp": NOW + 300 });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

#[test]
fn tokens_of_all_kinds_are_taken() {
    let (forge, other) = (Forge::shared(), Forge::other());
    let ring = ring(forge, other);
    for kind in [Kind::Rs256, Kind::Es256, Kind::EdDsa] {
        let bearer = ring.check(&forge.sign(kind, &claims(&json!({}))), NOW).unwrap();
        assert_eq!((bearer.role, bearer.name.as_str()), (Role::Administrator, "ada"), "{kind:?}");
        let theirs = claims(&json!({ "iss": OTHER }));
        assert!(ring.check(&other.sign(kind, &theirs), NOW).is_ok(), "{kind:?}");
    }
    let own = Signer::from_secret(SECRET).unwrap().sign(&Claims::new("node n-1", Role::Server, NOW, 60)).unwrap();
    assert_eq!(ring.check(&own, NOW).unwrap().role, Role::Server);
}
