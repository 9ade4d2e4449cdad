//! Whether the slide reader agrees with OpenSlide: `tests/agreement/agree.py` on slides that it makes, with packages of
//! its own.

use crate::{Outcome, linted, python, root, step, target};
use std::{fs, path::PathBuf, process::Command};

/// What the script needs, from PyPI. The first two are OpenSlide.
const PACKAGES: &[&str] = &[
    "openslide-python==1.4.7",
    "openslide-bin==4.0.1.2",
    "numpy==2.4.6",
    "imagecodecs==2026.3.6",
    "tifffile==2026.3.3",
];

/// Compares all kinds of slides, hundreds of regions each, and what files there are besides: real ones, and those that
/// the reader's tests make of other makers.
pub fn all(arguments: &[String]) -> Outcome {
    let made = target().join("agreement");
    fs::create_dir_all(&made).map_err(|error| format!("cannot make {}: {error}", made.display()))?;
    let files = ["test", "--package", "microtome-slide", "--test", "it", "--locked", "agreement"];
    step("files of other makers", linted().args(files).env("MICROTOME_MADE_FILES", &made))?;
    let mut arguments = arguments.to_vec();
    for folder in [made, data()].into_iter().filter(|folder| folder.is_dir()) {
        arguments.extend(["--also".to_owned(), folder.display().to_string()]);
    }
    compare(&arguments)
}

/// A share that a test run has time for; left out, said aloud, where there is no Python.
pub fn short() -> Outcome {
    if !python::is_there() {
        eprintln!("\n== agreement with OpenSlide: left out; it needs python3 with its venv module");
        return Ok(());
    }
    compare(&["--short".to_owned()])
}

fn compare(arguments: &[String]) -> Outcome {
    let example = ["build", "--package", "microtome-slide", "--example", "regions", "--locked"];
    step("the reader that is compared", linted().args(example))?;
    let python = python::venv(PACKAGES)?;
    let mut script = Command::new(python);
    script.current_dir(root()).arg("tests/agreement/agree.py").arg(target().join("debug/examples/regions"));
    if let Some(tool) = tool() {
        script.arg("--tool").arg(tool);
    }
    step("agreement with OpenSlide", script.args(arguments))
}

/// The collection of real slides, which need not be there.
fn data() -> PathBuf {
    std::env::var_os("MICROTOME_TEST_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from)
}

/// The program beside it that makes large slides of real ones.
fn tool() -> Option<PathBuf> {
    let tool = data().join("../tools/make_big_svs.py");
    tool.is_file().then_some(tool)
}
