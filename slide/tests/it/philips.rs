//! Philips TIFF, as OpenSlide's reader has it; made files only.

use crate::common::{
    DEFLATE, FILES, Form, Image, Value, image,
    pixels::{jpeg, picture, read_jpeg, smaller},
};
use microtome_slide::{Rgb, Slide, SlideError};
use std::sync::Arc;

const FILE: crate::common::File = FILES[0];

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            out.push(if digit > three.len() { '=' } else { char::from(DIGITS[index as usize]) });
        }
    }
    out
}

fn xml(spacings: &[&str], label: &str) -> String {
    let level = |(index, spacing): (usize, &&str)| {
        format!(
            "<DataObject ObjectType=\"PixelDataRepresentation\"><Attribute Name=\"DICOM_PIXEL_SPACING\">{spacing}\
             </Attribute><Attribute Name=\"PIIM_PIXEL_DATA_REPRESENTATION_NUMBER\">{index}</Attribute></DataObject>"
        )
    };
    let levels: String = spacings.iter().enumerate().map(level).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?><DataObject ObjectType=\"DPUfsImport\">\
         <Attribute Name=\"DICOM_MANUFACTURER\">PHILIPS</Attribute>\
         <Attribute Name=\"PIM_DP_UFS_BARCODE\">{}</Attribute>\
         <Attribute Name=\"PIM_DP_SCANNED_IMAGES\"><Array>\
         <DataObject ObjectType=\"DPScannedImage\"><Attribute Name=\"PIM_DP_IMAGE_TYPE\">WSI</Attribute>\
         <Attribute Name=\"DICOM_PIXEL_SPACING\">\"0.000227273\" \"0.000227273\"</Attribute>\
         <Attribute Name=\"DICOM_DERIVATION_DESCRIPTION\">tiff-useBigTIFF=1-levels=40,1-sourceFilename=\"a-levels=3\"\
         </Attribute><Attribute Name=\"PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE\"><Array>{levels}</Array></Attribute>\
         </DataObject>\
         <DataObject ObjectType=\"DPScannedImage\"><Attribute Name=\"PIM_DP_IMAGE_TYPE\">LABELIMAGE</Attribute>\
         <Attribute Name=\"PIM_DP_IMAGE_DATA\">{label}</Attribute></DataObject></Array></Attribute></DataObject>",
        base64(b"S-17")
    )
}

/// The picture with grey beyond its edge, as large as whole tiles.
fn padded(picture: &Rgb) -> Rgb {
    let whole = |side: u32| side.div_ceil(64) * 64;
    let mut padded = Rgb::white(whole(picture.width), whole(picture.height));
    padded.data.fill(99);
    padded.paste((0, 0), picture, (0, 0), (picture.width, picture.height));
    padded
}

fn images(top: &Rgb, xml: &str) -> Vec<Image> {
    let form = Form::tiles(DEFLATE, 64);
    let reduced = |by: u32| image(FILE, &padded(&smaller(top, by)), form).with(254, Value::Long(vec![1]));
    vec![
        image(FILE, top, form).described(xml).with(305, Value::Text("Philips DP v1.0".into())),
        reduced(2),
        reduced(4),
        image(FILE, &picture(60, 20), Form::strips(DEFLATE, 20))
            .described("Macro -offset=(0,0)-pixelsize=(0.0315,0.0315)"),
    ]
}

const SPACINGS: [&str; 3] =
    ["\"0.000227273\" \"0.000227273\"", "\"0.000454545\" \"0.000454545\"", "\"0.00090909\" \"0.00090909\""];

pub(crate) fn file() -> (Vec<u8>, Rgb, Vec<u8>) {
    let (top, label) = (picture(600, 420), jpeg(&picture(40, 30), true));
    let mut images = images(&top, &xml(&SPACINGS, &base64(&label)));
    // Between scanned regions there is nothing.
    images[0].tiles[13] = Vec::new();
    (FILE.write(&images), top, label)
}

#[test]
fn levels_are_as_large_as_their_pixel_spacings_say() {
    let (bytes, top, label) = file();
    let slide = Slide::open(Arc::new(bytes)).unwrap();
    assert_eq!((slide.vendor(), slide.objective_power()), ("philips", Some(40.0)));
    let (x, y) = slide.mpp().unwrap();
    assert!((x - 0.227273).abs() < 1e-9 && x == y);
    let levels: Vec<_> = slide.levels().iter().map(|level| (level.width, level.height, level.downsample)).collect();
    assert_eq!(levels, [(600, 420, 1.0), (300, 210, 2.0), (150, 105, 4.0)]);
    assert_eq!((slide.levels()[1].columns, slide.levels()[2].rows), (5, 2), "a column of padding alone is left out");
    for (level, by) in [(1, 2), (2, 4)] {
        let want = smaller(&top, by);
        assert_eq!(slide.region(0, 0, level, want.width, want.height).unwrap(), want);
    }
    assert_eq!(slide.region(3 * 64, 64, 0, 64, 64).unwrap(), Rgb::white(64, 64), "what was not scanned");
    assert_eq!(slide.region(2 * 64, 64, 0, 64, 64).unwrap(), top.crop(128, 64, 64, 64));
    assert_eq!(slide.associated_image("macro").unwrap(), picture(60, 20));
    assert_eq!(slide.associated_image("label").unwrap(), read_jpeg(&label), "from the XML");
    let property = |key: &str| slide.properties().get(key).map(String::as_str);
    assert_eq!(property("philips.DICOM_MANUFACTURER"), Some("PHILIPS"));
    assert_eq!(property("openslide.barcode"), Some("S-17"));
    assert_eq!(
        property("philips.PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE[1].PIIM_PIXEL_DATA_REPRESENTATION_NUMBER"),
        Some("1")
    );
    assert_eq!(property("openslide.comment"), None);
}

#[test]
fn xml_that_contradicts_the_file_is_damage_and_a_broken_label_hides_nothing() {
    let top = picture(600, 420);
    let opened =
        |spacings: &[&str], label: &str| Slide::open(Arc::new(FILE.write(&images(&top, &xml(spacings, label)))));
    assert!(matches!(opened(&SPACINGS[..2], ""), Err(SlideError::Damaged(_))));
    assert!(matches!(opened(&["\"0\" \"0\"", SPACINGS[1], SPACINGS[2]], ""), Err(SlideError::Damaged(_))));
    for label in ["", "not base64!", "/9j/"] {
        assert_eq!(opened(&SPACINGS, label).unwrap().associated().len(), 1, "{label}");
    }
    let mut none = images(&top, "<DataObject ObjectType=\"Other\"/>");
    none.truncate(1);
    let error = Slide::open(Arc::new(FILE.write(&none))).unwrap_err().to_string();
    assert!(error.contains("Philips"), "{error}");
}
