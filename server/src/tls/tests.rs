//! Handshakes with a server, and what is refused.

use super::*;
use crate::{Peer, Scheme, listen, serve};
use axum::{Extension, Router, body::Body, http::Request, middleware, routing::get};
use microtome_proto::{
    tls::CertificateFiles,
    token::{Secret, Settings as AuthSettings},
};
use rustls::pki_types::ServerName;
use std::{fs, net::SocketAddr, path::Path};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

const SECRET: &str = "a secret of some length";

fn of(auth: &AuthSettings) -> Tls {
    Tls::open(&Settings::default(), auth, ["http://127.0.0.1:7500"]).unwrap()
}

async fn served(tls: &Tls) -> SocketAddr {
    let listener = listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/scheme", get(|scheme: Extension<Scheme>| async move { scheme.as_str() }));
    tokio::spawn(serve(listener, tls.acceptor(), None, router, CancellationToken::new()));
    address
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream.write_all(b"GET /scheme HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// What `caller` gets to hear at `address`, where it believes the server.
async fn ask(caller: &Tls, address: SocketAddr, name: &str) -> Result<String, String> {
    let connector = TlsConnector::from(Arc::new(caller.client_config().unwrap()));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
    Ok(answer(stream).await)
}

#[tokio::test]
async fn one_port_answers_both_and_tells_them_apart() {
    let tls = of(&AuthSettings::of_secret(SECRET));
    let address = served(&tls).await;
    assert_eq!(answer(TcpStream::connect(address).await.unwrap()).await, "http");
    assert_eq!(ask(&tls, address, "127.0.0.1").await.unwrap(), "https");
}

/// It goes on through a change of the secret, in three steps.
#[tokio::test]
async fn servers_with_a_secret_in_common_believe_one_another() {
    let with = |secret: &str, previous: Option<&str>| {
        of(&AuthSettings { previous_secret: previous.map(Secret::new), ..AuthSettings::of_secret(secret) })
    };
    let (old, new) = (SECRET, "another secret of some length");
    let steps = [with(old, None), with(old, Some(new)), with(new, Some(old)), with(new, None)];
    for pair in steps.windows(2) {
        for (caller, server) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            let address = served(server).await;
            // Whatever it is called: it is the cluster's.
            assert_eq!(ask(caller, address, "forwarded.example").await.unwrap(), "https");
        }
    }
    let stranger = ask(&steps[0], served(&steps[3]).await, "127.0.0.1").await.unwrap_err();
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");
}

/// It goes on through a change of the signing key as well: its public half is known everywhere before it signs.
#[tokio::test]
async fn a_signing_key_is_believed_by_those_who_know_its_public_half() {
    let folder = tempfile::tempdir().unwrap();
    let pem = || Secret::new(rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem());
    let with = |key: &Secret, known: Option<(&str, &Secret)>| {
        let known = known.map(|(name, known)| {
            let path = folder.path().join(name);
            let jwks = token::Signer::from_pem(known.as_str()).unwrap().jwks().unwrap();
            fs::write(&path, jwks.to_string()).unwrap();
            path
        });
        of(&AuthSettings { signing_key: Some(key.clone()), verifying_keys: known, ..AuthSettings::default() })
    };
    let (old, new) = (pem(), pem());
    let steps = [
        with(&old, None),
        with(&old, Some(("new.json", &new))),
        with(&new, Some(("old.json", &old))),
        with(&new, None),
    ];
    for pair in steps.windows(2) {
        for (caller, server) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            assert_eq!(ask(caller, served(server).await, "here").await.unwrap(), "https");
        }
    }
    assert!(ask(&steps[0], served(&steps[2]).await, "here").await.is_err());
    // Read again, as the set is for tokens.
    fs::write(folder.path().join("new.json"), "{\"keys\":[]}").unwrap();
    steps[1].read_again().unwrap();
    assert!(ask(&steps[1], served(&steps[2]).await, "here").await.is_err());
}

/// An authority, and a certificate by it for `host`.
fn made_by(folder: &Path, host: &str) -> (CertificateFiles, std::path::PathBuf) {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let at = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let files = CertificateFiles { certificate: at("c.pem", certificate.pem()), key: at("k.pem", key.serialize_pem()) };
    (files, at("ca.pem", authority.pem()))
}

#[tokio::test]
async fn an_operators_certificate_is_believed_for_the_host_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let (files, ca) = made_by(folder.path(), "node.example");
    let auth = AuthSettings::of_secret(SECRET);
    let settings = Settings { certificate: Some(files), ca_file: Some(ca.clone()), ..Settings::default() };
    let own = Tls::open(&settings, &auth, []).unwrap();
    let address = served(&own).await;
    assert_eq!(ask(&own, address, "node.example").await.unwrap(), "https");
    let error = ask(&own, address, "other.example").await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    assert!(ask(&of(&auth), address, "node.example").await.unwrap_err().contains("UnknownIssuer"));
    // And who has one believes those who have none yet.
    assert_eq!(ask(&own, served(&of(&auth)).await, "other.example").await.unwrap(), "https");

    // Another authority, without a start.
    made_by(folder.path(), "node.example");
    own.read_again().unwrap();
    assert_eq!(ask(&own, address, "node.example").await.unwrap(), "https");
    fs::write(&ca, "nothing").unwrap();
    assert!(own.read_again().unwrap_err().to_string().contains("ca.pem"));
    assert_eq!(ask(&own, address, "node.example").await.unwrap(), "https");
}

#[tokio::test]
async fn what_is_no_handshake_and_what_is_no_http_is_closed() {
    let address = served(&of(&AuthSettings::of_secret(SECRET))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"\x16GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

#[tokio::test]
async fn without_a_secret_there_is_no_certificate_and_nothing_is_lifted() {
    let none = of(&AuthSettings::default());
    assert!(none.acceptor().is_none() && !none.encrypts());
    assert_eq!(none.call("http://a:1/x"), "http://a:1/x");
    assert_eq!(of(&AuthSettings::of_secret(SECRET)).call("http://a:1/x"), "https://a:1/x");
    let on = Settings { between_servers: Some(BetweenServers::On), ..Settings::default() };
    assert!(Tls::open(&on, &AuthSettings::default(), []).is_err());
}

/// Of what servers say to each other, from another machine and from this one.
#[tokio::test]
async fn what_comes_plain_from_elsewhere_is_refused_where_servers_encrypt() {
    use hyper::service::Service as _;
    let verdict = async |between: BetweenServers, from: &str, scheme: Scheme| {
        let settings = Settings { between_servers: Some(between), ..Settings::default() };
        let tls = Tls::open(&settings, &AuthSettings::of_secret(SECRET), []).unwrap();
        let guard = middleware::from_fn_with_state(tls, encrypted);
        let router = Router::new().route("/internal", get(|| async {})).layer(guard);
        let router = hyper_util::service::TowerToHyperService::new(router);
        let request = Request::get("/internal").extension(Peer(from.parse().unwrap())).extension(scheme);
        router.call(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    };
    use BetweenServers::{Off, On, Prefer};
    assert_eq!(verdict(On, "10.0.0.7", Scheme::Http).await, 403);
    assert_eq!(verdict(On, "::ffff:10.0.0.7", Scheme::Http).await, 403);
    assert_eq!(verdict(On, "10.0.0.7", Scheme::Https).await, 200);
    assert_eq!(verdict(On, "127.0.0.1", Scheme::Http).await, 200);
    assert_eq!(verdict(On, "::ffff:127.0.0.1", Scheme::Http).await, 200);
    for between in [Prefer, Off] {
        assert_eq!(verdict(between, "10.0.0.7", Scheme::Http).await, 200);
    }
}
