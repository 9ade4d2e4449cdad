//! Libraries that servers are started with, before the system's own (`LD_PRELOAD`): for faults that no file system, network
//! or signal can bring about.

use std::{path::Path, process::Command};

/// Has the system's C compiler build `source` into `dir`: the variable that loads it. Nothing, and a word, where there is no
/// such compiler or the system has no such variable.
pub fn build(source: &str, dir: &Path) -> Option<(String, String)> {
    let name = Path::new(source).file_stem().unwrap().to_str().unwrap();
    let library = dir.join(format!("{name}.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&library);
    compiler.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(source));
    match compiler.output() {
        _ if !cfg!(all(target_os = "linux", target_env = "gnu")) => {
            eprintln!("left out: {source} is for Linux with glibc");
            None
        }
        Ok(output) => {
            assert!(output.status.success(), "{source}: {}", String::from_utf8_lossy(&output.stderr));
            Some(("LD_PRELOAD".to_owned(), library.to_str().unwrap().to_owned()))
        }
        Err(error) => {
            eprintln!("left out: {source} wants the C compiler: {error}");
            None
        }
    }
}
