//! Builds the console with npm and lists its files for the program to carry.
//!
//! Nothing is written outside Cargo's output folder: the sources are copied there, and npm installs and builds there.
//! Where npm is missing or fails, the program gets a plain page that says so, and Cargo prints one line.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What the page is built from.
const SOURCES: &[&str] =
    &["app", "public", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", ".npmrc"];
/// What is carried where the page cannot be built.
const WITHOUT_NPM: &str = "without_npm";
/// Written by us into the installed packages: the lock file that they were installed from.
const INSTALLED: &str = "node_modules/.microtome-installed";

fn main() -> io::Result<()> {
    let sources = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for path in SOURCES.iter().chain(&["build.rs", WITHOUT_NPM]) {
        println!("cargo:rerun-if-changed={path}");
    }
    let files = match build(&sources, &out.join("console")) {
        Ok(files) => files,
        Err(why) => {
            println!("cargo:warning=the program is built without its web console: {why}");
            // Try again with the next build: the reason lies outside the sources.
            println!("cargo:rerun-if-changed=always-missing");
            sources.join(WITHOUT_NPM)
        }
    };
    fs::write(out.join("assets.rs"), list(&files)?)
}

/// Builds the page in `work` and tells where its files are.
fn build(sources: &Path, work: &Path) -> Result<PathBuf, String> {
    let copy = |name: &&str| copy_fresh(&sources.join(name), &work.join(name));
    SOURCES.iter().try_for_each(copy).map_err(|error| format!("its sources cannot be copied: {error}"))?;
    install(work)?;
    let output = npm(work, &["run", "build"])?;
    if !output.status.success() {
        return Err(format!("'npm run build' in {} failed: {}", sources.display(), gist(&output)));
    }
    let files = work.join("dist");
    if !files.join("index.html").exists() {
        return Err(format!("'npm run build' in {} made no page: {}", sources.display(), gist(&output)));
    }
    Ok(files)
}

fn install(work: &Path) -> Result<(), String> {
    let wanted = fs::read(work.join("package-lock.json")).map_err(|error| format!("package-lock.json: {error}"))?;
    if fs::read(work.join(INSTALLED)).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let output = npm(work, &["ci", "--omit=dev", "--fetch-retries=2", "--fetch-retry-mintimeout=1000"])?;
    if !output.status.success() {
        return Err(match error_code(&output).as_deref() {
            Some(code @ ("ENOTFOUND" | "EAI_AGAIN" | "ECONNREFUSED" | "ECONNRESET" | "ETIMEDOUT" | "ENETUNREACH")) => {
                format!("npm cannot reach its registry ({code}): check the network or npm's proxy, then build again")
            }
            Some("EBADENGINE") => "Node.js is too old: install 20.19, 22.12 or newer, then build again".to_owned(),
            _ => format!("'npm ci' failed: {}", gist(&output)),
        });
    }
    fs::write(work.join(INSTALLED), wanted).map_err(|error| error.to_string())
}

fn npm(folder: &Path, arguments: &[&str]) -> Result<Output, String> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    Command::new(program).args(arguments).current_dir(folder).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "npm is not installed: install Node.js 20.19 or newer, then build again".to_owned(),
        _ => format!("npm cannot be started: {error}"),
    })
}

/// npm's own word for what went wrong: `npm error code ENOTFOUND`.
fn error_code(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.starts_with("npm ") && line.contains(" code "))?;
    line.rsplit(' ').next().map(str::to_owned)
}

/// The last thing said that may tell why, in one line.
fn gist(output: &Output) -> String {
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    let telling = |line: &&str| line.to_lowercase().contains("error") && !line.contains("complete log");
    let line = said.lines().find(telling).or_else(|| said.lines().rfind(|line| !line.trim().is_empty()));
    line.map_or_else(|| output.status.to_string(), |line| line.trim().chars().take(300).collect())
}

/// Copies a file, or a folder with all that is in it and nothing that is there no more.
fn copy_fresh(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        fs::create_dir_all(to)?;
        return fs::read_dir(from)?.try_for_each(|entry| {
            let name = entry?.file_name();
            copy_fresh(&from.join(&name), &to.join(&name))
        });
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).map(|_| ())
}

/// The files as a Rust array; one with `.gz` behind its name is the compressed form of the one without.
fn list(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    files.sort();
    let mut text = String::from("&[\n");
    for file in files.iter().filter(|file| file.extension().is_none_or(|extension| extension != "gz")) {
        let path = file.strip_prefix(folder).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let compressed = PathBuf::from(format!("{}.gz", file.display()));
        let bytes = fs::read(file)?;
        let compressed = compressed.exists().then(|| format!("include_bytes!({compressed:?})"));
        let compressed = compressed.map_or_else(|| "None".to_owned(), |include| format!("Some({include})"));
        let tag = fnv1a(&bytes);
        let _ = writeln!(
            text,
            "    Asset {{ path: {path:?}, tag: \"{tag:016x}\", bytes: include_bytes!({file:?}), gzip: {compressed} }},"
        );
    }
    text.push_str("]\n");
    Ok(text)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// A short tag that changes with the content.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
