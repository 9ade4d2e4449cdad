//! Uploads: straight to a node, durable when acknowledged, resumed after any interruption.

use crate::harness::{Cluster, Server, blake3, eventually, noise, signal};
use microtome_proto::material::{CreateMaterial, MaterialState};
use std::{fs, process::Command};

/// Plain tus, as any client speaks it: creation at the coordinator, bytes to the node, in pieces.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_tus_client_uploads_in_pieces() {
    let cluster = Cluster::start(1, 1).await;
    let bytes = noise(100_001, 1);
    let endpoint = format!("{}/v1/uploads", cluster.coordinators[0].url);
    let options = cluster.http.request(reqwest::Method::OPTIONS, &endpoint).send().await.unwrap();
    assert_eq!(options.status(), 204);
    assert_eq!(options.headers()["tus-version"], "1.0.0");
    assert!(options.headers()["tus-extension"].to_str().unwrap().contains("creation"));

    let creation = cluster
        .http
        .post(&endpoint)
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", bytes.len())
        .header("Upload-Metadata", "filename cGllY2VzLmJpbg==");
    let created = cluster.send(&creation).await;
    assert_eq!(created.status(), 201);
    let url = created.headers()["location"].to_str().unwrap().to_owned();
    assert!(url.starts_with(&cluster.nodes[0].url), "the bytes go straight to a node: {url}");

    let head = || async {
        let answer = cluster.http.head(&url).header("Tus-Resumable", "1.0.0").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.headers()["upload-offset"].to_str().unwrap().parse::<usize>().unwrap()
    };
    let mut offset = head().await;
    assert_eq!(offset, 0);
    for piece in bytes.chunks(33_333) {
        let answer = cluster.patch(&url, offset as u64, piece.to_vec()).await;
        assert_eq!(answer.status(), 204);
        offset += piece.len();
        assert_eq!(answer.headers()["upload-offset"].to_str().unwrap(), offset.to_string());
    }
    let wrong = cluster.patch(&url, 5, b"late".to_vec()).await;
    assert_eq!(wrong.status(), 409);
    let id = url.rsplit('/').next().unwrap().parse().unwrap();
    let material = cluster.wait_until_arrived(&id).await;
    assert_eq!((material.name.as_str(), material.size), ("pieces.bin", 100_001));
    assert_eq!(material.blake3.as_deref(), Some(blake3(&bytes).as_str()));
    assert_eq!(cluster.get(&format!("{endpoint}/../materials/{id}/file").replace("uploads/../", "")).await, bytes);
}

/// What a client said of its file it is told again, and gets the file where it sent it: before and after it is whole, and
/// after its node was killed.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_tells_its_metadata_and_gives_its_bytes() {
    let mut cluster = Cluster::start(1, 1).await;
    let bytes = noise(100_001, 1);
    let metadata = "number MTAw,filename YS5zdnM=,nonlatin c8WCb8WEY2U=,flag";
    let creation = cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url));
    let creation = creation.header("Tus-Resumable", "1.0.0").header("Upload-Length", bytes.len());
    let created = cluster.send(&creation.header("Upload-Metadata", metadata)).await;
    let url = created.headers()["location"].to_str().unwrap().to_owned();
    let told = async |cluster: &Cluster| {
        let head = cluster.http.head(&url).header("Tus-Resumable", "1.0.0").send().await.unwrap();
        head.headers()["upload-metadata"].to_str().unwrap().to_owned()
    };
    assert_eq!(told(&cluster).await, metadata);
    assert_eq!(cluster.patch(&url, 0, bytes[..50_000].to_vec()).await.status(), 204);
    let early = cluster.http.get(&url).send().await.unwrap();
    assert_eq!((early.status().as_u16(), problem_code(early).await.as_str()), (503, "unavailable"));
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.wait_for_nodes(1).await;
    assert_eq!(told(&cluster).await, metadata);
    assert_eq!(cluster.patch(&url, 50_000, bytes[50_000..].to_vec()).await.status(), 204);
    assert_eq!(told(&cluster).await, metadata);
    let whole = cluster.http.get(&url).send().await.unwrap();
    assert_eq!((whole.status().as_u16(), &whole.headers()["tus-resumable"]), (200, &"1.0.0".parse().unwrap()));
    assert_eq!(whole.bytes().await.unwrap(), bytes);

    let end = cluster.http.delete(&url).header("Tus-Resumable", "1.0.0").send().await.unwrap();
    assert_eq!(end.status(), 204);
    assert_eq!(cluster.http.get(&url).send().await.unwrap().status(), 404);
}

async fn problem_code(answer: reqwest::Response) -> String {
    let problem: serde_json::Value = answer.json().await.unwrap();
    problem["code"].as_str().unwrap().to_owned()
}

/// The first bytes, or all of them, come with the creation, at any coordinator: they reach the node.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_may_come_with_the_creation() {
    let cluster = Cluster::start(3, 1).await;
    let bytes = noise(5_000_000, 3);
    let create = |coordinator: &Server, body: &[u8]| {
        let creation = cluster.http.post(format!("{}/v1/uploads", coordinator.url));
        let typed = creation.header("Tus-Resumable", "1.0.0").header("Content-Type", "application/offset+octet-stream");
        typed.header("Upload-Length", bytes.len()).body(body.to_vec())
    };
    let header = |answer: &reqwest::Response, name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    for (coordinator, len) in cluster.coordinators.iter().zip([bytes.len(), 1_234_567, 0]) {
        let created = cluster.send(&create(coordinator, &bytes[..len])).await;
        assert_eq!(created.status(), 201);
        assert_eq!(header(&created, "upload-offset"), len.to_string());
        let url = header(&created, "location");
        assert!(url.starts_with(&cluster.nodes[0].url), "{url}");
        if len < bytes.len() {
            assert!(header(&created, "upload-expires").ends_with(" GMT"));
            assert_eq!(cluster.patch(&url, len as u64, bytes[len..].to_vec()).await.status(), 204);
        }
        let material = cluster.wait_until_arrived(&url.rsplit('/').next().unwrap().parse().unwrap()).await;
        assert_eq!(material.blake3.as_deref(), Some(blake3(&bytes).as_str()));
    }
    let trailed = create(&cluster.coordinators[1], b"").header("Trailer", "Upload-Checksum");
    assert_eq!(header(&cluster.send(&trailed).await, "upload-offset"), "0", "its trailer is not passed on");
    let empty =
        cluster.http.post(format!("{}/v1/uploads", cluster.coordinators[0].url)).header("Tus-Resumable", "1.0.0");
    let empty = cluster.send(&empty.header("Upload-Length", 0)).await;
    assert_eq!(empty.status(), 201);
    let head = cluster.http.head(header(&empty, "location")).send().await.unwrap();
    assert_eq!((header(&head, "upload-offset"), header(&head, "upload-length")), ("0".to_owned(), "0".to_owned()));
    let summed =
        create(&cluster.coordinators[0], &bytes).header("Upload-Checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=");
    let refused = cluster.send(&summed).await;
    assert_eq!(refused.status(), 460);
    let url = header(&refused, "location");
    assert_eq!(cluster.patch(&url, 0, bytes.clone()).await.status(), 204, "it can be sent once more");
}

/// The node is killed at 40 % of an upload. It comes back, offers no more than what is durable, and the client goes on
/// from there; the hash is right.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_outlives_its_node() {
    let mut cluster = Cluster::start(1, 1).await;
    let bytes = noise(40_000_000, 2);
    let wanted = CreateMaterial {
        name: "big.bin".to_owned(),
        size: bytes.len() as u64,
        media_type: None,
        blake3: Some(blake3(&bytes)),
        population: Some(1),
        ..CreateMaterial::default()
    };
    let material = cluster.client.create_material(&wanted).await.unwrap();
    assert_eq!(material.state, MaterialState::Receiving);
    let url = material.upload_url.unwrap();
    assert_eq!(cluster.patch(&url, 0, bytes[..16_000_000].to_vec()).await.status(), 204);
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    let offset = eventually("the node knows its upload", || async {
        let answer = cluster.http.head(&url).header("Tus-Resumable", "1.0.0").send().await.ok()?;
        (answer.status() == 200).then(|| answer.headers()["upload-offset"].to_str().unwrap().parse::<usize>().unwrap())
    })
    .await;
    assert!(offset <= 16_000_000 && offset > 16_000_000 - (16 << 10), "acknowledged 16,000,000, kept {offset}");
    assert_eq!(cluster.patch(&url, offset as u64, bytes[offset..].to_vec()).await.status(), 204);
    let whole = cluster.wait_until_whole(&material.id).await;
    assert_eq!(whole.blake3, wanted.blake3);
    // Acknowledged is durable: the same after one more kill, from the plain file on the disk.
    cluster.nodes[0].kill();
    let file = cluster.nodes[0].data_dir.join("materials").join(material.id.as_str()).join("file");
    assert_eq!(fs::read(file).unwrap(), bytes);
}

/// `microtome put` is killed in the middle and started again: it goes on instead of starting anew.
#[tokio::test(flavor = "multi_thread")]
async fn put_goes_on_after_it_was_killed() {
    let cluster = Cluster::start(1, 2).await;
    let path = cluster.dir.path().join("slide.bin");
    let bytes = noise(200_000_000, 3);
    fs::write(&path, &bytes).unwrap();
    let server = &cluster.coordinators[0].url;
    let mut put = Command::new(env!("CARGO_BIN_EXE_microtome"))
        .args(["put", path.to_str().unwrap(), "--server", server])
        .env("HOME", cluster.dir.path())
        .env_remove("XDG_STATE_HOME")
        .spawn()
        .unwrap();
    let arriving = |node: &Server| {
        let uploads = fs::read_dir(node.data_dir.join("incoming")).unwrap();
        let large =
            |folder: &fs::DirEntry| fs::metadata(folder.path().join("file")).is_ok_and(|file| file.len() > 8 << 20);
        uploads.flatten().find(large).map(|folder| (node.url.clone(), folder.file_name().into_string().unwrap()))
    };
    let (node, id) =
        eventually("some megabytes have arrived", || async { cluster.nodes.iter().find_map(arriving) }).await;
    // Stopped first: the node ends a sender that has fallen silent, and tells what is durable of it.
    signal(put.id(), "STOP");
    let offset = eventually("the node tells how far it is", || async {
        let head = cluster.http.head(format!("{node}/v1/uploads/{id}")).header("Tus-Resumable", "1.0.0").send().await;
        let offset: usize = head.ok()?.headers().get("upload-offset")?.to_str().ok()?.parse().ok()?;
        (offset > 0).then_some(offset)
    })
    .await;
    assert!(offset < bytes.len(), "it was over before it could be killed");
    put.kill().unwrap();
    put.wait().unwrap();
    let again = cluster.command_json(&["put", path.to_str().unwrap()]);
    assert!(again.to_string().contains(&id), "the same material is finished: {again}");
    let material = cluster.wait_until_arrived(&id.parse().unwrap()).await;
    assert_eq!(material.blake3.as_deref(), Some(blake3(&bytes).as_str()));
    let page = cluster.client.materials(&microtome_proto::page::PageQuery::default()).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

/// The bytes are not those that were announced: nothing is published.
#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_than_announced_are_refused() {
    let cluster = Cluster::start(1, 1).await;
    let wanted = CreateMaterial {
        name: "other.bin".to_owned(),
        size: 1000,
        media_type: None,
        blake3: Some(blake3(b"announced")),
        population: Some(1),
        ..CreateMaterial::default()
    };
    let material = cluster.client.create_material(&wanted).await.unwrap();
    let answer = cluster.patch(&material.upload_url.unwrap(), 0, noise(1000, 4)).await;
    assert_eq!(answer.status(), 422);
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "hash_mismatch");
    let file = format!("{}/v1/materials/{}/file", cluster.coordinators[0].url, material.id);
    let status = cluster.http.get(&file).send().await.unwrap().status();
    assert!(status == 404 || status == 503, "{status}");
}
