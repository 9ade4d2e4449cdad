//! What the program says: results on standard output, as tables for people or as JSON for programs, and messages on
//! standard error.

use bytesize::ByteSize;
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use microtome_proto::Timestamp;
use serde::Serialize;
use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

/// Nobody reads standard output any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct Closed;

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Whether programs read it.
    pub(crate) json: bool,
}

impl Terminal {
    /// Prints a line.
    pub(crate) fn line(&self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(output_failed)
    }

    /// Prints a value as JSON of several lines.
    pub(crate) fn document(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.line(&serde_json::to_string_pretty(value)?)
    }

    /// Prints a value as JSON in one line: one of several results.
    pub(crate) fn record(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.line(&serde_json::to_string(value)?)
    }

    /// Prints a table; numbers in the columns `right` stand flush right.
    pub(crate) fn table(&self, header: &[&str], rows: Vec<Vec<Cell>>, right: &[usize]) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(header.iter().map(|text| Cell::new(text).fg(Color::DarkGrey)));
        table.add_rows(rows);
        for &column in right {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let people = io::stdout().is_terminal();
        table.set_content_arrangement(if people { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
        if !people || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            table.force_no_tty();
        }
        let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        self.line(&lines.join("\n"))
    }

    /// Prints names and values, one pair a line.
    pub(crate) fn pairs(&self, pairs: &[(&str, String)]) -> anyhow::Result<()> {
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let lines: Vec<_> = pairs.iter().map(|(name, value)| format!(" {name:width$}  {value}")).collect();
        self.line(&lines.join("\n"))
    }
}

/// What a failure to write to standard output means.
pub(crate) fn output_failed(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Closed.into();
    }
    anyhow::Error::new(error).context("cannot write to standard output")
}

/// Says something on standard error.
pub(crate) fn note(text: &str) {
    // Where even this cannot be written, nobody is there to be told.
    let _ = writeln!(io::stderr().lock(), "microtome: {text}");
}

/// A size for people.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// A time for people, to the second.
pub(crate) fn time(time: Timestamp) -> String {
    let text = time.to_string();
    match text.get(..19) {
        Some(whole) => format!("{}Z", whole.replace('T', " ")),
        None => text,
    }
}

/// A span of time as it can be given to a command, in the largest unit that tells it.
pub(crate) fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

/// A state as the API names it, coloured by how well it is.
pub(crate) fn state(value: &impl Serialize) -> Cell {
    let name = name_of(value);
    let color = match name.as_str() {
        "ready" | "up" | "verified" | "done" | "active" | "member" => Some(Color::Green),
        "degraded" | "receiving" | "copying" | "unreachable" | "running" | "initializing" | "finalizing"
        | "waiting" | "cordoned" | "draining" | "paused" | "dropping" | "deleting" => Some(Color::Yellow),
        "unavailable" | "down" | "error" | "removed" | "damaged" => Some(Color::Red),
        _ => None,
    };
    match color {
        Some(color) => Cell::new(name).fg(color),
        None => Cell::new(name),
    }
}

/// What the API calls a state.
pub(crate) fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(time(Timestamp::from_millis(1_700_000_000_123)), "2023-11-14 22:13:20Z");
        assert_eq!([90, 120, 7_200, 604_800].map(span), ["90s", "2m", "2h", "7d"]);
        assert_eq!(name_of(&microtome_proto::material::MaterialState::Receiving), "receiving");
    }
}
