//! Tiles, Deep Zoom, the IIIF Image API and regions.

use super::files::NO_SLIDE;
use crate::http::openapi::{
    common::{location, material, text},
    words::{Form, Operation, Parameter, Theme},
};
use microtome_proto::Code;
use serde_json::{Value, json};

pub(super) fn theme() -> Theme {
    Theme {
        name: "Pixels",
        text: "Tiles, Deep Zoom, IIIF and regions, cut from the original when they are asked for.",
        operations: vec![tile(), descriptor(), deep_zoom(), service(), info(), picture(), region()],
    }
}

/// Which colours are wanted.
pub(super) fn colours() -> Parameter {
    let form = Form::Given(json!({ "type": "string", "enum": ["srgb"] }));
    Parameter::query("icc", "`srgb` converts the pixels by the slide's ICC profile.", form)
}

fn place(name: &'static str, text: &'static str) -> Parameter {
    Parameter::path(name, text, Form::Given(json!({ "type": "integer", "minimum": 0 })), 0)
}

fn choice(name: &'static str, text: &'static str, of: &[&str]) -> Parameter {
    let first = of.first().copied().unwrap_or_default();
    Parameter::path(name, text, Form::Given(json!({ "type": "string", "enum": of })), first)
}

fn made() -> (&'static str, &'static str, Value) {
    let text = "Whether they are the file's own bytes, or were drawn.";
    ("Microtome-Tile", text, json!({ "enum": ["native", "rendered"] }))
}

fn tile() -> Operation {
    Operation::get("/tiles/{id}/{level}/{column}_{row}.jpg", "getTile", "Gives a tile of the file's own grid")
        .text("Where the file's tile is a baseline JPEG the answer is that tile's own data, never decoded.")
        .with([
            material(),
            place("level", "The level; 0 is the largest."),
            place("column", "The tile's column."),
            place("row", "The tile's row."),
            colours(),
        ])
        .gives_bytes(200, "The tile.", &["image/jpeg"])
        .always([made()])
        .tagged()
        .on_nodes()
        .fails(NO_SLIDE)
}

fn grid() -> [Parameter; 3] {
    let size = json!({ "type": "integer", "minimum": 32, "maximum": 2048 });
    let overlap = json!({ "type": "integer", "minimum": 0, "maximum": 64, "default": 0 });
    [
        Parameter::query("tile_size", "Side of a tile in pixels; the file's own if left out.", Form::Given(size)),
        Parameter::query(
            "overlap",
            "Pixels that tiles have in common with each neighbour, at most half a tile.",
            Form::Given(overlap),
        ),
        colours(),
    ]
}

fn descriptor() -> Operation {
    Operation::get("/dzi/{id}.dzi", "getDeepZoom", "Gives the Deep Zoom descriptor")
        .with([material()])
        .with(grid())
        .gives_bytes(200, "The descriptor.", &["application/xml"])
        .tagged()
        .on_nodes()
        .fails(NO_SLIDE)
}

fn deep_zoom() -> Operation {
    let path = "/dzi/{id}_files/{level}/{column}_{row}.{format}";
    Operation::get(path, "getDeepZoomTile", "Gives a Deep Zoom tile")
        .with([
            material(),
            place("level", "The level; the last is the largest, level 0 one pixel."),
            place("column", "The tile's column."),
            place("row", "The tile's row."),
            choice("format", "The picture's format.", &["jpg", "jpeg", "png"]),
        ])
        .with(grid())
        .gives_bytes(200, "The tile.", &["image/jpeg", "image/png"])
        .always([made()])
        .tagged()
        .on_nodes()
        .fails(NO_SLIDE)
}

fn version() -> Parameter {
    choice("version", "The version of the IIIF Image API.", &["3", "2"])
}

fn service() -> Operation {
    Operation::get("/iiif/{version}/{id}", "getIiifService", "Leads to the image service's info.json")
        .with([version(), material()])
        .gives_nothing(303, "Its info.json.")
        .always([location("The info.json.")])
        .on_nodes()
}

fn info() -> Operation {
    Operation::get("/iiif/{version}/{id}/info.json", "getIiifInfo", "Describes the slide as a IIIF image service")
        .with([version(), material()])
        .answer(
            200,
            "The image information; `Accept` chooses between JSON and JSON-LD.",
            &["application/json", "application/ld+json"],
            Form::Given(
                json!({ "type": "object", "required": ["@context", "protocol", "width", "height", "profile"] }),
            ),
        )
        .perhaps([("Link", "The JSON-LD context of plain JSON.", text())])
        .tagged()
        .on_nodes()
        .fails(NO_SLIDE)
}

fn picture() -> Operation {
    let path = "/iiif/{version}/{id}/{region}/{size}/{rotation}/{quality}.{format}";
    let form = |pattern: &str| Form::Given(json!({ "type": "string", "pattern": pattern }));
    let about = "IIIF Image API 3.0 and 2.1 at level 2, with mirroring. A request that is exactly a tile of the file passes \
                it through. 400 for what is malformed or outside, 501 for what would enlarge, as the API wants it.";
    Operation::get(path, "getIiifPicture", "Gives a part of the slide, scaled and turned")
        .text(about)
        .with([
            version(),
            material(),
            Parameter::path(
                "region",
                "`full`, `square`, `x,y,w,h` or `pct:x,y,w,h`.",
                form(r"^(full|square|[0-9]{1,9}(,[0-9]{1,9}){3}|pct:[0-9]{1,2}(,[0-9]{1,2}){3})$"),
                "full",
            ),
            Parameter::path(
                "size",
                "`max`, `w,`, `,h`, `pct:n`, `w,h` or `!w,h`; `full` in version 2, `^` before it in version 3.",
                form(r"^(max|!?[0-9]{1,5},[0-9]{1,5}|[0-9]{1,5},|,[0-9]{1,5}|pct:[0-9]{1,2})$"),
                "64,",
            ),
            Parameter::path("rotation", "0, 90, 180 or 270; `!` mirrors before.", form("^!?(0|90|180|270)$"), "0"),
            choice("quality", "The colours.", &["default", "color", "gray", "bitonal"]),
            choice("format", "The picture's format.", &["jpg", "png"]),
            colours(),
        ])
        .gives_bytes(200, "The picture.", &["image/jpeg", "image/png"])
        .always([made(), ("Link", "The canonical address and the profile.", text())])
        .tagged()
        .on_nodes()
        .fails(NO_SLIDE)
        .fails(&[Code::NotImplemented])
}

fn region() -> Operation {
    let number = |name, text, from: i64, to: i64| {
        let form = json!({ "type": "integer", "minimum": from, "maximum": to });
        Parameter::query(name, text, Form::Given(form))
    };
    let side = i64::from(u32::MAX);
    let format = json!({ "type": "string", "enum": ["jpg", "jpeg", "png", "raw"], "default": "jpg" });
    Operation::get("/regions/{id}", "getRegion", "Gives a region of a level")
        .text("As OpenSlide's read_region. At most 64 Mi pixels; as JPEG 65,535 a side. What lies outside is white.")
        .with([
            material(),
            number("w", "Width in pixels of the level.", 1, side).required(64),
            number("h", "Height in pixels of the level.", 1, side).required(64),
            number("level", "The level; 0 is the largest.", 0, side),
            number("x", "Left edge in pixels of level 0.", i64::MIN, i64::MAX),
            number("y", "Upper edge in pixels of level 0.", i64::MIN, i64::MAX),
            Parameter::query("format", "`raw` is 8-bit RGB without a head.", Form::Given(format)),
            colours(),
        ])
        .gives_bytes(200, "The pixels.", &["image/jpeg", "image/png", "application/octet-stream"])
        .always([
            ("Microtome-Width", "Width in pixels.", json!({ "type": "integer" })),
            ("Microtome-Height", "Height in pixels.", json!({ "type": "integer" })),
        ])
        .tagged()
        .on_nodes()
        .fails(NO_SLIDE)
}
