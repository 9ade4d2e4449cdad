//! Users, teams and cases, and who did what.

mod audit;
mod cases;
mod login;
mod teams;
mod users;

pub(crate) use audit::{Audit, audit};
pub(crate) use cases::{Cases, run as cases};
pub(crate) use login::{Login, Passwd, log_in, log_out, passwd, who};
pub(crate) use teams::{Teams, run as teams};
pub(crate) use users::{Users, run as users};
