//! The IIIF Image API as viewers speak it.

use crate::pixels::{counted, decoded, get, holding, plain_slide, read, refused, synthetic_slide};
use crate::support::{TestNode, material, number};
use microtome_slide::{encode, iiif};
use reqwest::{StatusCode, header};
use serde_json::Value;

const JSON_LD_3: &str = "application/ld+json;profile=\"http://iiif.io/api/image/3/context.json\"";

fn level(slide: &[u8], level: usize) -> microtome_slide::Level {
    read(slide).levels()[level].clone()
}

#[tokio::test]
async fn the_description_names_itself_and_its_tiles() {
    let (node, id) = holding(synthetic_slide()).await;
    let side = level(synthetic_slide(), 0).tile_width;
    for (version, key, accept, content_type) in [
        (3, "id", "*/*", JSON_LD_3),
        (3, "id", "application/json", "application/json"),
        (2, "@id", "*/*", "application/json"),
        (2, "@id", "application/ld+json", "application/ld+json"),
    ] {
        let path = format!("/iiif/{version}/{id}/info.json");
        let ask = || node.request("GET", &path).header(header::ACCEPT, accept);
        let info = ask().send().await.unwrap();
        assert_eq!(info.status(), StatusCode::OK);
        assert_eq!(info.headers()["content-type"], content_type);
        assert_eq!(info.headers()["access-control-allow-origin"], "*");
        assert_eq!(info.headers()["cache-control"], "private, max-age=3600");
        let context = format!("http://iiif.io/api/image/{version}/context.json");
        let link = format!("<{context}>;rel=\"http://www.w3.org/ns/json-ld#context\";type=\"application/ld+json\"");
        let told = info.headers().get("link").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(told, (content_type == "application/json").then_some(link));
        let etag = info.headers()["etag"].clone();
        let again = ask().header(header::IF_NONE_MATCH, etag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

        let info: Value = info.json().await.unwrap();
        assert_eq!(info[key], format!("{}/iiif/{version}/{id}", node.url));
        assert_eq!((&info["width"], &info["height"]), (&1500.into(), &1100.into()));
        assert_eq!((&info["tiles"][0]["width"], &info["@context"]), (&side.into(), &context.into()));
    }
    let head = node.request("HEAD", &format!("/iiif/3/{id}/info.json")).send().await.unwrap();
    assert_eq!((head.status(), &head.headers()["content-type"]), (StatusCode::OK, &JSON_LD_3.parse().unwrap()));
}

#[tokio::test]
async fn a_service_is_called_as_its_asker_calls_it_and_never_by_what_is_no_host() {
    let (node, id) = holding(synthetic_slide()).await;
    let path = format!("/iiif/3/{id}/info.json");
    for (host, proto, expected) in [
        ("slides.example:8080", "http", "http://slides.example:8080"),
        ("slides.example", "https", "https://slides.example"),
        ("evil.example\"}", "https", node.url.as_str()),
        ("user@evil.example", "http", node.url.as_str()),
    ] {
        let ask = node.request("GET", &path).header(header::HOST, host).header("x-forwarded-proto", proto);
        let info: Value = ask.send().await.unwrap().json().await.unwrap();
        assert_eq!(info["id"], format!("{expected}/iiif/3/{id}"), "{host}");
    }
    // Caches keep the descriptions for different hosts apart.
    let tag = async |host| {
        let answer = node.request("GET", &path).header(header::HOST, host).send().await.unwrap();
        answer.headers()["etag"].clone()
    };
    assert_ne!(tag("a.example").await, tag("b.example").await);
}

#[tokio::test]
async fn the_base_uri_leads_to_the_description() {
    let (node, id) = holding(synthetic_slide()).await;
    for version in [2, 3] {
        let base = get(&node, &format!("/iiif/{version}/{id}")).await;
        assert_eq!(base.status(), StatusCode::SEE_OTHER);
        assert_eq!(base.headers()["location"], format!("{}/iiif/{version}/{id}/info.json", node.url));
    }
    let with_token = get(&node, &format!("/iiif/3/{id}?token=x")).await;
    assert_eq!(with_token.headers()["location"], format!("{}/iiif/3/{id}/info.json?token=x", node.url));
    let escaped = id.as_str().replace('-', "%2D");
    let info: Value = get(&node, &format!("/iiif/3/{escaped}/info.json")).await.json().await.unwrap();
    assert_eq!(info["id"], format!("{}/iiif/3/{id}", node.url));
}

#[tokio::test]
async fn whole_tiles_pass_through_and_the_rest_is_drawn() {
    let (node, id) = holding(synthetic_slide()).await;
    let slide = read(synthetic_slide());
    let side = slide.levels()[0].tile_width;
    for (number, level) in slide.levels().iter().enumerate().filter(|(_, level)| level.width >= u64::from(side)) {
        let step = side * level.downsample.round() as u32;
        let own = get(&node, &format!("/tiles/{id}/{number}/0_0.jpg")).await.bytes().await.unwrap();
        for (version, size) in [(3, format!("{side},{side}")), (2, format!("{side},"))] {
            let path = format!("/iiif/{version}/{id}/0,0,{step},{step}/{size}/0/default.jpg");
            let tile = get(&node, &path).await;
            assert_eq!(tile.headers()["microtome-tile"], "native", "{path}");
            assert_eq!(tile.headers()["content-type"], "image/jpeg");
            assert_eq!(tile.bytes().await.unwrap(), own, "{path}");
        }
    }
    assert_eq!(counted(&node, "pictures_drawn").await, 0);
    for address in ["10,20,300,200/max/0/color.png", "full/400,/90/default.png", "0,0,1000,900/!300,300/!180/gray.png"]
    {
        let parts: Vec<_> = address.split('/').collect();
        let request = iiif::Request::parse(iiif::Version::V3, parts[0], parts[1], parts[2], parts[3]).unwrap();
        let plan = iiif::Plan::new(&slide, &request).unwrap();
        let expected = plan.encode(plan.draw(&slide).unwrap(), 85).unwrap();
        let picture = get(&node, &format!("/iiif/3/{id}/{address}")).await;
        assert_eq!(picture.headers()["microtome-tile"], "rendered", "{address}");
        assert_eq!(picture.headers()["content-type"], "image/png");
        assert!(picture.bytes().await.unwrap() == expected, "{address}");
    }
}

#[tokio::test]
async fn a_picture_tells_its_canonical_address_and_is_not_sent_twice() {
    let (node, id) = holding(synthetic_slide()).await;
    for (version, address, canonical) in [
        (3, "0,0,1500,1100/300,/0/color.jpg", "full/300,220/0/default.jpg"),
        (2, "pct:0,0,100,100/300,220/360/color.jpg", "full/300,/0/default.jpg"),
    ] {
        let path = format!("/iiif/{version}/{id}/{address}");
        let picture = get(&node, &path).await;
        let links = format!(
            "<{}/iiif/{version}/{id}/{canonical}>;rel=\"canonical\", \
             <http://iiif.io/api/image/{version}/level2.json>;rel=\"profile\"",
            node.url
        );
        assert_eq!(picture.headers()["link"], links);
        let etag = picture.headers()["etag"].clone();
        let len = picture.bytes().await.unwrap().len() as u64;
        let head = node.request("HEAD", &path).send().await.unwrap();
        assert_eq!((head.status(), number(&head, "content-length")), (StatusCode::OK, len));
        assert_eq!(head.headers()["etag"], etag);
        // In a list with others, too.
        let known = format!("\"other\", {}", etag.to_str().unwrap());
        let again = node.request("GET", &path).header(header::IF_NONE_MATCH, known).send().await.unwrap();
        assert_eq!((again.status(), &again.headers()["etag"]), (StatusCode::NOT_MODIFIED, &etag));
    }
}

#[tokio::test]
async fn a_crowd_that_asks_in_many_words_has_one_picture_drawn_once() {
    let (node, id) = holding(&plain_slide()).await;
    let words =
        ["full/150,/0/default.jpg", "0,0,300,200/150,100/0/color.jpg", "pct:0,0,100,100/pct:50/360/default.jpg"];
    let asked: Vec<_> = (0..30).map(|i| format!("/iiif/3/{id}/{}", words[i % 3])).collect();
    let answers = futures_util::future::join_all(asked.iter().map(|path| get(&node, path))).await;
    let mut first = None;
    for answer in answers {
        assert_eq!(answer.status(), StatusCode::OK);
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(first.get_or_insert(bytes.clone()), &bytes);
    }
    assert_eq!(counted(&node, "pictures_drawn").await, 1);
}

/// Large pictures would drive the small ones out of the cache: they are cut for their asker, as regions are.
#[tokio::test]
async fn a_large_picture_is_cut_and_not_kept() {
    let (node, id) = holding(synthetic_slide()).await;
    let path = format!("/iiif/3/{id}/full/max/90/default.png");
    for cut in 1..3 {
        let picture = decoded(&get(&node, &path).await.bytes().await.unwrap());
        assert_eq!((picture.width, picture.height), (1100, 1500));
        assert_eq!((counted(&node, "regions_cut").await, counted(&node, "pictures_drawn").await), (cut, 0));
    }
}

#[tokio::test]
async fn each_refusal_has_its_status_and_code() {
    let (node, id) = holding(synthetic_slide()).await;
    for (address, status, code) in [
        ("1500,0,10,10/max/0/default.jpg", 400, "bad_request"),
        ("0,0,0,10/max/0/default.jpg", 400, "bad_request"),
        ("full/full/0/default.jpg", 400, "bad_request"),
        ("full/1501,/0/default.jpg", 400, "bad_request"),
        ("full/!3000,3000/0/default.jpg", 400, "bad_request"),
        ("full/^3000,/0/default.jpg", 501, "not_implemented"),
        ("full/%5Emax/0/default.jpg", 501, "not_implemented"),
        ("full/0,/0/default.jpg", 400, "bad_request"),
        ("full/max/45/default.jpg", 400, "bad_request"),
        ("full/max/0/native.jpg", 400, "bad_request"),
        ("full/max/0/default.gif", 400, "bad_request"),
        ("full/max/0/default", 400, "bad_request"),
        ("full/max/0/default.jpg?icc=cmyk", 400, "bad_request"),
        ("full/max/0/%ff.jpg", 400, "bad_request"),
        ("full/max/0", 404, "not_found"),
        ("info.xml", 404, "not_found"),
    ] {
        assert_eq!(refused(&node, &format!("/iiif/3/{id}/{address}")).await, (status, code.to_owned()), "{address}");
    }
    let own = format!("/iiif/2/{id}/full/3000,/0/default.jpg");
    assert_eq!(refused(&node, &own).await, (501, "not_implemented".to_owned()));
    for path in [
        format!("/iiif/4/{id}/info.json"),
        "/iiif/3/9e0c4bbe-6a5e-11f0-8f6b/info.json".to_owned(),
        "/iiif/3/9e0c4bbe-6a5e-11f0-8f6b/full/max/0/default.jpg".to_owned(),
        "/iiif/3/a%2Fb/info.json".to_owned(),
        "/iiif/3/a/b/info.json".to_owned(),
        format!("/iiif/3/{}/info.json", material(77)),
    ] {
        assert_eq!(refused(&node, &path).await, (404, "not_found".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_here_is_looked_for_elsewhere() {
    let node = TestNode::start().await;
    let there = material(8);
    node.coordinator.locate(&there, &["http://127.0.0.1:9"]);
    for rest in ["", "/info.json?token=x", "/full/max/0/default.jpg", "/pct:1,2,3,4/!5,5/%21180/gray.png?icc=srgb"] {
        let path = format!("/iiif/3/{there}{rest}");
        let redirect = get(&node, &path).await;
        assert_eq!(redirect.status(), StatusCode::TEMPORARY_REDIRECT, "{path}");
        assert_eq!(redirect.headers()["location"], format!("http://127.0.0.1:9{path}"));
    }
}

#[tokio::test]
async fn head_is_answered_as_get_is_and_other_methods_are_told_so() {
    let (node, id) = holding(synthetic_slide()).await;
    for path in [
        format!("/tiles/{id}/0/0_0.jpg"),
        format!("/tiles/{id}/tiles.json"),
        format!("/dzi/{id}.dzi"),
        format!("/dzi/{id}_files/9/0_0.jpg"),
        format!("/regions/{id}?w=5&h=5"),
        format!("/iiif/3/{id}"),
        format!("/iiif/3/{id}/info.json"),
        format!("/iiif/2/{id}/full/max/0/default.jpg"),
        format!("/v1/materials/{id}/icc"),
        format!("/v1/materials/{id}/associated/label"),
    ] {
        let (whole, head) = (get(&node, &path).await, node.request("HEAD", &path).send().await.unwrap());
        assert_eq!(head.status(), whole.status(), "{path}");
        for header in ["content-type", "content-length", "etag", "location", "microtome-tile"] {
            assert_eq!(head.headers().get(header), whole.headers().get(header), "{header} of {path}");
        }
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
        for method in ["TRACE", "POST", "DELETE", "PUT"] {
            let answer = node.request(method, &path).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.headers()["allow"], "GET,HEAD", "{method} {path}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
        }
    }
}

/// JPEG of the default quality, so that two ways of asking give one picture.
#[tokio::test]
async fn a_region_and_the_same_picture_are_the_same_bytes() {
    let (node, id) = holding(&plain_slide()).await;
    let region = get(&node, &format!("/regions/{id}?x=20&y=30&w=100&h=90")).await.bytes().await.unwrap();
    let picture = get(&node, &format!("/iiif/3/{id}/20,30,100,90/max/0/default.jpg")).await.bytes().await.unwrap();
    assert_eq!(region, picture);
    let expected = read(&plain_slide()).region(20, 30, 0, 100, 90).unwrap();
    assert_eq!(picture, encode::jpeg(&expected, 85).unwrap());
}
