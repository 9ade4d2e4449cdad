//! Logging in, as far as the leader's memory and processor have to do with it: passwords are hashed, attempts counted, refresh
//! tokens drawn. What follows from a login is the books'.

mod attempts;
mod passwords;
mod refresh;

pub(crate) use attempts::Attempts;
pub(crate) use passwords::{Passwords, proof};
pub(crate) use refresh::RefreshToken;

/// How long a refresh token lives, in seconds: thirty days from the last refresh.
pub(crate) const REFRESH_S: u64 = 30 * 86_400;
