//! Where to go for what is not here: to a node that holds the material, to a coordinator for all else.

use crate::Node;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use microtome_client::Cluster;
use microtome_proto::{
    Code, MaterialId, Problem,
    internal::{Located, Reader},
    token::{Bearer, material_read},
};
use microtome_server::auth::Asker;
use moka::future::Cache;
use std::{sync::Arc, time::Duration};

/// How long an answer of the coordinators is believed, on places and on readers: a viewer's burst of tiles asks once.
const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// Materials whose places are remembered for that long.
const REMEMBERED_MAX: u64 = 10_000;
/// How long the coordinators get to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Asks the coordinators where materials are, and who may read them.
pub(crate) struct Locator {
    cluster: Cluster,
    known: Cache<MaterialId, Arc<Result<Located, Problem>>>,
    readers: Cache<(MaterialId, Reader), ()>,
}

impl Locator {
    /// Asks `cluster`.
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED_MAX).time_to_live(BELIEVED_FOR).build();
        let readers = Cache::builder().max_capacity(REMEMBERED_MAX).time_to_live(BELIEVED_FOR).build();
        Self { cluster: cluster.with_deadline(ANSWER_WITHIN), known, readers }
    }

    /// Whether somebody may read a material, as the coordinators say or said a moment ago.
    pub(super) async fn admit(&self, id: &MaterialId, bearer: &Bearer) -> Result<(), Problem> {
        let key = (id.clone(), Reader::from(bearer));
        let ask = async { self.cluster.may_read(id, &key.1).await.map_err(Problem::from) };
        self.readers.try_get_with_by_ref(&key, ask).await.map_err(|problem| (*problem).clone())
    }

    /// Where a material is, as the coordinators say or said a moment ago.
    pub(crate) async fn locate(&self, id: &MaterialId) -> Arc<Result<Located, Problem>> {
        let ask = async { Arc::new(self.cluster.locate(id).await.map_err(Problem::from)) };
        self.known.get_with_by_ref(id, ask).await
    }
}

/// The answer to a request for a material that is not here: 307 to another holder.
pub(crate) async fn elsewhere(node: &Node, id: &MaterialId, uri: &Uri) -> Response {
    if node.hides(id) {
        return Problem::new(Code::NotFound, format!("there is no material {id}")).into_response();
    }
    match &*node.locator.locate(id).await {
        Ok(located) => match located.holders.iter().chain(&located.receiving).find(|url| **url != node.url) {
            Some(holder) => redirect(holder, uri),
            None if located.receiving.is_some() => {
                Problem::new(Code::Unavailable, format!("the bytes of {id} are still arriving")).into_response()
            }
            None => Problem::new(Code::Unavailable, format!("no node that holds {id} answers")).into_response(),
        },
        Err(problem) => problem.clone().into_response(),
    }
}

/// The answer to a request for an upload that is not here: 307 to the node that receives it.
pub(super) async fn upload_elsewhere(node: &Node, id: &MaterialId, uri: &Uri) -> Response {
    let gone = || Problem::new(Code::NotFound, format!("there is no upload of {id}")).into_response();
    match &*node.locator.locate(id).await {
        Ok(located) => {
            // A whole one is told as whole by its holders.
            let place = located.receiving.iter().chain(&located.holders).find(|url| **url != node.url);
            match place {
                Some(url) => redirect(url, uri),
                None if located.joining => {
                    let detail = format!("the parts of {id} are not all at the node that puts them together yet");
                    Problem::new(Code::Unavailable, detail).into_response()
                }
                None => gone(),
            }
        }
        Err(problem) if problem.code == Code::NotFound => gone(),
        Err(problem) => problem.clone().into_response(),
    }
}

/// What is the coordinators' to answer.
pub(super) async fn to_coordinator(State(node): State<Arc<Node>>, uri: Uri) -> Response {
    match node.cluster.servers().first() {
        Some(coordinator) => redirect(coordinator, &uri),
        None => Problem::new(Code::NoLeader, "this node knows no coordinator").into_response(),
    }
}

/// Middleware: what only the books can allow the coordinators are asked about where somebody reads a material, and answer
/// themselves otherwise.
pub(super) async fn ask_the_books(State(node): State<Arc<Node>>, mut request: Request, next: Next) -> Response {
    let asker = match Asker::of(request.extensions()) {
        Ok(asker) if asker.is_by_books() => asker.clone(),
        _ => return next.run(request).await,
    };
    let id = material_read(request.method(), request.uri().path()).and_then(|id| id.parse::<MaterialId>().ok());
    let (Some(id), Some(bearer)) = (id, asker.bearer()) else {
        return to_coordinator(State(node), request.uri().clone()).await;
    };
    if let Err(problem) = node.locator.admit(&id, bearer).await {
        return problem.into_response();
    }
    request.extensions_mut().insert(asker.allowed());
    let mut response = next.run(request).await;
    if response.status().is_redirection()
        && let Err(problem) = node.auth.hand_on(&asker, &id, &mut response)
    {
        return problem.into_response();
    }
    response
}

/// 307 to the same path and query at another server.
fn redirect(base: &str, uri: &Uri) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    match HeaderValue::try_from(format!("{base}{path}")) {
        Ok(location) => {
            let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
        }
        Err(_) => Problem::new(Code::BadRequest, "the path cannot be sent on").into_response(),
    }
}
