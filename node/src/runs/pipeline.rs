//! The pipelines that are part of the program: a slide in, files and a result out.

use super::tissue::{self, TissueError};
use microtome_proto::limits::NAME_LEN_MAX;
use microtome_slide::{Slide, SlideError, encode};
use std::{
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

/// What a pipeline made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) result: serde_json::Value,
    pub(super) files: Vec<MadeFile>,
}

/// A file that becomes a material.
#[derive(Debug)]
pub(super) struct MadeFile {
    /// What it is to the pipeline.
    pub(super) output: &'static str,
    /// The material's name.
    pub(super) name: String,
    pub(super) media_type: &'static str,
    pub(super) path: PathBuf,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The attempt was stopped.
    #[error("stopped")]
    Stopped,
    /// The slide cannot be read.
    #[error(transparent)]
    Slide(#[from] SlideError),
    /// The outputs cannot be written.
    #[error("the outputs cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl From<TissueError> for Trouble {
    fn from(error: TissueError) -> Self {
        match error {
            TissueError::Slide(error) => Self::Slide(error),
            TissueError::Stopped => Self::Stopped,
        }
    }
}

/// A pipeline of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipeline {
    /// Tissue fraction and mask.
    Tissue,
}

impl Pipeline {
    /// The pipeline of that name, if the inputs and parameters fit it.
    ///
    /// # Errors
    /// A sentence for the user.
    pub(super) fn fitting(name: &str, inputs: usize, parameters: &serde_json::Value) -> Result<Self, String> {
        if name != "tissue" {
            return Err(format!("there is no pipeline '{name}' in this program"));
        }
        if inputs != 1 {
            return Err(format!("'tissue' takes one slide, not {inputs}"));
        }
        match parameters {
            serde_json::Value::Null => Ok(Self::Tissue),
            serde_json::Value::Object(map) => match map.keys().next() {
                None => Ok(Self::Tissue),
                Some(key) => Err(format!("'tissue' has no parameter '{key}'")),
            },
            _ => Err("the parameters are not an object".to_owned()),
        }
    }

    /// What it does, for the progress.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Tissue => "finding tissue",
        }
    }

    /// Carries it out over the slide of that name; writes into `folder`. Blocks.
    pub(super) fn carry_out(
        self,
        slide: &Slide,
        name: &str,
        folder: &Path,
        step: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Made, Trouble> {
        match self {
            Self::Tissue => find_tissue(slide, name, folder, step),
        }
    }
}

fn find_tissue(
    slide: &Slide,
    name: &str,
    folder: &Path,
    step: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Result<Made, Trouble> {
    let tissue = tissue::find(slide, step)?;
    let result = serde_json::to_value(&tissue).map_err(io::Error::from)?;
    let mask = folder.join("mask.png");
    std::fs::write(&mask, encode::png_gray(tissue.mask.width, tissue.mask.height, &tissue.pixels)?)?;
    let summary = folder.join("summary.json");
    std::fs::write(&summary, serde_json::to_vec_pretty(&result).map_err(io::Error::from)?)?;
    let files = vec![
        MadeFile { output: "mask", name: beside(name, "tissue mask.png"), media_type: "image/png", path: mask },
        MadeFile {
            output: "summary",
            name: beside(name, "tissue summary.json"),
            media_type: "application/json",
            path: summary,
        },
    ];
    Ok(Made { result, files })
}

/// A name that tells whose output it is: `CMU-1.svs` gives `CMU-1 tissue mask.png`.
fn beside(name: &str, what: &str) -> String {
    let stem = match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    };
    let mut end = stem.len().min(NAME_LEN_MAX - what.len() - 1);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} {what}", &stem[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_that_does_not_fit_is_told_why() {
        assert_eq!(Pipeline::fitting("tissue", 1, &json!({})), Ok(Pipeline::Tissue));
        let refused = |name, inputs, parameters| Pipeline::fitting(name, inputs, &parameters).unwrap_err();
        assert!(refused("stain", 1, json!({})).contains("'stain'"));
        assert!(refused("tissue", 2, json!({})).contains("not 2"));
        assert!(refused("tissue", 1, json!({"speed": 9})).contains("'speed'"));
        assert!(refused("tissue", 1, json!([1])).contains("object"));
    }

    #[test]
    fn outputs_are_named_after_their_slide() {
        assert_eq!(beside("CMU-1.svs", "tissue mask.png"), "CMU-1 tissue mask.png");
        assert_eq!(beside(".svs", "x"), ".svs x");
        let long = beside(&"ä".repeat(200), "tissue mask.png");
        assert!(long.len() <= NAME_LEN_MAX && long.starts_with('ä') && long.ends_with(" tissue mask.png"));
    }
}
