//! Python for chores that hold this project against other people's programs: a virtual environment with pinned packages,
//! beside what cargo builds, made once for each list of packages.

use crate::{step, target};
use std::{fs, path::PathBuf, process::Command};

/// The Python program of an environment with these packages, each pinned: `numpy==2.4.6`.
pub fn venv(packages: &[&str]) -> Result<PathBuf, String> {
    let list = packages.join("\n");
    // FNV-1a: the folder's name need only differ where the list does.
    let hash = list
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let folder = target().join(format!("python/{hash:016x}"));
    let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == list) {
        return Ok(python);
    }
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", complete.display());
    step("a Python environment", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    step("its packages", Command::new(&python).args(pip).args(packages))?;
    fs::write(&complete, list).map_err(failed)?;
    Ok(python)
}
