//! Attacks, each by its name.

use super::{forge::*, *};

/// What a ring with the keys of two providers and a secret says of a token.
fn refused(token: &str) -> Refused {
    ring(Forge::shared(), Forge::other()).check(token, NOW).unwrap_err()
}

fn header(value: &Value) -> String {
    value.to_string()
}

#[test]
fn no_algorithm_is_no_signature() {
    let forge = Forge::shared();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let message =
            format!("{}.{}", encoded(&header(&json!({ "alg": none }))), encoded(&claims(&json!({})).to_string()));
        assert_eq!(refused(&format!("{message}.")), Refused::Algorithm, "{none}");
        let (_, signature) = forge
            .sign(Kind::EdDsa, &claims(&json!({})))
            .rsplit_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert_eq!(refused(&format!("{message}.{signature}")), Refused::Algorithm, "{none}");
    }
    // Claims with the cluster's own role and no issuer, unsigned.
    let own = json!({ "sub": "x", "role": "server", "iat": NOW, "exp": NOW + 60 });
    let message = format!("{}.{}", encoded(&header(&json!({ "alg": "none" }))), encoded(&own.to_string()));
    assert_eq!(refused(&format!("{message}.")), Refused::Algorithm);
    let empty = format!("{}.{}.", encoded(&header(&json!({ "alg": "HS256" }))), encoded(&own.to_string()));
    assert_eq!(refused(&empty), Refused::Signature);
}

/// The classic: a public key, which everybody has, is used as the secret of HS256.
#[test]
fn a_public_key_is_no_secret() {
    let forge = Forge::shared();
    for kind in Kind::ALL {
        let jwk = forge.jwk(kind);
        let part = |name: &str| jwk[name].as_str().map(|text| text.as_bytes().to_vec());
        let raw = |name: &str| {
            use base64::Engine as _;
            jwk[name].as_str().map(|text| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap())
        };
        let secrets = [part("n"), part("x"), raw("n"), raw("x"), Some(jwk.to_string().into_bytes())];
        for secret in secrets.into_iter().flatten() {
            for kid in [json!(forge.id(kind)), Value::Null] {
                let named = header(&json!({ "alg": "HS256", "kid": kid }));
                let token = sign_with_secret(&secret, &named, &claims(&json!({})));
                assert_eq!(refused(&token), Refused::UnknownKey { provider: Some(0) }, "{kind:?}");
                let own = json!({ "sub": "x", "role": "server", "iat": NOW, "exp": NOW + 60 });
                assert_eq!(refused(&sign_with_secret(&secret, &named, &own)), Refused::Signature, "{kind:?}");
            }
        }
    }
}

#[test]
fn a_key_has_one_algorithm_whatever_the_token_says() {
    let forge = Forge::shared();
    for kind in Kind::ALL {
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            // The right id with the wrong algorithm, and the wrong id with the right one.
            let named = header(&json!({ "alg": other.name(), "kid": forge.id(kind) }));
            let token = forge.sign_as(kind, &named, &claims(&json!({})));
            assert_eq!(refused(&token), Refused::UnknownKey { provider: Some(0) }, "{kind:?} as {other:?}");
            let named = header(&json!({ "alg": other.name(), "kid": forge.id(other) }));
            let token = forge.sign_as(kind, &named, &claims(&json!({})));
            assert_eq!(refused(&token), Refused::Signature, "{kind:?} as {other:?}");
        }
    }
    for foreign in ["HS384", "HS512", "RS384", "RS512", "PS256", "ES384", "ES256K", "hs256", "dir"] {
        let named = header(&json!({ "alg": foreign, "kid": forge.id(Kind::Rs256) }));
        assert_eq!(refused(&forge.sign_as(Kind::Rs256, &named, &claims(&json!({})))), Refused::Algorithm, "{foreign}");
    }
}

#[test]
fn a_provider_signs_for_itself_alone() {
    let (forge, other) = (Forge::shared(), Forge::other());
    for kind in Kind::ALL {
        // The other's key under its own id, and under ours.
        let token = other.sign(kind, &claims(&json!({})));
        assert_eq!(refused(&token), Refused::UnknownKey { provider: Some(0) }, "{kind:?}");
        let named = header(&json!({ "alg": kind.name(), "kid": forge.id(kind) }));
        assert_eq!(refused(&other.sign_as(kind, &named, &claims(&json!({})))), Refused::Signature, "{kind:?}");
        // A provider's key signs nothing for the cluster itself, nor for a stranger.
        for iss in [Value::Null, json!("microtome"), json!("https://evil.example"), json!([ISSUER]), json!("")] {
            let token = forge.sign(kind, &claims(&json!({ "iss": iss, "role": "server" })));
            assert_eq!(refused(&token), Refused::UnknownKey { provider: None }, "{kind:?} {iss}");
        }
        // Nearly its name is not its name.
        for iss in [format!("{ISSUER}/"), ISSUER.to_uppercase(), format!(" {ISSUER}")] {
            let token = forge.sign(kind, &claims(&json!({ "iss": iss })));
            assert_eq!(refused(&token), Refused::UnknownKey { provider: None }, "{kind:?} {iss}");
        }
    }
    // The cluster's secret signs nothing for a provider.
    let token = sign_with_secret(SECRET.as_bytes(), &header(&json!({ "alg": "HS256" })), &claims(&json!({})));
    assert_eq!(refused(&token), Refused::UnknownKey { provider: Some(0) });
}

#[test]
fn a_provider_never_speaks_for_a_server() {
    let forge = Forge::shared();
    let ring = ring(forge, Forge::other());
    let bearer = ring.check(&forge.sign(Kind::Es256, &claims(&json!({ "role": "server" }))), NOW).unwrap();
    assert_eq!(bearer.role, Role::Administrator);
    for role in ["server", "administrator", "viewer"] {
        let token = forge.sign(Kind::Es256, &claims(&json!({ "sub": "bob", "role": role, "material": "m-1" })));
        assert!(matches!(ring.check(&token, NOW), Err(Refused::NoRights(_))), "{role}");
        let token = forge.sign(Kind::Es256, &claims(&json!({ "sub": "bob", "role": role, "space": "lab" })));
        assert_eq!(ring.check(&token, NOW).unwrap().role, Role::Uploader, "{role}");
    }
}

#[test]
fn another_audience_is_another_audience() {
    let forge = Forge::shared();
    let ring = ring(forge, Forge::other());
    let of = |aud: Value| ring.check(&forge.sign(Kind::EdDsa, &claims(&json!({ "aud": aud }))), NOW);
    for wrong in
        [json!("other"), json!(["other", "others"]), json!([]), json!([["microtome"]]), json!({ "microtome": 1 })]
    {
        assert_eq!(of(wrong.clone()), Err(Refused::Audience), "{wrong}");
    }
    assert_eq!(of(Value::Null), Err(Refused::Audience));
    assert!(of(json!(["other", "microtome"])).is_ok());
    // A token of the cluster's own secret that was made for somebody else.
    let own = json!({ "sub": "x", "role": "administrator", "iat": NOW, "exp": NOW + 60, "aud": "other" });
    let token = sign_with_secret(SECRET.as_bytes(), &header(&json!({ "alg": "HS256" })), &own);
    assert_eq!(ring.check(&token, NOW), Err(Refused::Audience));
}

#[test]
fn the_past_and_the_future_have_a_leeway_and_no_more() {
    let forge = Forge::shared();
    let ring = ring(forge, Forge::other());
    let of = |changes: Value| ring.check(&forge.sign(Kind::EdDsa, &claims(&changes)), NOW).map(|_| ());
    let ends = |exp: u64| json!({ "iat": NOW - 600, "exp": exp });
    assert_eq!(of(ends(NOW - LEEWAY_S)), Err(Refused::Expired(30)));
    assert_eq!(of(ends(NOW - LEEWAY_S + 1)), Ok(()));
    for claim in ["iat", "nbf"] {
        assert_eq!(of(json!({ claim: NOW + LEEWAY_S + 1 })), Err(Refused::Early(31)), "{claim}");
        assert_eq!(of(json!({ claim: NOW + LEEWAY_S })), Ok(()), "{claim}");
    }
    assert_eq!(of(json!({ "iat": null })), Ok(()));
    assert_eq!(of(json!({ "exp": (NOW + 60) as f64 + 0.5 })), Ok(()));
    for exp in [Value::Null, json!("never"), json!(-1), json!(1e300), json!([NOW])] {
        assert!(matches!(of(json!({ "exp": exp })), Err(Refused::Malformed(_))), "{exp}");
    }
    assert_eq!(Refused::Expired(5).code(), crate::Code::TokenExpired);
}

#[test]
fn a_huge_token_is_not_looked_at() {
    let forge = Forge::shared();
    let token = forge.sign(Kind::EdDsa, &claims(&json!({ "padding": "x".repeat(TOKEN_LEN_MAX) })));
    assert_eq!(refused(&token), Refused::TooLong);
    assert_eq!(refused(&"a".repeat(64 << 20)), Refused::TooLong);
    let deep = format!("{}.{}.x", encoded("{\"alg\":\"HS256\"}"), encoded(&"[".repeat(5_000)));
    assert!(matches!(refused(&deep), Refused::Malformed(_)));
}

#[test]
fn a_header_that_says_a_thing_twice_or_nonsense_is_refused() {
    let forge = Forge::shared();
    let kid = forge.id(Kind::EdDsa);
    for header in [
        format!("{{\"alg\":\"EdDSA\",\"alg\":\"none\",\"kid\":\"{kid}\"}}"),
        format!("{{\"alg\":\"none\",\"alg\":\"EdDSA\",\"kid\":\"{kid}\"}}"),
        format!("{{\"alg\":\"EdDSA\",\"kid\":\"other\",\"kid\":\"{kid}\"}}"),
        format!("{{\"alg\":\"EdDSA\",\"kid\":\"{kid}\",\"crit\":[\"exp\"]}}"),
        format!("{{\"alg\":\"EdDSA\",\"kid\":\"{kid}\"}} x"),
        format!("{{\"alg\":[\"EdDSA\"],\"kid\":\"{kid}\"}}"),
        "{\"alg\":\"EdDSA\",\"kid\":7}".to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
        "EdDSA".to_owned(),
        String::new(),
    ] {
        assert!(
            matches!(refused(&forge.sign_as(Kind::EdDsa, &header, &claims(&json!({})))), Refused::Malformed(_)),
            "{header}"
        );
    }
    let good = forge.sign(Kind::EdDsa, &claims(&json!({})));
    for garbage in ["", ".", "..", "...", "a.b", "a.b.c.d", "é.é.é", &good.replace('.', "_"), &format!("{good}.x")] {
        assert!(matches!(refused(garbage), Refused::Malformed(_)), "{garbage}");
    }
    // A key that the token brings along is nobody's.
    let named =
        header(&json!({ "alg": "EdDSA", "jwk": Forge::other().jwk(Kind::EdDsa), "jku": "https://evil.example" }));
    assert_eq!(refused(&Forge::other().sign_as(Kind::EdDsa, &named, &claims(&json!({})))), Refused::Signature);
}

#[test]
fn a_changed_token_is_no_token() {
    let forge = Forge::shared();
    let ring = ring(forge, Forge::other());
    for kind in Kind::ALL {
        let token = forge.sign(kind, &claims(&json!({ "sub": "bob", "space": "lab" })));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        let changed = format!("{header}.{}.{signature}", encoded(&claims(&json!({})).to_string()));
        assert_eq!(ring.check(&changed, NOW), Err(Refused::Signature), "{kind:?}");
        for cut in ["", "AAAA", &signature[..signature.len() - 4]] {
            assert_eq!(ring.check(&format!("{message}.{cut}"), NOW), Err(Refused::Signature), "{kind:?} {cut}");
        }
    }
}

#[test]
fn no_refusal_repeats_the_token() {
    let forge = Forge::shared();
    let marked = "c2VjcmV0LW1hcms";
    for token in [
        marked.to_owned(),
        format!("{marked}.{marked}.{marked}"),
        forge.sign_as(Kind::EdDsa, &header(&json!({ "alg": marked, "kid": marked })), &claims(&json!({}))),
        forge.sign_as(
            Kind::EdDsa,
            &header(&json!({ "alg": "EdDSA", "kid": marked })),
            &claims(&json!({ "sub": marked })),
        ),
        forge.sign(Kind::EdDsa, &claims(&json!({ "sub": "bob", "space": [marked], "exp": NOW + 10 }))),
    ] {
        let refused = refused(&token);
        assert!(!format!("{refused} {refused:?}").contains(marked), "{refused}");
    }
}
