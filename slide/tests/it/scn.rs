//! Leica SCN, as OpenSlide's reader has it; made files only.

use crate::common::{
    DEFLATE, FILES, Form, image,
    pixels::{picture, smaller},
};
use microtome_slide::{Rgb, Slide, SlideError};
use std::sync::Arc;

const FILE: crate::common::File = FILES[0];

/// An image of the collection, in pixels of 500 nm; the width and the place of its levels.
fn xml_image(x: u32, y: u32, width: u32, height: u32, levels: &[(u32, u32)]) -> String {
    let dimension = |(index, (width, height)): (usize, &(u32, u32)), ifd: usize| {
        format!("<dimension sizeX=\"{width}\" sizeY=\"{height}\" r=\"{index}\" ifd=\"{ifd}\"/>")
    };
    let first: usize = levels.first().map_or(0, |level| level.0 as usize);
    let sizes: Vec<(u32, u32)> = levels.iter().map(|(_, by)| (width / by, height / by)).collect();
    let dimensions: String = sizes.iter().enumerate().map(|level| dimension(level, first + level.0)).collect();
    format!(
        "<image name=\"a\"><creationDate>2011-01-01</creationDate><device model=\"SCN400\" version=\"1.5\"/>\
         <pixels sizeX=\"{width}\" sizeY=\"{height}\">{dimensions}<dimension sizeX=\"9\" sizeY=\"9\" ifd=\"99\" \
         z=\"1\"/></pixels><view sizeX=\"{}\" sizeY=\"{}\" offsetX=\"{}\" offsetY=\"{}\"/><scanSettings>\
         <objectiveSettings><objective>20</objective></objectiveSettings><illuminationSettings><numericalAperture>0.4\
         </numericalAperture><illuminationSource>brightfield</illuminationSource></illuminationSettings>\
         </scanSettings></image>",
        width * 500,
        height * 500,
        x * 500,
        y * 500
    )
}

fn xml(images: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><scn xmlns=\"http://www.leica-microsystems.com/scn/2010/10/01\"><collection \
         sizeX=\"300000\" sizeY=\"200000\"><barcode>UzE3</barcode>{images}</collection></scn>"
    )
}

/// The slide, what it shows at its two levels, and its macro image.
pub(crate) fn file() -> (Vec<u8>, [Rgb; 2], Rgb) {
    let (one, two, macro_image) = (picture(200, 100), picture(180, 90), picture(60, 40));
    let whole = xml_image(0, 0, 600, 400, &[(0, 10)]);
    let xml = xml(&format!(
        "{whole}{}{}",
        xml_image(50, 20, 200, 100, &[(1, 1), (2, 2)]),
        // It overlaps the first, which is seen there.
        xml_image(240, 110, 180, 90, &[(3, 1), (4, 2)])
    ));
    let tiled = |picture: &Rgb| image(FILE, picture, Form::tiles(DEFLATE, 64));
    let images = [
        tiled(&macro_image).described(&xml),
        tiled(&one),
        tiled(&smaller(&one, 2)),
        tiled(&two),
        tiled(&smaller(&two, 2)),
    ];
    let mut seen = [Rgb::white(600, 400), Rgb::white(300, 200)];
    for (whole, by) in seen.iter_mut().zip([1, 2]) {
        whole.paste((240 / by, 110 / by), &smaller(&two, by), (0, 0), (180, 90));
        whole.paste((50 / by, 20 / by), &smaller(&one, by), (0, 0), (200, 100));
    }
    (FILE.write(&images), seen, macro_image)
}

#[test]
fn the_images_of_a_collection_lie_where_its_xml_says() {
    let (bytes, seen, macro_image) = file();
    let slide = Slide::open(Arc::new(bytes)).unwrap();
    assert_eq!((slide.vendor(), slide.objective_power()), ("leica", Some(20.0)));
    let levels: Vec<_> = slide.levels().iter().map(|level| (level.width, level.height)).collect();
    assert_eq!(levels, [(600, 400), (300, 200)]);
    assert_eq!(slide.region(0, 0, 0, 600, 400).unwrap(), seen[0]);
    assert_eq!(slide.region(0, 0, 1, 300, 200).unwrap(), seen[1]);
    assert_eq!(slide.region(200, 90, 0, 77, 50).unwrap(), seen[0].crop(200, 90, 77, 50));
    assert_eq!(slide.associated_image("macro").unwrap(), macro_image);
    let property = |key: &str| slide.properties().get(key).map(String::as_str);
    assert_eq!(property("leica.barcode"), Some("S17"));
    assert_eq!(property("leica.device-model"), Some("SCN400"));
    assert_eq!(property("leica.aperture"), Some("0.4"));
    assert_eq!(property("openslide.region[1].x"), Some("240"));
    assert_eq!(property("openslide.bounds-width"), Some("370"));
    assert_eq!(property("openslide.bounds-y"), Some("20"));
}

#[test]
fn a_collection_that_is_not_understood_is_refused() {
    let opened = |images: &str| {
        let picture = image(FILE, &picture(100, 80), Form::tiles(DEFLATE, 64)).described(&xml(images));
        Slide::open(Arc::new(FILE.write(&[picture])))
    };
    assert!(matches!(opened(""), Err(SlideError::Unsupported(why)) if why.contains("bright field")));
    assert!(matches!(opened("<image/>"), Err(SlideError::Damaged(_))));
    assert!(matches!(opened(&xml_image(1, 1, 100, 80, &[(7, 1)])), Err(SlideError::Damaged(_))));
    let dark = xml_image(1, 1, 100, 80, &[(0, 1)]).replace("brightfield", "fluorescence");
    assert!(matches!(opened(&dark), Err(SlideError::Unsupported(_))));
    let nowhere = xml_image(1, 1, 100, 80, &[(0, 1)]).replace("offsetX=\"500\"", "offsetX=\"1e300\"");
    assert!(opened(&nowhere).unwrap().region(0, 0, 0, 600, 400).is_ok());
}
