//! Deleted cases: their materials are deleted, so many in a round. The record goes with the last one.

use super::Scene;
use crate::core::{
    command::Command,
    keys,
    tables::{EndingCases, InCase},
    view::{Typed as _, ViewError},
};

pub(super) fn plan(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut commands = Vec::new();
    for case in scene.view.scan_keys::<EndingCases>(&[], None) {
        for entry in scene.view.scan_records::<InCase>(&keys::numbered(case?.as_str()), None) {
            if commands.len() == scene.knobs.commands_max {
                return Ok(commands);
            }
            commands.push(Command::DeleteMaterial { material: entry?.1 });
        }
    }
    Ok(commands)
}
