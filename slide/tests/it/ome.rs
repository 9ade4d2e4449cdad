//! OME-TIFF: which of the images of its XML is the slide, the levels below it, and channels shown together.

use crate::common::{
    DEFLATE, FILES, Form, Image, NONE, Value, field_at, image,
    pixels::{at, picture, smaller},
};
use microtome_slide::{Rgb, Slide, SlideError};
use std::sync::Arc;

const FILE: crate::common::File = FILES[0];

/// A file of `images`, of which those from `chained` on hang below the others by SubIFDs, one below each.
fn write(images: &[Image], chained: usize) -> Vec<u8> {
    let with_place = |index: usize| match index + chained < images.len() && index < chained {
        true => images[index].clone().with(330, Value::Long(vec![0])),
        false => images[index].clone(),
    };
    let images: Vec<Image> = (0..images.len()).map(with_place).collect();
    let mut bytes = FILE.write(&images);
    let u32_at = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut places = vec![u32_at(&bytes, 4)];
    let mut nexts = vec![4];
    for index in 0..images.len() {
        let at = places[index] as usize;
        nexts.push(at + 2 + 12 * usize::from(bytes[at]));
        places.push(u32_at(&bytes, nexts[index + 1]));
    }
    for index in 0..chained.min(images.len() - chained) {
        let at = field_at(&bytes, index, 330);
        bytes[at..at + 4].copy_from_slice(&places[chained + index].to_le_bytes());
    }
    bytes[nexts[chained]..nexts[chained] + 4].fill(0);
    bytes
}

/// The image with the first sample of each pixel alone.
fn grey(mut image: Image) -> Image {
    for tile in &mut image.tiles {
        *tile = tile.iter().copied().step_by(3).collect();
    }
    image.with(258, Value::Short(vec![8])).with(262, Value::Short(vec![1])).with(277, Value::Short(vec![1]))
}

fn tiled(picture: &Rgb) -> Image {
    image(FILE, picture, Form::tiles(NONE, 64))
}

fn ome(images: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><!-- a comment --><OME xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\" \
         UUID=\"urn:uuid:1\"><Instrument ID=\"I:0\"><Objective ID=\"O:0\" NominalMagnification=\"40\"/>\
         <Objective ID=\"O:1\" NominalMagnification=\"20.0\"/></Instrument>{images}</OME>"
    )
}

fn open(bytes: Vec<u8>) -> Result<Slide, SlideError> {
    Slide::open(Arc::new(bytes))
}

#[test]
fn the_slide_its_levels_and_the_pictures_beside_it_are_told_apart() {
    let (top, label) = (picture(300, 200), picture(40, 50));
    let xml =
        ome("<Image ID=\"Image:0\" Name=\"Label image\"><Pixels SizeX=\"40\" SizeY=\"50\" SizeC=\"3\" SizeZ=\"1\" \
         SizeT=\"1\" DimensionOrder=\"XYCZT\"><Channel SamplesPerPixel=\"3\"/><TiffData IFD=\"0\" PlaneCount=\"1\">\
         <UUID FileName=\"a.ome.tif\">urn:uuid:1</UUID></TiffData></Pixels></Image>\
         <Image ID=\"Image:1\" Name=\"Scan 1\"><ObjectiveSettings ID=\"O:1\"/><Pixels SizeX=\"300\" SizeY=\"200\" \
         SizeC=\"3\" PhysicalSizeX=\"500\" PhysicalSizeXUnit=\"nm\" PhysicalSizeY=\"0.25\"><Channel \
         SamplesPerPixel=\"3\"/><TiffData IFD=\"1\"/></Pixels></Image>\
         <Image Name=\"Another scan\"><Pixels SizeX=\"10\"><TiffData IFD=\"0\"/></Pixels></Image>");
    let images = [tiled(&label).described(&xml), tiled(&top), tiled(&smaller(&label, 2)), tiled(&smaller(&top, 2))];
    let slide = open(write(&images, 2)).unwrap();
    assert_eq!((slide.vendor(), slide.mpp(), slide.objective_power()), ("ome-tiff", Some((0.5, 0.25)), Some(20.0)));
    let sizes: Vec<_> = slide.levels().iter().map(|level| (level.width, level.height)).collect();
    assert_eq!(sizes, [(300, 200), (150, 100)]);
    assert_eq!(slide.region(0, 0, 1, 150, 100).unwrap(), smaller(&top, 2));
    assert_eq!(slide.associated().len(), 1);
    assert_eq!(slide.associated_image("label").unwrap(), label);
    assert_eq!(slide.properties().get("ome.Image.Name").map(String::as_str), Some("Scan 1"));
    assert!(!slide.properties().contains_key("openslide.comment"), "no pages of XML among the properties");
}

#[test]
fn channels_are_added_up_in_their_colours_at_the_first_depth() {
    let pictures: Vec<Rgb> = (0..6).map(|index| picture(150 + index, 100).crop(index, 0, 150, 100)).collect();
    // Depth runs before channels: the planes of depth 0 are 0, 2 and 4.
    let xml = ome(&format!(
        "<Image Name=\"cells\"><Pixels SizeC=\"3\" SizeZ=\"2\" SizeT=\"1\" DimensionOrder=\"XYZCT\">\
         <Channel Name=\"DAPI\" Color=\"{}\"/><Channel Color=\"{}\"/><Channel Color=\"-1\"/>\
         <TiffData FirstC=\"0\" FirstZ=\"0\" IFD=\"3\" PlaneCount=\"3\"/>\
         <TiffData FirstC=\"1\" FirstZ=\"1\" IFD=\"0\" PlaneCount=\"3\"/></Pixels></Image>",
        0x0040_ffffu32 as i32, 0xff00_00ffu32 as i32
    ));
    // Planes 0, 1, 2 are in directories 3, 4, 5 and the others in 0, 1, 2.
    let order = [3, 4, 5, 0, 1, 2];
    let mut images: Vec<Image> = order.iter().map(|&plane| grey(tiled(&pictures[plane]))).collect();
    images[0] = images[0].clone().described(&xml);
    images.extend(order.iter().map(|&plane| grey(tiled(&smaller(&pictures[plane], 2)))));
    let slide = open(write(&images, 6)).unwrap();
    assert_eq!(slide.levels().len(), 2);
    // White tells nothing: the third has the third of the usual colours.
    let colors = [[0, 0x40, 0xff], [0xff, 0, 0], [0, 0, 0xff]];
    let sum = |level: usize, x: u32, y: u32| {
        let mut sum = [0u32; 3];
        for (plane, color) in [0, 2, 4].into_iter().zip(colors) {
            let light = if level == 0 { pictures[plane].clone() } else { smaller(&pictures[plane], 2) };
            for (sum, color) in sum.iter_mut().zip(color) {
                *sum += (u32::from(at(&light, x, y)[0]) * color + 127) / 255;
            }
        }
        sum.map(|sum| sum.min(255) as u8)
    };
    for (level, x, y) in [(0, 0, 0), (0, 149, 99), (0, 77, 64), (1, 3, 49), (1, 74, 0)] {
        let (width, height) = (slide.levels()[level].width as u32, slide.levels()[level].height as u32);
        let whole = slide.region(0, 0, level, width, height).unwrap();
        assert_eq!(at(&whole, x, y), sum(level, x, y), "{level} {x} {y}");
    }
    assert!(!slide.levels()[0].native);
    assert_eq!(slide.properties().get("ome.Channel[0].Name").map(String::as_str), Some("DAPI"));
}

#[test]
fn what_the_xml_claims_is_held_against_the_file() {
    let top = || image(FILE, &picture(100, 80), Form::tiles(DEFLATE, 64));
    let opened = |images: &str| open(FILE.write(&[top().described(&ome(images))]));
    let refused = |images: &str, part: &str| {
        let error = opened(images).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    };
    let one = |inside: &str| format!("<Image Name=\"a\"><Pixels SizeC=\"3\">{inside}</Pixels></Image>");
    refused(&one("<Channel SamplesPerPixel=\"3\"/><TiffData IFD=\"7\"/>"), "the file lacks");
    refused(
        &one("<Channel SamplesPerPixel=\"3\"/><TiffData IFD=\"0\"><UUID>urn:uuid:2</UUID></TiffData>"),
        "several files",
    );
    refused(&one("<Channel SamplesPerPixel=\"1\"/><TiffData IFD=\"0\" FirstC=\"1\"/>"), "no directory has channel 0");
    refused("<Image><Pixels SizeC=\"4000000000\"/></Image>", "channels");
    let big = u64::MAX;
    refused(
        &format!(
            "<Image><Pixels SizeC=\"3\" SizeZ=\"{big}\" SizeT=\"{big}\" DimensionOrder=\"XYZTC\"><Channel SamplesPerPixel=\"1\"/></Pixels></Image>"
        ),
        "the file lacks",
    );
    // What cannot be understood hides nothing.
    for xml in [ome("<Image>"), ome(""), format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{}", ome("<Image/>"))] {
        assert_eq!(open(FILE.write(&[top().described(&xml)])).unwrap().vendor(), "generic-tiff", "{xml}");
    }
    let many = format!("<Image {}/>", (0..3000).map(|i| format!("a{i}=\"1\" ")).collect::<String>());
    assert_eq!(opened(&many).unwrap().vendor(), "generic-tiff");
}
