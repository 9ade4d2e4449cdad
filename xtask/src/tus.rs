//! Unmodified tus clients against the built program: files are sent in several ways; then a sender is broken off at 40 %, the
//! node is killed, and another sender goes on from what the node has kept. What is sent in parts is broken off likewise, and
//! the node is killed while it puts them together.

use crate::{
    Outcome, python, root,
    servers::{Folder, READY_WITHIN, Server, ours, succeed},
};
use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// The reference implementation's client in Python.
const TUSPY: &[&str] = &["tuspy==1.1.0"];
/// Bytes of the file that is sent.
const FILE_LEN: usize = 40_000_000;
const NODE: &str = "node";

/// A client, as a program that is told where to create uploads, what to send and in which way. It prints the upload's
/// address, also where it breaks off by itself.
struct Client<'a> {
    name: &'a str,
    command: &'a dyn Fn() -> Command,
    ways: &'a [&'a str],
    /// Whether it can send a file in parts at once.
    in_parts: bool,
}

/// All of it; tuspy is left out where there is no Python.
pub fn check() -> Outcome {
    eprintln!("\n== tus clients");
    let folder = Folder::new("tus")?;
    let file = folder.path().join("file.bin");
    let bytes = noise();
    fs::write(&file, &bytes).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let coordinator = Server::start(folder.path(), "coordinator", &["coordinator"])?;
    let arguments = ["node", "--coordinator", &coordinator.url];
    let mut node = Server::start(folder.path(), NODE, &arguments)?;
    wait_for_room(folder.path(), &coordinator.url)?;

    let script = |name: &str| root().join("web/test/tus").join(name);
    let javascript = || {
        let mut command = Command::new("node");
        command.arg(script("client.mjs")).arg(folder.path().join("uploads.json"));
        command
    };
    let tuspy = python::is_there().then(|| python::venv(TUSPY)).transpose()?;
    let in_python = || {
        let mut command = Command::new(tuspy.as_deref().unwrap_or(Path::new("python3")));
        command.arg(script("client.py")).arg(folder.path().join("uploads-python.json"));
        command
    };
    let mut clients = vec![Client {
        name: "tus-js-client",
        command: &javascript,
        ways: &["whole", "pieces", "at-once", "stream"],
        in_parts: true,
    }];
    if tuspy.is_some() {
        let ways = &["whole", "pieces", "sums"];
        clients.push(Client { name: "tuspy", command: &in_python, ways, in_parts: false });
    } else {
        eprintln!("tuspy: left out; it needs python3 with its venv module");
    }
    for client in clients {
        let sending = |way: &str| {
            let mut command = (client.command)();
            command.arg(format!("{}/v1/uploads", coordinator.url)).arg(&file).arg(way);
            command
        };
        let send = |way: &str| {
            let said = succeed(&mut sending(way), &format!("{}, {way}", client.name))?;
            said.lines().last().map(str::to_owned).ok_or_else(|| format!("{}, {way}: it names no upload", client.name))
        };
        for way in client.ways {
            let upload = send(way)?;
            arrived(folder.path(), &upload, &bytes).map_err(|error| format!("{}, {way}: {error}", client.name))?;
        }
        let broken_off = send("break")?;
        node = node.killed(folder.path(), NODE, &arguments)?;
        let gone_on = send("resume")?;
        if gone_on != broken_off {
            return Err(format!("{}: it went on at {gone_on}, not at {broken_off}", client.name));
        }
        arrived(folder.path(), &gone_on, &bytes).map_err(|error| format!("{}, resumed: {error}", client.name))?;
        eprintln!("{}: {}, and broken off at 40 %, the node killed, resumed", client.name, client.ways.join(", "));
        if !client.in_parts {
            continue;
        }
        let whole = |upload: &str, how: &str| {
            is_joined(folder.path(), upload)?;
            arrived(folder.path(), upload, &bytes).map_err(|error| format!("{}, {how}: {error}", client.name))
        };
        whole(&send("parallel")?, "in parts")?;
        // It has no address of its own yet.
        send("break-parallel")?;
        node = node.killed(folder.path(), NODE, &arguments)?;
        whole(&send("resume-parallel")?, "in parts, resumed")?;
        let mut sender = sending("parallel");
        let sender = thread::spawn(move || succeed(&mut sender, "sending in parts"));
        begins_to_join(folder.path())?;
        node = node.killed(folder.path(), NODE, &arguments)?;
        let said = sender.join().map_err(|_| "the sender's thread ended early".to_owned())??;
        whole(said.lines().last().unwrap_or_default(), "in parts, the node killed while it joined them")?;
        eprintln!("{}: in 3 parts at once, and the node killed under them, and while it joined them", client.name);
    }
    drop(node);
    Ok(())
}

/// The plain file on the node's disk, which is there when the upload is acknowledged.
fn arrived(folder: &Path, upload: &str, expected: &[u8]) -> Outcome {
    let id = upload.rsplit('/').next().unwrap_or_default();
    let file = folder.join(NODE).join("materials").join(id).join("file");
    let found = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    if found == expected { Ok(()) } else { Err(format!("{upload} has other bytes than were sent")) }
}

/// Waits until what was sent in parts is one file: that is acknowledged before it is so.
fn is_joined(folder: &Path, upload: &str) -> Outcome {
    let id = upload.rsplit('/').next().unwrap_or_default();
    let file = folder.join(NODE).join("materials").join(id).join("file");
    within(&format!("{upload} is put together"), || file.exists())
}

/// Waits until the node has room for something that it puts together.
fn begins_to_join(folder: &Path) -> Outcome {
    within("the node begins to put parts together", || {
        let incoming = fs::read_dir(folder.join(NODE).join("incoming")).into_iter().flatten().flatten();
        let mut notes = incoming.filter_map(|folder| fs::read_to_string(folder.path().join("incoming.json")).ok());
        notes.any(|note| note.contains("\"final;"))
    })
}

fn within(what: &str, holds: impl Fn() -> bool) -> Outcome {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > READY_WITHIN {
            return Err(format!("waited in vain: {what}"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Waits until the node has told its room.
fn wait_for_room(folder: &Path, coordinator: &str) -> Outcome {
    let started = Instant::now();
    let empty = folder.join("empty.bin");
    fs::write(&empty, "x").map_err(|error| error.to_string())?;
    loop {
        let mut put = ours(folder);
        put.args(["put", "--population", "1", "--server", coordinator]).arg(&empty);
        match succeed(&mut put, "waiting for the node") {
            Ok(_) => return Ok(()),
            Err(_) if started.elapsed() < READY_WITHIN => thread::sleep(Duration::from_millis(200)),
            Err(error) => return Err(error),
        }
    }
}

/// Bytes that no two places of the file have alike for long.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        // Xorshift, Marsaglia 2003.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(FILE_LEN).collect()
}
