//! What is described, by themes: one file each.

mod accounts;
mod cluster;
mod files;
mod materials;
mod nodes;
mod pictures;
mod runs;
mod server;
mod spaces;
mod teams;
mod uploads;
mod users;

use super::words::Theme;

/// All of them, in the order in which they are read.
pub(super) fn all() -> Vec<Theme> {
    vec![
        materials::theme(),
        uploads::theme(),
        files::theme(),
        pictures::theme(),
        spaces::theme(),
        runs::theme(),
        teams::cases(),
        teams::teams(),
        users::theme(),
        accounts::theme(),
        nodes::theme(),
        cluster::theme(),
        server::theme(),
    ]
}
