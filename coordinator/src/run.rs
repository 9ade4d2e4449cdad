//! Starting and stopping.

use crate::{
    Config, CoordinatorError, Tuning,
    control::{Control, accounts, protocol},
    http::{self, App},
    login::Passwords,
    raft::{self, network::Peers},
    store::folder::Folder,
};
use axum::Router;
use microtome_server::{Auth, Metrics, Tls};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Runs a coordinator until `stop` is cancelled. `ready` tells the bound address once it listens.
///
/// # Errors
/// [`CoordinatorError`], each with a way out.
pub async fn run(
    config: Config,
    console: Router,
    stop: CancellationToken,
    ready: oneshot::Sender<SocketAddr>,
) -> Result<(), CoordinatorError> {
    run_tuned(config, Tuning::default(), console, stop, ready).await
}

/// As [`run`], with raft's timing and sizes.
///
/// # Errors
/// As [`run`].
pub async fn run_tuned(
    config: Config,
    tuning: Tuning,
    console: Router,
    stop: CancellationToken,
    ready: oneshot::Sender<SocketAddr>,
) -> Result<(), CoordinatorError> {
    config.check()?;
    let auth = Auth::new(&config.auth).map_err(|error| CoordinatorError::Config(error.to_string()))?;
    let auth = auth.asking_the_books();
    let listener = microtome_server::listen(&config.listen).await?;
    let bound = listener.local_addr().map_err(|error| CoordinatorError::Stopped(error.to_string()))?;
    auth.check_address(bound.ip()).map_err(CoordinatorError::Open)?;
    let members = config.members(bound)?;
    let named = members.get(&config.id).into_iter().chain([&config.listen]).map(String::as_str);
    let tls = Tls::open(&config.tls, &config.auth, named);
    let tls = tls.map_err(|error| CoordinatorError::Config(error.to_string()))?;

    let (path, id, name) = (config.data_dir.clone(), config.id, config.cluster_name.clone());
    let opened = tokio::task::spawn_blocking(move || Folder::open(&path, id, &name)).await;
    let (folder, _lock) = opened.map_err(|error| CoordinatorError::Stopped(error.to_string()))??;
    let folder = Arc::new(folder);
    let peers = Peers::new(id, members, folder.cluster(), tuning.protocol, (auth.clone(), tls.clone()));
    let peers = Arc::new(peers.map_err(CoordinatorError::Stopped)?);
    let group = Arc::new(raft::open(Arc::clone(&folder), peers, tuning).await?);
    group.speaks_enough()?;
    let control = Arc::new(Control::new(Arc::clone(&group), Arc::clone(&folder), &config));
    let passwords = Arc::new(Passwords::new());
    let first_password = config.first_password.clone();

    let metrics = Metrics::default();
    let app =
        App::new(Arc::clone(&group), Arc::clone(&control), (auth.clone(), tls.clone()), config, Arc::clone(&passwords));
    let router = http::router(&Arc::new(app), &metrics, console);
    let (serving, leading) = (CancellationToken::new(), CancellationToken::new());
    let server = tokio::spawn(microtome_server::serve(listener, tls.acceptor(), None, router, serving.clone()));
    let leader = tokio::spawn(Arc::clone(&control).run(leading.clone()));
    let first =
        accounts::first_user(Arc::clone(&group), folder, first_password, auth.clone(), passwords, leading.clone());
    let first = tokio::spawn(first);
    let tidying = tokio::spawn(accounts::tidy(Arc::clone(&group), leading.clone()));
    let revoked = tokio::spawn(accounts::follow_revoked(Arc::clone(&group), auth.clone(), serving.clone()));
    let keys = tokio::spawn(auth.keep_up(serving.clone()));
    let certificates = tokio::spawn(tls.keep_up(serving.clone()));
    let raising = tokio::spawn(protocol::raise(Arc::clone(&group), leading.clone()));
    tracing::info!(coordinator = id, address = %bound, "listening");
    let _ = ready.send(bound);

    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        result = take_part(&group) => result,
    };
    // The place is given away while the others can still be heard.
    group.stop().await;
    leading.cancel();
    serving.cancel();
    let _ = tokio::join!(server, leader, raising, keys, certificates, first, tidying, revoked);
    result
}

/// Joins the group, then watches over raft: returns when it has failed.
async fn take_part(group: &raft::Group) -> Result<(), CoordinatorError> {
    group.bootstrap().await?;
    let failure = tokio::select! {
        failure = group.failed() => failure,
        outgrown = group.outgrown() => return Err(outgrown),
    };
    Err(match group.fault() {
        Some(fault) => fault.into(),
        None => CoordinatorError::Stopped(failure.to_string()),
    })
}
