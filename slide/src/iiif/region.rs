//! The region: which part of the slide.

use super::{
    Refused, bad,
    number::{decimal, list, whole},
};

/// A region as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Region {
    Full,
    /// The shorter side, from the middle of the longer one.
    Square,
    /// x, y, width, height in pixels of level 0.
    Pixels([u64; 4]),
    /// The same in percent of the slide's sides.
    Percent([f64; 4]),
}

/// A rectangle of level 0 that lies in it and has pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Rectangle {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Region {
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let region = match text {
            "full" => Some(Self::Full),
            "square" => Some(Self::Square),
            _ => match text.strip_prefix("pct:") {
                Some(percent) => list(percent, decimal).map(Self::Percent),
                None => list(text, whole).map(Self::Pixels),
            },
        };
        region.map_or_else(|| bad(format!("the region '{text}' is not full, square, x,y,w,h or pct:x,y,w,h")), Ok)
    }

    /// The rectangle that it is of a slide, cut off where the slide ends.
    pub(super) fn within(self, width: u32, height: u32) -> Result<Rectangle, Refused> {
        let [x, y, w, h] = match self {
            Self::Full => [0, 0, width.into(), height.into()],
            Self::Square => {
                let side = width.min(height);
                [(width - side) / 2, (height - side) / 2, side, side].map(u64::from)
            }
            Self::Pixels(numbers) => numbers,
            Self::Percent([x, y, w, h]) => {
                // What is beyond all numbers becomes the largest one.
                let of = |percent: f64, side: u32| (percent * f64::from(side) / 100.0).round() as u64;
                [of(x, width), of(y, height), of(w, width), of(h, height)]
            }
        };
        if w == 0 || h == 0 {
            return bad("the region has no pixel");
        }
        let inside = |start: u64, len: u64, side: u32| {
            let start = u32::try_from(start).ok().filter(|start| *start < side)?;
            Some((start, u32::try_from(len).unwrap_or(u32::MAX).min(side - start)))
        };
        match (inside(x, w, width), inside(y, h, height)) {
            (Some((x, width)), Some((y, height))) => Ok(Rectangle { x, y, width, height }),
            _ => bad(format!("the region at {x}, {y} lies outside of the slide's {width} × {height} pixels")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rectangle(text: &str, width: u32, height: u32) -> Option<[u32; 4]> {
        let Rectangle { x, y, width, height } = Region::parse(text).unwrap().within(width, height).ok()?;
        Some([x, y, width, height])
    }

    /// The first ones are the API's own examples, on its picture of 300 × 200.
    #[test]
    fn every_form_of_a_region_is_a_rectangle_of_the_slide() {
        for (text, expected) in [
            ("full", [0, 0, 300, 200]),
            ("square", [50, 0, 200, 200]),
            ("125,15,120,140", [125, 15, 120, 140]),
            ("pct:41.6,7.5,40,70", [125, 15, 120, 140]),
            ("125,15,200,200", [125, 15, 175, 185]),
            ("pct:41.6,7.5,66.6,100", [125, 15, 175, 185]),
            ("0,0,1,1", [0, 0, 1, 1]),
            ("299,199,99999999999999999999,1", [299, 199, 1, 1]),
            ("pct:0,0,100,100", [0, 0, 300, 200]),
            ("pct:99.8,99.4,50,50", [299, 199, 1, 1]),
        ] {
            assert_eq!(rectangle(text, 300, 200), Some(expected), "{text}");
        }
        assert_eq!(rectangle("square", 200, 301), Some([0, 50, 200, 200]));
    }

    #[test]
    fn what_has_no_pixel_or_lies_outside_is_refused() {
        for text in [
            "0,0,0,10",
            "0,0,10,0",
            "300,0,10,10",
            "0,200,10,10",
            "99999999999999999999,0,1,1",
            "pct:100,0,10,10",
            "pct:0,0,0,50",
            "pct:0,0,0.01,50",
            "pct:99.9,0,10,10",
            "pct:101,0,10,10",
        ] {
            assert_eq!(rectangle(text, 300, 200), None, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "Full",
            "full ",
            "1,2,3",
            "1,2,3,4,5",
            "1,2,3,",
            "-1,0,5,5",
            "1.5,0,5,5",
            "a,b,c,d",
            "pct:",
            "pct:1,2,3",
            "pct:-1,0,5,5",
            "pct:1e1,0,5,5",
            "pct:.5,0,5,5",
            "PCT:1,2,3,4",
            "0x1,0,5,5",
            "+1,0,5,5",
            "square,",
            "1;2;3;4",
        ] {
            assert!(matches!(Region::parse(text), Err(Refused::Bad(_))), "{text}");
        }
    }
}
