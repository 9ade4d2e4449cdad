//! What users ask about spaces and the files under their keys.

use crate::{ClientError, Cluster, transport::Call};
use microtome_proto::{
    material::Material,
    page::{Page, PageQuery},
    space::{FilesQuery, PatchSpace, Space, SpaceFile, SpaceFiles},
};
use reqwest::Method;
use std::fmt::Write as _;

impl Cluster {
    /// A page of `GET /v1/spaces`.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn spaces(&self, query: &PageQuery) -> Result<Page<Space>, ClientError> {
        self.page("/v1/spaces", query).await
    }

    /// `GET /v1/spaces/{space}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn space(&self, name: &str) -> Result<Space, ClientError> {
        self.ask(&Call::get(path_of(name))).await
    }

    /// `PUT /v1/spaces/{space}`: described anew.
    ///
    /// # Errors
    /// `forbidden` among the problems.
    pub async fn describe_space(&self, name: &str, description: &PatchSpace) -> Result<Space, ClientError> {
        self.ask(&Call::new(Method::PUT, path_of(name)).json(description)?).await
    }

    /// `PATCH /v1/spaces/{space}`.
    ///
    /// # Errors
    /// `not_found` among the problems.
    pub async fn patch_space(&self, name: &str, patch: &PatchSpace) -> Result<Space, ClientError> {
        self.ask(&Call::new(Method::PATCH, path_of(name)).json(patch)?).await
    }

    /// `DELETE /v1/spaces/{space}`.
    ///
    /// # Errors
    /// `conflict` while anything lies in it.
    pub async fn forget_space(&self, name: &str) -> Result<(), ClientError> {
        self.remove(&Call::new(Method::DELETE, path_of(name))).await
    }

    /// A page of the materials that lie in a space.
    ///
    /// # Errors
    /// `forbidden` among the problems.
    pub async fn materials_in(&self, space: &str, query: &PageQuery) -> Result<Page<Material>, ClientError> {
        let call = Call::get("/v1/materials").query("space", Some(space));
        self.ask(&call.query("limit", query.limit).query("cursor", query.cursor.as_deref())).await
    }

    /// A page of `GET /v1/spaces/{space}/files`.
    ///
    /// # Errors
    /// `forbidden` among the problems.
    pub async fn files(&self, space: &str, query: &FilesQuery) -> Result<SpaceFiles, ClientError> {
        let FilesQuery { prefix, delimiter, limit, cursor } = query;
        let call = Call::get(format!("{}/files", path_of(space))).query("prefix", prefix.as_deref());
        let call = call.query("delimiter", delimiter.as_deref()).query("limit", *limit);
        self.ask(&call.query("cursor", cursor.as_deref())).await
    }

    /// The file that stands under a key.
    ///
    /// # Errors
    /// `forbidden` among the problems.
    pub async fn file_under(&self, space: &str, key: &str) -> Result<Option<SpaceFile>, ClientError> {
        // Of all keys that begin with it it is the first.
        let query = FilesQuery { prefix: Some(key.to_owned()), limit: Some(1), ..FilesQuery::default() };
        Ok(self.files(space, &query).await?.items.into_iter().find(|file| file.key == key))
    }
}

/// A space may have any name, also with slashes in it.
fn path_of(space: &str) -> String {
    let mut path = "/v1/spaces/".to_owned();
    for byte in space.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => path.push(char::from(byte)),
            other => {
                let _ = write!(path, "%{other:02X}");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spaces_name_is_one_part_of_its_path() {
        assert_eq!(path_of("lab-7_b~"), "/v1/spaces/lab-7_b~");
        assert_eq!(path_of("partners/bob"), "/v1/spaces/partners%2Fbob");
        assert_eq!(path_of(".. ä?"), "/v1/spaces/%2E%2E%20%C3%A4%3F");
    }
}
