//! docs/problems.md says what the codes say.
#![allow(clippy::unwrap_used, missing_docs, dead_code, unreachable_pub)]

#[path = "../examples/problems.rs"]
mod problems;

#[test]
fn the_documentation_lists_every_code_as_it_is() {
    let written = include_str!("../../docs/problems.md");
    let expected = problems::markdown();
    let differs = written.lines().zip(expected.lines()).find(|(written, expected)| written != expected);
    assert!(
        written == expected,
        "docs/problems.md is old: 'cargo xtask docs' writes it anew; it differs at {differs:?}"
    );
}
