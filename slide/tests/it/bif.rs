//! Tiles that overlap: Ventana BIF and Trestle, as OpenSlide's readers have them; made files only.

use crate::common::{
    DEFLATE, FILES, Form, Image, Value, image,
    pixels::{picture, smaller},
};
use microtome_slide::{Rgb, Slide, SlideError};
use std::sync::Arc;

const FILE: crate::common::File = FILES[0];
/// What the camera saw, in pictures of 64 × 64 that overlap by 4 × 6.
const ACROSS: u32 = 3;
const DOWN: u32 = 2;

fn scene() -> Rgb {
    picture(60 * ACROSS + 4, 58 * DOWN + 6)
}

/// The pictures side by side, each made smaller for itself.
fn side_by_side(by: u32) -> Rgb {
    let side = 64 / by;
    let mut whole = Rgb::white(side * ACROSS, side * DOWN);
    for row in 0..DOWN {
        for column in 0..ACROSS {
            let seen = smaller(&scene().crop(column * 60, row * 58, 64, 64), by);
            whole.paste((column * side, row * side), &seen, (0, 0), (side, side));
        }
    }
    whole
}

fn joints() -> String {
    let joint = |direction: &str, one: u32, two: u32, x: u32, y: u32| {
        format!(
            "<TileJointInfo FlagJoined=\"1\" Confidence=\"98\" Direction=\"{direction}\" Tile1=\"{one}\" \
             Tile2=\"{two}\" OverlapX=\"{x}\" OverlapY=\"{y}\"/>"
        )
    };
    // From the lower left, and back in the second row: 1 2 3 below, 6 5 4 above.
    [joint("RIGHT", 1, 2, 4, 0), joint("RIGHT", 2, 3, 4, 0), joint("UP", 3, 4, 0, 6), joint("RIGHT", 6, 5, 4, 0)]
        .concat()
}

fn stitching(joints: &str) -> String {
    format!(
        "<EncodeInfo Ver=\"2\"><SlideStitchInfo><ImageInfo AOIScanned=\"1\" AOIIndex=\"0\" NumRows=\"{DOWN}\" \
         NumCols=\"{ACROSS}\" Width=\"64\" Height=\"64\" Pos-X=\"0\" Pos-Y=\"0\">{joints}</ImageInfo>\
         </SlideStitchInfo><AoiOrigin><AOI0 OriginX=\"0\" OriginY=\"0\"/></AoiOrigin></EncodeInfo>"
    )
}

fn images(stitching: &str) -> Vec<Image> {
    let scan = "<iScan Magnification=\"20\" ScanRes=\"0.46\" UnitNumber=\"7\" Empty=\"\"/>";
    let form = Form::tiles(DEFLATE, 64);
    let level = |by: u32, name: &str| image(FILE, &side_by_side(by), form).described(name);
    vec![
        image(FILE, &picture(40, 90), Form::strips(DEFLATE, 90))
            .described("Label Image")
            .with(700, Value::Bytes(scan.into())),
        level(1, "level=0 mag=20 quality=90")
            .with(700, Value::Bytes(stitching.into()))
            .with(34675, Value::Bytes(b"profile".to_vec())),
        level(2, "level=1 mag=10 quality=90"),
    ]
}

pub(crate) fn file() -> Vec<u8> {
    FILE.write(&images(&stitching(&joints())))
}

#[test]
fn pictures_of_the_camera_are_pushed_together_by_their_overlap() {
    let slide = Slide::open(Arc::new(file())).unwrap();
    assert_eq!((slide.vendor(), slide.mpp(), slide.objective_power()), ("ventana", Some((0.46, 0.46)), Some(20.0)));
    let levels: Vec<_> = slide.levels().iter().map(|level| (level.width, level.height, level.downsample)).collect();
    assert_eq!(levels, [(184, 122, 1.0), (92, 61, 2.0)]);
    assert_eq!(slide.region(0, 0, 0, 184, 122).unwrap(), scene());
    assert_eq!(slide.region(0, 0, 1, 92, 61).unwrap(), smaller(&scene(), 2));
    assert_eq!(slide.region(55, 50, 0, 20, 30).unwrap(), scene().crop(55, 50, 20, 30));
    assert_eq!(slide.associated_image("macro").unwrap(), picture(40, 90));
    assert_eq!(slide.icc_profile().unwrap().as_deref(), Some(&b"profile"[..]), "that of level 0, not of the label");
    let property = |key: &str| slide.properties().get(key).map(String::as_str);
    assert_eq!(property("ventana.UnitNumber"), Some("7"));
    assert_eq!(property("ventana.Empty"), None);
    assert_eq!(property("openslide.region[0].width"), Some("184"));
}

#[test]
fn joints_that_make_no_sense_are_damage() {
    let opened = |stitching: &str| Slide::open(Arc::new(FILE.write(&images(stitching))));
    let right = stitching(&joints());
    let wrong = [
        right.replace("Tile2=\"2\"", "Tile2=\"5\""),
        right.replace("Tile2=\"2\"", "Tile2=\"7\""),
        right.replace("OverlapX=\"4\"", "OverlapX=\"64\""),
        right.replace("OverlapX=\"4\"", "OverlapX=\"nan\""),
        right.replace("NumCols=\"3\"", "NumCols=\"0\""),
        right.replace("Width=\"64\"", "Width=\"65\""),
        right.replace("AOIScanned=\"1\"", "AOIScanned=\"0\""),
        right.replace("Pos-X=\"0\"", "Pos-X=\"1e300\""),
        right.replace("NumRows=\"2\"", "NumRows=\"4000000000\"").replace("OverlapY=\"6\"", "OverlapY=\"0\""),
        right.replace("<AOI0 OriginX=\"0\" OriginY=\"0\"/>", ""),
        "<EncodeInfo>".into(),
    ];
    for stitching in wrong {
        assert_ne!(stitching, right);
        assert!(matches!(opened(&stitching), Err(SlideError::Damaged(_))), "{stitching}");
    }
}

#[test]
fn without_joints_tiles_lie_side_by_side() {
    let mut images = images("");
    images[1] = images[1].clone().without(700);
    let slide = Slide::open(Arc::new(FILE.write(&images))).unwrap();
    assert_eq!(slide.region(0, 0, 0, 192, 128).unwrap(), side_by_side(1));
}

pub(crate) fn trestle() -> Vec<u8> {
    let form = Form::tiles(DEFLATE, 64);
    let description = "Objective Power=20;OverlapsXY=4 6 0 0; Background Color=ffffff";
    let images = [
        image(FILE, &side_by_side(1), form)
            .described(description)
            .with(305, Value::Text("MedScan 1".into()))
            .with(282, Value::Ratio(1, 2))
            .with(283, Value::Ratio(1, 2)),
        image(FILE, &smaller(&scene(), 2), form).described("").with(305, Value::Text("MedScan 1".into())),
    ];
    FILE.write(&images)
}

#[test]
fn a_trestle_slide_tells_the_overlap_of_each_level() {
    let slide = Slide::open(Arc::new(trestle())).unwrap();
    assert_eq!((slide.vendor(), slide.mpp(), slide.objective_power()), ("trestle", Some((0.5, 0.5)), Some(20.0)));
    assert_eq!(slide.region(0, 0, 0, 184, 122).unwrap(), scene());
    assert_eq!(slide.region(0, 0, 1, 92, 61).unwrap(), smaller(&scene(), 2));
    assert_eq!(slide.properties().get("trestle.OverlapsXY").map(String::as_str), Some("4 6 0 0"));
}
