//! Which keys are taken, and their rotation.

use super::{forge::*, *};

fn read(keys: &[Value]) -> Jwks {
    Jwks::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn changed(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

#[test]
fn keys_that_are_for_something_else_are_left_out() {
    let forge = Forge::shared();
    let rsa = forge.jwk(Kind::Rs256);
    let short = "x".repeat(172);
    for (jwk, why) in [
        (changed(rsa.clone(), "use", json!("enc")), "not for signatures"),
        (changed(rsa.clone(), "key_ops", json!(["encrypt", "wrapKey"])), "not for checking"),
        (changed(rsa.clone(), "alg", json!("PS256")), "only RS256"),
        (changed(rsa.clone(), "alg", json!("HS256")), "only RS256"),
        (changed(rsa.clone(), "n", json!(short)), "2048 to 8192 bits"),
        (changed(rsa.clone(), "n", json!("A".repeat(342))), "2048 to 8192 bits"),
        (changed(rsa.clone(), "n", Value::Null), "missing"),
        (changed(rsa.clone(), "n", json!("+/+/")), "base64url"),
        (changed(rsa.clone(), "e", json!("AQ")), "exponent"),
        (changed(rsa, "kid", json!("k".repeat(300))), "key id"),
        (changed(forge.jwk(Kind::Es256), "crv", json!("P-384")), "are taken"),
        (changed(forge.jwk(Kind::Es256), "x", json!("AAAA")), "32 bytes"),
        (changed(forge.jwk(Kind::EdDsa), "x", json!("AAAA")), "32 bytes"),
        (changed(forge.jwk(Kind::EdDsa), "crv", json!("X25519")), "are taken"),
        (json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "s" }), "no public key"),
        (json!({ "kid": "x" }), "no form"),
        (json!("nonsense"), "no form"),
    ] {
        let set = read(&[jwk.clone(), forge.jwk(Kind::Es256)]);
        assert_eq!(set.keys.len(), 1, "{jwk}");
        assert!(set.left_out[0].starts_with("key 1: ") && set.left_out[0].contains(why), "{:?}", set.left_out);
    }
    let twice = read(&[forge.jwk(Kind::Es256), forge.jwk(Kind::Es256)]);
    assert_eq!((twice.keys.len(), twice.left_out.len()), (1, 1));
    assert!(Jwks::read(b"{\"keys\":[]}").unwrap().keys.is_empty());
}

#[test]
fn what_is_no_set_of_keys_is_refused_as_a_whole() {
    let private = changed(Forge::shared().jwk(Kind::EdDsa), "d", json!("secret"));
    let many = vec![Forge::shared().jwk(Kind::EdDsa); JWKS_KEYS_MAX + 1];
    for (text, why) in [
        ("<html>".to_owned(), "no JWKS"),
        ("{}".to_owned(), "no JWKS"),
        ("{\"keys\":{}}".to_owned(), "no JWKS"),
        (json!({ "keys": [private] }).to_string(), "private"),
        (json!({ "keys": many }).to_string(), "at most"),
        (format!("{{\"keys\":[]}}{}", " ".repeat(JWKS_LEN_MAX)), "at most"),
    ] {
        let error = Jwks::read(text.as_bytes()).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_token_without_a_key_id_is_taken_only_where_there_is_no_choice() {
    let (forge, other) = (Forge::shared(), Forge::other());
    let named = json!({ "alg": "ES256" }).to_string();
    let token = forge.sign_as(Kind::Es256, &named, &claims(&json!({})));
    let alone = ring(forge, other);
    assert!(alone.check(&token, NOW).is_ok());
    let both: Vec<Key> = keys(forge).into_iter().chain(keys(other)).collect();
    let ring = alone.with_provider(0, both);
    assert_eq!(ring.check(&token, NOW), Err(Refused::UnknownKey { provider: Some(0) }));
    assert!(ring.check(&forge.sign(Kind::Es256, &claims(&json!({}))), NOW).is_ok());
}

#[test]
fn a_provider_that_was_never_heard_of_is_another_thing_than_a_wrong_key() {
    let forge = Forge::shared();
    let unheard = KeyRing::new(vec![Key::from_secret(SECRET).unwrap()], [policy(ISSUER)]);
    let token = forge.sign(Kind::Es256, &claims(&json!({})));
    let refused = unheard.check(&token, NOW).unwrap_err();
    assert_eq!((refused.clone(), refused.code()), (Refused::KeysNotThere { provider: 0 }, crate::Code::NotReady));
    let empty = unheard.with_provider(0, Vec::new());
    assert_eq!(empty.check(&token, NOW), Err(Refused::UnknownKey { provider: Some(0) }));
}

/// First all take both secrets, then all sign with the new one, then nobody takes the old one any more.
#[test]
fn a_secret_is_rotated_without_a_gap() {
    let [old, new] = ["the secret before this", "the secret after that"];
    let stage = |secret: &str, previous: Option<&str>| Settings {
        previous_secret: previous.map(Secret::new),
        ..Settings::of_secret(secret)
    };
    let stages = [stage(old, None), stage(old, Some(new)), stage(new, Some(old)), stage(new, None)];
    let sign = |settings: &Settings| {
        settings.signer().unwrap().unwrap().sign(&Claims::new("node n-1", Role::Server, NOW, 60)).unwrap()
    };
    // Servers are restarted one after another: neighbours in time understand each other.
    for pair in stages.windows(2) {
        for (one, other) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            assert_eq!(other.ring().unwrap().check(&sign(one), NOW).unwrap().role, Role::Server);
        }
    }
    assert_eq!(stages[3].ring().unwrap().check(&sign(&stages[0]), NOW), Err(Refused::Signature));
}

#[test]
fn the_clusters_own_key_signs_in_the_secrets_place_and_is_rotated_by_its_id() {
    let (before, after) = (Forge::ed25519_pem(), Forge::ed25519_pem());
    let settings = |pem: &str| Settings { signing_key: Some(Secret::new(pem)), ..Settings::of_secret(SECRET) };
    let signer = |pem: &str| settings(pem).signer().unwrap().unwrap();
    let sign = |signer: &Signer| signer.sign(&Claims::new("node n-1", Role::Server, NOW, 60)).unwrap();
    let (old, new) = (signer(&before), signer(&after));
    assert!(sign(&old).starts_with(&encoded("{\"typ\":\"JWT\",\"alg\":\"EdDSA\",\"kid\":\"")[..30]));
    let public = |signer: &Signer| Jwks::read(signer.jwks().unwrap().to_string().as_bytes()).unwrap().keys;
    assert_eq!(public(&old)[0].id, old.key().id);
    let ring = settings(&before).ring().unwrap();
    assert_eq!(ring.check(&sign(&old), NOW).unwrap().role, Role::Server);
    assert_eq!(ring.check(&sign(&new), NOW), Err(Refused::UnknownKey { provider: None }));
    // What was signed by the secret is still taken.
    assert!(ring.check(&sign(&Signer::from_secret(SECRET).unwrap()), NOW).is_ok());
    let both = ring.with_own(settings(&before).own_keys().unwrap().into_iter().chain(public(&new)).collect());
    assert!(both.check(&sign(&old), NOW).is_ok() && both.check(&sign(&new), NOW).is_ok());
    assert!(Signer::from_secret(SECRET).unwrap().jwks().is_none());
}

/// The key of RFC 8037, appendix A, which tells its public half and its thumbprint, too.
#[test]
fn a_keys_id_is_its_thumbprint() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let signer = Signer::from_pem(pem).unwrap();
    assert_eq!(signer.key().id.as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    assert_eq!(signer.jwks().unwrap()["keys"][0]["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
}

#[test]
fn settings_that_cannot_work_are_refused_with_a_way_out() {
    let refusal = |settings: Settings| settings.check().unwrap_err().to_string();
    assert!(refusal(Settings::of_secret("short")).contains("openssl rand"));
    assert!(refusal(Settings { signing_key: Some(Secret::new("no key")), ..Settings::default() }).contains("genpkey"));
    let at = |url: &str| Provider { policy: policy(ISSUER), keys: KeysAt::Url(url.to_owned()) };
    let with = |url: &str| Settings { providers: vec![at(url)], ..Settings::of_secret(SECRET) };
    for url in ["http://login.lab.example/keys", "ftp://x/y", "https://", "nonsense", "https://a:b@login/keys"] {
        assert!(refusal(with(url)).contains("https://HOST/PATH"), "{url}");
    }
    for url in ["https://login.lab.example/keys", "http://127.0.0.1:8080/keys", "http://[::1]/", "http://localhost:1"] {
        assert_eq!(with(url).check(), Ok(()), "{url}");
    }
    assert!(
        refusal(Settings { secret: None, ..with("https://login/keys") }).contains("'secret' or 'signing_key_file'")
    );
    assert!(!format!("{:?}", Settings::of_secret(SECRET)).contains("a secret"));
}
