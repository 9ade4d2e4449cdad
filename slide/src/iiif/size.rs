//! The size: how large the picture of a region is before it is turned.

use super::{
    Refused, Version, bad,
    number::{decimal, list, share, whole},
    region::Rectangle,
};
use crate::limits::{IIIF_PIXELS_MAX, IIIF_SIDE_MAX};

/// A size as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    /// Whether the picture may have more pixels than the region: `^`, from version 3 on.
    enlarged: bool,
    fit: Fit,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fit {
    /// The region's own size: `full`, version 2.
    Own,
    /// The same, or the largest below it that the limits allow.
    Max,
    Width(u64),
    Height(u64),
    Percent(f64),
    Exact(u64, u64),
    /// The largest of the region's form that fits into these sides.
    Within(u64, u64),
}

impl Size {
    pub(super) fn parse(version: Version, text: &str) -> Result<Self, Refused> {
        let (enlarged, fit) = match text.strip_prefix('^') {
            Some(fit) if version == Version::V3 => (true, fit),
            _ => (false, text),
        };
        let sides = |text: &str| list(text, whole);
        let fit = match fit {
            "max" => Some(Fit::Max),
            "full" if version == Version::V2 => Some(Fit::Own),
            _ => {
                if let Some(percent) = fit.strip_prefix("pct:") {
                    decimal(percent).map(Fit::Percent)
                } else if let Some(bounds) = fit.strip_prefix('!') {
                    sides(bounds).map(|[width, height]| Fit::Within(width, height))
                } else if let Some(width) = fit.strip_suffix(',') {
                    whole(width).map(Fit::Width)
                } else if let Some(height) = fit.strip_prefix(',') {
                    whole(height).map(Fit::Height)
                } else {
                    sides(fit).map(|[width, height]| Fit::Exact(width, height))
                }
            }
        };
        let forms = match version {
            Version::V2 => "full, max, w, ,h pct:n w,h or !w,h",
            Version::V3 => "max, w, ,h pct:n w,h or !w,h, with ^ before them or not",
        };
        fit.map_or_else(|| bad(format!("the size '{text}' is not {forms}")), |fit| Ok(Self { enlarged, fit }))
    }

    /// Width and height of the picture of `region`. Sides that follow from others are rounded to the nearest, and have at
    /// least one pixel.
    pub(super) fn of(self, version: Version, region: Rectangle) -> Result<(u32, u32), Refused> {
        let own = (u64::from(region.width), u64::from(region.height));
        let tall = |width: u64| share(own.1, width, own.0).max(1);
        let wide = |height: u64| share(own.0, height, own.1).max(1);
        let boxed = |width: u64, height: u64| {
            // width : height against the region's, without fractions.
            match u128::from(width) * u128::from(own.1) <= u128::from(height) * u128::from(own.0) {
                true => (width, tall(width).min(height)),
                false => (wide(height).min(width), height),
            }
        };
        let (width, height) = match self.fit {
            Fit::Own => own,
            Fit::Max => {
                if self.enlarged && largest(own) == own {
                    return Err(enlarging());
                }
                largest(own)
            }
            Fit::Width(width) => (width, tall(width)),
            Fit::Height(height) => (wide(height), height),
            Fit::Percent(percent) => {
                let of = |side: u64| (side as f64 * percent / 100.0).round() as u64;
                (of(own.0), of(own.1))
            }
            Fit::Exact(width, height) => (width, height),
            Fit::Within(width, height) => match (boxed(width, height), version) {
                // Version 2 asks for the best fit within the box: the region's own size at most. Version 3's text can be
                // read alike, but its validators, and other servers, take a box larger than the region for enlarging.
                ((wide, tall), Version::V2) if wide > own.0 || tall > own.1 => own,
                (sides, _) => sides,
            },
        };
        if width == 0 || height == 0 {
            return bad("a picture of that size has no pixel");
        }
        if width > own.0 || height > own.1 {
            let asked = format!("{width} × {height} pixels of {} × {}", own.0, own.1);
            return Err(match version {
                Version::V3 if !self.enlarged => {
                    Refused::Bad(format!("{asked}: only sizes with '^' are larger than the region"))
                }
                _ => enlarging(),
            });
        }
        let (width, height) = match self.fit {
            Fit::Within(..) => largest((width, height)),
            _ => (width, height),
        };
        let within = width.saturating_mul(height) <= IIIF_PIXELS_MAX && width.max(height) <= u64::from(IIIF_SIDE_MAX);
        match (u32::try_from(width), u32::try_from(height)) {
            (Ok(width), Ok(height)) if within => Ok((width, height)),
            _ => bad(format!(
                "a picture of {width} × {height} pixels is larger than the {IIIF_PIXELS_MAX} pixels, and {IIIF_SIDE_MAX} a \
                 side, that info.json tells: ask for max, or for less"
            )),
        }
    }
}

/// The largest size of the same form, up to its own, that the limits allow.
pub(super) fn largest((width, height): (u64, u64)) -> (u64, u64) {
    let ratio = |limit: u64, is: f64| limit as f64 / is;
    let by_side = ratio(IIIF_SIDE_MAX.into(), width.max(height) as f64);
    let by_area = ratio(IIIF_PIXELS_MAX, width as f64 * height as f64).sqrt();
    let factor = by_side.min(by_area);
    if factor >= 1.0 {
        return (width, height);
    }
    let side = |side: u64| ((side as f64 * factor).floor() as u64).max(1);
    (side(width), side(height))
}

fn enlarging() -> Refused {
    Refused::NotImplemented("pictures larger than their region are not made".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(version: Version, text: &str, width: u32, height: u32) -> Result<(u32, u32), Refused> {
        Size::parse(version, text)?.of(version, Rectangle { x: 0, y: 0, width, height })
    }

    /// The first ones are the API's own examples, on its picture of 300 × 200.
    #[test]
    fn every_form_of_a_size_is_measured_on_the_region() {
        for (text, expected) in [
            ("max", (300, 200)),
            ("150,", (150, 100)),
            (",150", (225, 150)),
            ("pct:50", (150, 100)),
            ("225,100", (225, 100)),
            ("!225,100", (150, 100)),
            ("!100,100", (100, 67)),
            ("!300,200", (300, 200)),
            ("!999,100", (150, 100)),
            ("pct:33.3", (100, 67)),
            ("1,", (1, 1)),
            ("300,1", (300, 1)),
            ("pct:100", (300, 200)),
        ] {
            for version in [Version::V2, Version::V3] {
                assert_eq!(size(version, text, 300, 200), Ok(expected), "{text}");
            }
            if text != "max" {
                assert_eq!(size(Version::V3, &format!("^{text}"), 300, 200), Ok(expected), "^{text}");
            }
        }
        assert_eq!(size(Version::V2, "full", 300, 200), Ok((300, 200)));
        // Never nothing where the other side has pixels: a thin tile of a viewer.
        assert_eq!(size(Version::V2, "16,", 2048, 3), Ok((16, 1)));
        assert_eq!(size(Version::V3, "!10,10", 10_000, 100), Ok((10, 1)));
    }

    #[test]
    fn what_is_larger_than_its_region_is_refused_as_each_version_wants_it() {
        for text in ["301,", ",201", "pct:101", "300,201", "!301,201", "!600,400"] {
            assert!(matches!(size(Version::V3, text, 300, 200), Err(Refused::Bad(_))), "{text}");
            let enlarged = size(Version::V3, &format!("^{text}"), 300, 200);
            assert!(matches!(enlarged, Err(Refused::NotImplemented(_))), "^{text}: {enlarged:?}");
        }
        assert!(matches!(size(Version::V3, "^max", 300, 200), Err(Refused::NotImplemented(_))));
        for text in ["301,", ",201", "pct:100.5", "300,201"] {
            assert!(matches!(size(Version::V2, text, 300, 200), Err(Refused::NotImplemented(_))), "{text}");
        }
        // Version 2 promises only that the box is kept.
        assert_eq!(size(Version::V2, "!600,400", 300, 200), Ok((300, 200)));
    }

    #[test]
    fn the_limits_bound_what_is_asked_for_by_numbers_and_shape_the_rest() {
        let (wide, tall) = (100_000, 80_000);
        for version in [Version::V2, Version::V3] {
            let (width, height) = size(version, "max", wide, tall).unwrap();
            assert!(u64::from(width) * u64::from(height) <= IIIF_PIXELS_MAX && width > 4500, "{width} × {height}");
            assert!((f64::from(width) / f64::from(height) - 1.25).abs() < 1e-3, "{width} × {height}");
            assert_eq!(size(version, "!90000,90000", wide, tall), Ok((width, height)), "the same box");
            for text in ["50000,", ",50000", "pct:50", "50000,50000", "65536,1"] {
                assert!(matches!(size(version, text, wide, tall), Err(Refused::Bad(_))), "{text}");
            }
            assert_eq!(size(version, "max", 200_000, 10), Ok((65_535, 3)));
            assert_eq!(size(version, "4096,4096", wide, tall), Ok((4096, 4096)));
        }
        assert!(matches!(size(Version::V2, "full", wide, tall), Err(Refused::Bad(_))));
        assert_eq!(size(Version::V3, "^max", wide, tall), size(Version::V3, "max", wide, tall));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", ",", "!", "^", "^^max", "pct:", "pct:0", "pct:-5", "pct:0.01", "0,", ",0", "0,5", "5,0", "!0,5", "!5,",
            "!,5", "a,b", "1.5,", "-5,5", "5,5,5", "5", "MAX", "!max", "!^5,5", "pct:5e1", "max,", "full,", "+5,5",
        ] {
            for version in [Version::V2, Version::V3] {
                let found = size(version, text, 300, 200);
                assert!(matches!(found, Err(Refused::Bad(_))), "{text}: {found:?}");
            }
        }
        assert!(matches!(size(Version::V3, "full", 300, 200), Err(Refused::Bad(_))));
        assert!(matches!(size(Version::V2, "^max", 300, 200), Err(Refused::Bad(_))));
        let beyond = "99999999999999999999999,99999999999999999999999";
        assert!(matches!(size(Version::V3, beyond, 300, 200), Err(Refused::Bad(_))));
        assert!(matches!(size(Version::V3, &format!("^{beyond}"), 300, 200), Err(Refused::NotImplemented(_))));
        assert!(matches!(size(Version::V3, &format!("!{beyond}"), 300, 200), Err(Refused::Bad(_))));
    }
}
