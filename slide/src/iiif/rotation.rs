//! The rotation: by quarters of a turn, mirrored before or not.

use super::{Refused, bad, number::decimal};
use crate::Rgb;

/// How a picture is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Turn {
    /// Left and right change places before anything is turned.
    pub mirrored: bool,
    /// Quarters of a turn clockwise, 0 to 3.
    pub quarters: u8,
}

impl Turn {
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let (mirrored, angle) = match text.strip_prefix('!') {
            Some(angle) => (true, angle),
            None => (false, text),
        };
        let Some(degrees) = decimal(angle).filter(|degrees| *degrees <= 360.0) else {
            return bad(format!("the rotation '{text}' is not 0 to 360 degrees, with '!' before them or not"));
        };
        let quarters = degrees / 90.0;
        if quarters.fract() != 0.0 {
            return bad(format!("a rotation by {degrees} degrees is not supported: 0, 90, 180 and 270 are"));
        }
        Ok(Self { mirrored, quarters: quarters as u8 % 4 })
    }

    /// The sides of a picture when it is turned.
    pub(super) fn turned(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.quarters % 2 == 1 { (height, width) } else { (width, height) }
    }

    /// The picture, turned.
    pub(super) fn apply(self, picture: Rgb) -> Rgb {
        if self == Self::default() {
            return picture;
        }
        let (width, height) = self.turned((picture.width, picture.height));
        let (own_width, own_height) = (picture.width as usize, picture.height as usize);
        let mut data = Vec::with_capacity(picture.data.len());
        for row in 0..height as usize {
            // Where the row begins in the picture, and how far it is to the row's next pixel.
            let (mut x, mut y, across, down) = match self.quarters {
                0 => (0, row, 1, 0),
                1 => (row, own_height - 1, 0, -1),
                2 => (own_width - 1, own_height - 1 - row, -1, 0),
                _ => (own_width - 1 - row, 0, 0, 1),
            };
            for _ in 0..width {
                let column = if self.mirrored { own_width - 1 - x } else { x };
                let at = (y * own_width + column) * 3;
                data.extend_from_slice(&picture.data[at..at + 3]);
                (x, y) = (x.wrapping_add_signed(across), y.wrapping_add_signed(down));
            }
        }
        Rgb { width, height, data }
    }

    /// As the API's canonical addresses have it.
    pub(super) fn text(self) -> String {
        format!("{}{}", if self.mirrored { "!" } else { "" }, u32::from(self.quarters) * 90)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_of_a_turn_are_taken_and_others_refused() {
        for (text, mirrored, quarters) in [
            ("0", false, 0),
            ("90", false, 1),
            ("180", false, 2),
            ("270", false, 3),
            ("360", false, 0),
            ("90.0", false, 1),
            ("!0", true, 0),
            ("!270", true, 3),
        ] {
            assert_eq!(Turn::parse(text), Ok(Turn { mirrored, quarters }), "{text}");
        }
        for text in ["", "!", "45", "22.5", "!12", "361", "450", "-90", "+90", "90!", "!!90", "9e1", "x", "90.", "nan"]
        {
            assert!(matches!(Turn::parse(text), Err(Refused::Bad(_))), "{text}");
        }
    }

    /// ```text
    /// 1 2 3
    /// 4 5 6
    /// ```
    #[test]
    fn a_picture_is_mirrored_first_and_then_turned_clockwise() {
        let picture = |width: u32, pixels: &[u8]| Rgb {
            width,
            height: pixels.len() as u32 / width,
            data: pixels.iter().flat_map(|&value| [value; 3]).collect(),
        };
        for (text, width, pixels) in [
            ("0", 3, [1, 2, 3, 4, 5, 6]),
            ("90", 2, [4, 1, 5, 2, 6, 3]),
            ("180", 3, [6, 5, 4, 3, 2, 1]),
            ("270", 2, [3, 6, 2, 5, 1, 4]),
            ("!0", 3, [3, 2, 1, 6, 5, 4]),
            ("!90", 2, [6, 3, 5, 2, 4, 1]),
            ("!180", 3, [4, 5, 6, 1, 2, 3]),
            ("!270", 2, [1, 4, 2, 5, 3, 6]),
        ] {
            let turn = Turn::parse(text).unwrap();
            assert_eq!(turn.apply(picture(3, &[1, 2, 3, 4, 5, 6])), picture(width, &pixels), "{text}");
            assert_eq!(turn.text(), text);
        }
    }
}
