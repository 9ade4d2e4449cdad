//! Who reads and writes in which space, by which token and by none.

use super::{address, asking, refusal, verdict};
use crate::{
    harness::{Cluster, loopback, token},
    slides,
};
use microtome_proto::token::{Claims, Role, Signer, now_s};
use reqwest::{Method, header};
use serde_json::{Value, json};

const SECRET: &str = "a secret for stories about spaces";

fn in_space(role: Role, name: &str, space: &str) -> String {
    let mut claims = Claims::new(name, role, now_s(), 3_600);
    claims.space = Some(space.to_owned());
    Signer::from_secret(SECRET).unwrap().sign(&claims).unwrap()
}

async fn cluster() -> Cluster {
    let places = loopback(2);
    Cluster::start_at(&places[..1], &places[1..], Some(SECRET)).await
}

/// What becomes of a request.
async fn asked(cluster: &Cluster, method: Method, url: &str, token: Option<&str>) -> (u16, String) {
    let request = asking(cluster, method.clone(), url, token);
    let request = if method == Method::PUT { request.body("bytes") } else { request };
    verdict(cluster.send(&request).await).await
}

async fn status(cluster: &Cluster, method: Method, url: &str, token: Option<&str>) -> u16 {
    asked(cluster, method, url, token).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn members_read_their_own_space_and_the_public_one_and_droppers_read_nothing() {
    let cluster = cluster().await;
    let (ada, bob) = (in_space(Role::Member, "ada", "a"), in_space(Role::Member, "bob", "b"));
    let dropper = in_space(Role::Uploader, "dan", "a");
    let (of_a, of_public) = (address(&cluster, 0, "a", "x/1"), address(&cluster, 0, "public", "x/1"));
    assert_eq!(status(&cluster, Method::PUT, &of_a, Some(&ada)).await, 201);
    assert_eq!(status(&cluster, Method::PUT, &of_public, Some(&ada)).await, 201);
    let (lists_a, at_node) = (
        format!("{}/v1/spaces/a/files", cluster.coordinators[0].url),
        of_a.replace(&cluster.coordinators[0].url, &cluster.nodes[0].url),
    );
    for url in [&of_a, &lists_a] {
        assert_eq!(status(&cluster, Method::GET, url, Some(&ada)).await, 200, "{url}");
        assert_eq!(asked(&cluster, Method::GET, url, Some(&bob)).await, refusal(403, "forbidden"), "{url}");
        assert_eq!(asked(&cluster, Method::GET, url, Some(&dropper)).await, refusal(403, "forbidden"), "{url}");
        assert_eq!(asked(&cluster, Method::GET, url, None).await, refusal(401, "unauthorized"), "{url}");
    }
    // A node sends who asks there on, and the token that stands in the address is not found before the material's.
    let by_query = format!("{at_node}?token={ada}");
    assert_eq!(status(&cluster, Method::GET, &by_query, None).await, 200);
    assert_eq!(status(&cluster, Method::GET, &of_public, Some(&bob)).await, 200);
    assert_eq!(asked(&cluster, Method::PUT, &of_a, Some(&bob)).await, refusal(403, "forbidden"));
    assert_eq!(asked(&cluster, Method::DELETE, &of_a, Some(&bob)).await, refusal(403, "forbidden"));
    assert_eq!(asked(&cluster, Method::DELETE, &of_public, Some(&bob)).await, refusal(403, "forbidden"));

    // Who drops off overwrites nothing of others', nor knows what is there.
    let dropped = address(&cluster, 0, "a", "drop");
    assert_eq!(status(&cluster, Method::PUT, &dropped, Some(&dropper)).await, 201);
    assert_eq!(asked(&cluster, Method::PUT, &of_a, Some(&dropper)).await, refusal(412, "precondition_failed"));
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        assert_eq!(status(&cluster, method, &dropped, Some(&dropper)).await, 403);
    }
    assert_eq!(status(&cluster, Method::GET, &dropped, Some(&ada)).await, 200);
    assert_eq!(asked(&cluster, Method::PUT, &address(&cluster, 0, "b", "x"), Some(&dropper)).await.0, 403);

    // Lists show what is theirs to read, and nothing else.
    let listed = async |token: &str, query: &str| {
        let url = format!("{}/v1/materials{query}", cluster.coordinators[0].url);
        let page: Value = cluster.send(&cluster.http.get(url).bearer_auth(token)).await.json().await.unwrap();
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| format!("{}/{}", item["space"].as_str().unwrap(), item["key"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&ada, "").await, ["a/drop", "public/x/1", "a/x/1"]);
    assert_eq!(listed(&bob, "").await, ["public/x/1"]);
    assert_eq!(listed(&token(SECRET), "?space=a").await, ["a/drop", "a/x/1"]);
    let of_other = format!("{}/v1/materials?space=a", cluster.coordinators[0].url);
    assert_eq!(asked(&cluster, Method::GET, &of_other, Some(&bob)).await, refusal(403, "forbidden"));
    describing_is_for_administrators(&cluster, &ada).await;
}

async fn describing_is_for_administrators(cluster: &Cluster, member: &str) {
    let url = format!("{}/v1/spaces/a", cluster.coordinators[0].url);
    let change = async |method: Method, token: &str, body: Value| {
        verdict(cluster.send(&cluster.http.request(method, &url).bearer_auth(token).json(&body)).await).await
    };
    let admin = token(SECRET);
    for method in [Method::PUT, Method::PATCH] {
        assert_eq!(
            change(method.clone(), member, json!({ "visibility": "anonymous" })).await,
            refusal(403, "forbidden")
        );
        assert_eq!(change(method, &admin, json!({ "visability": "public" })).await, refusal(400, "bad_request"));
    }
    assert_eq!(change(Method::PUT, &admin, json!({ "members": { "user:u-7": "reader" } })).await.0, 201);
    assert_eq!(change(Method::PUT, &admin, json!({ "expires_in_s": 0 })).await, refusal(400, "bad_request"));
    // Who the members are is told to those who say so.
    let shown = async |token: &str| {
        let answer = cluster.send(&cluster.http.get(&url).bearer_auth(token)).await;
        answer.json::<Value>().await.unwrap()
    };
    assert_eq!(shown(&admin).await["members"], json!({ "user:u-7": "reader" }));
    assert_eq!(shown(member).await.get("members"), None);
    let other = in_space(Role::Member, "bob", "b");
    assert_eq!(asked(cluster, Method::GET, &url, Some(&other)).await, refusal(404, "not_found"));
}

/// `private` says in which of the two spaces something lies that a token's bearer may send to; whatever else they say of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_token_says_comes_before_what_the_metadata_says() {
    let cluster = cluster().await;
    let dropper = in_space(Role::Uploader, "dan", "partners/dan");
    let create = async |metadata: &str| {
        let request = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url)).bearer_auth(&dropper);
        let request = request.header("Tus-Resumable", "1.0.0").header("Upload-Length", 5);
        let created = cluster.send(&request.header("Upload-Metadata", metadata)).await;
        assert_eq!(created.status(), 201);
        created.headers()[header::LOCATION].to_str().unwrap().to_owned()
    };
    let space_of = async |upload: &str| {
        let id = upload.rsplit('/').next().unwrap().parse().unwrap();
        cluster.client.material(&id).await.unwrap().terms.space.unwrap()
    };
    // space other, private true, false
    for (metadata, space) in [
        ("filename YQ==", "public"),
        ("filename YQ==,private dHJ1ZQ==", "partners/dan"),
        ("private dHJ1ZQ==,space b3RoZXI=", "partners/dan"),
        ("private ZmFsc2U=,space b3RoZXI=", "public"),
    ] {
        assert_eq!(space_of(&create(metadata).await).await, space, "{metadata}");
    }
    // What it sends it goes on with, and nobody else does; nor is it read back by its sender.
    let own = create("private dHJ1ZQ==").await;
    let others = [
        in_space(Role::Uploader, "eve", "partners/dan"),
        in_space(Role::Member, "dan", "other"),
        in_space(Role::Member, "x", "public"),
    ];
    for other in &others {
        assert_eq!(asking(&cluster, Method::HEAD, &own, Some(other)).send().await.unwrap().status(), 404);
        let patch = asking(&cluster, Method::PATCH, &own, Some(other)).header("Tus-Resumable", "1.0.0");
        let patch = patch.header("Upload-Offset", 0).header(header::CONTENT_TYPE, "application/offset+octet-stream");
        assert_eq!(verdict(patch.body("bytes").send().await.unwrap()).await, refusal(404, "not_found"));
    }
    let patch = asking(&cluster, Method::PATCH, &own, Some(&dropper)).header("Tus-Resumable", "1.0.0");
    let patch = patch.header("Upload-Offset", 0).header(header::CONTENT_TYPE, "application/offset+octet-stream");
    assert_eq!(patch.body("bytes").send().await.unwrap().status(), 204);
    let id = own.rsplit('/').next().unwrap();
    cluster.wait_until_arrived(&id.parse().unwrap()).await;
    let file = format!("{}/v1/materials/{id}/file", cluster.coordinators[0].url);
    assert_eq!(asked(&cluster, Method::GET, &file, Some(&dropper)).await, refusal(403, "forbidden"));
    assert_eq!(asked(&cluster, Method::GET, &file, Some(&others[1])).await, refusal(403, "forbidden"));
    let member = in_space(Role::Member, "mia", "partners/dan");
    assert_eq!(status(&cluster, Method::GET, &file, Some(&member)).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_says_so_is_read_without_a_token() {
    let cluster = cluster().await;
    let admin = token(SECRET);
    let run = cluster
        .program(&["spaces", "set", "open", "--visibility", "anonymous"])
        .env("MICROTOME_TOKEN", &admin)
        .output();
    assert!(run.unwrap().status.success());
    let (_, bytes) = slides::drawn(cluster.dir.path(), 700, 500);
    let (open, closed) = (address(&cluster, 0, "open", "slides/a.svs"), address(&cluster, 0, "closed", "slides/a.svs"));
    let mut ids = Vec::new();
    for url in [&open, &closed] {
        let sent = asking(&cluster, Method::PUT, url, Some(&admin)).body(bytes.clone()).send().await.unwrap();
        assert_eq!(sent.status(), 201);
        ids.push(sent.headers()["microtome-material"].to_str().unwrap().to_owned());
    }
    let base = &cluster.coordinators[0].url;
    let of = |id: &str| {
        [
            format!("{base}/v1/materials/{id}"),
            format!("{base}/v1/materials/{id}/file"),
            format!("{base}/v1/materials/{id}/slide"),
            format!("{base}/tiles/{id}/0/0_0.jpg"),
            format!("{base}/dzi/{id}.dzi"),
        ]
    };
    assert_eq!(cluster.get(&open).await, bytes);
    for url in of(&ids[0]).into_iter().chain([format!("{base}/v1/spaces/open/files"), format!("{base}/v1/spaces/open")])
    {
        assert_eq!(status(&cluster, Method::GET, &url, None).await, 200, "{url}");
        assert_eq!(status(&cluster, Method::HEAD, &url, None).await, 200, "{url}");
    }
    // Nothing else is, nor is told to be there; and nothing is written.
    let others =
        ["/v1/materials", "/v1/spaces", "/v1/spaces/closed", "/v1/spaces/closed/files", "/v1/cluster", "/metrics"];
    let others = others.map(|path| format!("{base}{path}")).into_iter().chain(of(&ids[1])).chain(of("m-none"));
    for url in others.chain([closed.clone(), format!("{}/v1/materials/{}/file", cluster.nodes[0].url, ids[0])]) {
        assert_eq!(asked(&cluster, Method::GET, &url, None).await, refusal(401, "unauthorized"), "{url}");
    }
    for method in [Method::PUT, Method::DELETE] {
        assert_eq!(asked(&cluster, method, &open, None).await, refusal(401, "unauthorized"));
    }
    let tokens = format!("{base}/v1/materials/{}/tokens", ids[0]);
    assert_eq!(asked(&cluster, Method::POST, &tokens, None).await, refusal(401, "unauthorized"));
}
