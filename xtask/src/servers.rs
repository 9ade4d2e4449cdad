//! Servers of the built program on loopback, for other people's programs to be tried on.

use crate::target;
use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long a server gets to be ready, and what it does to be seen.
pub const READY_WITHIN: Duration = Duration::from_secs(120);

/// The program, without what the caller's environment says of other clusters.
pub fn ours(folder: &Path) -> Command {
    let mut command = Command::new(target().join("debug/microtome"));
    let others = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MICROTOME_"));
    for (name, _) in others {
        command.env_remove(name);
    }
    command.current_dir(folder).env("HOME", folder).env_remove("XDG_STATE_HOME").stdin(Stdio::null());
    command
}

/// A server of ours; it ends when this is dropped.
pub struct Server {
    child: Child,
    /// Its base URL.
    pub url: String,
}

impl Server {
    /// Starts one on a port that the system chooses, with its data and log in `folder`.
    ///
    /// # Errors
    /// What it said, where it does not get ready.
    pub fn start(folder: &Path, name: &str, arguments: &[&str]) -> Result<Self, String> {
        Self::start_at("127.0.0.1:0", folder, name, arguments)
    }

    /// Kills it and starts it anew at the same address, on the same data.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn killed(self, folder: &Path, name: &str, arguments: &[&str]) -> Result<Self, String> {
        let address = self.url.trim_start_matches("http://").to_owned();
        drop(self);
        Self::start_at(&address, folder, name, arguments)
    }

    fn start_at(address: &str, folder: &Path, name: &str, arguments: &[&str]) -> Result<Self, String> {
        let log = folder.join(format!("{name}.log"));
        let file = fs::File::create(&log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let mut child = ours(folder)
            .args(arguments)
            .args(["--json", "--listen", address, "--exit-with-parent", &std::process::id().to_string()])
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

/// A folder for one run of a chore.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it.
    ///
    /// # Errors
    /// Where there is no room for it.
    pub fn new(chore: &str) -> Result<Self, String> {
        let folder = env::temp_dir().join(format!("microtome-{chore}-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a command said that has to succeed, on both of its outputs.
///
/// # Errors
/// The same, where it does not.
pub fn succeed(command: &mut Command, what: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{what}: cannot start: {error}"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(format!("{what} failed ({}):\n{said}", output.status)) }
}

/// A text of a JSON object, for keys and values without escapes: enough for ids and URLs.
pub fn field(json: &str, key: &str) -> Option<String> {
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
