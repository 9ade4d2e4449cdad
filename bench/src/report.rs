//! Results on standard output, as a table or as JSON; messages on standard error.

use std::io::{self, Write as _};

use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// Says something on standard error.
pub(crate) fn note(text: &str) {
    // Where even this cannot be written, nobody is there to be told.
    let _ = writeln!(io::stderr().lock(), "microtome-bench: {text}");
}

/// Prints a line.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("cannot write to standard output")
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Prints a table, all columns but the first flush right.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header.to_vec()).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    line(&table.to_string())
}
