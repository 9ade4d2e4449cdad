//! The IIIF Image API's public validators against the built program: a coordinator and a node on loopback, the validators'
//! own picture stored as a slide.

use crate::{
    Outcome, python, root,
    servers::{Folder, READY_WITHIN, Server, field, ours, succeed},
};
use std::{
    path::Path,
    process::Command,
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
    let folder = Folder::new("iiif")?;
    let picture = folder.path().join("validator-picture.svs");
    let script = |name: &str| root().join("xtask/src").join(name);
    succeed(Command::new(&validator).arg(script("iiif_picture.py")).arg(&picture), "drawing the picture")?;
    let coordinator = Server::start(folder.path(), "coordinator", &["coordinator"])?;
    let node = Server::start(folder.path(), "node", &["node", "--coordinator", &coordinator.url])?;
    let id = put(&coordinator.url, folder.path(), &picture)?;
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
