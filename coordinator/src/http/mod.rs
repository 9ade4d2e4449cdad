//! What a coordinator answers over HTTP.
//!
//! It owns routes, checks of what comes from outside, and the words of refusals. It keeps no state of its own and decides
//! nothing: it asks `control`, which leads, and `raft`, which writes.
//!
//! Whatever needs the leader goes to the leader, by whomever it was asked (see [`leader`]).

mod access;
mod addresses;
mod audit;
mod cases;
mod check;
mod cluster;
mod condition;
mod data;
mod files;
mod internal;
mod leader;
mod login;
mod materials;
mod me;
mod metrics;
mod nodes;
mod once;
mod openapi;
mod raft;
mod runs;
mod spaces;
mod teams;
mod terms;
mod tokens;
mod turns;
mod uploads;
mod users;

use crate::{
    Config,
    control::{Control, unreadable},
    core::{
        present::{PresentError, Scene},
        view::ViewError,
    },
    login::{Attempts, Passwords},
    raft::{Group, Leader},
};
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{delete, get, post, put},
};
use microtome_proto::Problem;
use microtome_server::{Auth, Metrics, Tls, routes::assemble};
use parking_lot::Mutex;
use std::sync::Arc;

/// What all handlers share.
pub(crate) struct App {
    group: Arc<Group>,
    control: Arc<Control>,
    auth: Auth,
    tls: Tls,
    config: Config,
    turns: turns::Turns,
    passwords: Arc<Passwords>,
    attempts: Mutex<Attempts>,
}

/// A handler's share of [`App`].
type Shared = axum::extract::State<Arc<App>>;

impl App {
    pub(crate) fn new(
        group: Arc<Group>,
        control: Arc<Control>,
        (auth, tls): (Auth, Tls),
        config: Config,
        passwords: Arc<Passwords>,
    ) -> Self {
        let attempts = Mutex::default();
        Self { group, control, auth, tls, config, turns: turns::Turns::default(), passwords, attempts }
    }

    /// Shows what was acknowledged before this call, or says that it cannot.
    async fn show<T, E: Into<PresentError>>(&self, look: impl FnOnce(Scene<'_>) -> Result<T, E>) -> Result<T, Problem> {
        self.group.linearize().await?;
        self.glance(look)
    }

    /// The same where many materials have to be looked at.
    async fn study<T: Send + 'static>(
        &self,
        look: impl FnOnce(Scene<'_>) -> Result<T, ViewError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.group.linearize().await?;
        self.control.study(look).await.map_err(|error| unreadable(&error))
    }

    /// Shows what this coordinator has applied.
    fn glance<T, E: Into<PresentError>>(&self, look: impl FnOnce(Scene<'_>) -> Result<T, E>) -> Result<T, Problem> {
        self.control.scene(look).map_err(|error| match error.into() {
            PresentError::View(error) => unreadable(&error),
            PresentError::Query(problem) => *problem,
        })
    }

    fn ready(&self) -> Result<(), String> {
        if !self.group.takes_part() {
            return Err("it waits for the other coordinators to start".to_owned());
        }
        if self.group.leader() == Leader::Unknown {
            return Err("no coordinator leads just now: more than half of them must run".to_owned());
        }
        match self.group.peers().cluster() {
            Some(_) => Ok(()),
            None => Err("the cluster is being founded".to_owned()),
        }
    }
}

/// The whole server.
pub(crate) fn router(app: &Arc<App>, metrics: &Metrics, console: Router) -> Router {
    let lead = middleware::from_fn_with_state(Arc::clone(app), leader::lead);
    let guard = middleware::from_fn_with_state(Arc::clone(app), access::guard);
    let led = Router::new()
        .route("/v1/materials", get(materials::list).post(materials::create))
        .route("/v1/materials/{id}", get(materials::show).patch(materials::update).delete(materials::delete))
        .route("/v1/materials/{id}/tokens", post(tokens::create))
        .route("/v1/spaces", get(spaces::list))
        .route("/v1/spaces/{space}", get(spaces::show).put(spaces::put).patch(spaces::patch).delete(spaces::delete))
        .route("/v1/spaces/{space}/files", get(files::list))
        .route("/v1/nodes", get(nodes::list))
        .route("/v1/nodes/candidates", get(nodes::candidates))
        .route("/v1/nodes/{id}", get(nodes::show))
        .route("/v1/nodes/{id}/{act}", post(nodes::operate))
        .route("/v1/cluster", get(cluster::show))
        .route("/v1/coordinators", post(cluster::add_coordinator))
        .route("/v1/coordinators/{id}", delete(cluster::remove_coordinator))
        .route("/v1/cluster/rebalance", post(cluster::rebalance).delete(cluster::leave_as_it_is))
        .route("/v1/logout", post(me::logout))
        .route("/v1/me", get(me::show))
        .route("/v1/me/password", put(me::change_password))
        .route("/v1/tokens/revoke", post(tokens::revoke))
        .route("/v1/users", get(users::list).post(users::create))
        .route("/v1/users/{id}", get(users::show).patch(users::update).delete(users::delete))
        .route("/v1/users/{id}/tokens", post(users::create_token))
        .route("/v1/users/{id}/sessions", get(users::sessions))
        .route("/v1/users/{id}/sessions/{session}", delete(users::end_session))
        .route("/v1/teams", get(teams::list).post(teams::create))
        .route("/v1/teams/{id}", get(teams::show).patch(teams::update).delete(teams::delete))
        .route("/v1/teams/{id}/members/{user}", put(teams::set_member).delete(teams::remove_member))
        .route("/v1/cases", get(cases::list).post(cases::create))
        .route("/v1/cases/{id}", get(cases::show).patch(cases::update).delete(cases::delete))
        .route("/v1/cases/{id}/materials", get(cases::materials))
        .route("/v1/audit", get(audit::list))
        .route("/v1/runs", get(runs::list).post(runs::create))
        .route("/v1/runs/{id}", get(runs::show))
        .route("/v1/runs/{id}/outputs", get(runs::outputs))
        .route("/v1/runs/{id}/cancel", post(runs::cancel))
        .route("/v1/materials/{id}/file", get(data::material))
        .route("/v1/materials/{id}/slide", get(data::material))
        .route("/v1/materials/{id}/icc", get(data::material))
        .route("/v1/materials/{id}/associated/{name}", get(data::associated))
        .route("/tiles/{id}/{*rest}", get(data::tile))
        .route("/dzi/{name}", get(data::deep_zoom))
        .route("/dzi/{name}/{*rest}", get(data::deep_zoom_tile))
        .route("/iiif/{version}/{id}", get(data::iiif))
        .route("/iiif/{version}/{id}/{*rest}", get(data::iiif_rest))
        .route("/regions/{id}", get(data::material))
        .route_layer(guard.clone())
        .route_layer(lead.clone());
    // Before the leader is asked: it is not for the bytes that may come along.
    let tus = middleware::from_fn_with_state(Arc::clone(app), uploads::speak_tus);
    let created = Router::new().route("/v1/uploads", post(uploads::create));
    let created = created.route_layer(guard.clone()).route_layer(lead.clone()).route_layer(tus);
    let with_bytes = middleware::from_fn_with_state(Arc::clone(app), files::with_bytes);
    let files = get(files::read).put(files::create).delete(files::delete);
    let files = Router::new().route("/v1/spaces/{space}/files/{*key}", files);
    let files = files.route_layer(guard.clone()).route_layer(lead.clone()).route_layer(with_bytes);
    let unread = middleware::from_fn_with_state(Arc::clone(app), leader::lead_unread);
    // Nobody has to be known to ask what tus can do here: it is answered without a look at the books.
    let of_tus = get(data::upload).post(data::upload).patch(data::upload).delete(data::upload);
    let sent_on = Router::new().route("/v1/uploads/{id}", of_tus.route_layer(unread).options(uploads::options));
    let users = Router::new()
        .route("/v1/uploads", axum::routing::options(uploads::options))
        .route("/v1/pipelines", get(runs::pipelines))
        .route("/v1/pipelines/{id}", get(runs::pipeline))
        .route_layer(guard)
        .merge(led)
        .merge(created)
        .merge(files)
        .merge(sent_on)
        .layer(middleware::from_fn(never_kept))
        .with_state(Arc::clone(app));
    // Whoever logs in has no token yet.
    let open = Router::new()
        .route("/v1/login", post(login::login))
        .route("/v1/login/refresh", post(login::refresh))
        .route_layer(lead.clone())
        .layer(middleware::from_fn(never_kept))
        .with_state(Arc::clone(app))
        .merge(console);
    let servers = Router::new()
        .route("/internal/v1/nodes", post(internal::register))
        .route("/internal/v1/nodes/{id}/inventory/begin", post(internal::begin_inventory))
        .route("/internal/v1/nodes/{id}/inventory", post(internal::inventory))
        .route("/internal/v1/nodes/{id}/heartbeat", post(internal::heartbeat))
        .route("/internal/v1/nodes/{id}/replicas/{material}", post(internal::replica))
        .route("/internal/v1/nodes/{id}/runs/{run}", post(internal::run))
        .route("/internal/v1/materials/{id}", get(internal::locate))
        .route("/internal/v1/materials/{id}/reader", post(internal::reader))
        .route_layer(lead)
        .merge(raft::routes())
        .with_state(Arc::clone(app));
    metrics::register(metrics, app);
    let asked = Arc::clone(app);
    let open = open.merge(openapi::routes(app.auth.is_on()));
    assemble((&app.auth, &app.tls), metrics, Arc::new(move || asked.ready()), users, servers, open)
}

/// Answers of the API are true for the moment only.
async fn never_kept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
