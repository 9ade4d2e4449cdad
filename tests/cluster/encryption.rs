//! What can be read on the way, and who is believed.

use crate::{
    harness::{Cluster, PATIENCE, Place, blake3, eventually, loopback, noise, token},
    recorder::Recorder,
    slides,
};
use microtome_client::{Cluster as Client, Encryption};
use microtome_proto::{
    material::CreateMaterial,
    token::{Claims, Role, Signer, now_s},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, header, redirect::Policy};
use serde_json::{Value, json};
use std::{
    fs,
    net::{IpAddr, UdpSocket},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

const SECRET: &str = "a secret for stories about encryption";

fn secret() -> String {
    format!("secret = \"{SECRET}\"\n")
}

/// The cluster's authority as the program prints it, in a file.
fn authority(cluster: &Cluster) -> PathBuf {
    let printed = cluster.command(&["ca", "--config", "cluster.toml"]);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let path = cluster.dir.path().join("ca.pem");
    fs::write(&path, printed.stdout).unwrap();
    path
}

/// Somebody who believes this authority alone, and follows no redirect.
fn https(authority: &Path) -> reqwest::Client {
    let certificate = Certificate::from_pem(&fs::read(authority).unwrap()).unwrap();
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).redirect(Policy::none());
    builder.timeout(PATIENCE).build().unwrap()
}

fn encrypted(url: &str) -> String {
    url.replacen("http://", "https://", 1)
}

/// A cluster between whose servers somebody listens: a file comes, is copied and read.
async fn overheard(tls: &str) -> (Vec<Recorder>, Vec<u8>) {
    let mut places = loopback(5);
    let mut recorders = Vec::new();
    for place in &mut places {
        let recorder = Recorder::start(&place.address).await;
        place.through = Some(recorder.address.clone());
        recorders.push(recorder);
    }
    let auth = secret() + tls;
    let cluster = Cluster::start_with(&places[..3], &places[3..], &auth, Some(token(SECRET))).await;
    let bytes = noise(3_000_000, 5);
    let file = cluster.dir.path().join("noise.bin");
    fs::write(&file, &bytes).unwrap();
    // By a client that speaks TLS, so that what is heard is the servers'.
    let servers: Vec<_> = cluster.coordinators.iter().map(|server| encrypted(&server.url)).collect();
    let (ca, servers) = (authority(&cluster), servers.join(","));
    let put = ["put", "noise.bin", "--server", &servers, "--ca", ca.to_str().unwrap(), "--token", &token(SECRET)];
    let put = cluster.command_json(&put);
    let id = put["id"].as_str().unwrap().parse().unwrap();
    let whole = cluster.wait_until_whole(&id).await;
    assert_eq!((whole.replicas.len(), whole.blake3), (2, Some(blake3(&bytes))));
    (recorders, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_servers_say_to_each_other_cannot_be_read() {
    let (recorders, bytes) = overheard("").await;
    for (number, recorder) in recorders.iter().enumerate() {
        let beginnings = recorder.beginnings();
        assert!(!beginnings.is_empty(), "nobody called server {number}");
        // A handshake of TLS 1.
        assert!(beginnings.iter().all(|begun| begun.starts_with(&[0x16, 3])), "{number}: {beginnings:?}");
        for words in
            [&b"HTTP/1.1"[..], b"/internal/", b"Bearer ", b"eyJhbGciOi", b"heartbeat", &bytes[500_000..500_032]]
        {
            assert!(!recorder.heard(words), "server {number}: {}", String::from_utf8_lossy(words));
        }
    }
}

/// What hears nothing above hears all of it here.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_told_to_do_without_can_be_read() {
    let (recorders, bytes) = overheard("[tls]\nbetween_servers = \"off\"\n").await;
    assert!(recorders.iter().all(|recorder| recorder.heard(b"/internal/v1/") && recorder.heard(b"Bearer eyJ")));
    assert!(recorders.iter().any(|recorder| recorder.heard(&bytes[500_000..500_032])), "the copy");
}

/// By every coordinator, one of which leads.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_encrypted_is_led_on_encrypted_and_others_are_not() {
    let places = loopback(4);
    let cluster = Cluster::start_with(&places[..3], &places[3..], &secret(), Some(token(SECRET))).await;
    let (ca, token) = (authority(&cluster), token(SECRET));
    let plain = reqwest::Client::builder().no_proxy().tls_certs_only([]).redirect(Policy::none());
    let (plain, https) = (plain.timeout(PATIENCE).build().unwrap(), https(&ca));
    let node = &cluster.nodes[0].url;
    let (_, slide) = slides::drawn(cluster.dir.path(), 700, 500);
    for coordinator in &cluster.coordinators {
        for (client, base, node) in
            [(&plain, coordinator.url.clone(), node.clone()), (&https, encrypted(&coordinator.url), encrypted(node))]
        {
            let of = async |url: String| cluster.send(&client.get(url).bearer_auth(&token)).await;
            let created =
                client.post(format!("{base}/v1/uploads")).bearer_auth(&token).header("Tus-Resumable", "1.0.0");
            let created = cluster.send(&created.header("Upload-Length", slide.len())).await;
            assert_eq!(created.status(), 201);
            let upload = created.headers()[header::LOCATION].to_str().unwrap().to_owned();
            assert!(upload.starts_with(&format!("{node}/v1/uploads/")), "{upload}");
            let id = upload.rsplit('/').next().unwrap().to_owned();
            let told: Value = of(format!("{base}/v1/materials/{id}")).await.json().await.unwrap();
            assert_eq!(told["upload_url"], upload);
            let sent = client.patch(&upload).bearer_auth(&token).header("Tus-Resumable", "1.0.0");
            let sent = sent.header("Upload-Offset", 0).header("Content-Type", "application/offset+octet-stream");
            assert_eq!(sent.body(slide.clone()).send().await.unwrap().status(), 204);
            cluster.wait_until_arrived(&id.parse().unwrap()).await;
            let tile = format!("/tiles/{id}/0/0_0.jpg");
            let led = of(format!("{base}{tile}")).await;
            assert_eq!(
                (led.status().as_u16(), led.headers()[header::LOCATION].to_str().unwrap()),
                (307, &*format!("{node}{tile}"))
            );
            assert_eq!(of(format!("{node}{tile}")).await.status(), 200);
            // From the node back, and what names its own address.
            let back = of(format!("{node}/v1/cluster")).await;
            let scheme = base.split_once("//").unwrap().0;
            assert!(back.headers()[header::LOCATION].to_str().unwrap().starts_with(scheme));
            let iiif: Value = of(format!("{node}/iiif/3/{id}/info.json")).await.json().await.unwrap();
            assert_eq!(iiif["id"], format!("{node}/iiif/3/{id}"));
            let leads_on = |all: &str| {
                let other = if scheme == "http:" { "\"https://" } else { "\"http://" };
                assert!(!all.contains(other) && all.contains(&format!("\"{scheme}//")), "{all}");
            };
            for path in ["cluster", "nodes", "materials"] {
                leads_on(&of(format!("{base}/v1/{path}")).await.text().await.unwrap());
            }
            let post = async |path: &str, body: Value| {
                let request = client.post(format!("{base}{path}")).bearer_auth(&token).json(&body);
                let answer = cluster.send(&request).await;
                assert!(answer.status().is_success(), "{path}: {}", answer.status());
                answer.text().await.unwrap()
            };
            let id_of = |made: &str| serde_json::from_str::<Value>(made).unwrap()["id"].as_str().unwrap().to_owned();
            // A file that is there already, and what lies in a case.
            let whole: Value = of(format!("{base}/v1/materials/{id}")).await.json().await.unwrap();
            let same = json!({ "name": "again", "size": slide.len(), "blake3": whole["blake3"], "population": 1 });
            leads_on(&post("/v1/materials", same).await);
            let name = format!("{scheme}{}", coordinator.name);
            let user = id_of(&post("/v1/users", json!({ "name": name, "password": "correct horse" })).await);
            let team = id_of(&post("/v1/teams", json!({ "name": name, "administrator": user })).await);
            let case = id_of(&post("/v1/cases", json!({ "name": name, "team": team })).await);
            post("/v1/materials", json!({ "name": "half", "size": 1000, "case": case })).await;
            leads_on(&of(format!("{base}/v1/cases/{case}/materials")).await.text().await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_speaks_tls_to_whom_it_believes() {
    let places = loopback(3);
    let cluster = Cluster::start_with(&places[..1], &places[1..], &secret(), Some(token(SECRET))).await;
    let (ca, server, token) = (authority(&cluster), encrypted(&cluster.coordinators[0].url), token(SECRET));
    let run = |words: &[&str], ca: &Path| {
        let mut program = cluster.program(words);
        program.env("MICROTOME_SERVER", &server).env("MICROTOME_TOKEN", &token).env("MICROTOME_CA", ca);
        program.output().unwrap()
    };
    let bytes = noise(2_000_000, 6);
    fs::write(cluster.dir.path().join("noise.bin"), &bytes).unwrap();
    let put = run(&["put", "noise.bin", "--json"], &ca);
    assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    let put: Value = serde_json::from_slice(&put.stdout).unwrap();
    for words in [&["get", put["id"].as_str().unwrap(), "-o", "back.bin"][..], &["ls"], &["nodes"], &["cluster"]] {
        let output = run(words, &ca);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(fs::read(cluster.dir.path().join("back.bin")).unwrap() == bytes);

    let (_, strange) = strangers(cluster.dir.path(), "127.0.0.1");
    let output = run(&["ls"], &strange);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("not to be believed") && said.contains("--ca"), "{said}");
    let output = run(&["ls"], &cluster.dir.path().join("cluster.toml"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("cluster.toml"), "{said}");
}

/// A certificate for `host` and its key, and the certificate of their authority, which nobody knows.
fn strangers(folder: &Path, host: &str) -> ((PathBuf, PathBuf), PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let pair = (file("own.pem", own.pem()), file("own-key.pem", key.serialize_pem()));
    (pair, file("own-ca.pem", authority.pem()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_own_certificate_is_used_and_changed_without_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let ((certificate, key), ca) = strangers(folder.path(), "127.0.0.1");
    let auth = format!("{}[tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\nca_file = {ca:?}\n", secret());
    let places = loopback(5);
    let cluster = Cluster::start_with(&places[..3], &places[3..], &auth, Some(token(SECRET))).await;
    let printed = cluster.command(&["ca", "--config", "cluster.toml"]).stdout;
    assert_eq!(String::from_utf8(printed).unwrap().trim(), fs::read_to_string(&ca).unwrap().trim());
    let put = async |seed: u64, ca: &Path| {
        let token = token(SECRET);
        let servers = cluster.coordinators.iter().map(|server| encrypted(&server.url)).collect();
        let client =
            Client::encrypted(servers, Arc::new(move || Some(token.clone())), Encryption::by_file(ca).unwrap());
        let bytes = noise(700_000, seed);
        let material = client.with_deadline(PATIENCE).create_material(&wanted(bytes.len() as u64)).await.unwrap();
        client.upload(&material, Arc::new(crate::harness::Bytes(bytes)), &|_| {}).await.unwrap();
        cluster.wait_until_whole(&material.id).await;
    };
    put(1, &ca).await;
    // Another authority, of which only the files tell.
    strangers(folder.path(), "127.0.0.1");
    let asked = |server: &str| https(&ca).get(format!("{}/healthz", encrypted(server))).send();
    for server in cluster.coordinators.iter().chain(&cluster.nodes) {
        eventually("the new certificate", || async { asked(&server.url).await.ok() }).await;
    }
    put(2, &ca).await;
}

/// Neither by a node nor by a coordinator.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_secret_is_not_believed() {
    let places = loopback(3);
    let cluster = Cluster::start_with(&places[..1], &places[1..2], &secret(), Some(token(SECRET))).await;
    let other = cluster.dir.path().join("other.toml");
    fs::write(&other, "[auth]\nsecret = \"another secret for stories about encryption\"\n").unwrap();
    let log = cluster.dir.path().join("stranger.log");
    let mut stranger = cluster
        .program(&["node", "--config", "other.toml", "--coordinator", &cluster.coordinators[0].url])
        .args(["--listen", &places[2].address, "--data-dir", "stranger"])
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    eventually("a word of the stranger's", || async {
        fs::read_to_string(&log).unwrap().contains("certificate is not believed").then_some(())
    })
    .await;
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert_eq!(cluster.client.nodes(&Default::default()).await.unwrap().items.len(), 1);
}

/// An address of this machine that is not its loopback.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// As a cluster of version 0.3 comes to it: one server after another, twice, while files come, are copied and read.
#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_turned_on_while_the_cluster_works() {
    const BETWEEN: &str = "MICROTOME_TLS_BETWEEN_SERVERS";
    // Only there plain words can be refused.
    let address = outward().unwrap_or(IpAddr::from([127, 0, 0, 1])).to_string();
    let place = |place: Place| Place {
        address: place.address.replace("127.0.0.1", &address),
        environment: vec![(BETWEEN.to_owned(), "off".to_owned())],
        ..place
    };
    let places: Vec<Place> = loopback(5).into_iter().map(place).collect();
    let mut cluster = Cluster::start_with(&places[..3], &places[3..], &secret(), Some(token(SECRET))).await;
    let mut seed = 0;
    for between in ["prefer", "on"] {
        for number in 0..5 {
            let server = cluster.coordinators.iter_mut().chain(&mut cluster.nodes).nth(number).unwrap();
            server.kill();
            server.with_environment(BETWEEN, between);
            server.start();
            cluster.wait_for_nodes(2).await;
            seed += 1;
            let own = token(SECRET);
            let servers = cluster.coordinators.iter().map(|server| server.url.clone()).collect();
            let client = Client::new(servers, Some(own)).with_deadline(PATIENCE);
            let material = client.create_material(&wanted(400_000)).await.unwrap();
            let bytes = crate::harness::Bytes(noise(400_000, seed));
            client.upload(&material, Arc::new(bytes), &|_| {}).await.unwrap();
            cluster.wait_until_whole(&material.id).await;
        }
    }
}

/// Two copies of some bytes.
fn wanted(size: u64) -> CreateMaterial {
    CreateMaterial { name: "noise".to_owned(), size, population: Some(2), ..CreateMaterial::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_servers_say_is_refused_where_it_comes_plain_from_another_machine() {
    let Some(address) = outward() else {
        eprintln!("left out: this machine has no address beside its loopback");
        return;
    };
    let away = |place: Place| Place { address: place.address.replace("127.0.0.1", &address.to_string()), ..place };
    let places: Vec<Place> = loopback(3).into_iter().map(away).collect();
    let cluster = Cluster::start_with(&places[..1], &places[1..], &secret(), Some(token(SECRET))).await;
    let claims = Claims::new("node story", Role::Server, now_s(), 600);
    let own = Signer::from_secret(SECRET).unwrap().sign(&claims).unwrap();
    let https = https(&authority(&cluster));
    for (server, path) in
        [(&cluster.coordinators[0], "/internal/v1/materials/m-1"), (&cluster.nodes[0], "/internal/v1/blobs/m-1/leaves")]
    {
        let url = format!("{}{path}", server.url);
        let plain = cluster.send(&cluster.http.get(&url).bearer_auth(&own)).await;
        assert_eq!(plain.status(), 403);
        let problem: Value = plain.json().await.unwrap();
        assert_eq!(problem["code"], "encryption_needed", "{problem}");
        let answer = cluster.send(&https.get(encrypted(&url)).bearer_auth(&own)).await;
        assert_eq!(answer.status(), 404, "{}", answer.text().await.unwrap());
    }
    // People may come plain.
    let asked = cluster.http.get(format!("{}/v1/cluster", cluster.coordinators[0].url)).bearer_auth(token(SECRET));
    let answer = cluster.send(&asked).await;
    assert_eq!(answer.status(), 200);
}
