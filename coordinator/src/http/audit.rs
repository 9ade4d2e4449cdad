//! `/v1/audit`: who did what, for administrators.

use super::Shared;
use axum::extract::State;
use microtome_proto::{
    Problem,
    account::AuditEntry,
    page::{Page, PageQuery},
};
use microtome_server::extract::Query;

/// `GET /v1/audit`, the newest first.
pub(super) async fn list(
    State(app): Shared,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<AuditEntry>>, Problem> {
    app.show(|scene| scene.audit(&query)).await.map(axum::Json)
}
