//! The same file is not sent twice.

use super::App;
use crate::core::same::{Sought, same};
use microtome_proto::{
    MaterialId, Problem,
    material::{CreateMaterial, Terms},
};
use microtome_server::auth::Asker;

impl App {
    /// A material that is what is wanted already, where its hash is told, and where it is to be.
    pub(super) async fn same_file(
        &self,
        asker: &Asker,
        wanted: &CreateMaterial,
        terms: &Terms,
    ) -> Result<Option<MaterialId>, Problem> {
        let Some(blake3) = wanted.blake3.as_deref().filter(|_| wanted.origin.is_none()) else { return Ok(None) };
        let blake3 = super::check::blake3(blake3)?;
        self.group.linearize().await?;
        let principal = self.principal(asker)?;
        let population = wanted.population.unwrap_or(1);
        let sought = Sought { terms, size: wanted.size, blake3: &blake3, population };
        self.books(|view| same(view, &principal, &sought))
    }
}
