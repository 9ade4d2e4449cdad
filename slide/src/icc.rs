//! Colours by the scanner's ICC profile (ISO 15076-1): what it is called, and pixels brought to sRGB.
//!
//! Pixels leave this crate as the file has them; who wants them for a plain screen converts them here. Profiles come from
//! files and are not trusted: the sizes of their tables are held against limits before anything is made of them.

use crate::{Rgb, SlideError, error::Result, limits::ICC_PROFILE_LEN_MAX};
use moxcms::{
    ColorProfile, DataColorSpace, Layout, ParsingOptions, ProfileText, Transform8BitExecutor, TransformOptions,
};
use std::{fmt, sync::Arc};

/// Pixels converted at a time: the converter wants room for its result, and what is small stays in the cache.
const PIECE_LEN: usize = 3 * (4 << 10);
/// Most samples of a profile's table of colours: 65 steps of each of three colours, to three others.
const TABLE_LEN_MAX: usize = 65 * 65 * 65 * 3 * 2;
/// Most entries of a profile's curve.
const CURVE_LEN_MAX: usize = 40_000;
/// Most letters of a description.
const DESCRIPTION_LEN_MAX: usize = 200;

/// A way from a slide's colours to sRGB. It takes up to some megabytes and is worth keeping.
#[derive(Clone)]
pub struct ToSrgb(Arc<Transform8BitExecutor>);

impl fmt::Debug for ToSrgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToSrgb")
    }
}

impl ToSrgb {
    /// From a profile of RGB pixels, with the rendering intent that it names.
    ///
    /// # Errors
    /// `BadProfile` where it is damaged, or none of RGB.
    pub fn new(profile: &[u8]) -> Result<Self> {
        let profile = parsed(profile)?;
        if profile.color_space != DataColorSpace::Rgb {
            return Err(SlideError::BadProfile(format!("it is one of {:?} pixels, not of RGB", profile.color_space)));
        }
        let options = TransformOptions { rendering_intent: profile.rendering_intent, ..TransformOptions::default() };
        let srgb = ColorProfile::new_srgb();
        let transform = profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, options);
        transform.map(Self).map_err(|error| SlideError::BadProfile(error.to_string()))
    }

    /// Converts the picture's pixels.
    ///
    /// # Errors
    /// `BadProfile` where the profile's tables lead nowhere.
    pub fn apply(&self, picture: &mut Rgb) -> Result<()> {
        let mut converted = [0; PIECE_LEN];
        for piece in picture.data.chunks_mut(PIECE_LEN) {
            let into = &mut converted[..piece.len()];
            self.0.transform(piece, into).map_err(|error| SlideError::BadProfile(error.to_string()))?;
            piece.copy_from_slice(into);
        }
        Ok(())
    }
}

/// What the profile calls itself, where it says so.
///
/// # Errors
/// `BadProfile` where it is none.
pub fn description(profile: &[u8]) -> Result<Option<String>> {
    let text = match parsed(profile)?.description {
        Some(ProfileText::PlainString(text)) => Some(text),
        Some(ProfileText::Description(text)) => Some(text.ascii_string),
        Some(ProfileText::Localizable(texts)) => {
            let english = texts.iter().position(|text| text.language.eq_ignore_ascii_case("en")).unwrap_or(0);
            texts.into_iter().nth(english).map(|text| text.value)
        }
        None => None,
    };
    let text = text.map(|text| text.trim_matches(char::from(0)).trim().chars().take(DESCRIPTION_LEN_MAX).collect());
    Ok(text.filter(|text: &String| !text.is_empty()))
}

fn parsed(profile: &[u8]) -> Result<ColorProfile> {
    let limits = ParsingOptions {
        max_profile_size: ICC_PROFILE_LEN_MAX as usize + 1,
        max_allowed_clut_size: TABLE_LEN_MAX,
        max_allowed_trc_size: CURVE_LEN_MAX,
    };
    ColorProfile::new_from_slice_with_options(profile, limits)
        .map_err(|error| SlideError::BadProfile(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(profile: &[u8], pixels: &[[u8; 3]]) -> Vec<[u8; 3]> {
        let mut picture = Rgb { width: pixels.len() as u32, height: 1, data: pixels.as_flattened().to_vec() };
        ToSrgb::new(profile).unwrap().apply(&mut picture).unwrap();
        picture.data.as_chunks().0.to_vec()
    }

    #[test]
    fn colours_of_a_wider_space_are_brought_to_srgb_and_grey_stays_grey() {
        let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
        // Known from the two spaces' definitions: Adobe RGB's red has less room below it in sRGB, its green none.
        let found = converted(&adobe, &[[0, 0, 0], [255, 255, 255], [128, 128, 128], [0, 255, 0], [200, 100, 100]]);
        assert_eq!(found[0], [0, 0, 0]);
        assert!(found[1].iter().all(|&value| value >= 254), "{found:?}");
        assert!(found[2].iter().all(|&value| value.abs_diff(128) <= 2), "{found:?}");
        assert_eq!((found[3][0], found[3][1]), (0, 255), "{found:?}");
        assert!(found[4][0] > 215 && found[4][1].abs_diff(99) <= 3, "{found:?}");
    }

    #[test]
    fn srgb_stays_as_it_is_also_across_pieces() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        let pixels: Vec<[u8; 3]> = (0..10_000u32).map(|i| [i as u8, (i / 7) as u8, (i / 40) as u8]).collect();
        for (own, found) in pixels.iter().zip(converted(&srgb, &pixels)) {
            assert!(own.iter().zip(found).all(|(own, found)| own.abs_diff(found) <= 1), "{own:?} {found:?}");
        }
    }

    /// Scanners' profiles are tables, not three colours and a curve: here one of 17 steps a side (`mft2`) that says of each
    /// colour what sRGB says of it, in CIE L*a*b* as version 2 writes it.
    fn table_profile() -> Vec<u8> {
        const STEPS: usize = 17;
        let linear = |value: f64| if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
        let lab = |colour: [f64; 3]| {
            let [red, green, blue] = colour.map(linear);
            let of = |[r, g, b]: [f64; 3], white: f64| {
                let share = (r * red + g * green + b * blue) / white;
                if share > 216.0 / 24389.0 { share.cbrt() } else { (24389.0 / 27.0 * share + 16.0) / 116.0 }
            };
            let x = of([0.43607, 0.38515, 0.14307], 0.9642);
            let y = of([0.22249, 0.71687, 0.06061], 1.0);
            let z = of([0.01392, 0.09708, 0.71410], 0.82491);
            let sample = |value: f64| (value.round().clamp(0.0, 65535.0) as u16).to_be_bytes();
            let light = 116.0 * y - 16.0;
            [
                sample(light * 652.8),
                sample((500.0 * (x - y) + 128.0) * 256.0),
                sample((200.0 * (y - z) + 128.0) * 256.0),
            ]
        };
        let mut table = b"mft2\0\0\0\0\x03\x03\x11\0".to_vec();
        let one = |on: bool| (i32::from(on) << 16).to_be_bytes();
        table.extend((0..9).flat_map(|at| one(at % 4 == 0)));
        table.extend([0, 2, 0, 2]);
        let straight = [0, 0, 255, 255].repeat(3);
        table.extend(&straight);
        let step = |at: usize| at as f64 / (STEPS - 1) as f64;
        for at in 0..STEPS.pow(3) {
            table.extend(lab([step(at / STEPS / STEPS), step(at / STEPS % STEPS), step(at % STEPS)]).concat());
        }
        table.extend(&straight);
        let mut profile = ((128 + 16 + table.len()) as u32).to_be_bytes().to_vec();
        profile.extend(b"\0\0\0\0\x02\x40\0\0scnrRGB Lab ");
        profile.extend([2020_u16, 1, 1, 0, 0, 0].map(u16::to_be_bytes).concat());
        profile.extend(b"acsp");
        profile.resize(68, 0);
        profile.extend([0x0000_f6d6_u32, 0x0001_0000, 0x0000_d32d].map(u32::to_be_bytes).concat());
        profile.resize(128, 0);
        profile.extend([1, u32::from_be_bytes(*b"A2B0"), 144, table.len() as u32].map(u32::to_be_bytes).concat());
        profile.extend(table);
        profile
    }

    #[test]
    fn a_table_of_colours_leads_to_the_colours_that_it_says() {
        let pixels: Vec<[u8; 3]> = (0..4096u32).map(|i| [i >> 8, i >> 4 & 15, i & 15].map(|v| v as u8 * 17)).collect();
        let found = converted(&table_profile(), &pixels);
        let apart = |(own, found): (&[u8; 3], &[u8; 3])| (0..3).map(|i| own[i].abs_diff(found[i])).max().unwrap();
        let apart: Vec<u8> = pixels.iter().zip(&found).map(apart).collect();
        let far = apart.iter().filter(|&&apart| apart > 3).count();
        assert!(far < 80 && apart.iter().all(|&apart| apart < 16), "{far} far, {:?} at most", apart.iter().max());
    }

    #[test]
    fn a_profile_tells_its_name() {
        let mut profile = ColorProfile::new_srgb();
        assert!(description(&profile.encode().unwrap()).unwrap().is_some_and(|name| name.contains("sRGB")));
        profile.description = None;
        assert_eq!(description(&profile.encode().unwrap()).unwrap(), None);
    }

    #[test]
    fn what_is_no_profile_of_rgb_is_refused_and_no_cut_or_changed_one_breaks_anything() {
        let whole = ColorProfile::new_display_p3().encode().unwrap();
        let grey = ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
        for profile in [&b""[..], b"not a profile", &[0; 4096], &whole[..100], &grey] {
            assert!(matches!(ToSrgb::new(profile), Err(SlideError::BadProfile(_))), "{} bytes", profile.len());
        }
        let mut picture = Rgb { width: 2, height: 1, data: vec![9, 200, 31, 255, 0, 4] };
        let mut used = 0;
        // Of the table all that is not colours: head, tag, steps, curves' lengths.
        for (whole, heads) in [(&whole, whole.len()), (&table_profile(), 210)] {
            for at in (0..heads).step_by(3) {
                for value in [0x00, 0xff] {
                    let mut changed = whole.clone();
                    changed[at] = value;
                    let _ = description(&changed);
                    if let Ok(to_srgb) = ToSrgb::new(&changed) {
                        used += usize::from(to_srgb.apply(&mut picture).is_ok());
                    }
                }
                let _ = ToSrgb::new(&whole[..at]).map(|to_srgb| to_srgb.apply(&mut picture));
            }
        }
        assert!(used > 0);
    }
}
