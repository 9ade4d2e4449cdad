//! Parts and smaller pictures against whole ones, and damage.

use super::*;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

const SAMPLINGS: [SamplingFactor; 4] =
    [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];

/// A picture of waves, whose colours stay away from black and white, and of some noise.
fn picture(width: u32, height: u32) -> Rgb {
    let wave = |a: u32, period: f64| 128.0 + 70.0 * (f64::from(a) / period).sin();
    let sample = |x: u32, y: u32, channel: u32| {
        let noise = (x * 7919 + y * 104_729 + channel * 31).wrapping_mul(2_654_435_761) >> 28;
        let wave = [wave(x, 9.0), wave(y, 11.0), wave(x + 2 * y, 17.0)][channel as usize];
        wave as u8 + noise as u8
    };
    let pixel = |x, y| (0..3).map(move |channel| sample(x, y, channel));
    let data = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    Rgb { width, height, data }
}

fn encoded(picture: &Rgb, color: ColorType, change: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 90);
    change(&mut encoder);
    let grey: Vec<u8> = picture.data.chunks_exact(3).map(|pixel| pixel[1]).collect();
    let data = if color == ColorType::Luma { &grey } else { &picture.data };
    encoder.encode(data, picture.width as u16, picture.height as u16, color).unwrap();
    out
}

fn drawn(jpeg: &[u8], part: Part) -> Rgb {
    let mut out = Rgb::white(part.width, part.height);
    assert!(draw(jpeg, part, false, &mut out, (0, 0)).unwrap());
    out
}

fn whole(jpeg: &[u8], width: u32, height: u32) -> Rgb {
    drawn(jpeg, Part { x: 0, y: 0, width, height, shrink: 0 })
}

fn farthest(a: &Rgb, b: &Rgb) -> u8 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    a.data.iter().zip(&b.data).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// Numbers from `from` up to `to`, in no order.
struct Random(u64);

impl Random {
    fn pick(&mut self, from: u32, to: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from + ((self.0 >> 33) % u64::from(to - from)) as u32
    }
}

#[test]
fn a_whole_picture_is_as_another_decoder_has_it() {
    for (width, height) in [(64, 64), (240, 96), (37, 51), (5, 3)] {
        let picture = picture(width, height);
        for sampling in SAMPLINGS {
            let jpeg = encoded(&picture, ColorType::Rgb, |encoder| encoder.set_sampling_factor(sampling));
            let header = super::super::Header::parse(&jpeg).unwrap().frame.unwrap();
            let data = super::super::decode::foreign(&jpeg, &header).unwrap();
            let far = farthest(&whole(&jpeg, width, height), &Rgb { width, height, data });
            assert!(far <= 4, "{width} × {height} {sampling:?}: {far}");
        }
        let grey = whole(&encoded(&picture, ColorType::Luma, |_| {}), width, height);
        assert!(grey.data.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
        let close = grey.data.chunks_exact(3).zip(picture.data.chunks_exact(3)).all(|(a, b)| a[1].abs_diff(b[1]) < 16);
        assert!(close);
    }
}

#[test]
fn a_part_has_the_pixels_of_the_whole() {
    let mut random = Random(1);
    for (width, height) in [(240, 240), (75, 53), (16, 7)] {
        let picture = picture(width, height);
        for sampling in SAMPLINGS {
            let jpeg = encoded(&picture, ColorType::Rgb, |encoder| encoder.set_sampling_factor(sampling));
            let whole = whole(&jpeg, width, height);
            for _ in 0..60 {
                let (x, y) = (random.pick(0, width), random.pick(0, height));
                let (width, height) = (random.pick(1, width - x + 1), random.pick(1, height - y + 1));
                let part = Part { x, y, width, height, shrink: 0 };
                assert_eq!(drawn(&jpeg, part), whole.crop(x, y, width, height), "{sampling:?} {part:?}");
            }
        }
    }
}

#[test]
fn a_shrunk_part_is_the_mean_of_the_whole() {
    let mut random = Random(2);
    let (width, height) = (240, 160);
    let picture = picture(width, height);
    let jpegs = SAMPLINGS.map(|sampling| {
        // Of components that are not transformed all means are exact; chroma is taken as it is, where it was noise.
        let limits = if sampling == SamplingFactor::F_1_1 { (ColorType::Ycbcr, 1) } else { (ColorType::Rgb, 16) };
        let jpeg = encoded(&picture, limits.0, |encoder| encoder.set_sampling_factor(sampling));
        match limits.0 {
            // Marked as RGB, as tiles of Aperio's are.
            ColorType::Ycbcr => ([&jpeg[..2], super::super::APP14_RGB, &jpeg[20..]].concat(), limits.1),
            _ => (jpeg, limits.1),
        }
    });
    for (jpeg, limit) in jpegs {
        let whole = whole(&jpeg, width, height);
        for shrink in 1..=3 {
            for _ in 0..40 {
                let (columns, rows) = (width >> shrink, height >> shrink);
                let (x, y) = (random.pick(0, columns), random.pick(0, rows));
                let (width, height) = (random.pick(1, columns - x + 1), random.pick(1, rows - y + 1));
                let part = Part { x, y, width, height, shrink };
                let mut mean = Rgb::white(width, height);
                part.draw(&whole, &mut mean, (0, 0));
                let far = farthest(&drawn(&jpeg, part), &mean);
                assert!(far <= limit, "{part:?}: {far}");
            }
        }
    }
}

#[test]
fn a_part_is_drawn_where_it_is_wanted_and_nowhere_else() {
    let jpeg = encoded(&picture(48, 48), ColorType::Rgb, |_| {});
    let whole = whole(&jpeg, 48, 48);
    let mut out = Rgb::white(40, 40);
    let part = Part { x: 3, y: 5, width: 20, height: 10, shrink: 0 };
    assert!(draw(&jpeg, part, true, &mut out, (7, 9)).unwrap());
    let mut expected = Rgb::white(40, 40);
    let mut inverted = whole.crop(3, 5, 20, 10);
    inverted.data.iter_mut().for_each(|sample| *sample = 255 - *sample);
    expected.paste((7, 9), &inverted, (0, 0), (20, 10));
    assert_eq!(out, expected);
    // What lies outside of the target, or of the JPEG, is left out.
    assert!(draw(&jpeg, part, false, &mut out, (39, 39)).unwrap());
    assert_eq!(out.crop(39, 39, 1, 1), whole.crop(3, 5, 1, 1));
    assert!(draw(&jpeg, Part { x: 60, ..part }, false, &mut out, (0, 0)).unwrap());
    assert!(draw(&jpeg, part, false, &mut out, (50, 50)).unwrap());
}

#[test]
fn restart_markers_change_nothing_and_must_be_there() {
    let picture = picture(100, 80);
    for sampling in SAMPLINGS {
        let plain = encoded(&picture, ColorType::Rgb, |encoder| encoder.set_sampling_factor(sampling));
        for interval in [1, 2, 7, 100] {
            let mut jpeg = encoded(&picture, ColorType::Rgb, |encoder| {
                encoder.set_sampling_factor(sampling);
                encoder.set_restart_interval(interval);
            });
            assert_eq!(whole(&jpeg, 100, 80), whole(&plain, 100, 80), "{sampling:?} {interval}");
            let part = Part { x: 40, y: 33, width: 9, height: 17, shrink: 0 };
            assert_eq!(drawn(&jpeg, part), drawn(&plain, part));
            if let Some(at) = jpeg.windows(2).position(|marker| marker == [0xff, 0xd1]) {
                jpeg[at + 1] = 0xd2;
                let part = Part { x: 0, y: 0, width: 100, height: 80, shrink: 0 };
                assert!(draw(&jpeg, part, false, &mut Rgb::white(100, 80), (0, 0)).is_err(), "out of turn");
            }
        }
    }
}

/// What is missing must not turn into grey tissue.
#[test]
fn a_picture_cut_off_anywhere_is_an_error() {
    let picture = picture(32, 32);
    for sampling in SAMPLINGS {
        let jpeg = encoded(&picture, ColorType::Rgb, |encoder| encoder.set_sampling_factor(sampling));
        let part = Part { x: 0, y: 0, width: 32, height: 32, shrink: 0 };
        let scan = jpeg.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
        for len in 0..jpeg.len() - 2 {
            let mut out = Rgb::white(32, 32);
            match draw(&jpeg[..len], part, false, &mut out, (0, 0)) {
                Ok(false) => assert!(len < scan + 14, "{len}"),
                Ok(true) => panic!("{len} of {} bytes", jpeg.len()),
                Err(_) => {}
            }
            // The same with an end that says that all is well.
            let ended = [&jpeg[..len], &[0xff, 0xd9]].concat();
            assert!(!draw(&ended, part, false, &mut out, (0, 0)).is_ok_and(|drawn| drawn), "{len}");
        }
    }
}

/// A JPEG of several scans, that ends after some of them or within one and says that all is well, was filled up with grey.
#[test]
fn what_is_for_another_decoder_is_cut_off_nowhere_either() {
    let picture = picture(40, 32);
    let forms: [fn(&mut Encoder<&mut Vec<u8>>); 4] = [
        |encoder| encoder.set_progressive(true),
        |encoder| encoder.set_progressive_scans(8),
        |encoder| encoder.set_sampling_factor(SamplingFactor::F_4_1),
        |encoder| {
            encoder.set_progressive(true);
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            encoder.set_restart_interval(2);
        },
    ];
    for (index, form) in forms.into_iter().enumerate() {
        let jpeg = encoded(&picture, ColorType::Rgb, form);
        assert!(check_whole(&jpeg).is_ok(), "{index}: {:?}", check_whole(&jpeg));
        let frame = super::super::Header::parse(&jpeg).unwrap().frame.unwrap();
        let data = super::super::decode::decode(&jpeg, &frame).unwrap();
        let whole = Rgb { width: 40, height: 32, data };
        assert!(farthest(&whole, &picture) < 120, "{index}: {}", farthest(&whole, &picture));
        for len in 2..jpeg.len() - 2 {
            let ended = [&jpeg[..len], &[0xff, 0xd9]].concat();
            // The last byte of a scan may be filled up with ones alone.
            let last = len + 1 == jpeg.len() - 2;
            assert!(last || check_whole(&ended).is_err(), "{index}: {len} of {} bytes", jpeg.len());
        }
    }
}

/// The other decoder drew another picture.
#[test]
fn a_quarter_of_the_rows_of_chroma_is_refused_unless_progressive() {
    let tall = |progressive| {
        encoded(&picture(40, 32), ColorType::Rgb, |encoder| {
            encoder.set_sampling_factor(SamplingFactor::F_1_4);
            encoder.set_progressive(progressive);
        })
    };
    assert!(matches!(check_whole(&tall(false)), Err(SlideError::Unsupported(_))));
    assert!(check_whole(&tall(true)).is_ok());
}

#[test]
fn overwritten_bytes_never_panic() {
    let picture = picture(48, 32);
    let mut random = Random(3);
    for sampling in SAMPLINGS {
        let jpeg = encoded(&picture, ColorType::Rgb, |encoder| {
            encoder.set_sampling_factor(sampling);
            encoder.set_restart_interval(3);
        });
        for shrink in 0..=3 {
            let part = Part { x: 1, y: 0, width: (48 >> shrink) - 1, height: 32 >> shrink, shrink };
            for _ in 0..300 {
                let mut damaged = jpeg.clone();
                for _ in 0..random.pick(1, 4) {
                    let at = random.pick(2, jpeg.len() as u32) as usize;
                    damaged[at] = random.pick(0, 256) as u8;
                }
                let mut out = Rgb::white(48, 32);
                let _ = draw(&damaged, part, false, &mut out, (0, 0));
            }
        }
    }
}

#[test]
fn what_is_for_another_decoder_is_left_to_it() {
    let picture = picture(32, 32);
    let mut out = Rgb::white(32, 32);
    let part = Part { x: 0, y: 0, width: 32, height: 32, shrink: 0 };
    let progressive = encoded(&picture, ColorType::Rgb, |encoder| encoder.set_progressive(true));
    let odd = encoded(&picture, ColorType::Rgb, |encoder| encoder.set_sampling_factor(SamplingFactor::F_4_1));
    for jpeg in [progressive, odd] {
        assert!(!draw(&jpeg, part, false, &mut out, (0, 0)).unwrap());
    }
    assert_eq!(out, Rgb::white(32, 32));
    // Squares of four that do not fill it.
    let jpeg = encoded(&self::picture(30, 32), ColorType::Rgb, |_| {});
    assert!(!draw(&jpeg, Part { shrink: 2, ..part }, false, &mut out, (0, 0)).unwrap());
}
