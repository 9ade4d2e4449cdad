//! QPTIFF, by its maker's description; made files only.

use crate::common::{
    FILES, Form, Image, NONE, Value, image,
    pixels::{at, picture, smaller},
};
use microtome_slide::{Rgb, Slide, SlideError};
use std::sync::Arc;

const FILE: crate::common::File = FILES[0];

fn described(kind: &str, more: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-16\"?><PerkinElmer-QPI-ImageDescription><ImageType>{kind}</ImageType>\
         {more}</PerkinElmer-QPI-ImageDescription>"
    )
}

fn channel(picture: &Rgb, kind: &str, name: &str, color: &str) -> Image {
    let mut image = image(FILE, picture, Form::tiles(NONE, 64));
    for tile in &mut image.tiles {
        *tile = tile.iter().copied().step_by(3).collect();
    }
    let more = format!("<Name>{name}</Name><Color>{color}</Color><Objective>20x</Objective>");
    image
        .with(258, Value::Short(vec![8]))
        .with(262, Value::Short(vec![1]))
        .with(277, Value::Short(vec![1]))
        .described(&described(kind, &more))
}

fn images() -> Vec<Image> {
    let (one, two) = (picture(200, 130), picture(210, 130).crop(10, 0, 200, 130));
    let resolution = |image: Image| {
        image.with(282, Value::Ratio(20000, 1)).with(283, Value::Ratio(20000, 1)).with(296, Value::Short(vec![3]))
    };
    let strips = |picture: &Rgb, kind| image(FILE, picture, Form::strips(NONE, 20)).described(&described(kind, ""));
    vec![
        resolution(channel(&one, "FullResolution", "DAPI", "0,0,255")),
        channel(&two, "FullResolution", "Opal 520", "0,255,100"),
        strips(&picture(50, 32), "Thumbnail"),
        channel(&smaller(&one, 2), "ReducedResolution", "DAPI", "0,0,255"),
        channel(&smaller(&two, 2), "ReducedResolution", "Opal 520", "0,255,100"),
        strips(&picture(30, 40), "Label"),
        strips(&picture(60, 40), "Overview"),
    ]
}

pub(crate) fn file() -> Vec<u8> {
    FILE.write(&images())
}

#[test]
fn channels_levels_and_pictures_beside_them_are_told_apart_by_their_own_xml() {
    let slide = Slide::open(Arc::new(FILE.write(&images()))).unwrap();
    assert_eq!((slide.vendor(), slide.mpp(), slide.objective_power()), ("qptiff", Some((0.5, 0.5)), Some(20.0)));
    let levels: Vec<_> = slide.levels().iter().map(|level| (level.width, level.height)).collect();
    assert_eq!(levels, [(200, 130), (100, 65)]);
    let associated: Vec<_> = slide.associated().iter().map(|image| image.name.as_str()).collect();
    assert_eq!(associated, ["thumbnail", "label", "macro"]);
    let whole = slide.region(0, 0, 0, 200, 130).unwrap();
    for (x, y) in [(0, 0), (199, 129), (64, 63)] {
        let (one, two) = (u32::from(at(&picture(200, 130), x, y)[0]), u32::from(at(&picture(210, 130), x + 10, y)[0]));
        let want = [0, two, ((two * 100 + 127) / 255 + one).min(255)].map(|sample| sample as u8);
        assert_eq!(at(&whole, x, y), want);
    }
    assert_eq!(slide.properties().get("qptiff.Channel[1].Name").map(String::as_str), Some("Opal 520"));
}

#[test]
fn a_level_that_lacks_a_channel_is_damage() {
    let mut images = images();
    images.remove(4);
    assert!(matches!(Slide::open(Arc::new(FILE.write(&images))), Err(SlideError::Damaged(_))));
}
