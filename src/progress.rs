//! Progress on standard error: a bar with rate and time left where a person sits in front of it, a plain line every few
//! seconds elsewhere.

use crate::terminal::{note, size};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Steps of a bar that shows a fraction.
const STEPS: u64 = 1000;

const BYTES: &str =
    "{prefix:.bold} {wide_bar:.cyan/dim} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
const FRACTION: &str = "{prefix:.bold} {wide_bar:.cyan/dim} {percent:>3} % {msg}";

/// Something that takes a while.
pub(crate) struct Progress {
    bar: ProgressBar,
    name: String,
    bytes: bool,
    /// When the last plain line was written; none where there is a bar.
    written: Option<Mutex<Instant>>,
}

impl Progress {
    /// Bytes that move.
    pub(crate) fn of_bytes(name: &str, total: u64) -> Self {
        Self::new(name, total, BYTES, true)
    }

    /// Something of which only the fraction done is known.
    pub(crate) fn of_fraction(name: &str) -> Self {
        Self::new(name, STEPS, FRACTION, false)
    }

    fn new(name: &str, total: u64, template: &str, bytes: bool) -> Self {
        let people = io::stderr().is_terminal();
        let target = if people { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target).with_prefix(name.to_owned());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        let written = (!people).then(|| Mutex::new(Instant::now()));
        Self { bar, name: name.to_owned(), bytes, written }
    }

    /// It is more than was thought.
    pub(crate) fn grow(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// So much is done, in bytes or steps.
    pub(crate) fn set(&self, position: u64) {
        // What an earlier try had done does not count as this one's speed.
        if self.bar.position() == 0 && position > 0 {
            self.bar.set_position(position);
            self.bar.reset_eta();
        } else {
            self.bar.set_position(position);
        }
        self.line();
    }

    /// The fraction `done`, 0 to 1, and what is being done.
    pub(crate) fn set_fraction(&self, done: f64, what: &str) {
        if self.bar.message() != what {
            self.bar.set_message(what.to_owned());
        }
        self.bar.set_position((done.clamp(0.0, 1.0) * STEPS as f64) as u64);
        self.line();
    }

    /// How much is done, in hundredths.
    pub(crate) fn percent(&self) -> u64 {
        let total = self.bar.length().unwrap_or(0);
        self.bar.position().saturating_mul(100).checked_div(total).unwrap_or(100)
    }

    fn line(&self) {
        let Some(written) = &self.written else { return };
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.elapsed() < LINE_EVERY {
            return;
        }
        *written = Instant::now();
        let left = HumanDuration(self.bar.eta());
        let (name, percent) = (&self.name, self.percent());
        if self.bytes {
            let (done, total) = (size(self.bar.position()), size(self.bar.length().unwrap_or(0)));
            note(&format!(
                "{name}: {percent} % ({done} of {total}, {}/s, {left} left)",
                size(self.bar.per_sec() as u64)
            ));
        } else {
            note(&format!("{name}: {percent} % {}", self.bar.message()));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
