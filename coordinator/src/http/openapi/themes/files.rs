//! A material's original, and what a slide says of itself.

use crate::http::openapi::{
    common::{count, material, text},
    words::{Form, Operation, Parameter, Theme},
};
use microtome_proto::{Code, slide::SlideInfo};
use serde_json::json;

/// Why a file is not read as a slide.
pub(super) const NO_SLIDE: &[Code] = &[
    Code::OutsideSlide,
    Code::TooLarge,
    Code::NotASlide,
    Code::UnsupportedSlide,
    Code::DamagedSlide,
    Code::BadIccProfile,
    Code::TooManyRequests,
];

pub(super) fn theme() -> Theme {
    Theme {
        name: "Files and slides",
        text: "The original as it was sent, and what the slide in it says of itself.",
        operations: vec![
            file(),
            head(),
            slide("/v1/materials/{id}/slide", "getSlide", "Describes the slide in a material"),
            slide("/tiles/{id}/tiles.json", "getTilesDescription", "The same description, beside the tiles"),
            icc_profile(),
            associated(),
        ],
    }
}

/// How the bytes of a file are told.
fn with_ranges(operation: Operation) -> Operation {
    operation
        .tagged()
        .with([
            Parameter::header("Range", "The part that is wanted, `bytes=FIRST-LAST`.", Form::Given(text()))
                .example("bytes=0-1023"),
            Parameter::header("If-Range", "The `ETag` of what the part is to be of.", Form::Given(text())),
        ])
        .on_nodes()
        .fails(&[Code::RangeNotSatisfiable])
}

fn file() -> Operation {
    let operation = Operation::get("/v1/materials/{id}/file", "getFile", "Gives the original, whole or in part")
        .with([material()])
        .gives_bytes(206, "The part that is asked for.", &["*/*"])
        .always([("Content-Range", "Which bytes of how many.", text())])
        .gives_bytes(200, "All of it.", &["*/*"])
        .always([
            ("Content-Disposition", "Its name.", text()),
            ("Accept-Ranges", "Parts are given.", json!({ "const": "bytes" })),
        ]);
    with_ranges(operation)
}

fn head() -> Operation {
    let operation = Operation::head("/v1/materials/{id}/file", "headFile", "Tells the original's length and ETag")
        .with([material()])
        .gives_nothing(200, "What GET would tell.")
        .always([("Content-Length", "Its length in bytes.", count())]);
    with_ranges(operation)
}

fn slide(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::get(path, id, summary)
        .with([material()])
        .gives::<SlideInfo>(200, "Size, levels, tiles, resolution, associated images, ICC profile.")
        .on_nodes()
        .fails(NO_SLIDE)
}

fn icc_profile() -> Operation {
    Operation::get("/v1/materials/{id}/icc", "getIccProfile", "Gives the slide's ICC profile")
        .with([material()])
        .gives_bytes(200, "The profile as the file has it.", &["application/vnd.iccprofile"])
        .tagged()
        .on_nodes()
        .fails(NO_SLIDE)
        .fails(&[Code::NoIccProfile])
}

fn associated() -> Operation {
    let name = json!({ "type": "string", "minLength": 1 });
    let text = "A suffix (`label.png`) or `Accept` chooses between JPEG and PNG.";
    Operation::get("/v1/materials/{id}/associated/{name}", "getAssociated", "Gives an associated image")
        .text(text)
        .with([
            material(),
            Parameter::path("name", "`label`, `macro`, `thumbnail`, …", Form::Given(name), "thumbnail"),
            super::pictures::colours(),
        ])
        .gives_bytes(200, "The image.", &["image/jpeg", "image/png"])
        .tagged()
        .on_nodes()
        .fails(NO_SLIDE)
}
