//! Passwords as they come from people: typed without being shown, or from a file.

use anyhow::{Context as _, bail};
use microtome_proto::limits::PASSWORD_LEN_MAX;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
};

/// What the terminal sends for Ctrl-C where it makes no signal of it.
const INTERRUPT: char = '\u{3}';

/// A password from this file, or typed.
pub(crate) fn get(file: Option<&Path>, prompt: &str) -> anyhow::Result<String> {
    match file {
        Some(path) => read(path),
        None => ask(prompt),
    }
}

/// One that is to be somebody's: typed twice.
pub(crate) fn get_new(file: Option<&Path>, prompt: &str) -> anyhow::Result<String> {
    let password = get(file, prompt)?;
    if file.is_none() && ask("the same again: ")? != password {
        bail!("the two are not the same");
    }
    Ok(password)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    if fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len() > PASSWORD_LEN_MAX as u64 + 2 {
        bail!("{shown} is longer than a password: at most {PASSWORD_LEN_MAX} bytes");
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask(prompt: &str) -> anyhow::Result<String> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let terminal = terminal.context("there is no terminal to ask for a password: name a file with it")?;
    let before = tcgetattr(&terminal).context("cannot keep the terminal from showing the password")?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    tcsetattr(&terminal, OptionalActions::Flush, &silent)
        .context("cannot keep the terminal from showing the password")?;
    let _restored = Restored { terminal: &terminal, before };
    let mut writer = &terminal;
    write!(writer, "{prompt}")?;
    let mut line = String::new();
    BufReader::new(&terminal).read_line(&mut line)?;
    writeln!(writer)?;
    if line.contains(INTERRUPT) {
        bail!("interrupted");
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that shows again what is typed, whatever happened.
struct Restored<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}
