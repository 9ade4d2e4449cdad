//! An address's four last parts, taken apart.

use super::{Refused, Turn, Version, bad, region::Region, size::Size};

/// How much of the colours is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    /// All: `default` and `color`.
    Color,
    /// Their luminance.
    Gray,
    /// Black where it is less than half, else white.
    Bitonal,
}

/// How the picture is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `jpg`
    Jpeg,
    /// `png`
    Png,
}

impl Format {
    /// As addresses have it.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }
}

/// What an address asks for, whatever the slide's size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    pub(super) version: Version,
    pub(super) region: Region,
    pub(super) size: Size,
    pub(super) turn: Turn,
    pub(super) quality: Quality,
    pub(super) format: Format,
}

impl Request {
    /// From the address's parts, without percent-encoding; `picture` is `quality.format`.
    ///
    /// # Errors
    /// `Bad` names the part that is none, or not supported.
    pub fn parse(version: Version, region: &str, size: &str, rotation: &str, picture: &str) -> Result<Self, Refused> {
        let Some((quality, format)) = picture.rsplit_once('.') else {
            return bad(format!("'{picture}' is not quality.format"));
        };
        let region = Region::parse(region)?;
        let size = Size::parse(version, size)?;
        let turn = Turn::parse(rotation)?;
        let quality = match quality {
            "default" | "color" => Quality::Color,
            "gray" => Quality::Gray,
            "bitonal" => Quality::Bitonal,
            _ => return bad(format!("the quality '{quality}' is not default, color, gray or bitonal")),
        };
        let format = match format {
            "jpg" => Format::Jpeg,
            "png" => Format::Png,
            _ => return bad(format!("the format '{format}' is not jpg or png")),
        };
        Ok(Self { version, region, size, turn, quality, format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualities_and_formats_are_those_of_level_2() {
        let parse = |picture: &str| Request::parse(Version::V3, "full", "max", "0", picture);
        for (picture, quality, format) in [
            ("default.jpg", Quality::Color, Format::Jpeg),
            ("color.png", Quality::Color, Format::Png),
            ("gray.jpg", Quality::Gray, Format::Jpeg),
            ("bitonal.png", Quality::Bitonal, Format::Png),
        ] {
            let request = parse(picture).unwrap();
            assert_eq!((request.quality, request.format), (quality, format), "{picture}");
        }
        for picture in [
            "",
            ".",
            "default",
            "default.",
            ".jpg",
            "default.jpeg",
            "default.gif",
            "default.tif",
            "default.webp",
            "grey.jpg",
            "native.jpg",
            "default.JPG",
            "Default.jpg",
            "default.jpg.png",
            "default.jp2",
            "default.pdf",
        ] {
            assert!(matches!(parse(picture), Err(Refused::Bad(_))), "{picture}");
        }
    }

    #[test]
    fn the_part_that_is_wrong_is_named() {
        for (parts, word) in [
            (["x", "max", "0", "default.jpg"], "region 'x'"),
            (["full", "x", "0", "default.jpg"], "size 'x'"),
            (["full", "max", "x", "default.jpg"], "rotation 'x'"),
            (["full", "max", "0", "x.jpg"], "quality 'x'"),
            (["full", "max", "0", "default.x"], "format 'x'"),
        ] {
            let [region, size, rotation, picture] = parts;
            let refused = Request::parse(Version::V3, region, size, rotation, picture).unwrap_err().to_string();
            assert!(refused.contains(word), "{refused}");
        }
    }
}
