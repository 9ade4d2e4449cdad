//! Files of makers whose XML and descriptions lie: what they say may cost no more than what they are.

use crate::{
    common::{DEFLATE, FILES, Form, Image, NONE, Value, compress, field_at, image, pixels::picture},
    hostile::bounded,
};
use microtome_slide::{Slide, SlideError};
use std::sync::Arc;

const FILE: crate::common::File = FILES[0];

fn open(bytes: Vec<u8>) -> Result<Slide, SlideError> {
    let source = Arc::new(bytes);
    bounded("open", || Slide::open(source))
}

/// An image of 4096 × 4096 pixels, one tile of 48 KB.
fn large() -> Image {
    let mut image = image(FILE, &picture(16, 16), Form::tiles(DEFLATE, 16));
    image.tiles = vec![compress(&vec![9; 48 << 20], DEFLATE)];
    [256, 257, 322, 323].into_iter().fold(image, |image, tag| image.with(tag, Value::Long(vec![4096])))
}

/// A Leica SCN of `images` images of so many levels, all at one place and in directory 0.
fn scn(images: usize, levels: usize) -> Vec<u8> {
    let dimension = |level: usize| format!("<dimension sizeX=\"{}\" ifd=\"0\"/>", 30_000 - level);
    let dimensions: String = (0..levels).map(dimension).collect();
    let xml_image = format!(
        "<image><pixels>{dimensions}</pixels><view sizeX=\"4096\" sizeY=\"4096\" offsetX=\"1\" offsetY=\"1\"/><scanSettings>\
         <illuminationSettings><illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings>\
         </image>"
    );
    let xml = format!(
        "<scn xmlns=\"http://www.leica-microsystems.com/scn/2010/10/01\"><collection sizeX=\"5000\" sizeY=\"5000\">{}\
         </collection></scn>",
        xml_image.repeat(images)
    );
    FILE.write(&[large().described(&xml)])
}

/// Each level of each image was read before anything was said of their number, and kept its tables: 2 MB of XML took
/// gigabytes.
#[test]
fn an_scn_of_more_images_than_a_file_has_is_refused() {
    for (images, levels, part) in [(1, 20_000, "20000 levels"), (600, 2, "600 images"), (900, 60, "900 images")] {
        let error = open(scn(images, levels)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

/// Two hundred images lie one above the other: a tile of 512 pixels a side had all of them decoded, and what it cost was
/// nowhere held against a limit.
#[test]
fn images_that_lie_one_above_the_other_cost_no_more_than_some() {
    let slide = open(scn(200, 1)).unwrap();
    let refusal = bounded("region", || slide.region(9, 9, 0, 5, 5)).unwrap_err();
    assert!(matches!(&refusal, SlideError::TooLarge(why) if why.contains("one above the other")), "{refusal}");
    let slide = open(scn(2, 1)).unwrap();
    assert_eq!(bounded("region", || slide.region(9, 9, 0, 1, 1)).unwrap().data, [9; 3]);
}

/// Tiles that overlap by all but a pixel lie thousands deep in every tile that is shown.
#[test]
fn tiles_that_overlap_by_more_than_half_are_refused() {
    let overlapping = |overlap: u32| {
        let text = format!("Background Color=FFFFFF;OverlapsXY={overlap} {overlap}");
        let image = image(FILE, &picture(640, 640), Form::tiles(NONE, 64));
        open(FILE.write(&[image.described(&text).with(305, Value::Text("MedScan 1".into()))]))
    };
    assert!(overlapping(63).unwrap_err().to_string().contains("overlap by 63 × 63"));
    let slide = overlapping(32).unwrap();
    assert_eq!((slide.vendor(), slide.levels()[0].width), ("trestle", 352));
}

/// Every image with "label" in its name was tried until one could be read, and with each all that hangs below its plane
/// was read again: 60 KB of XML took a minute.
#[test]
fn an_ome_tiff_of_many_bad_labels_opens_at_once() {
    let pixels = |ifd: u32| format!("<Pixels><TiffData IFD=\"{ifd}\"/></Pixels>");
    let xml = format!(
        "<OME xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\"><Image Name=\"tissue\">{}</Image>{}</OME>",
        pixels(0),
        format!("<Image Name=\"label\">{}</Image>", pixels(1)).repeat(2000)
    );
    let main = image(FILE, &picture(64, 64), Form::tiles(NONE, 64)).described(&xml);
    let bad = image(FILE, &picture(64, 64), Form::tiles(NONE, 64)).with(259, Value::Short(vec![9999]));
    let bad = (1000..1800).fold(bad, |image, tag| image.with(tag, Value::Long(vec![1])));
    let mut bytes = FILE.write(&[main, bad.with(330, Value::Long(vec![1; 1000]))]);
    // All that hang below it are the directory itself.
    let u32_at = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let first = u32_at(&bytes, 4);
    let second = u32_at(&bytes, first + 2 + 12 * usize::from(bytes[first])) as u32;
    let children = u32_at(&bytes, field_at(&bytes, 1, 330));
    for child in bytes[children..children + 4000].chunks_exact_mut(4) {
        child.copy_from_slice(&second.to_le_bytes());
    }
    let slide = open(bytes).unwrap();
    assert_eq!((slide.vendor(), slide.associated().len()), ("ome-tiff", 0));
}
