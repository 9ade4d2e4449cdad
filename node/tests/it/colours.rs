//! Slides with an ICC profile: it is given as it is, and colours are brought to sRGB for who wants that.

use crate::pixels::{decoded, get, holding, plain_slide, read, refused, synthetic_slide};
use crate::support::number;
use microtome_proto::slide::SlideInfo;
use microtome_slide::Rgb;
use reqwest::{StatusCode, header};

const ICC_PROFILE: u16 = 34675;

/// sRGB with red and green in each other's place: what was red is green on a screen, and the other way round.
fn swapping_profile() -> Vec<u8> {
    let fixed = |value: f64| ((value * 65536.0).round() as i32).to_be_bytes();
    let colour = |[x, y, z]: [f64; 3]| [b"XYZ \0\0\0\0".to_vec(), [x, y, z].map(fixed).concat()].concat();
    // IEC 61966-2-1's curve as a parametric one of type 3.
    let curve = [1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045].map(fixed).concat();
    let curve = [b"para\0\0\0\0\0\x03\0\0".to_vec(), fixed(2.4).to_vec(), curve].concat();
    let name = [b"desc\0\0\0\0\0\0\0\x0bswapped RG\0".to_vec(), vec![0; 78]].concat();
    let (red, green) = ([0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708]);
    let tags = [
        (b"desc", name),
        (b"wtpt", colour([0.9642, 1.0, 0.82491])),
        (b"rXYZ", colour(green)),
        (b"gXYZ", colour(red)),
        (b"bXYZ", colour([0.14307, 0.06061, 0.71410])),
        (b"rTRC", curve.clone()),
        (b"gTRC", curve.clone()),
        (b"bTRC", curve),
    ];
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let mut values = Vec::new();
    let start = 128 + 4 + 12 * tags.len();
    for (tag, mut value) in tags {
        table.extend(tag);
        table.extend(((start + values.len()) as u32).to_be_bytes());
        table.extend((value.len() as u32).to_be_bytes());
        value.resize(value.len().next_multiple_of(4), 0);
        values.extend(value);
    }
    let mut profile = ((start + values.len()) as u32).to_be_bytes().to_vec();
    profile.extend(b"\0\0\0\0\x02\x40\0\0mntrRGB XYZ ");
    profile.extend([2020_u16, 1, 1, 0, 0, 0].map(u16::to_be_bytes).concat());
    profile.extend(b"acsp");
    profile.resize(64, 0);
    // Relative colorimetric, and the white of the space between.
    profile.extend(1_u32.to_be_bytes());
    profile.extend([0.9642, 1.0, 0.82491].map(fixed).concat());
    profile.resize(128, 0);
    [profile, table, values].concat()
}

/// The slide, a classic little-endian TIFF, with `profile` in its first directory.
fn with_profile(slide: &[u8], profile: &[u8]) -> Vec<u8> {
    assert_eq!(&slide[..4], b"II*\0");
    let mut file = slide.to_vec();
    let first = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes([file[first], file[first + 1]]));
    let (fields, next) = file[first + 2..first + 2 + 12 * count + 4].split_at(12 * count);
    let (mut fields, next): (Vec<Vec<u8>>, _) = (fields.chunks(12).map(<[u8]>::to_vec).collect(), next.to_vec());
    let tag = |field: &Vec<u8>| u16::from_le_bytes([field[0], field[1]]);
    let place = file.len() as u32;
    file.extend(profile);
    file.resize(file.len().next_multiple_of(2), 0);
    let mut field = [ICC_PROFILE.to_le_bytes(), 7_u16.to_le_bytes()].concat();
    field.extend((profile.len() as u32).to_le_bytes());
    field.extend(place.to_le_bytes());
    fields.push(field);
    fields.sort_by_key(tag);
    let directory = file.len() as u32;
    file.extend((fields.len() as u16).to_le_bytes());
    file.extend(fields.concat());
    file.extend(next);
    file[4..8].copy_from_slice(&directory.to_le_bytes());
    file
}

fn plain_with(profile: &[u8]) -> Vec<u8> {
    with_profile(&plain_slide(), profile)
}

/// Whether one picture is the other with red and green in each other's place.
fn swapped(picture: &Rgb, other: &Rgb) -> bool {
    let pairs = picture.data.chunks_exact(3).zip(other.data.chunks_exact(3));
    let near = |a: &u8, b: &u8| a.abs_diff(*b) <= 2;
    (picture.width, picture.height) == (other.width, other.height)
        && pairs.into_iter().all(|(a, b)| near(&a[0], &b[1]) && near(&a[1], &b[0]) && near(&a[2], &b[2]))
}

#[tokio::test]
async fn a_profile_is_told_and_given_as_it_is() {
    let profile = swapping_profile();
    let (node, id) = holding(&plain_with(&profile)).await;
    let info: SlideInfo = get(&node, &format!("/v1/materials/{id}/slide")).await.json().await.unwrap();
    let icc = info.icc.unwrap();
    assert_eq!((icc.size, icc.description.as_deref()), (profile.len() as u64, Some("swapped RG")));
    let given = get(&node, &icc.url).await;
    assert_eq!(given.headers()["content-type"], "application/vnd.iccprofile");
    let etag = given.headers()["etag"].clone();
    assert!(given.bytes().await.unwrap() == profile);
    let again = node.request("GET", &icc.url).header(header::IF_NONE_MATCH, etag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let head = node.request("HEAD", &icc.url).send().await.unwrap();
    assert_eq!(number(&head, "content-length"), profile.len() as u64);
}

#[tokio::test]
async fn colours_are_converted_for_who_asks_and_only_then() {
    let (node, id) = holding(&plain_with(&swapping_profile())).await;
    let slide = read(&plain_slide());
    let png = async |path: &str| {
        let answer = get(&node, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        (answer.headers()["etag"].clone(), decoded(&answer.bytes().await.unwrap()))
    };
    for path in [
        format!("/dzi/{id}_files/9/1_1.png?"),
        format!("/iiif/3/{id}/10,20,100,100/50,50/0/default.png?"),
        format!("/iiif/2/{id}/full/full/90/default.png?"),
        format!("/regions/{id}?x=5&y=6&w=120&h=50&format=png&"),
    ] {
        let (own_tag, own) = png(&path).await;
        let (tag, converted) = png(&format!("{path}icc=srgb")).await;
        assert!(own != converted && swapped(&own, &converted), "{path}");
        assert_ne!(own_tag, tag, "{path}");
    }
    let own = png(&format!("/regions/{id}?x=5&y=6&w=120&h=50&format=png")).await.1;
    assert!(own == slide.region(5, 6, 0, 120, 50).unwrap());
    let raw = get(&node, &format!("/regions/{id}?x=5&y=6&w=120&h=50&format=raw&icc=srgb")).await.bytes().await.unwrap();
    assert!(swapped(&own, &Rgb { width: 120, height: 50, data: raw.to_vec() }));
}

/// A tile of the file's own holds the scanner's colours: converted, it cannot be native.
#[tokio::test]
async fn converted_tiles_are_drawn_and_others_pass_through_as_before() {
    let (node, id) = holding(&with_profile(synthetic_slide(), &swapping_profile())).await;
    let (plain, plain_id) = holding(synthetic_slide()).await;
    let side = read(synthetic_slide()).levels()[0].tile_width;
    let iiif = format!("/iiif/3/ID/0,0,{side},{side}/max/0/default.jpg");
    for address in ["/tiles/ID/0/0_0.jpg", "/dzi/ID_files/11/0_0.jpg", &iiif] {
        for (query, made) in [("", "native"), ("?icc=srgb", "rendered")] {
            let path = format!("{}{query}", address.replace("ID", id.as_str()));
            assert_eq!(get(&node, &path).await.headers()["microtome-tile"], made, "{path}");
            // A slide without a profile has nothing to be converted by.
            let path = format!("{}{query}", address.replace("ID", plain_id.as_str()));
            assert_eq!(get(&plain, &path).await.headers()["microtome-tile"], "native", "{path}");
        }
    }
    // The thumbnail was scanned as the slide was; the label's and the macro's camera is another one.
    for (name, converted) in [("thumbnail", true), ("label", false), ("macro", false)] {
        let path = format!("/v1/materials/{id}/associated/{name}.png");
        let own = get(&node, &path).await.bytes().await.unwrap();
        let other = get(&node, &format!("{path}?icc=srgb")).await.bytes().await.unwrap();
        assert_eq!(own != other, converted, "{name}");
    }
    let info: SlideInfo = get(&plain, &format!("/v1/materials/{plain_id}/slide")).await.json().await.unwrap();
    assert_eq!(info.icc, None);
    let missing = refused(&plain, &format!("/v1/materials/{plain_id}/icc")).await;
    assert_eq!(missing, (404, "no_icc_profile".to_owned()));
}

#[tokio::test]
async fn a_profile_that_is_none_is_given_and_told_but_not_used() {
    let (node, id) = holding(&plain_with(b"this is no profile at all")).await;
    let info: SlideInfo = get(&node, &format!("/v1/materials/{id}/slide")).await.json().await.unwrap();
    assert_eq!(info.icc.map(|icc| (icc.size, icc.description)), Some((25, None)));
    let given = get(&node, &format!("/v1/materials/{id}/icc")).await.bytes().await.unwrap();
    assert_eq!(&given[..], b"this is no profile at all");
    for path in [
        format!("/tiles/{id}/0/0_0.jpg"),
        format!("/dzi/{id}_files/9/1_1.jpg"),
        format!("/iiif/3/{id}/full/100,/0/default.jpg"),
        format!("/regions/{id}"),
    ] {
        let query = if path.starts_with("/regions") { "?w=5&h=5" } else { "?" };
        let wanted = format!("{path}{query}&icc=srgb");
        assert_eq!(refused(&node, &wanted).await, (422, "bad_icc_profile".to_owned()), "{wanted}");
        assert_eq!(get(&node, &format!("{path}{query}")).await.status(), StatusCode::OK, "{path}");
    }
    // One that lies beyond the file's end is a hole in the file.
    let mut file = plain_with(&swapping_profile());
    let cut = file.len() - 2;
    let at = file.windows(2).rposition(|pair| pair == ICC_PROFILE.to_le_bytes()).unwrap();
    file[at + 8..at + 12].copy_from_slice(&(cut as u32).to_le_bytes());
    let (node, id) = holding(&file).await;
    assert_eq!(refused(&node, &format!("/v1/materials/{id}/icc")).await.0, 422);
    assert_eq!(get(&node, &format!("/v1/materials/{id}/slide")).await.status(), StatusCode::OK);
}
