//! The check as servers do it.

#[path = "../../../../proto/src/token/tests/forge.rs"]
mod forge;
mod provider;
mod providers;

use super::*;

const SECRET: &str = "a secret of some length";

async fn ask(auth: &Auth, request: &str, token: Option<&str>) -> Result<Asker, Problem> {
    let (method, uri) = request.split_once(' ').unwrap();
    let bearer = token.map(|token| (header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap()));
    let headers = HeaderMap::from_iter(bearer);
    let role = if uri.starts_with("/internal") { Role::Server } else { Role::Administrator };
    auth.check(role, &method.parse().unwrap(), &uri.parse().unwrap(), &headers).await
}

async fn code(auth: &Auth, token: &str) -> Option<Code> {
    ask(auth, "GET /v1/cluster", Some(token)).await.err().map(|problem| problem.code)
}

#[tokio::test]
async fn a_secret_wants_tokens_of_those_who_may() {
    let auth = Auth::new(&Settings::of_secret(SECRET)).unwrap();
    let server = auth.server_token("node").unwrap();
    let refused =
        async |request: &str, token: Option<&str>| ask(&auth, request, token).await.err().map(|problem| problem.code);
    assert_eq!(refused("POST /internal/v1/uploads", Some(&server)).await, None);
    assert_eq!(refused(&format!("GET /x?a=b&token={server}"), None).await, None);
    assert_eq!(refused("GET /x", None).await, Some(Code::Unauthorized));
    assert_eq!(refused("GET /x", Some("x.y.z")).await, Some(Code::Unauthorized));
    let claims = Claims::new("somebody", Role::Administrator, now_s(), 60);
    let person = Signer::from_secret(SECRET).unwrap().sign(&claims).unwrap();
    assert_eq!(refused("GET /v1/cluster", Some(&person)).await, None);
    assert_eq!(refused("POST /internal/v1/uploads", Some(&person)).await, Some(Code::Forbidden));
    // Whatever the path is called: what servers say to each other is theirs.
    let uri = Uri::from_static("/other");
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {person}").parse().unwrap())]);
    assert!(auth.check(Role::Server, &Method::GET, &uri, &headers).await.is_err());
    let old = Signer::from_secret(SECRET).unwrap().sign(&Claims::new("old", Role::Administrator, 1_000, 60)).unwrap();
    assert_eq!(refused("GET /v1/cluster", Some(&old)).await, Some(Code::TokenExpired));
}

#[tokio::test]
async fn a_token_for_a_material_reads_it_and_is_known_at_hand_once_it_was_proven() {
    let auth = Auth::new(&Settings::of_secret(SECRET)).unwrap();
    let asker = ask(&auth, "POST /v1/materials/m-1/tokens", auth.server_token("page").as_deref()).await.unwrap();
    let made = auth.material_token(&asker, &"m-1".parse().unwrap(), 300).unwrap();
    assert!((290_000..=300_000).contains(&made.expires_at.millis_since(Timestamp::now())));
    let uri: Uri = format!("/tiles/m-1/0/0_0.jpg?token={}", made.token).parse().unwrap();
    let nothing = HeaderMap::new();
    assert!(!auth.at_hand(&Method::GET, &uri, &nothing));
    let viewer = auth.check(Role::Administrator, &Method::GET, &uri, &nothing).await.unwrap();
    assert_eq!((viewer.name(), viewer.bearer().unwrap().role), ("page", Role::Viewer));
    assert!(auth.at_hand(&Method::GET, &uri, &nothing));
    let other: Uri = format!("/tiles/m-2/0/0_0.jpg?token={}", made.token).parse().unwrap();
    assert!(!auth.at_hand(&Method::GET, &other, &nothing));
    assert_eq!(
        auth.check(Role::Administrator, &Method::GET, &other, &nothing).await.unwrap_err().code,
        Code::Forbidden
    );
    let open = Auth::default().material_token(&Asker::everybody(), &"m-1".parse().unwrap(), 300);
    assert_eq!(open.err().unwrap().code, Code::Conflict);
}

/// Coordinators have the books; nodes know nothing of what is for all.
#[tokio::test]
async fn without_a_token_only_who_has_the_books_is_asked_and_only_to_read() {
    let closed = Auth::new(&Settings::of_secret(SECRET)).unwrap();
    let asking = closed.clone().asking_the_books();
    let asker = ask(&asking, "GET /v1/materials/m-1/file", None).await.unwrap();
    assert!(asker.is_by_books() && asker.bearer().is_none() && asker.owner().is_none());
    for request in ["DELETE /v1/materials/m-1", "GET /v1/materials", "GET /metrics", "POST /internal/v1/uploads"] {
        assert_eq!(ask(&asking, request, None).await.unwrap_err().code, Code::Unauthorized, "{request}");
    }
    let wrong = ask(&asking, "GET /v1/materials/m-1/file", Some("x.y.z")).await.unwrap_err();
    assert_eq!(wrong.code, Code::Unauthorized, "a wrong token is none");
    assert_eq!(ask(&closed, "GET /v1/materials/m-1/file", None).await.unwrap_err().code, Code::Unauthorized);
    let uri = Uri::from_static("/v1/materials/m-1/file");
    assert!(!asking.at_hand(&Method::GET, &uri, &HeaderMap::new()));
}

#[test]
fn a_servers_token_is_used_more_than_once() {
    let auth = Auth::new(&Settings::of_secret(SECRET)).unwrap();
    let first = auth.server_token("node").unwrap();
    assert_eq!(auth.server_token("node").unwrap(), first);
    assert_ne!(auth.server_token("coordinator").unwrap(), first);
    assert!(Auth::default().server_token("node").is_none());
}

#[tokio::test]
async fn pages_of_other_origins_change_nothing_in_an_open_cluster() {
    let may = async |auth: &Auth, role: Role, method: Method, origin: Option<&'static str>| {
        let origin = origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin)));
        let refused = auth.check(role, &method, &Uri::from_static("/x"), &HeaderMap::from_iter(origin)).await.err();
        refused.is_none_or(|problem| problem.code != Code::Forbidden)
    };
    let open = Auth::default();
    for own in [None, Some("http://127.0.0.1:7400"), Some("http://localhost:5173"), Some("http://[::1]:7400")] {
        assert!(may(&open, Role::Administrator, Method::DELETE, own).await, "{own:?}");
    }
    for other in ["https://evil.example", "http://localhost.evil.example", "http://10.0.0.1:7400", "null"] {
        assert!(!may(&open, Role::Administrator, Method::POST, Some(other)).await, "{other}");
        assert!(!may(&open, Role::Server, Method::GET, Some(other)).await, "{other}");
        assert!(may(&open, Role::Administrator, Method::GET, Some(other)).await, "{other}");
        let closed = Auth::new(&Settings::of_secret(SECRET)).unwrap();
        assert!(may(&closed, Role::Administrator, Method::DELETE, Some(other)).await, "{other}");
    }
}

#[test]
fn an_open_server_stays_on_loopback() {
    let open = Auth::default();
    assert!(open.check_address("127.0.0.1".parse().unwrap()).is_ok());
    assert!(open.check_address("0.0.0.0".parse().unwrap()).is_err());
    let closed = Auth::new(&Settings::of_secret(SECRET)).unwrap();
    assert!(closed.check_address("0.0.0.0".parse().unwrap()).is_ok());
}

#[tokio::test]
async fn a_token_that_was_taken_back_counts_no_more_also_where_it_was_proven_before() {
    let auth = Auth::new(&Settings::of_secret(SECRET)).unwrap();
    let signer = Signer::from_secret(SECRET).unwrap();
    let token = |name: &str| signer.sign(&Claims::new(name, Role::Administrator, now_s(), 60)).unwrap();
    let (taken_back, other) = (token("ada"), token("bob"));
    let check = async |token: &str| {
        let uri = Uri::try_from(format!("/v1/cluster?token={token}")).unwrap();
        let checked = auth.check(Role::Administrator, &Method::GET, &uri, &HeaderMap::new()).await;
        (checked.map(|_| ()).map_err(|problem| problem.code), auth.at_hand(&Method::GET, &uri, &HeaderMap::new()))
    };
    assert_eq!(check(&taken_back).await, (Ok(()), true));
    auth.revoke(1, vec![token_hash(&taken_back)]);
    assert_eq!(auth.revoked_version(), 1);
    for _ in 0..2 {
        assert_eq!(check(&taken_back).await, (Err(Code::TokenRevoked), false));
        assert_eq!(check(&other).await, (Ok(()), true));
    }
    // What was made for a session goes with it.
    let mut claims = Claims::new("u-7", Role::User, now_s(), 60);
    claims.session = Some("s-1".parse().unwrap());
    let user = signer.sign(&claims).unwrap();
    assert_eq!(check(&user).await.0, Ok(()));
    auth.revoke(2, vec![token_hash(&taken_back), "s-1".to_owned()]);
    for _ in 0..2 {
        assert_eq!(check(&user).await, (Err(Code::TokenRevoked), false));
        assert_eq!(check(&other).await, (Ok(()), true));
    }
    // The same claims under another signature are the same token.
    let (signed, _) = taken_back.rsplit_once('.').unwrap();
    assert_eq!(check(&format!("{signed}.AAAA")).await.0, Err(Code::TokenRevoked));
    // What an older leader says comes too late.
    auth.revoke(0, Vec::new());
    assert_eq!(check(&taken_back).await.0, Err(Code::TokenRevoked));
    auth.revoke(3, Vec::new());
    assert_eq!(check(&taken_back).await, (Ok(()), true));
}
