//! `/v1/materials`.

use crate::http::openapi::{
    common::{conditions, idempotency_key, location, material, next, page},
    words::{Link, Operation, Theme},
};
use microtome_proto::{
    Code,
    material::{CreateMaterial, Material, PatchMaterial},
    page::Page,
    token::{CreateToken, MadeToken},
};
use serde_json::json;

pub(super) fn theme() -> Theme {
    Theme {
        name: "Materials",
        text: "The stored files: what there is, where its copies are, and how many are wanted.",
        operations: vec![list(), create(), show(), update(), delete(), token()],
    }
}

fn list() -> Operation {
    Operation::get("/v1/materials", "listMaterials", "Lists materials, a page at a time")
        .text("Those that the asker may read.")
        .with([super::spaces::in_space("Those of this space alone.")])
        .with(page())
        .gives::<Page<Material>>(200, "A page.")
        .leads([next("listMaterials")])
        .led()
}

fn create() -> Operation {
    let text = "Reserves room on a node and tells in `upload_url` where to send the bytes, by tus. Where the bytes are \
                known to be there already, nothing is to be sent.";
    Operation::post("/v1/materials", "createMaterial", "Makes a material, whose bytes follow")
        .text(text)
        .with([idempotency_key()])
        .with(conditions())
        .takes::<CreateMaterial>(json!({ "name": "slide.svs", "size": 0, "media_type": "image/tiff" }))
        .gives::<Material>(201, "It is made.")
        .always([location("The material.")])
        .leads(links())
        .gives::<Material>(200, "It was there already: the same was made under this key, or it has the same bytes.")
        .always([location("The material.")])
        .led()
        .fails(&[
            Code::NotFound,
            Code::Conflict,
            Code::Gone,
            Code::PreconditionFailed,
            Code::HashMismatch,
            Code::Upgrading,
            Code::NoSpace,
            Code::QuotaExceeded,
        ])
}

fn links() -> [Link; 6] {
    let link = |name, operation| Link { name, operation, parameters: &[("path.id", "$response.body#/id")] };
    [
        link("show", "showMaterial"),
        link("update", "updateMaterial"),
        link("delete", "deleteMaterial"),
        link("token", "createMaterialToken"),
        link("file", "getFile"),
        link("upload", "showUpload"),
    ]
}

fn show() -> Operation {
    Operation::get("/v1/materials/{id}", "showMaterial", "Shows a material and its copies")
        .with([material()])
        .gives::<Material>(200, "The material.")
        .led()
        .fails(&[Code::NotFound])
}

fn update() -> Operation {
    Operation::patch("/v1/materials/{id}", "updateMaterial", "Changes a material's name, copies or life")
        .text("What is left out stays. Copies are made or freed after the answer.")
        .with([material()])
        .takes::<PatchMaterial>(json!({ "population": 2 }))
        .gives::<Material>(200, "The material as it is now.")
        .led()
        .fails(&[Code::NotFound, Code::Conflict, Code::Gone])
}

fn delete() -> Operation {
    Operation::delete("/v1/materials/{id}", "deleteMaterial", "Deletes a material")
        .text("Its bytes are freed on every node after the answer, also on those that are away just now.")
        .with([material()])
        .gives_nothing(202, "It is deleted.")
        .led()
        .fails(&[Code::NotFound, Code::Conflict, Code::Gone])
}

fn token() -> Operation {
    let text = "A token that reads this material and nothing else, for addresses that others may see. A cluster that \
                checks no tokens makes none: `conflict`.";
    Operation::post("/v1/materials/{id}/tokens", "createMaterialToken", "Makes a short-lived token for one material")
        .text(text)
        .with([material()])
        .may_take::<CreateToken>(json!({ "expires_in_s": 300 }))
        .gives::<MadeToken>(201, "The token.")
        .led()
        .fails(&[Code::NotFound, Code::Conflict])
}
