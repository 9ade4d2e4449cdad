//! The IIIF Image API's public validators against the built program: a coordinator and a node on loopback, the validators'
//! own picture stored as a slide.

use crate::{Outcome, python, root, target};
use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// The validator behind iiif.io. Pillow draws its picture, too.
const VALIDATOR: &[&str] = &["iiif-validator==1.0.5", "Pillow==11.3.0"];
/// Its successor, which looks at caching and preflight requests as well. Both are one Python module by name, so that each
/// has an environment of its own.
const VALIDATOR_NG: &[&str] = &["iiif-validator-ng==0.1.0", "pyvips[binary]==3.0.0"];
/// How many checks of level 2 the first one has, by version: fewer would be a validator that lost some.
const CHECKS: [(&str, u32); 2] = [("3.0", 33), ("2.0", 30)];
/// How long a server gets to be ready, and a picture to be known.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// All of it, step by step; left out where there is no Python.
pub fn check() -> Outcome {
    if !python::is_there() {
        eprintln!("\n== IIIF validators: left out; they need python3 with its venv module");
        return Ok(());
    }
    eprintln!("\n== IIIF validators");
    let (validator, ng) = (python::venv(VALIDATOR)?, python::venv(VALIDATOR_NG)?);
    if succeed(Command::new(&validator).args(["-c", "import magic"]), "importing").is_err() {
        eprintln!("left out: iiif-validator needs the library libmagic (Debian's libmagic1)");
        return Ok(());
    }
    let folder = Folder::new()?;
    let picture = folder.0.join("validator-picture.svs");
    let script = |name: &str| root().join("xtask/src").join(name);
    succeed(Command::new(&validator).arg(script("iiif_picture.py")).arg(&picture), "drawing the picture")?;
    let coordinator = Server::start(&folder.0, "coordinator", &["coordinator"])?;
    let node = Server::start(&folder.0, "node", &["node", "--coordinator", &coordinator.url])?;
    let id = put(&coordinator.url, &folder.0, &picture)?;
    let host = node.url.trim_start_matches("http://");
    for (version, checks) in CHECKS {
        let prefix = format!("iiif/{}", &version[..1]);
        let tool = validator.with_file_name("iiif-validate.py");
        let mut command = Command::new(&validator);
        command
            .arg(tool)
            .args(["-s", host, "-p", &prefix, "-i", &id, "--level", "2"])
            .arg(format!("--version={version}"));
        let said = succeed(&mut command, &format!("iiif-validator, version {version}"))?;
        let wanted = format!("Done ({checks} tests, 0 failures)");
        if !said.contains(&wanted) {
            return Err(format!("iiif-validator, version {version}: '{wanted}' is not in what it said:\n{said}"));
        }
        let mut command = Command::new(&ng);
        command.arg(script("iiif_ng.py")).args([&format!("{}/{prefix}", node.url), &id, version]);
        let said_ng = succeed(&mut command, &format!("iiif-validator-ng, version {version}"))?;
        eprintln!("version {version}: iiif-validator {checks} of {checks}; iiif-validator-ng {}", said_ng.trim());
    }
    Ok(())
}

/// Stores the picture by the program's own command; its material's id.
fn put(coordinator: &str, folder: &Path, picture: &Path) -> Result<String, String> {
    let started = Instant::now();
    loop {
        let mut command = ours(folder);
        command.args(["put", "--json", "--population", "1", "--server", coordinator]).arg(picture);
        match succeed(&mut command, "storing the picture") {
            Ok(said) => return field(&said, "id").ok_or_else(|| format!("'put' names no id: {said}")),
            // The node may not have told its room yet.
            Err(_) if started.elapsed() < READY_WITHIN => thread::sleep(Duration::from_millis(300)),
            Err(error) => return Err(error),
        }
    }
}

/// The program, without what the caller's environment says of other clusters.
fn ours(folder: &Path) -> Command {
    let mut command = Command::new(target().join("debug/microtome"));
    let others = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MICROTOME_"));
    for (name, _) in others {
        command.env_remove(name);
    }
    command.current_dir(folder).env("HOME", folder).env_remove("XDG_STATE_HOME").stdin(Stdio::null());
    command
}

/// A server of ours on a port that the system chose; it ends when this is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(folder: &Path, name: &str, arguments: &[&str]) -> Result<Self, String> {
        let log = folder.join(format!("{name}.log"));
        let file = fs::File::create(&log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let mut child = ours(folder)
            .args(arguments)
            .args(["--json", "--listen", "127.0.0.1:0", "--exit-with-parent", &std::process::id().to_string()])
            .arg("--data-dir")
            .arg(folder.join(name))
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(|error| format!("cannot start the {name}: {error}"))?;
        let output = child.stdout.take();
        let mut server = Self { child, url: String::new() };
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = output.map(|output| BufReader::new(output).read_line(&mut line));
            let _ = tell.send(line);
        });
        let line = told.recv_timeout(READY_WITHIN).unwrap_or_default();
        let log = || fs::read_to_string(&log).unwrap_or_default();
        server.url = field(&line, "url").ok_or_else(|| format!("the {name} does not get ready: {line}\n{}", log()))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder for one run.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let folder = env::temp_dir().join(format!("microtome-iiif-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a command said that has to succeed, on both of its outputs.
fn succeed(command: &mut Command, what: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{what}: cannot start: {error}"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(format!("{what} failed ({}):\n{said}", output.status)) }
}

/// A text of a JSON object, for keys and values without escapes: enough for ids and URLs.
fn field(json: &str, key: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{key}\""))?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    value.split_once('"').map(|(value, _)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_with_and_without_spaces() {
        assert_eq!(field(r#"{"a":1,"url":"http://h:1","id":"x"}"#, "url").as_deref(), Some("http://h:1"));
        assert_eq!(field("{\n  \"id\": \"m-1\"\n}", "id").as_deref(), Some("m-1"));
        assert_eq!(field(r#"{"id":5}"#, "id"), None);
    }
}
