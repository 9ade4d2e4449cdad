//! The longer chores: `cargo xtask test` runs every check there is, `cargo xtask fix` mends what can be mended by itself.
//!
//! Checks never write to the source. Each step says what it does, how long it took, and, where a tool is missing, how to
//! get it.

mod agree;
mod iiif;
mod openapi;
mod python;
mod servers;
mod tus;

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

const USAGE: &str = "\
cargo xtask test    format, lints, all Rust tests, the cluster's tests with real processes, the IIIF validators, tus
                    clients, the API against its description, the page in a browser
cargo xtask iiif    the IIIF validators alone
cargo xtask tus     the tus clients alone
cargo xtask openapi the API against its description: --examples N tries more of it, --seed N other things
cargo xtask docs    writes docs/problems.md anew, from the codes
cargo xtask page    the page alone
cargo xtask agree   the slide reader beside OpenSlide, at length: --only KIND, --regions N, --seed N narrow or widen it
cargo xtask fix     formats, and applies what clippy can mend";

fn main() -> ExitCode {
    let chore = env::args().nth(1).unwrap_or_default();
    let result = match chore.as_str() {
        "test" => packages().and_then(|()| rust()).and_then(|()| peers()).and_then(|()| page()),
        "iiif" => program().and_then(|()| iiif::check()),
        "tus" => packages().and_then(|()| program()).and_then(|()| tus::check()),
        "openapi" => program().and_then(|()| openapi::check(&env::args().skip(2).collect::<Vec<_>>())),
        "page" => packages().and_then(|()| program()).and_then(|()| page()),
        "agree" => agree::all(&env::args().skip(2).collect::<Vec<_>>()),
        "docs" => docs(),
        "fix" => fix(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => {
            eprintln!("\n{chore}: all good");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("\n{chore}: {reason}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), String>;

/// What the page is built and tested with. The browser comes as a package: nothing but the package registry is needed.
fn packages() -> Outcome {
    if !has("npm") {
        return Err("npm is missing: install Node.js 20.19, or 22.12 and newer, to test the page".to_owned());
    }
    step("the page's packages and browser", npm().arg("ci").args(["--no-audit", "--no-fund"]))
}

fn rust() -> Outcome {
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    step("build with lints", tests().arg("--no-run"))?;
    step("tests", tests().arg("--no-fail-fast"))?;
    if has("cargo-deny") {
        step("licences and sources", cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]))
    } else {
        eprintln!("\n== licences and sources: left out; 'cargo install cargo-deny' brings the tool");
        Ok(())
    }
}

/// The tests, built by clippy's compiler as `cargo clippy` calls it: one pass over the sources finds what is to be mended
/// and makes what is to be run. All targets: the documentation has no examples to be compiled.
///
/// `CLIPPY_ARGS` is what `cargo clippy -- -D warnings` hands over, each argument with clippy's own mark behind it.
fn tests() -> Command {
    let mut command = linted();
    command.args(["test", "--workspace", "--all-targets", "--locked"]);
    command
}

/// Cargo with clippy's compiler. What one chore built so the other need not build again.
fn linted() -> Command {
    let mut command = cargo();
    command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver").env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
    command
}

/// Other people's programs, beside ours.
fn peers() -> Outcome {
    agree::short()?;
    iiif::check()?;
    tus::check()?;
    openapi::check(&[])
}

/// The program with its page; the Rust tests build it, too. With all crates at once their dependencies are the same.
fn program() -> Outcome {
    step("the program with its page", cargo().args(["build", "--workspace", "--locked"]))
}

/// The unit tests of the page, then the page in a real headless browser against a real cluster of the built program.
fn page() -> Outcome {
    step("the page's unit tests", npm().args(["test"]))?;
    let program = target().join("debug/microtome");
    step("the page in a browser", npm().args(["run", "test:page"]).env("MICROTOME_BIN", program))
}

fn fix() -> Outcome {
    step("clippy's fixes", cargo().args(["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty"]))?;
    step("format", cargo().args(["fmt", "--all"]))
}

/// The one chore that writes to the documentation: a test holds what is there against the codes.
fn docs() -> Outcome {
    let said = servers::succeed(
        cargo()
            .args(["run", "--quiet", "--locked", "-p", "microtome-proto", "--example", "problems"])
            .stderr(Stdio::inherit()),
        "listing the problems",
    )?;
    let file = root().join("docs/problems.md");
    fs::write(&file, said).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn step(name: &str, command: &mut Command) -> Outcome {
    eprintln!("\n== {name}");
    let start = Instant::now();
    let status = command.status().map_err(|error| format!("{name}: cannot start: {error}"))?;
    let seconds = start.elapsed().as_secs();
    if !status.success() {
        return Err(format!("{name} failed after {seconds} s ({status})"));
    }
    eprintln!("== {name}: good, {seconds} s");
    Ok(())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    command.current_dir(root());
    command
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(root().join("web"));
    command
}

fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}
