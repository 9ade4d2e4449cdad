//! The system's limit on open files, which connections count as, too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Assumed where the system names no limit.
const OPEN_FILES_DEFAULT: u64 = 1 << 20;

/// Raises the soft limit on open files to the hard one, which needs no right; answers what it is then.
pub fn raise_open_files_max() -> u64 {
    let limits = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
    let limit = if raised.is_ok() { limits.maximum } else { limits.current };
    limit.unwrap_or(OPEN_FILES_DEFAULT)
}
