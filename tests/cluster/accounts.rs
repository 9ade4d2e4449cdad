//! People who log in, by the command line and by the API, on real servers: what they see ends with their rights.

use crate::{
    harness::{Cluster, PATIENCE, Server, eventually, loopback, noise, token},
    slides,
};
use microtome_client::Cluster as Client;
use microtome_proto::{Code, MaterialId, page::PageQuery};
use reqwest::Response;
use serde_json::{Value, json};
use std::{fs, process::Command};

const SECRET: &str = "a secret for stories about accounts";
const PASSWORD: &str = "correct horse battery";

/// A cluster that checks tokens, whose first user has the password of all.
async fn guarded(coordinators: usize, nodes: usize) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, PASSWORD).unwrap();
    let places = loopback(coordinators + nodes);
    let auth = format!("secret = \"{SECRET}\"\nfirst_password_file = \"{}\"\n", password.display());
    let cluster =
        Cluster::start_with(&places[..coordinators], &places[coordinators..], &auth, Some(token(SECRET))).await;
    first_user(&cluster).await;
    // It is read when a server starts.
    drop(folder);
    cluster
}

/// Waits until there is one: logins that come too early count as wrong ones.
async fn first_user(cluster: &Cluster) {
    eventually("the first user", || async {
        let users = cluster.client.users(&PageQuery::default()).await.ok()?;
        (!users.items.is_empty()).then_some(())
    })
    .await;
}

async fn verdict(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let code = answer.json::<Value>().await.ok().and_then(|body| body["code"].as_str().map(str::to_owned));
    (status, code.unwrap_or_default())
}

async fn get(cluster: &Cluster, url: &str, token: &str) -> (u16, String) {
    verdict(cluster.send(&cluster.http.get(url).bearer_auth(token)).await).await
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn ask(cluster: &Cluster, token: &str, line: &str, body: Value) -> Value {
    let (method, path) = line.split_once(' ').unwrap();
    let request = cluster.http.request(method.parse().unwrap(), format!("{}{path}", cluster.coordinators[0].url));
    let answer = cluster.send(&request.bearer_auth(token).json(&body)).await;
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{line}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// A new user, logged in.
async fn joined(cluster: &Cluster, name: &str) -> String {
    ask(cluster, &token(SECRET), "POST /v1/users", json!({ "name": name, "password": PASSWORD })).await;
    let login = ask(cluster, "", "POST /v1/login", json!({ "name": name, "password": PASSWORD })).await;
    login["access_token"].as_str().unwrap().to_owned()
}

/// Uploads with the token of somebody.
async fn put(cluster: &Cluster, who: &str, wanted: Value, bytes: &[u8]) -> MaterialId {
    let material = ask(cluster, who, "POST /v1/materials", wanted).await;
    let url = material["upload_url"].as_str().unwrap();
    let request = cluster.http.patch(url).bearer_auth(who).header("Tus-Resumable", "1.0.0");
    let request = request.header("Upload-Offset", 0).header("Content-Type", "application/offset+octet-stream");
    let answer = request.body(bytes.to_vec()).send().await.unwrap();
    assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
    material["id"].as_str().unwrap().parse().unwrap()
}

/// A6: whoever is taken out of the team sees no next tile, by whichever server; a deleted case frees its bytes everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_team_shares_its_cases_until_somebody_is_taken_out() {
    let cluster = guarded(3, 2).await;
    let (head, member, stranger) =
        (joined(&cluster, "ada").await, joined(&cluster, "bob").await, joined(&cluster, "eve").await);
    let team = ask(&cluster, &head, "POST /v1/teams", json!({ "name": "pathology" })).await;
    let members = format!("/v1/teams/{}/members", team["id"].as_str().unwrap());
    ask(&cluster, &head, &format!("PUT {members}/bob"), json!({ "role": "member" })).await;
    let case = ask(&cluster, &member, "POST /v1/cases", json!({ "team": team["id"], "name": "B-17" })).await;
    let (_, slide) = slides::drawn(cluster.dir.path(), 700, 500);
    let wanted = json!({ "name": "drawn.svs", "size": slide.len(), "population": 2, "case": case["id"] });
    let id = put(&cluster, &member, wanted, &slide).await;
    cluster.wait_until_whole(&id).await;
    let servers: Vec<&Server> = cluster.coordinators.iter().chain(&cluster.nodes).collect();
    // As clients do, which keep their token where a server sends them on.
    let tile = async |server: &Server, who: &str| {
        let client = Client::new(vec![server.url.clone()], Some(who.to_owned())).with_deadline(PATIENCE);
        client.tile(Some(&server.url), &id, 0, 0, 0).await.map(|_| ()).map_err(|error| error.code())
    };
    // As browsers do, which leave it behind.
    let plain = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let looked = async |server: &Server, who: &str| {
        let tile = format!("{}/tiles/{id}/0/0_0.jpg", server.url);
        verdict(plain.get(tile).bearer_auth(who).send().await.unwrap()).await
    };
    let forbidden = Err(Some(Code::Forbidden));
    for server in &servers {
        for who in [&head, &member] {
            assert_eq!(tile(server, who).await, Ok(()), "{}", server.name);
            assert_eq!(looked(server, who).await.0, 200, "{}", server.name);
        }
        assert_eq!(looked(server, &stranger).await, refusal(403, "forbidden"), "{}", server.name);
        assert_eq!(tile(server, &stranger).await, forbidden, "{}", server.name);
    }
    // Nodes check what the viewer puts into addresses by themselves, as long as it lasts: its life is short.
    let short = ask(&cluster, &member, &format!("POST /v1/materials/{id}/tokens"), json!({ "expires_in_s": 1 })).await;
    let short = format!("{}/tiles/{id}/0/0_0.jpg?token={}", cluster.nodes[0].url, short["token"].as_str().unwrap());
    let shown = async || verdict(cluster.ask(&short).await).await;
    assert_eq!(shown().await.0, 200);
    ask(&cluster, &head, &format!("DELETE {members}/bob"), Value::Null).await;
    for server in &servers {
        // Nodes believe for a moment what they were told.
        eventually("the next tile is refused", || async {
            (looked(server, &member).await == refusal(403, "forbidden")).then_some(())
        })
        .await;
        assert_eq!(tile(server, &member).await, forbidden, "{}", server.name);
        assert_eq!(tile(server, &head).await, Ok(()), "{}", server.name);
    }
    let again = format!("{}/v1/materials/{id}/tokens", cluster.coordinators[0].url);
    let again = cluster.send(&cluster.http.post(again).bearer_auth(&member)).await;
    assert_eq!(verdict(again).await, refusal(403, "forbidden"));
    eventually("the tile's token has ended", || async {
        let told = shown().await;
        assert!(told.0 == 200 || told == refusal(403, "material_token_expired"), "{told:?}");
        (told.0 == 403).then_some(())
    })
    .await;
    // With the case go its materials, and their bytes on every replica.
    ask(&cluster, &head, &format!("DELETE /v1/cases/{}", case["id"].as_str().unwrap()), Value::Null).await;
    cluster.wait_until_gone(&id).await;
}

/// What a node does for somebody the trail tells of them, not of the node.
#[tokio::test(flavor = "multi_thread")]
async fn who_ends_an_upload_at_its_node_stands_in_the_trail() {
    let cluster = guarded(1, 1).await;
    let ada = joined(&cluster, "ada").await;
    let material = ask(&cluster, &ada, "POST /v1/materials", json!({ "name": "half.bin", "size": 1000 })).await;
    let end = cluster.http.delete(material["upload_url"].as_str().unwrap()).bearer_auth(&ada);
    assert_eq!(end.header("Tus-Resumable", "1.0.0").send().await.unwrap().status(), 204);
    let me = ask(&cluster, &ada, "GET /v1/me", Value::Null).await;
    let trail = ask(&cluster, &token(SECRET), "GET /v1/audit", Value::Null).await;
    let deed = &trail["items"][0];
    assert_eq!((&deed["act"], &deed["object"]), (&json!("delete_material"), &material["id"]));
    assert_eq!(deed["by"], me["user"]["id"]);
}

/// A token that got into the wrong hands: refused at once where it was taken back, and at the nodes with their next heartbeat.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_counts_no_more_at_coordinators_and_nodes() {
    let mut cluster = guarded(1, 1).await;
    let administrator = token(SECRET);
    let (_, slide) = slides::drawn(cluster.dir.path(), 300, 200);
    let wanted = json!({ "name": "drawn.svs", "size": slide.len(), "population": 1 });
    let id = put(&cluster, &administrator, wanted, &slide).await;
    cluster.wait_until_arrived(&id).await;
    let make = format!("POST /v1/materials/{id}/tokens");
    let made = async || {
        ask(&cluster, &administrator, &make, json!({ "expires_in_s": 900 })).await["token"].as_str().unwrap().to_owned()
    };
    let (stolen, other) = (made().await, made().await);
    // Both are made in the same second, and are the same then.
    let other = if other == stolen {
        eventually("another", || async { Some(made().await).filter(|new| *new != stolen) }).await
    } else {
        other
    };
    let (control, tile) = (
        format!("{}/v1/materials/{id}", cluster.coordinators[0].url),
        format!("{}/tiles/{id}/0/0_0.jpg", cluster.nodes[0].url),
    );
    for url in [&control, &tile] {
        assert_eq!(get(&cluster, url, &stolen).await.0, 200);
    }
    let revoked =
        cluster.program(&["token", "revoke", &stolen]).env("MICROTOME_TOKEN", &administrator).output().unwrap();
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    assert_eq!(get(&cluster, &control, &stolen).await, refusal(403, "token_revoked"));
    eventually("the node has heard of it", || async {
        let told = get(&cluster, &tile, &stolen).await;
        (told == refusal(403, "token_revoked")).then_some(())
    })
    .await;
    assert_eq!(get(&cluster, &tile, &other).await.0, 200);
    // A node that starts again hears of all.
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.wait_for_nodes(1).await;
    eventually("the node has heard of it again", || async {
        (get(&cluster, &tile, &stolen).await == refusal(403, "token_revoked")).then_some(())
    })
    .await;
    assert_eq!(get(&cluster, &tile, &other).await.0, 200);
}

/// From the first password to a case with a file in it, by the command line alone.
#[tokio::test(flavor = "multi_thread")]
async fn people_work_by_the_command_line() {
    let cluster = guarded(1, 1).await;
    let file = |name: &str, text: &[u8]| {
        let path = cluster.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (password, new) = (file("password", PASSWORD.as_bytes()), file("new", b"another password\n"));
    let run = |program: &mut Command| {
        let output = program.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match output.status.success() {
            true => Ok(out.trim().to_owned()),
            false => Err(err.trim().to_owned()),
        }
    };
    let as_user = |home: &str, words: &[&str]| {
        let home = cluster.dir.path().join(home);
        run(cluster.program(words).env("HOME", home))
    };
    let admin = |words: &[&str]| as_user("admin", words);
    let ada = |words: &[&str]| as_user("ada", words);
    assert!(ada(&["whoami"]).unwrap_err().contains("unauthorized"));
    admin(&["login", "admin", "--password-file", &password]).unwrap();
    let kept = cluster.dir.path().join("admin/.config/microtome/credentials.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&kept).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(admin(&["whoami"]).unwrap().contains("administrator of the cluster"));
    admin(&["users", "add", "ada", "--password-file", &password]).unwrap();
    admin(&["users", "add", "robot", "--service"]).unwrap();
    let service = admin(&["users", "token", "robot", "--label", "nightly"]).unwrap();
    assert!(run(&mut cluster.program(&["whoami", "--token", &service])).unwrap().contains("robot"));

    ada(&["login", "ada", "--password-file", &password]).unwrap();
    assert!(ada(&["users", "list"]).unwrap_err().contains("forbidden"));
    ada(&["passwd", "--old-file", &password, "--new-file", &new]).unwrap();
    assert!(ada(&["login", "ada", "--password-file", &password]).unwrap_err().contains("wrong_login"));
    let team: Value = serde_json::from_str(&ada(&["teams", "add", "pathology", "--json"]).unwrap()).unwrap();
    let team = team["id"].as_str().unwrap();
    let case: Value = serde_json::from_str(&ada(&["cases", "add", team, "B-17", "--json"]).unwrap()).unwrap();
    let case = case["id"].as_str().unwrap();
    let bytes = file("a.bin", &noise(100_000, 3));
    let put = ada(&["put", "--case", case, &bytes]).unwrap();
    let id = put.split_whitespace().next().unwrap();
    assert!(ada(&["cases", "ls", case]).unwrap().contains(id));
    assert!(admin(&["audit"]).unwrap().contains("create_case"));

    // An access token that has ended is refreshed by itself.
    let kept = cluster.dir.path().join("ada/.config/microtome/credentials.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    let before = document["logins"][0].clone();
    document["logins"][0]["access_ends_at"] = json!("2020-01-01T00:00:00.000Z");
    fs::write(&kept, document.to_string()).unwrap();
    assert!(ada(&["whoami"]).unwrap().contains("pathology"));
    let after: Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    assert_ne!(after["logins"][0]["refresh_token"], before["refresh_token"]);
    ada(&["cases", "rm", case]).unwrap();
    ada(&["logout"]).unwrap();
    assert!(ada(&["whoami"]).unwrap_err().contains("unauthorized"));
    // No password and no token is in any log.
    let refresh = after["logins"][0]["refresh_token"].as_str().unwrap();
    for server in cluster.coordinators.iter().chain(&cluster.nodes) {
        let log = server.log();
        for secret in [PASSWORD, "another password", "argon2id$", &service, refresh] {
            assert!(!log.contains(secret), "{}: {secret}", server.name);
        }
    }
}

/// The leader that made the first user is killed again and again: there is one such user, and the password that is told is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_is_made_also_where_leaders_are_killed() {
    let places = loopback(3);
    let auth = format!("secret = \"{SECRET}\"\n");
    let mut cluster = Cluster::start_with(&places, &[], &auth, Some(token(SECRET))).await;
    for at in 0..3 {
        cluster.coordinators[at].kill();
        cluster.coordinators[at].start();
    }
    let paths: Vec<_> = cluster.coordinators.iter().map(|one| one.data_dir.join("first-password")).collect();
    first_user(&cluster).await;
    // Those that are nobody's go.
    let password = eventually("one password is left", || async {
        let kept: Vec<_> = paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
        kept.first().filter(|_| kept.len() == 1).cloned()
    })
    .await;
    let logged_in = cluster.client.log_in("admin", password.trim()).await.unwrap();
    assert_eq!(logged_in.user.id.as_str(), "u-1");
    let users = cluster.client.users(&PageQuery::default()).await.unwrap();
    assert_eq!(users.items.len(), 1);
}
