//! What is written, read by another decoder and held against another encoder.

use super::*;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

fn decoded(jpeg: &[u8]) -> Rgb {
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    let data = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    Rgb { width: width as u32, height: height as u32, data }
}

fn by_another(image: &Rgb, quality: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(&image.data, image.width as u16, image.height as u16, ColorType::Rgb).unwrap();
    out
}

/// Tissue-like: smooth colours with some noise, of amplitude `noise`.
fn picture(width: u32, height: u32, noise: u32) -> Rgb {
    let sample = |x: u32, y: u32, channel: u32| {
        let wave = (f64::from(x) / (13.0 + f64::from(channel))).sin() + (f64::from(y + x) / 21.0).cos();
        let hash = (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729) ^ channel).wrapping_mul(2_654_435_761) >> 16;
        (170.0 + 35.0 * wave + f64::from(hash % (noise + 1)) - f64::from(noise) / 2.0).clamp(0.0, 255.0) as u8
    };
    let pixel = |x, y| (0..3).map(move |channel| sample(x, y, channel));
    Rgb { width, height, data: (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect() }
}

/// The peak signal-to-noise ratio in decibels.
fn psnr(a: &Rgb, b: &Rgb) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let squares: u64 = a.data.iter().zip(&b.data).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0 * 255.0 * a.data.len() as f64 / squares.max(1) as f64).log10()
}

#[test]
fn pictures_are_as_good_and_as_short_as_another_encoders() {
    for noise in [0, 20, 80] {
        let image = picture(256, 240, noise);
        for quality in [30, 50, 75, 85, 95, 100] {
            let (own, other) = (encode(&image, quality), by_another(&image, quality));
            let (good, goal) = (psnr(&decoded(&own), &image), psnr(&decoded(&other), &image));
            assert!(good > goal - 0.1, "noise {noise}, quality {quality}: {good}, not {goal}");
            let most = other.len() as f64 * 1.03;
            assert!((own.len() as f64) < most, "noise {noise}, quality {quality}: {} {}", own.len(), other.len());
        }
    }
}

#[test]
fn pictures_of_every_size_are_whole() {
    for width in [1, 2, 3, 7, 8, 15, 16, 17, 31, 33] {
        for height in [1, 2, 8, 9, 16, 23, 32, 33] {
            let image = picture(width, height, 0);
            let good = psnr(&decoded(&encode(&image, 95)), &image);
            assert!(good > 33.0, "{width} × {height}: {good}");
        }
    }
}

#[test]
fn the_loudest_pictures_are_written_as_they_are() {
    let checks = |x: u32, y: u32| [0u8, 255][((x ^ y) & 1) as usize];
    let data = (0..64).flat_map(|y| (0..64).flat_map(move |x| [checks(x, y); 3])).collect();
    let checks = Rgb { width: 64, height: 64, data };
    assert!(psnr(&decoded(&encode(&checks, 100)), &checks) > 45.0);
    let noise = picture(64, 64, 60000);
    for quality in [0, 1, 50, 100, 255] {
        let (own, other) = (decoded(&encode(&noise, quality)), decoded(&by_another(&noise, quality.clamp(1, 100))));
        assert!(psnr(&own, &noise) > psnr(&other, &noise) - 0.1, "{quality}");
    }
    for value in [0, 255] {
        let flat = Rgb { width: 40, height: 40, data: vec![value; 4800] };
        assert_eq!(decoded(&encode(&flat, 85)), flat);
    }
}
