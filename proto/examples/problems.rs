//! Prints docs/problems.md: every code with its status, cause and way out.
#![allow(missing_docs)]

use microtome_proto::Code;
use std::{fmt::Write as _, io::Write as _};

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(markdown().as_bytes())
}

/// The whole text.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Problems\n\nEach error is `application/problem+json` (RFC 9457). Its `code` never changes its meaning; `detail` \
         tells what happened, to what, and why. Servers show the same list at `/docs/problems`, where a problem's `type` \
         leads. `cargo xtask docs` writes this file from `proto/src/problem.rs`.\n\n\
         | code | status | what | cause | way out |\n|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let (status, title, cause, way_out) = (code.status(), code.title(), code.cause(), code.way_out());
        // A string takes all that is written to it.
        let _ = writeln!(text, "| `{code}` | {status} | {title} | {cause} | {way_out} |");
    }
    text
}
