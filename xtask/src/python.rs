//! Tools that come from PyPI: each set of them in a virtual environment of its own below cargo's target folder, made once.
//!
//! Callers name exact versions: a checker that changes by itself would make yesterday's green red.

use crate::target;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Whether there is a Python that can make virtual environments.
pub fn is_there() -> bool {
    let python = |arguments: &[&str]| {
        Command::new("python3").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    python(&["-c", "import venv, ensurepip"]).is_ok_and(|status| status.success())
}

/// The Python of an environment that has these packages, `NAME==VERSION` each; made where it is not there yet.
///
/// # Errors
/// A sentence that says which step failed, and what pip said.
pub fn venv(packages: &[&str]) -> Result<PathBuf, String> {
    let folder = target().join("python").join(name(packages));
    let python = folder.join("bin/python");
    // Written last: an environment that was not finished has none.
    let finished = folder.join("finished");
    if finished.is_file() && python.is_file() {
        return Ok(python);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("cannot clear {}: {error}", folder.display()))?;
    }
    run(Path::new("python3"), &["-m", "venv", &folder.to_string_lossy()])?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(&python, &[&install[..], packages].concat())?;
    fs::write(&finished, packages.join("\n"))
        .map_err(|error| format!("cannot write {}: {error}", finished.display()))?;
    Ok(python)
}

/// A folder's name that no other set of packages has.
fn name(packages: &[&str]) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || ".-".contains(letter) { letter } else { '_' };
    packages.join("+").chars().map(plain).collect()
}

fn run(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{} {} failed:\n{}", program.display(), arguments.join(" "), said.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_of_packages_has_a_folder_of_its_own() {
        assert_eq!(name(&["iiif-validator==1.0.5"]), "iiif-validator__1.0.5");
        assert_ne!(name(&["a==1", "b==2"]), name(&["a==1"]));
        assert!(!name(&["../a", "b/c"]).contains('/'));
    }
}
