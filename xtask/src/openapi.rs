//! The API's description against the built program: a public validator reads it, and schemathesis tries each operation with
//! sound and unsound requests, with all of its checks. Both with and without tokens.
//!
//! A node is tried by itself with what it holds; then a coordinator, which leads there, and where all else is done: where tokens
//! are checked first as a user who has logged in, then with a token of the cluster's secret, which nothing that is tried can take
//! away. What a check cannot know is in `openapi/*.toml`.

use crate::{
    Outcome, python, root,
    servers::{Folder, READY_WITHIN, Server, field, ours, succeed},
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

const TOOLS: &[&str] = &["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"];
/// Reads the description as one of OpenAPI 3.1.
const VALIDATE: &str = "\
import sys; \
from openapi_spec_validator import OpenAPIV31SpecValidator, validate_url; \
validate_url(sys.argv[1], cls=OpenAPIV31SpecValidator)";
/// Requests of each kind that are made up for each operation, beside those that its description itself brings about.
const EXAMPLES: &str = "5";
const SEED: &str = "1";

/// What would end the login of whoever tries it.
const ENDS_OWN_LOGIN: &[&str] = &["logout", "changePassword", "updateUser", "deleteUser", "endSession"];

/// What one call of schemathesis tries.
struct Part<'a> {
    name: &'a str,
    /// Its configuration.
    config: &'a str,
    url: &'a str,
    token: Option<&'a str>,
    /// What is put in place of words of the configuration.
    words: &'a [(&'a str, &'a str)],
    only: Vec<&'a str>,
    phases: &'a str,
}

/// How it is tried: `--examples N`, `--seed N`.
struct How {
    examples: String,
    seed: String,
}

/// What `arguments` narrow or widen; left out where there is no Python.
pub fn check(arguments: &[String]) -> Outcome {
    let how = How { examples: option(arguments, "--examples", EXAMPLES), seed: option(arguments, "--seed", SEED) };
    if !python::is_there() {
        eprintln!("\n== the API's description: left out; it needs python3 with its venv module");
        return Ok(());
    }
    let python = python::venv(TOOLS)?;
    for secret in [None, Some("a secret of this run alone")] {
        let kind = if secret.is_some() { "with tokens" } else { "without tokens" };
        eprintln!("\n== the API's description, {kind}");
        tried(&python, secret, &how)?;
    }
    Ok(())
}

fn option(arguments: &[String], name: &str, default: &str) -> String {
    let given = arguments.iter().skip_while(|argument| *argument != name).nth(1);
    given.map_or_else(|| default.to_owned(), Clone::clone)
}

fn tried(python: &Path, secret: Option<&str>, how: &How) -> Outcome {
    let folder = Folder::new("openapi")?;
    let config = folder.path().join("cluster.toml");
    let text = secret.map(|secret| format!("[auth]\nsecret = \"{secret}\"\n")).unwrap_or_default();
    fs::write(&config, text).map_err(|error| format!("cannot write {}: {error}", config.display()))?;
    let config = config.to_string_lossy();
    let coordinator = Server::start(folder.path(), "coordinator", &["coordinator", "--config", &config])?;
    let arguments = ["node", "--config", &config, "--coordinator", &coordinator.url];
    let node = Server::start(folder.path(), "node", &arguments)?;
    let token = match secret {
        Some(_) => {
            let said = succeed(ours(folder.path()).args(["token", "--json", "--config", &config]), "making a token")?;
            Some(field(&said, "token").ok_or_else(|| format!("'token' names none: {said}"))?)
        }
        None => None,
    };
    let description = format!("{}/openapi.json", coordinator.url);
    succeed(Command::new(python).args(["-c", VALIDATE, &description]), "openapi-spec-validator")?;
    eprintln!("openapi-spec-validator: it is one of OpenAPI 3.1");

    let picture = folder.path().join("slide.png");
    succeed(Command::new(python).arg(root().join("xtask/src/openapi/slide.py")).arg(&picture), "drawing a slide")?;
    let slide = put(&coordinator.url, folder.path(), &picture, token.as_deref())?;
    let upload = create_upload(&coordinator.url, token.as_deref())?;
    let token = token.as_deref();
    let user = match secret {
        Some(_) => Some(log_in(&coordinator.url, folder.path())?),
        None => None,
    };
    let (slides, uploads) = ([("SLIDE", slide.as_str())], [("UPLOAD", upload.as_str())]);
    let mut parts = vec![
        Part {
            name: "pixels",
            config: "pixels",
            url: &node.url,
            token,
            words: &slides,
            only: vec!["--include-tag", "Pixels", "--include-tag", "Files and slides"],
            phases: "examples,coverage,fuzzing",
        },
        Part {
            name: "uploads",
            config: "uploads",
            url: &node.url,
            token,
            words: &uploads,
            only: vec!["--include-path", "/v1/uploads/{id}"],
            phases: "examples,coverage,fuzzing",
        },
    ];
    if user.is_some() {
        let tags = ["Logging in", "Users", "Teams", "Cases", "Spaces", "Materials"];
        let only = tags.iter().flat_map(|tag| ["--include-tag", tag]);
        let own = ENDS_OWN_LOGIN.iter().flat_map(|id| ["--exclude-operation-id", id]);
        parts.push(Part {
            name: "as a user",
            config: "coordinator",
            url: &coordinator.url,
            token: user.as_deref(),
            words: &[],
            only: only.chain(own).collect(),
            phases: "examples,coverage,fuzzing",
        });
    }
    // It deletes what it finds.
    parts.push(Part {
        name: "coordinator",
        config: "coordinator",
        url: &coordinator.url,
        token,
        words: &[],
        only: Vec::new(),
        phases: "examples,coverage,fuzzing,stateful",
    });
    for part in parts {
        let mut command = schemathesis(python, folder.path(), &part, &description, how)?;
        if let Some(token) = part.token {
            command.arg("--header").arg(format!("Authorization: Bearer {token}"));
        }
        let started = Instant::now();
        let said = succeed(&mut command, &format!("schemathesis, {}", part.name))?;
        let cases = said.lines().find(|line| line.contains(" generated, ")).map(str::trim);
        let cases = cases.ok_or_else(|| format!("schemathesis, {}, counts no cases:\n{said}", part.name))?;
        eprintln!("schemathesis, {}: {cases}, in {} s", part.name, started.elapsed().as_secs());
    }
    Ok(())
}

fn schemathesis(
    python: &Path,
    folder: &Path,
    part: &Part<'_>,
    description: &str,
    how: &How,
) -> Result<Command, String> {
    let sources = root().join("xtask/src/openapi");
    let file = sources.join(format!("{}.toml", part.config));
    let mut config = fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let hooks = sources.join("hooks.py").to_string_lossy().into_owned();
    for (word, meant) in part.words.iter().chain(&[("HOOKS", hooks.as_str())]) {
        config = config.replace(&format!("\"{word}\""), &format!("\"{meant}\""));
    }
    let config_here = folder.join(format!("{}.toml", part.config));
    fs::write(&config_here, config).map_err(|error| format!("cannot write {}: {error}", config_here.display()))?;
    let mut command = Command::new(python.with_file_name("schemathesis"));
    command
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("--config-file")
        .arg(&config_here)
        .args(["run", description, "--url", part.url, "--checks", "all", "--phases", part.phases])
        .args(["--max-examples", &how.examples, "--seed", &how.seed, "--no-color", "--continue-on-failure"])
        // Test machines are busy: what is slow is not wrong.
        .args(["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "120"])
        .args(&part.only);
    Ok(command)
}

/// Stores the picture by the program's own command; its material's id.
fn put(coordinator: &str, folder: &Path, picture: &Path, token: Option<&str>) -> Result<String, String> {
    let started = Instant::now();
    loop {
        let mut command = ours(folder);
        command.args(["put", "--json", "--population", "1", "--server", coordinator]).arg(picture);
        command.args(token.into_iter().flat_map(|token| ["--token", token]));
        match succeed(&mut command, "storing the slide") {
            Ok(said) => return field(&said, "id").ok_or_else(|| format!("'put' names no id: {said}")),
            // The node may not have told its room yet.
            Err(_) if started.elapsed() < READY_WITHIN => thread::sleep(Duration::from_millis(300)),
            Err(error) => return Err(error),
        }
    }
}

/// Logs the first user in, who administers the cluster; their access token.
fn log_in(coordinator: &str, folder: &Path) -> Result<String, String> {
    let file = folder.join("coordinator/first-password");
    let password = fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let body = format!("{{\"name\":\"admin\",\"password\":\"{}\"}}", password.trim());
    let answer = post(coordinator, "/v1/login", "Content-Type: application/json\r\n", &body)?;
    answer.lines().last().and_then(|said| field(said, "access_token")).ok_or_else(|| format!("logging in:\n{answer}"))
}

/// An upload that waits for its bytes; its id.
fn create_upload(coordinator: &str, token: Option<&str>) -> Result<String, String> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let headers = format!("Tus-Resumable: 1.0.0\r\nUpload-Length: 100000\r\n{token}");
    let answer = post(coordinator, "/v1/uploads", &headers, "")?;
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    let id = location.and_then(|location| location.trim().rsplit('/').next());
    id.map(str::to_owned).ok_or_else(|| format!("creating an upload: it is not said where it is:\n{answer}"))
}

/// The whole answer to a POST, with its head.
fn post(server: &str, path: &str, headers: &str, body: &str) -> Result<String, String> {
    let host = server.trim_start_matches("http://");
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    let mut answer = String::new();
    let sent = TcpStream::connect(host).and_then(|mut stream| {
        stream.write_all(request.as_bytes())?;
        stream.read_to_string(&mut answer)
    });
    sent.map_err(|error| format!("POST {path}: {error}"))?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_defaults() {
        let arguments = ["--seed", "7", "--examples"].map(str::to_owned);
        assert_eq!(option(&arguments, "--seed", "1"), "7");
        assert_eq!(option(&arguments, "--examples", "5"), "5");
    }
}
