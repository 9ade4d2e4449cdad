//! Keys of identity providers: fetched, kept, rotated, and not had.

use super::{
    forge::{Forge, Kind},
    provider::{Does, Fake},
    *,
};
use axum::http::StatusCode;
use microtome_proto::token::{KeysAt, Policy, Provider};
use serde_json::json;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const ISSUER: &str = "https://login.lab.example";
const HOUR: Duration = Duration::from_secs(3600);

fn auth(fake: &Fake, pace: Pace) -> Auth {
    Auth::paced(&settings(KeysAt::Url(fake.url.clone())), pace).unwrap()
}

fn settings(keys: KeysAt) -> Settings {
    let policy = Policy {
        issuer: ISSUER.to_owned(),
        audiences: vec!["microtome".to_owned()],
        administrators: vec!["ada".to_owned()],
        role_claim: None,
        administrator_role: None,
        member_role: None,
    };
    Settings { providers: vec![Provider { policy, keys }], ..Settings::of_secret(SECRET) }
}

/// Nothing happens by itself, and a missing key is asked for each time.
fn eager() -> Pace {
    Pace { every: HOUR, again_after: Duration::ZERO, within: Duration::from_secs(10), files_every: HOUR }
}

/// As in service: a missing key is not asked for twice.
fn calm() -> Pace {
    Pace { again_after: HOUR, ..eager() }
}

fn token_of(forge: &Forge, kind: Kind) -> String {
    let (iat, aud) = (now_s(), "microtome");
    forge.sign(kind, &json!({ "iss": ISSUER, "aud": aud, "sub": "ada", "iat": iat, "exp": iat + 300 }))
}

#[tokio::test]
async fn a_providers_keys_are_fetched_when_the_first_token_comes() {
    let fake = Fake::start(Does::Tells(Forge::shared().jwks())).await;
    let auth = auth(&fake, calm());
    for kind in Kind::ALL {
        assert_eq!(code(&auth, &token_of(Forge::shared(), kind)).await, None, "{kind:?}");
    }
    assert_eq!(fake.asked(), 1);
}

/// Whoever makes up key ids must not have the provider asked for each of them.
#[tokio::test]
async fn keys_that_were_made_up_are_no_storm() {
    let fake = Fake::start(Does::Tells(Forge::shared().jwks())).await;
    let auth = auth(&fake, calm());
    assert_eq!(code(&auth, &token_of(Forge::shared(), Kind::EdDsa)).await, None);
    for _ in 0..50 {
        assert_eq!(code(&auth, &token_of(Forge::other(), Kind::EdDsa)).await, Some(Code::Unauthorized));
    }
    assert_eq!(fake.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_come_at_once_wait_for_one_answer() {
    let fake = Fake::start(Does::Tells(Forge::shared().jwks())).await;
    let auth = auth(&fake, calm());
    let token = token_of(Forge::shared(), Kind::EdDsa);
    let asking = (0..20).map(|_| {
        let (auth, token) = (auth.clone(), token.clone());
        tokio::spawn(async move { code(&auth, &token).await })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), None);
    }
    assert_eq!(fake.asked(), 1);
}

#[tokio::test]
async fn a_provider_rotates_its_keys_without_a_gap() {
    let (old, new) = (Forge::shared(), Forge::other());
    let fake = Fake::start(Does::Tells(old.jwks())).await;
    let auth = auth(&fake, eager());
    let (before, after) = (token_of(old, Kind::Es256), token_of(new, Kind::Es256));
    assert_eq!(code(&auth, &before).await, None);
    let both = [old.jwk(Kind::Es256), new.jwk(Kind::Es256)];
    fake.now(Does::Tells(json!({ "keys": both })));
    // The first token by the new key is not refused, and those by the old one go on.
    assert_eq!(code(&auth, &after).await, None);
    assert_eq!(code(&auth, &before).await, None);
    fake.now(Does::Tells(new.jwks()));
    let stop = CancellationToken::new();
    let following = tokio::spawn(auth.clone().keep_up(stop.clone()));
    // What was proven by a key that is gone is not remembered.
    while code(&auth, &before).await.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(code(&auth, &before).await, Some(Code::Unauthorized));
    assert_eq!(code(&auth, &after).await, None);
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn the_last_keys_stay_while_their_provider_misbehaves() {
    let fake = Fake::start(Does::Tells(Forge::shared().jwks())).await;
    let auth = auth(&fake, Pace { within: Duration::from_millis(300), ..eager() });
    let known = token_of(Forge::shared(), Kind::Rs256);
    assert_eq!(code(&auth, &known).await, None);
    let unknown = token_of(Forge::other(), Kind::Rs256);
    for does in [
        Does::Hangs,
        Does::SendsMuch,
        Does::Redirects,
        Does::Says(StatusCode::INTERNAL_SERVER_ERROR, "down"),
        Does::Says(StatusCode::OK, "<html>sign in</html>"),
        Does::Says(StatusCode::OK, ""),
        Does::Says(StatusCode::NO_CONTENT, ""),
    ] {
        fake.now(does);
        let (begin, asked) = (Instant::now(), fake.asked());
        assert_eq!(code(&auth, &unknown).await, Some(Code::Unauthorized));
        assert_eq!(fake.asked(), asked + 1);
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert_eq!(code(&auth, &known).await, None);
    }
    fake.stop.cancel();
    assert_eq!(code(&auth, &unknown).await, Some(Code::Unauthorized));
    assert_eq!(code(&auth, &known).await, None);
}

#[tokio::test]
async fn a_provider_that_was_away_from_the_start_is_told_as_that_and_taken_when_it_comes() {
    let fake = Fake::start(Does::Says(StatusCode::BAD_GATEWAY, "")).await;
    let auth = auth(&fake, eager());
    let token = token_of(Forge::shared(), Kind::Es256);
    assert_eq!(code(&auth, &token).await, Some(Code::NotReady));
    // Nobody else has to wait for that.
    assert_eq!(code(&auth, &auth.server_token("node").unwrap()).await, None);
    fake.now(Does::Tells(Forge::shared().jwks()));
    assert_eq!(code(&auth, &token).await, None);
}

#[tokio::test]
async fn files_with_keys_are_read_again_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let (providers, own) = (folder.path().join("provider.json"), folder.path().join("own.json"));
    let write = |path: &Path, forge: &Forge| fs::write(path, forge.jwks().to_string()).unwrap();
    write(&providers, Forge::shared());
    write(&own, Forge::shared());
    let settings = Settings { verifying_keys: Some(own.clone()), ..settings(KeysAt::File(providers.clone())) };
    let pace = Pace { files_every: Duration::from_millis(10), ..calm() };
    let auth = Auth::paced(&settings, pace).unwrap();
    let claims = json!({ "sub": "node", "role": "server", "iat": now_s(), "exp": now_s() + 300 });
    let tokens = |forge: &Forge| [token_of(forge, Kind::EdDsa), forge.sign(Kind::EdDsa, &claims)];
    for token in tokens(Forge::shared()) {
        assert_eq!(code(&auth, &token).await, None);
    }
    let following = tokio::spawn(auth.clone().keep_up(CancellationToken::new()));
    write(&providers, Forge::other());
    write(&own, Forge::other());
    for (old, new) in tokens(Forge::shared()).into_iter().zip(tokens(Forge::other())) {
        while code(&auth, &new).await.is_some() || code(&auth, &old).await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // One that breaks changes nothing.
    fs::write(&own, "{").unwrap();
    fs::remove_file(&providers).unwrap();
    while auth.0.as_ref().unwrap().keys.failing() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for token in tokens(Forge::other()) {
        assert_eq!(code(&auth, &token).await, None);
    }
    following.abort();
    assert!(Auth::new(&settings).is_err());
}
