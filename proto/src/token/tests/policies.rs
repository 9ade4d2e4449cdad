//! Who may do what, by the claims.

use super::{forge::*, *};

fn of(policy: Policy, changes: &Value) -> Result<Bearer, Refused> {
    let ring = KeyRing::new(Vec::new(), [policy]).with_provider(0, keys(Forge::shared()));
    ring.check(&Forge::shared().sign(Kind::EdDsa, &claims(changes)), NOW)
}

fn own(changes: &Value) -> Result<Bearer, Refused> {
    let ring = KeyRing::new(vec![Key::from_secret(SECRET).unwrap()], []);
    let mut claims = claims(changes);
    for foreign in ["iss", "aud"] {
        claims.as_object_mut().unwrap().remove(foreign);
    }
    ring.check(&sign_with_secret(SECRET.as_bytes(), "{\"alg\":\"HS256\"}", &claims), NOW)
}

#[test]
fn a_space_makes_an_uploader_by_either_of_its_names() {
    for name in ["space", "goup_path"] {
        for bearer in [of(policy(ISSUER), &json!({ "sub": "bob", name: "lab/a" })), own(&json!({ name: "lab/a" }))] {
            let bearer = bearer.unwrap();
            assert_eq!((bearer.role, bearer.space.as_deref()), (Role::Uploader, Some("lab/a")), "{name}");
        }
        for wrong in [json!(""), json!("x".repeat(256)), json!("a\u{7}"), json!(["lab"]), json!(7)] {
            for refused in [of(policy(ISSUER), &json!({ "sub": "bob", name: wrong })), own(&json!({ name: wrong }))] {
                assert!(matches!(refused, Err(Refused::NoRights(_))), "{name} {wrong}");
            }
        }
    }
    let both = |other: &str| own(&json!({ "space": "lab", "goup_path": other }));
    assert!(both("lab").is_ok());
    assert!(matches!(both("other"), Err(Refused::NoRights(_))));
}

#[test]
fn whoever_is_nobody_here_is_told_so() {
    for refused in
        [of(policy(ISSUER), &json!({ "sub": "bob" })), of(policy(ISSUER), &json!({ "sub": null })), own(&json!({}))]
    {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), crate::Code::NoRights, "{refused}");
        assert!(refused.to_string().contains("goup_path"), "{refused}");
    }
}

/// A policy by which a claim tells what somebody is.
fn by_claim(claim: &str) -> Policy {
    Policy {
        administrators: Vec::new(),
        role_claim: Some(claim.to_owned()),
        administrator_role: Some("microtome-admin".to_owned()),
        member_role: Some("microtome-member".to_owned()),
        ..policy(ISSUER)
    }
}

#[test]
fn administrators_are_those_whom_the_configuration_names() {
    let role = |policy: Policy, changes: &Value| of(policy, changes).map(|bearer| bearer.role).ok();
    let administrator = Some(Role::Administrator);
    for (claim, value) in [
        ("groups", json!({ "groups": ["a", "microtome-admin"] })),
        ("groups", json!({ "groups": "microtome-admin" })),
        ("realm_access.roles", json!({ "realm_access": { "roles": ["microtome-admin"] } })),
        ("https://lab.example/roles", json!({ "https://lab.example/roles": ["microtome-admin"] })),
    ] {
        assert_eq!(role(by_claim(claim), &value), administrator, "{claim} {value}");
    }
    for value in [json!({ "groups": ["other"] }), json!({ "groups": { "microtome-admin": true } }), json!({})] {
        assert_eq!(role(by_claim("groups"), &value), None, "{value}");
    }
    // The same person is none where only the claim counts.
    assert_eq!(role(by_claim("groups"), &json!({ "sub": "ada" })), None);
    let bearer = of(policy(ISSUER), &json!({ "goup_path": "lab" })).unwrap();
    assert_eq!((bearer.role, bearer.space.as_deref()), (Role::Administrator, Some("lab")));
}

#[test]
fn who_reads_in_a_space_is_told_by_the_providers_role() {
    let role = |value: &Value| of(by_claim("groups"), value).map(|bearer| bearer.role);
    assert_eq!(role(&json!({ "goup_path": "lab", "groups": ["microtome-member"] })), Ok(Role::Member));
    assert_eq!(role(&json!({ "goup_path": "lab", "groups": ["other"] })), Ok(Role::Uploader));
    assert_eq!(
        role(&json!({ "goup_path": "lab", "groups": ["microtome-member", "microtome-admin"] })),
        Ok(Role::Administrator)
    );
    // Of which space it is has to be said.
    assert!(matches!(role(&json!({ "groups": ["microtome-member"] })), Err(Refused::NoRights(_))));
}

#[test]
fn the_clusters_own_tokens_are_what_they_say() {
    let role = |changes: &Value| own(changes).map(|bearer| bearer.role);
    assert_eq!(role(&json!({ "role": "server" })), Ok(Role::Server));
    assert_eq!(role(&json!({ "role": "administrator" })), Ok(Role::Administrator));
    assert_eq!(role(&json!({ "role": "uploader", "space": "lab" })), Ok(Role::Uploader));
    assert_eq!(role(&json!({ "role": "member", "space": "lab" })), Ok(Role::Member));
    let user = own(&json!({ "role": "user", "sub": "u-7", "sid": "s-1" })).unwrap();
    assert_eq!((user.role, user.session), (Role::User, Some("s-1".parse().unwrap())));
    let viewer = own(&json!({ "role": "viewer", "material": "m-1" })).unwrap();
    assert_eq!(viewer.material, Some("m-1".parse().unwrap()));
    for wrong in [
        json!({ "role": "king" }),
        json!({ "role": ["administrator"] }),
        json!({ "role": "uploader" }),
        json!({ "role": "member" }),
        json!({ "role": "user", "sub": "u-7" }),
        json!({ "role": "user", "sub": "ada", "sid": "s-1" }),
        json!({ "role": "viewer" }),
        json!({ "role": "viewer", "material": "../x" }),
    ] {
        assert!(matches!(role(&wrong), Err(Refused::NoRights(_))), "{wrong}");
    }
}
