//! `/v1/uploads`: tus 1.0.0.

use crate::http::openapi::{
    common::{conditions, count, idempotency_key, location, material, text},
    words::{Form, Operation, Parameter, Theme},
};
use microtome_proto::{Code, tus};
use serde_json::{Value, json};

pub(super) fn theme() -> Theme {
    Theme {
        name: "Uploads",
        text: "Resumable uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload): core, creation, \
               creation-with-upload, creation-defer-length, expiration, checksum, checksum-trailer, termination and \
               concatenation. An upload is created at any server and sent to the node that `Location` names.",
        operations: vec![
            abilities(),
            create(),
            Operation::options("/v1/uploads/{id}", "showUploadAbilities", "Tells what of tus is understood here")
                .with([material()])
                .gives_nothing(204, "The extensions and limits.")
                .always(of_server())
                .gives_nothing(307, "The node that receives it.")
                .always([location("The same path there.")])
                .fails(&[Code::NotFound, Code::NoLeader, Code::NotReady, Code::Unavailable, Code::TooManyRequests]),
            head(),
            download(),
            patch(),
            terminate(),
            instead(),
        ],
    }
}

type Told = (&'static str, &'static str, Value);

fn spoken() -> Told {
    ("Tus-Resumable", "The version of tus that is spoken.", json!({ "const": tus::VERSION }))
}

fn of_server() -> [Told; 5] {
    [
        spoken(),
        ("Tus-Version", "The versions that are spoken.", json!({ "const": tus::VERSION })),
        ("Tus-Extension", "The extensions.", text()),
        ("Tus-Max-Size", "The largest upload, in bytes.", count()),
        ("Tus-Checksum-Algorithm", "The algorithms of `Upload-Checksum`.", text()),
    ]
}

fn offset() -> Told {
    ("Upload-Offset", "Bytes that are durable.", count())
}

fn expires() -> Told {
    ("Upload-Expires", "When it ends if nothing more comes (RFC 9110).", text())
}

fn speaks() -> Parameter {
    let form = Form::Given(json!({ "const": tus::VERSION, "type": "string" }));
    Parameter::header("Tus-Resumable", "The version of tus that the sender speaks.", form).required(tus::VERSION)
}

fn checksum() -> Parameter {
    // Base64 of 20 and of 32 bytes: of its last letter two bits are none of theirs.
    let last = "[AEIMQUYcgkosw048]=";
    let pattern = format!("^(sha1 [0-9A-Za-z+/]{{26}}{last}|(sha256|blake3) [0-9A-Za-z+/]{{42}}{last})$");
    let form = json!({ "type": "string", "pattern": pattern });
    let text = "What the request's bytes sum up to: `sha1`, `sha256` or `blake3`, a blank, the digest in base64.";
    Parameter::header("Upload-Checksum", text, Form::Given(form))
}

fn digits(name: &'static str, text: &'static str) -> Parameter {
    // A header's number is digits and nothing else: no sign, no fraction.
    Parameter::header(name, text, Form::Given(json!({ "type": "string", "pattern": "^[0-9]+$" })))
}

fn abilities() -> Operation {
    Operation::options("/v1/uploads", "showAbilities", "Tells what of tus is understood")
        .gives_nothing(204, "The extensions and limits.")
        .always(of_server())
}

fn create() -> Operation {
    let text = "`Upload-Length`, or `Upload-Defer-Length`, says how long it is; the parts do where `Upload-Concat` puts \
                an upload together from others. Bytes may come along as `application/offset+octet-stream`.";
    let metadata = json!({ "type": "string", "maxLength": 8192 });
    let concat = json!({ "type": "string", "maxLength": 49152, "pattern": "^(partial|final;.+)$" });
    Operation::post("/v1/uploads", "createUpload", "Creates an upload")
        .text(text)
        .with([
            speaks(),
            digits("Upload-Length", "Its length in bytes.").example("0"),
            Parameter::header(
                "Upload-Defer-Length",
                "1 where the length is told later.",
                Form::Given(json!({ "type": "string", "const": "1" })),
            ),
            Parameter::header(
                "Upload-Metadata",
                "Pairs of a key and a base64 value, parted by commas: `filename`, `filetype`, `population`, `blake3`, \
                 `space`, `key`, `case`, `private`, `expires_in_s`, `idle_expires_in_s`.",
                Form::Given(metadata),
            )
            .example("filename c2xpZGUuc3Zz,filetype aW1hZ2UvdGlmZg=="),
            Parameter::header(
                "Upload-Concat",
                "`partial` for a part; `final;` and the parts' addresses, parted by blanks, for what is put together.",
                Form::Given(concat),
            ),
            checksum(),
            idempotency_key(),
        ])
        .with(conditions())
        .takes_bytes(tus::PATCH_TYPE, false)
        .gives_nothing(201, "It is created; where bytes came along, as many of them are durable as the offset says.")
        .always([location("Where to send its bytes."), spoken()])
        .perhaps([offset(), expires()])
        .led()
        .fails(&[
            Code::FinalUpload,
            Code::NotFound,
            Code::MethodNotAllowed,
            Code::Conflict,
            Code::OffsetMismatch,
            Code::StaleGeneration,
            Code::Gone,
            Code::TusVersion,
            Code::PreconditionFailed,
            Code::HashMismatch,
            Code::RefusedByCheck,
            Code::Locked,
            Code::ChecksumMismatch,
            Code::Upgrading,
            Code::NotChecked,
            Code::NoSpace,
            Code::QuotaExceeded,
        ])
}

/// What leads to the node that has it.
fn elsewhere(operation: Operation) -> Operation {
    operation.on_nodes().fails(&[Code::Gone, Code::TusVersion])
}

fn head() -> Operation {
    let operation = Operation::head("/v1/uploads/{id}", "showUpload", "Tells how far an upload is")
        .with([material()])
        .gives_nothing(200, "How far it is.")
        .always([spoken(), ("Cache-Control", "It is true for the moment.", text())])
        .perhaps([
            offset(),
            expires(),
            ("Upload-Length", "Its length.", count()),
            ("Upload-Defer-Length", "1 where its length is not known yet.", json!({ "const": 1 })),
            ("Upload-Metadata", "What its sender said of it.", text()),
            ("Upload-Concat", "Whether it is a part, or put together from parts.", text()),
        ]);
    elsewhere(operation).fails(&[Code::RefusedByCheck, Code::NotChecked])
}

fn download() -> Operation {
    let operation = Operation::get("/v1/uploads/{id}", "getUpload", "Gives the bytes of an upload that is whole")
        .text("The same as the material's file.")
        .with([material()])
        .gives_bytes(200, "All of it.", &["*/*"])
        .gives_bytes(206, "A part of it.", &["*/*"])
        .gives_nothing(304, "The asker has it already.");
    elsewhere(operation).fails(&[Code::RangeNotSatisfiable, Code::RefusedByCheck])
}

fn patch() -> Operation {
    let operation = Operation::patch("/v1/uploads/{id}", "appendToUpload", "Sends bytes from an offset on")
        .text("With the answer they are durable. A newer request takes the upload over; the older one ends with `locked`.")
        .with([
            material(),
            speaks(),
            digits("Upload-Offset", "Where the bytes begin.").required("0"),
            digits("Upload-Length", "The upload's length, where it was to be told later."),
            checksum(),
        ])
        .takes_bytes(tus::PATCH_TYPE, true)
        .gives_nothing(204, "They are durable.")
        .always([spoken(), offset()])
        .perhaps([expires(), ("ETag", "Names the file's bytes, when all of them have come.", text())]);
    elsewhere(operation).fails(PATCH_FAILS)
}

const PATCH_FAILS: &[Code] = &[
    Code::FinalUpload,
    Code::Conflict,
    Code::OffsetMismatch,
    Code::StaleGeneration,
    Code::PreconditionFailed,
    Code::UnsupportedMediaType,
    Code::HashMismatch,
    Code::RefusedByCheck,
    Code::Locked,
    Code::ChecksumMismatch,
    Code::NotChecked,
    Code::NoSpace,
    Code::QuotaExceeded,
];

fn terminate() -> Operation {
    let operation = Operation::delete("/v1/uploads/{id}", "deleteUpload", "Ends an upload and deletes its material")
        .with([material(), speaks()])
        .gives_nothing(204, "It is gone.")
        .always([spoken()]);
    elsewhere(operation).fails(&[Code::Conflict, Code::Locked])
}

fn instead() -> Operation {
    let form = Form::Given(json!({ "type": "string", "enum": ["HEAD", "PATCH", "DELETE"] }));
    let text = "For networks that let only POST through: the header names the method that it stands for, and all else is \
                as with that one.";
    let operation = Operation::post("/v1/uploads/{id}", "useUpload", "Stands for another method")
        .text(text)
        .with([
            material(),
            speaks(),
            Parameter::header("X-HTTP-Method-Override", "The method that is meant.", form).required("DELETE"),
            digits("Upload-Offset", "Where the bytes begin."),
        ])
        .takes_bytes(tus::PATCH_TYPE, false)
        .gives_nothing(200, "As with HEAD.")
        .always([spoken()])
        .gives_nothing(204, "As with PATCH or DELETE.")
        .always([spoken()]);
    elsewhere(operation).fails(PATCH_FAILS).fails(&[Code::MethodNotAllowed])
}
