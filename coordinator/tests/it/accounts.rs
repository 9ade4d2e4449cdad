//! Users, teams and cases as the API has them, and the tokens that go with them.

use crate::common::{Cluster, FakeNode, Server, alone, code, eventually, http, read, send, small};
use microtome_coordinator::{Config, Tuning};
use microtome_proto::{
    account::{Case, CreatedAccessToken, LoggedIn, Me, Team, User},
    material::Material,
    page::Page,
    tls,
    token::{Claims, Role, Secret, Settings, Signer, now_s},
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

const SECRET: &str = "a secret for stories about accounts";
const PASSWORD: &str = "correct horse battery";

/// One coordinator that checks tokens, and has its first user.
async fn guarded() -> (Server, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    let config = checked(alone(root.path().join("one")));
    let server = Server::start(config, Tuning::default()).await.unwrap();
    server.ready().await;
    first_user(&server).await;
    (server, root)
}

/// Waits until there is one: logins that come too early count as wrong ones.
async fn first_user(server: &Server) {
    let administrator = made_by_hand("operator", Role::Administrator, None);
    eventually("the first user", || async {
        let users: Page<User> = ask(server, &administrator, "GET /v1/users", Value::Null).await.json().await.ok()?;
        (!users.items.is_empty()).then_some(())
    })
    .await;
}

fn checked(config: Config) -> Config {
    // The made-up node speaks no TLS.
    let tls = tls::Settings { between_servers: Some(tls::BetweenServers::Off), ..tls::Settings::default() };
    Config { auth: Settings::of_secret(SECRET), tls, first_password: Some(Secret::new(PASSWORD)), ..config }
}

fn made_by_hand(name: &str, role: Role, space: Option<&str>) -> String {
    let mut claims = Claims::new(name, role, now_s(), 600);
    claims.space = space.map(str::to_owned);
    Signer::from_secret(SECRET).unwrap().sign(&claims).unwrap()
}

fn request(server: &Server, method: &str, path: &str, token: &str) -> RequestBuilder {
    let method = method.parse::<Method>().unwrap();
    http().request(method, format!("{}{path}", server.url)).bearer_auth(token)
}

async fn ask(server: &Server, token: &str, line: &str, body: Value) -> Response {
    let (method, path) = line.split_once(' ').unwrap();
    let request = request(server, method, path, token);
    send(if body.is_null() { request } else { request.json(&body) }).await
}

async fn refusal(server: &Server, token: &str, line: &str, body: Value) -> (u16, String) {
    let answer = ask(server, token, line, body).await;
    (answer.status().as_u16(), code(answer).await)
}

async fn post_open(server: &Server, path: &str, body: Value) -> Response {
    send(http().post(format!("{}{path}", server.url)).json(&body)).await
}

async fn login(server: &Server, name: &str, password: &str) -> Result<LoggedIn, (u16, String)> {
    let answer = post_open(server, "/v1/login", json!({ "name": name, "password": password })).await;
    match answer.status() {
        StatusCode::OK => Ok(answer.json().await.unwrap()),
        status => Err((status.as_u16(), code(answer).await)),
    }
}

async fn refresh(server: &Server, token: &str) -> Result<LoggedIn, (u16, String)> {
    let answer = post_open(server, "/v1/login/refresh", json!({ "refresh_token": token })).await;
    match answer.status() {
        StatusCode::OK => Ok(answer.json().await.unwrap()),
        status => Err((status.as_u16(), code(answer).await)),
    }
}

/// A new user, logged in: id and access token.
async fn joined(server: &Server, name: &str) -> (String, String) {
    let administrator = made_by_hand("operator", Role::Administrator, None);
    let made = ask(server, &administrator, "POST /v1/users", json!({ "name": name, "password": PASSWORD })).await;
    let user: User = read(made, StatusCode::CREATED).await;
    (user.id.to_string(), login(server, name, PASSWORD).await.unwrap().access_token.0)
}

fn wrong(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_gives_tokens_that_are_refreshed_and_end_with_it() {
    let (mut server, _root) = guarded().await;
    let first = login(&server, "ADMIN", PASSWORD).await.unwrap();
    assert_eq!((first.token_type.as_str(), first.user.administrator), ("Bearer", true));
    let me: Me = read(ask(&server, &first.access_token.0, "GET /v1/me", Value::Null).await, StatusCode::OK).await;
    assert_eq!((me.role.as_str(), me.administrator, me.user.unwrap().name.as_str()), ("user", true, "admin"));
    // Neither is taken for the other.
    assert_eq!(refusal(&server, &first.refresh_token.0, "GET /v1/me", Value::Null).await, wrong(401, "unauthorized"));
    assert_eq!(refresh(&server, &first.access_token.0).await.unwrap_err(), wrong(401, "unauthorized"));
    // Each is good once, and once more for who never got the answer.
    let second = refresh(&server, &first.refresh_token.0).await.unwrap();
    let third = refresh(&server, &first.refresh_token.0).await.unwrap();
    assert_eq!(refresh(&server, &second.refresh_token.0).await.unwrap_err(), wrong(403, "token_revoked"), "stolen");
    assert_eq!(refresh(&server, &first.refresh_token.0).await.unwrap_err(), wrong(401, "unauthorized"));
    for ended in [&first, &second, &third] {
        let token = &ended.access_token.0;
        assert_eq!(refusal(&server, token, "GET /v1/me", Value::Null).await, wrong(403, "token_revoked"));
    }
    // Logging out ends both.
    let again = login(&server, "admin", PASSWORD).await.unwrap();
    assert_eq!(ask(&server, &again.access_token.0, "POST /v1/logout", Value::Null).await.status(), 204);
    assert_eq!(refusal(&server, &again.access_token.0, "GET /v1/me", Value::Null).await, wrong(403, "token_revoked"));
    assert_eq!(refresh(&server, &again.refresh_token.0).await.unwrap_err(), wrong(401, "unauthorized"));
    // Others than users are told who they are, and log out nowhere.
    let administrator = made_by_hand("operator", Role::Administrator, None);
    let me: Me = read(ask(&server, &administrator, "GET /v1/me", Value::Null).await, StatusCode::OK).await;
    assert_eq!((me.role.as_str(), me.name.as_str(), me.administrator), ("administrator", "operator", true));
    let member = made_by_hand("ada", Role::Member, Some("lab"));
    let me: Me = read(ask(&server, &member, "GET /v1/me", Value::Null).await, StatusCode::OK).await;
    assert_eq!((me.role.as_str(), me.space.as_deref(), me.administrator), ("member", Some("lab"), false));
    assert_eq!(refusal(&server, &administrator, "POST /v1/logout", Value::Null).await, wrong(409, "conflict"));
    server.stop().await;
}

/// Whoever tries names learns nothing: the same answer, and the same work behind it.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_is_answered_as_who_has_mistyped() {
    let (mut server, _root) = guarded().await;
    let (eve, token) = joined(&server, "eve").await;
    let administrator = made_by_hand("operator", Role::Administrator, None);
    ask(&server, &administrator, &format!("PATCH /v1/users/{eve}"), json!({ "disabled": true })).await;
    assert_eq!(refusal(&server, &token, "GET /v1/me", Value::Null).await, wrong(403, "token_revoked"));
    let made = ask(&server, &administrator, "POST /v1/users", json!({ "name": "robot", "service": true })).await;
    assert_eq!(made.status(), 201);
    let mut told = Vec::new();
    for (name, password) in
        [("admin", "another password"), ("nobody", PASSWORD), ("eve", PASSWORD), ("robot", PASSWORD)]
    {
        let before = server.metric("passwords_hashed").await.unwrap();
        let answer = post_open(&server, "/v1/login", json!({ "name": name, "password": password })).await;
        assert_eq!(answer.status(), 401, "{name}");
        told.push(answer.text().await.unwrap());
        let after = server.metric("passwords_hashed").await.unwrap();
        assert_eq!(after - before, 1, "{name}");
    }
    assert!(told.iter().all(|text| *text == told[0]) && told[0].contains("wrong_login"), "{told:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_are_taken_so_often_and_no_more() {
    let (mut server, _root) = guarded().await;
    joined(&server, "ada").await;
    for nth in 0..10 {
        let name = if nth % 2 == 0 { "ada" } else { "ADA" };
        assert_eq!(login(&server, name, "another password").await.unwrap_err(), wrong(401, "wrong_login"));
    }
    // The right one, too, and from whoever says that they pass it on from elsewhere.
    let answer = http().post(format!("{}/v1/login", server.url)).header("microtome-forwarded", "1");
    let answer = answer.header("microtome-peer", "10.0.0.1:1").json(&json!({ "name": "ada", "password": PASSWORD }));
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 429);
    let wait_s: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((600..=900).contains(&wait_s), "{wait_s}");
    assert!(login(&server, "admin", PASSWORD).await.is_ok(), "others log in");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_the_administrators_affair_but_for_their_own() {
    let (mut server, _root) = guarded().await;
    let administrator = made_by_hand("operator", Role::Administrator, None);
    let (ada, token) = joined(&server, "ada").await;
    let other = login(&server, "ada", PASSWORD).await.unwrap();
    for line in
        ["GET /v1/users", "POST /v1/users", "GET /v1/audit", &format!("DELETE /v1/users/{ada}"), "GET /v1/users/u-1"]
    {
        assert_eq!(refusal(&server, &token, line, Value::Null).await, wrong(403, "forbidden"), "{line}");
    }
    let own: User =
        read(ask(&server, &token, &format!("GET /v1/users/{ada}"), Value::Null).await, StatusCode::OK).await;
    assert_eq!(own.name, "ada");
    // Their own password, which ends all their other sessions.
    let change = |old: &str, new: &str| json!({ "old": old, "new": new });
    let path = "PUT /v1/me/password";
    assert_eq!(
        refusal(&server, &token, path, change("not this one", "a new password")).await,
        wrong(401, "wrong_login")
    );
    assert_eq!(refusal(&server, &token, path, change(PASSWORD, "short")).await, wrong(400, "bad_request"));
    assert_eq!(ask(&server, &token, path, change(PASSWORD, "a new password")).await.status(), 204);
    assert_eq!(refusal(&server, &other.access_token.0, "GET /v1/me", Value::Null).await, wrong(403, "token_revoked"));
    assert_eq!(ask(&server, &token, "GET /v1/me", Value::Null).await.status(), 200);
    assert_eq!(login(&server, "ada", PASSWORD).await.unwrap_err(), wrong(401, "wrong_login"));
    let sessions: Page<Value> =
        read(ask(&server, &token, &format!("GET /v1/users/{ada}/sessions"), Value::Null).await, StatusCode::OK).await;
    assert_eq!(sessions.items.len(), 1);
    let session = sessions.items[0]["id"].as_str().unwrap();
    let end = format!("DELETE /v1/users/{ada}/sessions/{session}");
    assert_eq!(ask(&server, &administrator, &end, Value::Null).await.status(), 204);
    assert_eq!(refusal(&server, &token, "GET /v1/me", Value::Null).await, wrong(403, "token_revoked"));
    // A service account has tokens, each of which ends by itself or is ended.
    let made = ask(&server, &administrator, "POST /v1/users", json!({ "name": "robot", "service": true })).await;
    let robot: User = read(made, StatusCode::CREATED).await;
    let make = format!("POST /v1/users/{}/tokens", robot.id);
    let made = ask(&server, &administrator, &make, json!({ "label": "nightly", "expires_in_s": 3600 })).await;
    let made: CreatedAccessToken = read(made, StatusCode::CREATED).await;
    let me: Me = read(ask(&server, &made.access_token.0, "GET /v1/me", Value::Null).await, StatusCode::OK).await;
    assert!(me.user.unwrap().service);
    let person = format!("POST /v1/users/{ada}/tokens");
    let refused = refusal(&server, &administrator, &person, json!({ "label": "x", "expires_in_s": 60 })).await;
    assert_eq!(refused, wrong(409, "conflict"));
    let end = format!("DELETE /v1/users/{}/sessions/{}", robot.id, made.session.id);
    assert_eq!(ask(&server, &administrator, &end, Value::Null).await.status(), 204);
    assert_eq!(refusal(&server, &made.access_token.0, "GET /v1/me", Value::Null).await, wrong(403, "token_revoked"));
    // The last one who can log in and administer stays.
    for (line, body) in [
        ("DELETE /v1/users/u-1", Value::Null),
        ("PATCH /v1/users/u-1", json!({ "disabled": true })),
        ("PATCH /v1/users/u-1", json!({ "administrator": false })),
    ] {
        assert_eq!(refusal(&server, &administrator, line, body).await, wrong(409, "conflict"), "{line}");
    }
    // Who did what, and no secret in it.
    let trail = ask(&server, &administrator, "GET /v1/audit?limit=1000", Value::Null).await.text().await.unwrap();
    for act in ["create_user", "login", "change_password", "end_session", "create_token"] {
        assert!(trail.contains(&format!("\"{act}\"")), "{act}: {trail}");
    }
    assert!(!trail.contains(PASSWORD) && !trail.contains("argon2") && !trail.contains(&made.access_token.0));
    server.stop().await;
}

/// A6, role by role.
#[tokio::test(flavor = "multi_thread")]
async fn teams_and_cases_role_by_role() {
    let (mut server, _root) = guarded().await;
    let (ada, head) = joined(&server, "ada").await;
    let (_, member) = joined(&server, "bob").await;
    let (_, stranger) = joined(&server, "eve").await;
    let administrator = made_by_hand("operator", Role::Administrator, None);

    let made = ask(&server, &head, "POST /v1/teams", json!({ "name": "pathology" })).await;
    let team: Team = read(made, StatusCode::CREATED).await;
    assert_eq!(
        (team.members.len(), team.members[0].user.as_str(), team.members[0].role.as_str()),
        (1, ada.as_str(), "administrator")
    );
    let (path, members) = (format!("/v1/teams/{}", team.id), format!("/v1/teams/{}/members", team.id));
    // By name, since whoever is no administrator of the cluster cannot list its users.
    let put = ask(&server, &head, &format!("PUT {members}/Bob"), json!({ "role": "member" })).await;
    let team: Team = read(put, StatusCode::OK).await;
    assert_eq!(team.members.len(), 2);
    for (token, line, body, wanted) in [
        (&member, format!("PATCH {path}"), json!({ "name": "x" }), wrong(403, "forbidden")),
        (&member, format!("DELETE {path}"), Value::Null, wrong(403, "forbidden")),
        (&member, format!("PUT {members}/eve"), json!({ "role": "member" }), wrong(403, "forbidden")),
        (&member, format!("DELETE {members}/ada"), Value::Null, wrong(403, "forbidden")),
        (&stranger, format!("GET {path}"), Value::Null, wrong(404, "not_found")),
        (&stranger, format!("PUT {members}/eve"), json!({ "role": "administrator" }), wrong(404, "not_found")),
        (&head, format!("DELETE {members}/ada"), Value::Null, wrong(409, "conflict")),
        (&head, format!("PUT {members}/ada"), json!({ "role": "member" }), wrong(409, "conflict")),
        (&administrator, format!("DELETE /v1/users/{ada}"), Value::Null, wrong(409, "conflict")),
        (&administrator, "POST /v1/teams".to_owned(), json!({ "name": "x" }), wrong(400, "bad_request")),
        (
            &stranger,
            "POST /v1/teams".to_owned(),
            json!({ "name": "x", "administrator": "ada" }),
            wrong(403, "forbidden"),
        ),
    ] {
        assert_eq!(refusal(&server, token, &line, body).await, wanted, "{line}");
    }

    // Members make and read cases; only the team's administrators change and delete them.
    let made =
        ask(&server, &member, "POST /v1/cases", json!({ "team": team.id, "name": "B-17", "expires_in_s": 3600 })).await;
    let case: Case = read(made, StatusCode::CREATED).await;
    assert_eq!(case.expires_in_s, Some(3600));
    let refused = refusal(&server, &stranger, "POST /v1/cases", json!({ "team": team.id, "name": "x" })).await;
    assert_eq!(refused, wrong(404, "not_found"));
    let path = format!("/v1/cases/{}", case.id);
    for token in [&head, &member, &administrator] {
        let shown: Case = read(ask(&server, token, &format!("GET {path}"), Value::Null).await, StatusCode::OK).await;
        assert_eq!(shown, case);
        let list = format!("GET /v1/cases?team={}", team.id);
        let listed: Page<Case> = read(ask(&server, token, &list, Value::Null).await, StatusCode::OK).await;
        assert_eq!(listed.items, std::slice::from_ref(&case));
    }
    assert_eq!(refusal(&server, &stranger, &format!("GET {path}"), Value::Null).await, wrong(404, "not_found"));
    assert_eq!(
        refusal(&server, &stranger, &format!("GET {path}/materials"), Value::Null).await,
        wrong(404, "not_found")
    );
    let all: Page<Case> = read(ask(&server, &stranger, "GET /v1/cases", Value::Null).await, StatusCode::OK).await;
    assert!(all.items.is_empty());
    assert_eq!(refusal(&server, &member, &format!("DELETE {path}"), Value::Null).await, wrong(403, "forbidden"));
    assert_eq!(
        refusal(&server, &member, &format!("PATCH {path}"), json!({ "name": "x" })).await,
        wrong(403, "forbidden")
    );
    let patched =
        ask(&server, &head, &format!("PATCH {path}"), json!({ "description": "liver", "expires_in_s": null })).await;
    let case: Case = read(patched, StatusCode::OK).await;
    assert_eq!((case.description.as_str(), case.expires_in_s), ("liver", None));

    // A member leaves, and reads no more.
    assert_eq!(ask(&server, &member, &format!("DELETE {members}/bob"), Value::Null).await.status(), 204);
    assert_eq!(refusal(&server, &member, &format!("GET {path}"), Value::Null).await, wrong(404, "not_found"));
    assert_eq!(
        refusal(&server, &head, &format!("DELETE /v1/teams/{}", team.id), Value::Null).await,
        wrong(409, "conflict")
    );
    assert_eq!(ask(&server, &head, &format!("DELETE {path}"), Value::Null).await.status(), 202);
    assert_eq!(refusal(&server, &head, &format!("GET {path}"), Value::Null).await, wrong(404, "not_found"));
    assert_eq!(ask(&server, &head, &format!("DELETE /v1/teams/{}", team.id), Value::Null).await.status(), 204);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cases_materials_and_runs_are_its_teams() {
    let (mut server, _root) = guarded().await;
    let (_, head) = joined(&server, "ada").await;
    let (_, member) = joined(&server, "bob").await;
    let (_, stranger) = joined(&server, "eve").await;
    let node = FakeNode::join(&server, "node").await;
    let team: Team =
        read(ask(&server, &head, "POST /v1/teams", json!({ "name": "t" })).await, StatusCode::CREATED).await;
    ask(&server, &head, &format!("PUT /v1/teams/{}/members/bob", team.id), json!({ "role": "member" })).await;
    let made = ask(&server, &head, "POST /v1/cases", json!({ "team": team.id, "name": "c" })).await;
    let case: Case = read(made, StatusCode::CREATED).await;
    let wanted = json!({ "name": "a.svs", "size": 1000, "population": 1, "case": case.id });
    assert_eq!(refusal(&server, &stranger, "POST /v1/materials", wanted.clone()).await, wrong(404, "not_found"));
    let made = ask(&server, &member, "POST /v1/materials", wanted.clone()).await;
    let material: Material = read(made, StatusCode::CREATED).await;
    node.verified(&server, &material.id, material.replicas[0].generation, 1000).await;
    let path = format!("/v1/materials/{}", material.id);
    let list = format!("GET /v1/cases/{}/materials", case.id);
    let listed: Page<Material> = read(ask(&server, &member, &list, Value::Null).await, StatusCode::OK).await;
    assert_eq!(listed.items[0].id, material.id);
    // What they gave to the case is the team's.
    for (token, line, wanted) in [
        (&member, format!("DELETE {path}"), wrong(403, "forbidden")),
        (&stranger, format!("GET {path}"), wrong(403, "forbidden")),
        (&stranger, format!("POST {path}/tokens"), wrong(403, "forbidden")),
    ] {
        assert_eq!(refusal(&server, token, &line, Value::Null).await, wanted, "{line}");
    }
    assert_eq!(ask(&server, &member, &format!("POST {path}/tokens"), Value::Null).await.status(), 201);
    let run = json!({ "pipeline": "tissue", "inputs": [material.id], "parameters": {} });
    assert_eq!(refusal(&server, &stranger, "POST /v1/runs", run.clone()).await, wrong(403, "forbidden"));
    let run: Value = read(ask(&server, &member, "POST /v1/runs", run).await, StatusCode::CREATED).await;
    let run = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    assert_eq!(refusal(&server, &stranger, &format!("GET {run}"), Value::Null).await, wrong(404, "not_found"));
    assert_eq!(refusal(&server, &stranger, &format!("POST {run}/cancel"), Value::Null).await, wrong(404, "not_found"));
    let runs: Page<Value> = read(ask(&server, &stranger, "GET /v1/runs", Value::Null).await, StatusCode::OK).await;
    assert!(runs.items.is_empty());
    assert_eq!(ask(&server, &member, &format!("POST {run}/cancel"), Value::Null).await.status(), 200);
    // With the case go its materials.
    assert_eq!(ask(&server, &head, &format!("DELETE /v1/cases/{}", case.id), Value::Null).await.status(), 202);
    assert_eq!(refusal(&server, &member, "POST /v1/materials", wanted).await, wrong(404, "not_found"));
    let administrator = made_by_hand("operator", Role::Administrator, None);
    eventually("the material is deleted", || async {
        let shown: Material =
            read(ask(&server, &administrator, &format!("GET {path}"), Value::Null).await, StatusCode::OK).await;
        (serde_json::to_value(shown.state).unwrap() == "deleting").then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_counts_no_more_at_any_coordinator() {
    let mut cluster = Cluster::start(3, small(), |config| *config = checked(config.clone())).await;
    let server = &cluster.servers[0];
    let administrator = made_by_hand("operator", Role::Administrator, None);
    let (stolen, others) =
        (made_by_hand("ada", Role::Member, Some("lab")), made_by_hand("bob", Role::Member, Some("lab")));
    let revoke = |token: &str| json!({ "token": token });
    assert_eq!(refusal(server, &others, "POST /v1/tokens/revoke", revoke(&stolen)).await, wrong(403, "forbidden"));
    assert_eq!(refusal(server, &others, "POST /v1/tokens/revoke", revoke("no token")).await, wrong(400, "bad_request"));
    assert_eq!(ask(server, &stolen, "GET /v1/me", Value::Null).await.status(), 200);
    // Its bearer, or an administrator.
    assert_eq!(ask(server, &stolen, "POST /v1/tokens/revoke", revoke(&stolen)).await.status(), 204);
    assert_eq!(ask(server, &administrator, "POST /v1/tokens/revoke", revoke(&others)).await.status(), 204);
    assert_eq!(ask(server, &administrator, "POST /v1/tokens/revoke", revoke(&others)).await.status(), 204);
    for server in &cluster.servers {
        for token in [&stolen, &others] {
            assert_eq!(refusal(server, token, "GET /v1/me", Value::Null).await, wrong(403, "token_revoked"));
        }
        assert_eq!(ask(server, &administrator, "GET /v1/me", Value::Null).await.status(), 200);
    }
    cluster.stop().await;
}

/// The password is in the folder of whoever led when the first user was made, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_is_made_once_and_their_password_is_kept_where_it_is_told() {
    let change = |config: &mut Config| config.auth = Settings::of_secret(SECRET);
    let mut cluster = Cluster::start(3, small(), change).await;
    let kept = || {
        cluster.servers.iter().map(|server| server.config.data_dir.join("first-password")).filter(|path| path.exists())
    };
    first_user(&cluster.servers[0]).await;
    let path = eventually("one password is left", || async {
        let mut kept = kept();
        kept.next().filter(|_| kept.next().is_none())
    })
    .await;
    let password = fs::read_to_string(&path).unwrap();
    assert!(login(&cluster.servers[0], "admin", password.trim()).await.is_ok());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(kept().count(), 1);
    // All start again: the same user. A file with a password that is nobody's goes.
    cluster.stop().await;
    let misleading = cluster.servers.iter().map(|server| server.config.data_dir.join("first-password"));
    let misleading = misleading.filter(|other| *other != path).collect::<Vec<_>>();
    fs::write(&misleading[0], "a password of nobody's").unwrap();
    for server in &mut cluster.servers {
        server.start_again().await.unwrap();
    }
    for server in &cluster.servers {
        server.ready().await;
    }
    eventually("it is gone", || async { (!misleading[0].exists()).then_some(()) }).await;
    let password = fs::read_to_string(&path).unwrap();
    assert_eq!(login(&cluster.servers[2], "admin", password.trim()).await.unwrap().user.id.as_str(), "u-1");
    cluster.stop().await;
}

/// It wrote the password down, and died before the log had it: the password stays, and the user is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_ends_between_the_password_and_the_user_goes_on_with_the_same() {
    let root = tempfile::tempdir().unwrap();
    let config = Config { auth: Settings::of_secret(SECRET), ..alone(root.path().join("one")) };
    fs::create_dir_all(&config.data_dir).unwrap();
    fs::write(config.data_dir.join("first-password"), "written before the end\n").unwrap();
    let mut server = Server::start(config, Tuning::default()).await.unwrap();
    server.ready().await;
    first_user(&server).await;
    assert!(login(&server, "admin", "written before the end").await.is_ok());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_tokens_are_checked_nobody_logs_in() {
    let mut server = Server::alone().await;
    let answer = post_open(&server, "/v1/login", json!({ "name": "admin", "password": PASSWORD })).await;
    assert_eq!(answer.status(), 409);
    let text = answer.text().await.unwrap();
    assert!(text.contains("cluster.toml"), "{text}");
    assert_eq!(post_open(&server, "/v1/login/refresh", json!({ "refresh_token": "x" })).await.status(), 409);
    // Teams and cases work as with tokens, for everybody.
    let administrator = "none";
    let made = ask(&server, administrator, "POST /v1/users", json!({ "name": "ada", "password": PASSWORD })).await;
    assert_eq!(made.status(), 201);
    let made = ask(&server, administrator, "POST /v1/teams", json!({ "name": "t", "administrator": "ada" })).await;
    assert_eq!(made.status(), 201);
    tokio::time::timeout(Duration::from_secs(60), server.stop()).await.unwrap();
}
