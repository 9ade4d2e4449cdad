//! Who may ask what, by which token, and that no token is told to anybody.

use crate::{
    forge::{Forge, Kind},
    harness::{Cluster, PATIENCE, Place, blake3, configuration, eventually, loopback, noise, token},
    provider::Provider,
    slides,
};
use microtome_client::Cluster as Client;
use microtome_proto::{
    MaterialId,
    material::CreateMaterial,
    token::{Claims, MadeToken, Role, Signer, now_s},
};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, time::Duration};

const SECRET: &str = "a secret for stories about tokens";
const ISSUER: &str = "https://login.lab.example";

/// What an administrator `ada`, and others, are told by [`ISSUER`].
fn claims(changes: &Value) -> Value {
    let mut claims = json!({ "iss": ISSUER, "aud": "microtome", "sub": "ada", "iat": now_s(), "exp": now_s() + 600 });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

/// Status and code of an answer.
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

/// Uploads in the administrator's name.
async fn put(cluster: &Cluster, name: &str, bytes: &[u8]) -> MaterialId {
    let size = bytes.len() as u64;
    let wanted = CreateMaterial {
        name: name.to_owned(),
        size,
        media_type: None,
        blake3: None,
        population: Some(1),
        ..CreateMaterial::default()
    };
    let material = cluster.client.create_material(&wanted).await.unwrap();
    let answer = send(cluster, material.upload_url.as_ref().unwrap(), 0, bytes, &token(SECRET)).await;
    assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
    cluster.wait_until_arrived(&material.id).await.id
}

/// One tus PATCH.
async fn send(cluster: &Cluster, url: &str, offset: u64, bytes: &[u8], token: &str) -> Response {
    let request = cluster.http.patch(url).bearer_auth(token);
    let request = request.header("Tus-Resumable", "1.0.0").header("Upload-Offset", offset);
    let request = request.header(header::CONTENT_TYPE, "application/offset+octet-stream");
    request.body(bytes.to_vec()).send().await.unwrap()
}

/// Coordinator and node fetch the provider's keys themselves, over TLS, and check what it signs by any of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_identity_providers_tokens_are_taken_by_coordinators_and_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Forge::shared(), Forge::other());
    let provider = Provider::start(folder.path(), ours).await;
    let trusting = |place: Place| Place {
        environment: vec![("SSL_CERT_FILE".to_owned(), provider.authority.to_str().unwrap().to_owned())],
        ..place
    };
    let places: Vec<Place> = loopback(2).into_iter().map(trusting).collect();
    let auth = format!(
        "secret = \"{SECRET}\"\n[[auth.providers]]\nissuer = \"{ISSUER}\"\naudience = \"microtome\"\n\
         jwks_url = \"{}\"\nadministrators = [\"ada\"]\n",
        provider.url
    );
    let cluster = Cluster::start_with(&places[..1], &places[1..], &auth, Some(token(SECRET))).await;
    let (_, bytes) = slides::drawn(cluster.dir.path(), 700, 500);
    let id = put(&cluster, "drawn.svs", &bytes).await;
    let (control, tile) = (
        format!("{}/v1/cluster", cluster.coordinators[0].url),
        format!("{}/tiles/{id}/0/0_0.jpg", cluster.nodes[0].url),
    );
    for url in [&control, &tile] {
        for kind in Kind::ALL {
            let of =
                async |forge: &Forge, changes: Value| get(&cluster, url, &forge.sign(kind, &claims(&changes))).await;
            assert_eq!(of(ours, json!({})).await.0, 200, "{url} {kind:?}");
            assert_eq!(of(ours, json!({ "sub": "bob" })).await, refusal(403, "no_rights"), "{url} {kind:?}");
            let late = json!({ "iat": now_s() - 700, "exp": now_s() - 100 });
            assert_eq!(of(ours, late).await, refusal(401, "token_expired"), "{url} {kind:?}");
            for wrong in
                [json!({ "aud": "other" }), json!({ "iss": "https://evil.example" }), json!({ "iat": now_s() + 600 })]
            {
                assert_eq!(of(ours, wrong.clone()).await, refusal(401, "unauthorized"), "{url} {kind:?} {wrong}");
            }
            assert_eq!(of(other, json!({})).await, refusal(401, "unauthorized"), "{url} {kind:?}");
        }
    }
    // One of them each, of which both asked at their start and once more for a key that nobody has.
    assert!((2..=4).contains(&provider.asked()), "{}", provider.asked());

    // A partner who drops files off, and reads nothing back.
    let partner = ours.sign(Kind::Es256, &claims(&json!({ "sub": "bob", "goup_path": "partners/bob" })));
    let created = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url)).bearer_auth(&partner);
    let created = cluster.send(&created.header("Tus-Resumable", "1.0.0").header("Upload-Length", 3)).await;
    assert_eq!(created.status(), 201);
    let url = created.headers()[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!(send(&cluster, &url, 0, b"abc", &partner).await.status(), 204);
    // What has arrived is the laboratory's: it is not deleted by this road, in either form.
    let end = cluster.http.delete(&url).bearer_auth(&partner).header("Tus-Resumable", "1.0.0").send().await.unwrap();
    assert_eq!(verdict(end).await, refusal(403, "forbidden"));
    let end = cluster.http.post(&url).bearer_auth(&partner).header("Tus-Resumable", "1.0.0");
    let end = end.header("X-HTTP-Method-Override", "DELETE").send().await.unwrap();
    assert_eq!(verdict(end).await, refusal(403, "forbidden"));
    an_upload_is_its_owners(&cluster, ours, &partner).await;
    let dropped = url.rsplit('/').next().unwrap();
    for path in
        [format!("/v1/materials/{dropped}/file"), format!("/v1/materials/{dropped}"), "/v1/materials".to_owned()]
    {
        for server in [&cluster.coordinators[0], &cluster.nodes[0]] {
            let answer = get(&cluster, &format!("{}{path}", server.url), &partner).await;
            assert_eq!(answer, refusal(403, "forbidden"), "{path}");
        }
    }
}

/// For everybody else it is not there, under way or whole; its owner goes on with it by any token, and ends it.
async fn an_upload_is_its_owners(cluster: &Cluster, ours: &Forge, partner: &str) {
    let create = async |token: &str| {
        let request = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url)).bearer_auth(token);
        let created = cluster.send(&request.header("Tus-Resumable", "1.0.0").header("Upload-Length", 6)).await;
        created.headers()[header::LOCATION].to_str().unwrap().to_owned()
    };
    let ask = async |method: Method, url: &str, token: &str| {
        let request = cluster.http.request(method, url).bearer_auth(token).header("Tus-Resumable", "1.0.0");
        request.send().await.unwrap()
    };
    let administrators = create(&token(SECRET)).await;
    let own = create(partner).await;
    assert_eq!(send(cluster, &own, 0, b"abc", partner).await.status(), 204);
    let others = [
        (&own, json!({ "sub": "eve", "goup_path": "partners/bob" })),
        (&own, json!({ "sub": "bob", "goup_path": "partners/eve" })),
        (&administrators, json!({ "sub": "bob", "goup_path": "partners/bob" })),
    ];
    for (url, changes) in others {
        let other = ours.sign(Kind::Es256, &claims(&changes));
        assert_eq!(ask(Method::HEAD, url, &other).await.status(), 404, "{changes}");
        assert_eq!(verdict(ask(Method::DELETE, url, &other).await).await, refusal(404, "not_found"), "{changes}");
        assert_eq!(verdict(send(cluster, url, 3, b"def", &other).await).await, refusal(404, "not_found"), "{changes}");
    }
    let later = ours.sign(Kind::Rs256, &claims(&json!({ "sub": "bob", "space": "partners/bob" })));
    assert_eq!(ask(Method::HEAD, &own, &later).await.headers()["upload-offset"], "3");
    assert_eq!(ask(Method::HEAD, &own, &token(SECRET)).await.headers()["upload-offset"], "3");
    assert_eq!(ask(Method::DELETE, &own, &later).await.status(), 204);
    assert!([404, 410].contains(&ask(Method::HEAD, &own, &later).await.status().as_u16()));
}

/// A partner's token of an hour ends before the upload of a day does; what has arrived is not sent again.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_with_a_new_token_where_the_old_one_has_expired() {
    let places = loopback(2);
    let mut cluster = Cluster::start_at(&places[..1], &places[1..], Some(SECRET)).await;
    let signer = Signer::from_secret(SECRET).unwrap();
    let uploader = |began_s: u64| {
        let mut claims = Claims::new("bob", Role::Uploader, began_s, 60);
        claims.space = Some("partners/bob".to_owned());
        signer.sign(&claims).unwrap()
    };
    let (expired, fresh) = (uploader(now_s() - 600), uploader(now_s()));
    let bytes = noise(1_000_000, 7);
    let created = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url)).bearer_auth(&fresh);
    let created = created.header("Tus-Resumable", "1.0.0").header("Upload-Length", bytes.len());
    let url = cluster.send(&created).await.headers()[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!(send(&cluster, &url, 0, &bytes[..400_000], &fresh).await.status(), 204);
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.wait_for_nodes(1).await;
    let head = |token: &str| cluster.http.head(&url).bearer_auth(token).header("Tus-Resumable", "1.0.0").send();
    assert_eq!(head(&expired).await.unwrap().status(), 401);
    let refused = send(&cluster, &url, 400_000, &bytes[400_000..], &expired).await;
    assert_eq!(verdict(refused).await, refusal(401, "token_expired"));
    let offset = head(&fresh).await.unwrap().headers()["upload-offset"].to_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(offset, 400_000);
    assert_eq!(send(&cluster, &url, offset, &bytes[400_000..], &fresh).await.status(), 204);
    let arrived = cluster.wait_until_arrived(&url.rsplit('/').next().unwrap().parse().unwrap()).await;
    assert_eq!(arrived.blake3.as_deref(), Some(blake3(&bytes).as_str()));
}

/// The page asks for one, puts it into addresses, and whoever finds it there has this slide for a few minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_a_material_reads_its_tiles_and_nothing_else_and_ends() {
    let places = loopback(3);
    let cluster = Cluster::start_at(&places[..1], &places[1..], Some(SECRET)).await;
    let (_, bytes) = slides::drawn(cluster.dir.path(), 700, 500);
    let id = put(&cluster, "drawn.svs", &bytes).await;
    let other = put(&cluster, "other.svs", &bytes).await;
    let ask = async |id: &str, body: &str| {
        let url = format!("{}/v1/materials/{id}/tokens", cluster.coordinators[0].url);
        cluster.send(&cluster.http.post(url).bearer_auth(token(SECRET)).body(body.to_owned())).await
    };
    assert_eq!(verdict(ask("m-nobody", "").await).await, refusal(404, "not_found"));
    for wrong in ["{\"expires_in_s\":901}", "{\"expires_in_s\":0}", "{\"for\":1}", "x"] {
        assert_eq!(verdict(ask(id.as_str(), wrong).await).await, refusal(400, "bad_request"), "{wrong}");
    }
    let answer = ask(id.as_str(), "").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[header::CACHE_CONTROL]),
        (201, &"no-store".parse().unwrap())
    );
    let made: MadeToken = answer.json().await.unwrap();

    for server in cluster.coordinators.iter().chain(&cluster.nodes) {
        for path in
            ["/tiles/ID/0/0_0.jpg", "/dzi/ID.dzi", "/iiif/3/ID/info.json", "/regions/ID?level=0&x=0&y=0&w=9&h=9"]
        {
            let of = |id: &MaterialId| format!("{}{}", server.url, path.replace("ID", id.as_str()));
            let join = if path.contains('?') { '&' } else { '?' };
            for (way, request) in [
                ("query", cluster.http.get(format!("{}{join}token={}", of(&id), made.token))),
                ("header", cluster.http.get(of(&id)).bearer_auth(&made.token)),
                ("cookie", cluster.http.get(of(&id)).header(header::COOKIE, format!("microtome_token={}", made.token))),
            ] {
                // Through a redirect to another port a client keeps the query alone.
                let moved = server.url != cluster.client.material(&id).await.unwrap().replicas[0].url;
                if moved && way != "query" {
                    continue;
                }
                assert_eq!(cluster.send(&request).await.status(), 200, "{way} {}", of(&id));
            }
            assert_eq!(get(&cluster, &of(&other), &made.token).await, refusal(403, "forbidden"), "{}", of(&other));
            assert_eq!(verdict(cluster.http.get(of(&id)).send().await.unwrap()).await, refusal(401, "unauthorized"));
        }
        for path in
            ["/v1/materials".to_owned(), "/v1/nodes".to_owned(), "/metrics".to_owned(), format!("/v1/uploads/{id}")]
        {
            let answer = get(&cluster, &format!("{}{path}", server.url), &made.token).await;
            assert_eq!(answer, refusal(403, "forbidden"), "{path}");
        }
        for (method, path) in [
            (Method::DELETE, format!("/v1/materials/{id}")),
            (Method::PATCH, format!("/v1/materials/{id}")),
            (Method::POST, format!("/v1/materials/{id}/tokens")),
            (Method::POST, "/v1/uploads".to_owned()),
        ] {
            let request = cluster.http.request(method.clone(), format!("{}{path}", server.url)).body("{}");
            let answer = request.try_clone().unwrap().bearer_auth(&made.token).send().await.unwrap();
            assert_eq!(verdict(answer).await, refusal(403, "forbidden"), "{method} {path}");
            // Nor does a browser, which sends cookies along by itself, act for an administrator.
            let cookie = format!("microtome_token={}", token(SECRET));
            let answer = request.header(header::COOKIE, cookie).send().await.unwrap();
            assert_eq!(verdict(answer).await, refusal(401, "unauthorized"), "{method} {path}");
        }
    }

    // One that ends while it is looked at, clocks' differences and all.
    let mut ending = Claims::new("page", Role::Viewer, now_s() - 300, 300 - 24);
    ending.material = Some(id.clone());
    let ending = Signer::from_secret(SECRET).unwrap().sign(&ending).unwrap();
    let holder = cluster.client.material(&id).await.unwrap().replicas[0].url.clone();
    let tile = format!("{holder}/tiles/{id}/0/0_0.jpg?token={ending}");
    assert_eq!(cluster.ask(&tile).await.status(), 200);
    let ended = eventually("the token has ended", || async {
        let answer = cluster.ask(&tile).await;
        (answer.status() != 200).then_some(answer)
    })
    .await;
    // Whoever has logged in need not do so again: they ask for another one, and get it if they still may.
    assert!(!ended.headers().contains_key(header::WWW_AUTHENTICATE));
    assert_eq!(verdict(ended).await, refusal(403, "material_token_expired"));
}

/// What is in an address ends up in logs: of servers, of what stands between them, and in what people copy from there.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_stands_in_a_log_or_an_answer() {
    let loud = "debug,microtome=trace,microtome_server=trace,microtome_node=trace,microtome_coordinator=trace,hyper=trace,\
                hyper_util=trace,reqwest=trace,openraft=warn,sled=warn";
    let chatty = |place: Place| Place { environment: vec![("MICROTOME_LOG".to_owned(), loud.to_owned())], ..place };
    let places: Vec<Place> = loopback(5).into_iter().map(chatty).collect();
    let mut cluster = Cluster::start_at(&places[..3], &places[3..], Some(SECRET)).await;
    let (_, bytes) = slides::drawn(cluster.dir.path(), 700, 500);
    let id = put(&cluster, "drawn.svs", &bytes).await;
    let good = token(SECRET);
    let wrong = Signer::from_secret("another secret, as long").unwrap();
    let wrong = wrong.sign(&Claims::new("x", Role::Administrator, now_s(), 60)).unwrap();
    let old = Signer::from_secret(SECRET).unwrap().sign(&Claims::new("x", Role::Administrator, 1_000, 60)).unwrap();
    let garbage = format!("c2VjcmV0LW1hcms{}", "x".repeat(40));
    let tokens = [&good, &wrong, &old, &garbage];
    let plain = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE);
    let plain = plain.build().unwrap();
    let mut answers = Vec::new();
    let all = |cluster: &Cluster| -> Vec<String> {
        cluster.coordinators.iter().chain(&cluster.nodes).filter(|one| one.runs()).map(|one| one.url.clone()).collect()
    };
    let paths = [
        format!("/tiles/{id}/0/0_0.jpg"),
        format!("/tiles/{id}/0/99_0.jpg"),
        format!("/tiles/{id}/0/0_0.jpg?icc=nonsense"),
        format!("/iiif/3/{id}"),
        format!("/regions/{id}?level=x"),
        format!("/v1/materials/{id}"),
        format!("/v1/uploads/{id}"),
        "/v1/materials?limit=nonsense".to_owned(),
        "/v1/materials?cursor=nonsense".to_owned(),
        "/v1/nodes/n-99".to_owned(),
        "/v1/cluster".to_owned(),
        "/internal/v1/raft/standing?of=x".to_owned(),
        "/nothing/here".to_owned(),
        "/".to_owned(),
        "/metrics".to_owned(),
    ];
    let every = async |cluster: &Cluster, answers: &mut Vec<(String, Response)>| {
        for server in all(cluster) {
            for path in &paths {
                for token in tokens {
                    let join = if path.contains('?') { '&' } else { '?' };
                    for method in [Method::GET, Method::POST] {
                        let request = plain.request(method, format!("{server}{path}{join}token={token}"));
                        answers.push((path.clone(), request.send().await.unwrap()));
                    }
                }
                let cookie = format!("microtome_token={good}");
                let request = plain.get(format!("{server}{path}")).header(header::COOKIE, cookie);
                answers.push((path.clone(), request.send().await.unwrap()));
            }
        }
    };
    every(&cluster, &mut answers).await;
    // Servers that ask each other for what they were asked, and fail: the leader and the node do not answer any more.
    let leader = cluster.client.cluster().await.unwrap().leader as usize - 1;
    cluster.coordinators[leader].signal("STOP");
    cluster.nodes[0].kill();
    let follower = cluster.coordinators[(leader + 1) % 3].url.clone();
    let ask =
        |path: String| plain.get(format!("{follower}{path}?token={good}")).timeout(Duration::from_secs(30)).send();
    answers.extend(ask("/v1/cluster".to_owned()).await.ok().map(|answer| ("stopped".to_owned(), answer)));
    cluster.coordinators[leader].signal("CONT");
    cluster.coordinators[leader].kill();
    answers.push(("killed".to_owned(), ask(format!("/v1/materials/{id}")).await.unwrap()));
    let creation = plain.post(format!("{follower}/v1/uploads?token={good}")).header("Tus-Resumable", "1.0.0");
    let creation = creation.header("Upload-Length", 9).header(header::CONTENT_TYPE, "application/offset+octet-stream");
    answers.push(("creation".to_owned(), creation.body(vec![0; 3]).send().await.unwrap()));

    let parts: Vec<&str> =
        tokens.iter().flat_map(|token| token.split('.').skip(usize::from(token.contains('.')))).collect();
    let mut statuses = BTreeMap::<u16, u32>::new();
    for (path, answer) in answers {
        *statuses.entry(answer.status().as_u16()).or_default() += 1;
        for (name, value) in answer.headers() {
            // Where it has to be: on the way to whom the asker is sent.
            if name != header::LOCATION {
                assert!(
                    !parts.iter().any(|part| String::from_utf8_lossy(value.as_bytes()).contains(part)),
                    "{path} {name}"
                );
            }
        }
        let body = answer.bytes().await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(!parts.iter().any(|part| body.contains(part)), "{path}: {body}");
    }
    for expected in [200, 307, 401, 403, 404, 405] {
        assert!(statuses.contains_key(&expected), "{statuses:?}");
    }
    for server in cluster.coordinators.iter().chain(&cluster.nodes) {
        let log = server.log();
        assert!(log.lines().count() > 20, "{} logs little: {log}", server.name);
        if let Some(line) =
            log.lines().find(|line| parts.iter().any(|part| line.contains(part)) || line.contains(SECRET))
        {
            panic!("{}: {line}", server.name);
        }
    }
}

/// Servers are restarted one after another: first all take both secrets, then all sign with the new one, then none takes the
/// old one any more. Those that differ understand each other all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_while_the_cluster_works() {
    let places = loopback(2);
    let mut cluster = Cluster::start_at(&places[..1], &places[1..], Some(SECRET)).await;
    let id = put(&cluster, "noise", &noise(100_000, 1)).await;
    let new = "the secret of the time after";
    let urls = vec![cluster.coordinators[0].url.clone()];
    let stages = [
        format!("secret = \"{SECRET}\"\nprevious_secret = \"{new}\"\n"),
        format!("secret = \"{new}\"\nprevious_secret = \"{SECRET}\"\n"),
        format!("secret = \"{new}\"\n"),
    ];
    for (stage, auth) in stages.iter().enumerate() {
        fs::write(cluster.dir.path().join("cluster.toml"), configuration(&urls, auth)).unwrap();
        let by = if stage == 0 { SECRET } else { new };
        cluster.client = Client::new(urls.clone(), Some(token(by))).with_deadline(PATIENCE);
        for restarted in [true, false] {
            let server = if restarted { &mut cluster.coordinators[0] } else { &mut cluster.nodes[0] };
            server.kill();
            server.start();
            // The node's heartbeats are taken, and what it has is asked of it.
            cluster.wait_for_nodes(1).await;
            if stage < 2 {
                // A node that was not restarted yet knows the old one alone.
                let known = if stage == 0 && restarted { vec![SECRET] } else { vec![SECRET, new] };
                for secret in known {
                    let url = format!("{}/v1/materials/{id}/file", cluster.nodes[0].url);
                    assert_eq!(get(&cluster, &url, &token(secret)).await.0, 200, "stage {stage}");
                }
            }
        }
    }
    for server in [&cluster.coordinators[0], &cluster.nodes[0]] {
        let url = format!("{}/v1/materials/{id}", server.url);
        assert_eq!(get(&cluster, &url, &token(SECRET)).await, refusal(401, "unauthorized"));
    }
}

/// With a key of its own a cluster signs by that, and tokens come from the command line.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_signs_with_its_key_and_the_command_line_makes_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    fs::write(&key, Forge::ed25519_pem()).unwrap();
    let auth = format!("signing_key_file = \"{}\"\n", key.display());
    let signer = Signer::from_pem(&fs::read_to_string(&key).unwrap()).unwrap();
    let administrator = signer.sign(&Claims::new("story", Role::Administrator, now_s(), 86_400)).unwrap();
    let places = loopback(4);
    let cluster = Cluster::start_with(&places[..3], &places[3..], &auth, Some(administrator.clone())).await;
    let made = |arguments: &[&str]| {
        let output = cluster.command(&[&["token", "--config", "cluster.toml"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let bearer = |token: &str| {
        let ring = microtome_proto::token::KeyRing::new(vec![signer.key()], []);
        ring.check(token, now_s()).unwrap()
    };
    assert_eq!(bearer(&made(&[])).role, Role::Administrator);
    let viewer = bearer(&made(&["--role", "viewer", "--material", "m-1", "--expires-in", "90s"]));
    assert_eq!((viewer.role, viewer.material), (Role::Viewer, Some("m-1".parse().unwrap())));
    assert!((60..=90).contains(&(viewer.validity.until_s - now_s())));
    let uploader = bearer(&made(&["--space", "lab", "--name", "bob", "--for", "1h"]));
    assert_eq!(
        (uploader.role, uploader.space.as_deref(), uploader.name.as_str()),
        (Role::Uploader, Some("lab"), "bob")
    );
    let keys: Value = serde_json::from_str(&made(&["--public-key"])).unwrap();
    assert_eq!(keys, signer.jwks().unwrap());
    for wrong in [&["--role", "uploader"][..], &["--role", "viewer"], &["--role", "administrator", "--space", "x"]] {
        let output = cluster.command(&[&["token", "--config", "cluster.toml"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let url = format!("{}/v1/cluster", cluster.coordinators[1].url);
    let told = cluster.send(&cluster.http.get(&url).bearer_auth(made(&[]))).await;
    assert_eq!(told.json::<Value>().await.unwrap()["auth"], "on");
    assert_eq!(get(&cluster, &url, &token(SECRET)).await, refusal(401, "unauthorized"));
}

/// Nobody should find out by accident that nothing is checked.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_cluster_says_so() {
    let cluster = Cluster::start(1, 1).await;
    assert_eq!(cluster.command_json(&["cluster"])["auth"], "off");
    let shown = String::from_utf8(cluster.command(&["cluster"]).stdout).unwrap();
    assert!(shown.contains("NOT CHECKED"), "{shown}");
    for server in [&cluster.coordinators[0], &cluster.nodes[0]] {
        assert!(server.log().contains("no secret is set"), "{}", server.log());
    }
    let url = format!("{}/v1/materials/m-1/tokens", cluster.coordinators[0].url);
    let answer = cluster.send(&cluster.http.post(url)).await;
    assert_eq!(verdict(answer).await, refusal(404, "not_found"));
}
