//! What coordinators do by themselves for accounts: the first user is made, what has ended is forgotten, and tokens that were
//! taken back are known to the check in front of the routes.

use crate::{
    core::{
        command::{AccountCommand, Command, Outcome},
        tables::{Meta, Revoked, SessionsByEnd, Users},
        view::{Typed as _, View, ViewError},
    },
    login::Passwords,
    raft::Group,
    store::folder::Folder,
};
use microtome_proto::{Timestamp, UserId, limits::PASSWORD_LEN_MIN, protocol, token::Secret};
use microtome_server::{Auth, durable};
use std::{fs, io, path::Path, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

/// How often a leader looks whether there is a user, until there is one.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it looks for what has ended.
const TIDY_EVERY: Duration = Duration::from_secs(30);
/// The first user's name.
const FIRST: &str = "admin";
/// Letters and digits that people do not take for one another.
const LETTERS: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";
/// 24 of 31 letters: 118 bits.
const LETTERS_LEN: usize = 24;

/// Makes the first user, who administers the cluster, where there never was one and tokens are checked. Whoever leads does it,
/// as often as it takes: the password stands in the leader's folder before it is proposed.
pub(crate) async fn first_user(
    group: Arc<Group>,
    folder: Arc<Folder>,
    given: Option<Secret>,
    auth: Auth,
    passwords: Arc<Passwords>,
    stop: CancellationToken,
) {
    if !auth.is_on() {
        return;
    }
    let path = folder.first_password();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        match group.read(has_users) {
            Ok(true) => break,
            Ok(false) if group.leads_in_term().is_some() && group.protocol() >= protocol::BELONGING => {
                if let Err(error) = make_first(&group, &path, given.as_ref(), &passwords).await {
                    tracing::warn!(error, "the first user cannot be made yet");
                    sleep(LOOK_EVERY).await;
                }
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "cannot read the state"),
        }
    }
    if given.is_none() {
        forget_if_wrong(&group, &path, &passwords).await;
    }
}

fn has_users(view: &dyn View) -> Result<bool, ViewError> {
    Ok(view.get_record::<Meta>(&())?.is_some_and(|meta| meta.user_last > 0))
}

async fn make_first(group: &Group, path: &Path, given: Option<&Secret>, passwords: &Passwords) -> Result<(), String> {
    // One that was made by the leader before is applied here by then.
    group.linearize().await.map_err(|error| error.to_string())?;
    if group.read(has_users).map_err(|error| error.to_string())? {
        return Ok(());
    }
    let password = match given {
        Some(given) => given.as_str().to_owned(),
        None => {
            let path = path.to_owned();
            let kept = tokio::task::spawn_blocking(move || keep_password(&path)).await;
            kept.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?
        }
    };
    let password = passwords.hash(&password).await.map_err(|problem| problem.to_string())?;
    let command = Command::Account(AccountCommand::FirstUser { name: FIRST.to_owned(), password });
    match group.propose(command).await.map_err(|error| error.to_string())? {
        Outcome::Refused { detail, .. } => Err(detail),
        _ if given.is_some() => {
            tracing::info!(user = FIRST, "the first user was made, with the password in 'first_password_file'");
            Ok(())
        }
        _ => {
            tracing::info!(user = FIRST, password_in = %path.display(), "the first user was made");
            Ok(())
        }
    }
}

/// The password that is in the file, or a new one in a new file.
fn keep_password(path: &Path) -> io::Result<String> {
    if let Some(kept) = read_password(path)? {
        return Ok(kept);
    }
    let letter = |_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    let password: String = (0..LETTERS_LEN).map(letter).collect();
    durable::write_private(path, format!("{password}\n").as_bytes())?;
    Ok(password)
}

fn read_password(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| text.len() >= PASSWORD_LEN_MIN)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Another leader was faster, or the password was changed since: a file with one that is nobody's would mislead.
async fn forget_if_wrong(group: &Group, path: &Path, passwords: &Passwords) {
    let kept = match read_password(path) {
        Ok(Some(kept)) => kept,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, path = %path.display(), "the first password cannot be read"),
    };
    let first = group.read(|view| view.get_record::<Users>(&UserId::from_counter(1)));
    let Ok(hash) = first.map(|first| first.and_then(|first| first.password)) else { return };
    if passwords.check(&kept, hash.as_ref()).await.is_ok_and(|verdict| !verdict.is_right) {
        match durable::remove(path) {
            Ok(()) => {
                tracing::info!(path = %path.display(), "removed: it is not the first user's password, or not any more");
            }
            Err(error) => tracing::warn!(%error, "a password that is nobody's cannot be removed"),
        }
    }
}

/// Sessions and tokens that have ended by themselves are forgotten.
pub(crate) async fn tidy(group: Arc<Group>, stop: CancellationToken) {
    let mut tick = interval(TIDY_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if group.leads_in_term().is_none() || !group.read(has_ended).unwrap_or(false) {
            continue;
        }
        if let Err(error) = group.propose(Command::Account(AccountCommand::Tidy)).await {
            tracing::debug!(%error, "what has ended is forgotten later");
        }
    }
}

fn has_ended(view: &dyn View) -> Result<bool, ViewError> {
    let now = Timestamp::now();
    if let Some(first) = view.scan_keys::<SessionsByEnd>(&[], None).next().transpose()?
        && first.0 <= now
    {
        return Ok(true);
    }
    for entry in view.scan_records::<Revoked>(&[], None) {
        if entry?.1 <= now {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeps the check in front of the routes told of the tokens that the books say were taken back.
pub(crate) async fn follow_revoked(group: Arc<Group>, auth: Auth, stop: CancellationToken) {
    if !auth.is_on() {
        return;
    }
    let mut applied = group.applied();
    loop {
        tell_revoked(&group, &auth);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = applied.changed() => if changed.is_err() { return },
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// The same at once.
pub(crate) fn tell_revoked(group: &Group, auth: &Auth) {
    let known = auth.revoked_version();
    match group.read(|view| revoked_since(view, known)) {
        Ok(Some((version, tokens))) => auth.revoke(version, tokens),
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "cannot read the state"),
    }
}

/// The tokens that were taken back, and their version, where that is not the one that is known.
pub(crate) fn revoked_since(view: &dyn View, known: u64) -> Result<Option<(u64, Vec<String>)>, ViewError> {
    let version = view.get_record::<Meta>(&())?.map_or(0, |meta| meta.revoked_version);
    if version == known {
        return Ok(None);
    }
    let tokens = view.scan_keys::<Revoked>(&[], None).collect::<Result<_, _>>()?;
    Ok(Some((version, tokens)))
}
