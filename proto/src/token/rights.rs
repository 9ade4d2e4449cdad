//! What each role may do: the one table. What depends on the books is the coordinators' to say.

use super::{Bearer, Role};
use crate::{Code, Problem};
use http::Method;

/// What a path is about, as far as rights go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place<'a> {
    /// What servers say to each other.
    Internal,
    /// `/v1/uploads`, `/v1/materials`: where uploads begin.
    Beginnings,
    /// `/v1/uploads/{id}`.
    Upload,
    /// One material's pixels, what is known of it, or its file.
    Material(&'a str),
    /// What lies in a space, and what is said of it.
    Space,
    /// All else.
    Other,
}

/// Whether this may be carried out for somebody without a token where the books say so: reading what a space may show to
/// everybody.
pub fn may_be_for_all(method: &Method, path: &str) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    reads && matches!(Place::of(path), Place::Material(_) | Place::Space)
}

/// The material that a request reads by its path.
pub fn material_read<'a>(method: &Method, path: &'a str) -> Option<&'a str> {
    match Place::of(path) {
        Place::Material(id) if matches!(*method, Method::GET | Method::HEAD) => Some(id),
        _ => None,
    }
}

/// Why a request is not its bearer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is what servers say to each other.
    #[error("only servers of the cluster may call this")]
    ServersOnly,
    /// The token is for another material.
    #[error("the token is for another material")]
    OtherMaterial,
    /// The token only reads a material.
    #[error("the token reads one material and does nothing else")]
    ReadsOnly,
    /// It is for those who administer the cluster.
    #[error("only administrators of the cluster may do this")]
    AdministratorsOnly,
    /// The token only uploads.
    #[error("the token sends files and does nothing else")]
    UploadsOnly,
}

/// A request that its bearer's role does not forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// It may be carried out.
    Whatever,
    /// It may where the books say so: users' and members' rights stand there. Only a coordinator can tell.
    ByBooks,
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::new(Code::Forbidden, denied.to_string())
    }
}

impl Bearer {
    /// Whether a request is within its bearer's rights. The path is as it stands in the request: what is escaped in it is
    /// no material's name.
    ///
    /// # Errors
    /// Why not.
    pub fn may(&self, method: &Method, path: &str) -> Result<Allowed, Denied> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match (self.role, Place::of(path)) {
            (Role::Server, _) => Ok(Allowed::Whatever),
            (_, Place::Internal) => Err(Denied::ServersOnly),
            (Role::Administrator, _) => Ok(Allowed::Whatever),
            // Whose an upload is the node that has it knows, as of uploaders'.
            (Role::User | Role::Member, Place::Upload) => Ok(Allowed::Whatever),
            (Role::User | Role::Member, _) => Ok(Allowed::ByBooks),
            (Role::Uploader, Place::Beginnings) if *method == Method::POST => Ok(Allowed::Whatever),
            // Whose it is the node that has it knows. POST may stand for the others.
            (Role::Uploader, Place::Upload)
                if matches!(*method, Method::HEAD | Method::PATCH | Method::DELETE | Method::POST) =>
            {
                Ok(Allowed::Whatever)
            }
            // To where it drops them off; whether it may there stands in the books.
            (Role::Uploader, Place::Space) if *method == Method::PUT => Ok(Allowed::ByBooks),
            (Role::Uploader, _) => Err(Denied::UploadsOnly),
            (Role::Viewer, Place::Material(_)) if !reads => Err(Denied::ReadsOnly),
            (Role::Viewer, Place::Material(id)) => match &self.material {
                Some(own) if own.as_str() == id => Ok(Allowed::Whatever),
                _ => Err(Denied::OtherMaterial),
            },
            (Role::Viewer, _) => Err(Denied::ReadsOnly),
        }
    }
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Self {
        let mut parts = path.strip_prefix('/').unwrap_or_default().split('/');
        let mut next = || parts.next().unwrap_or_default();
        match (next(), next()) {
            ("internal", _) => Self::Internal,
            ("tiles" | "regions", id) => Self::material(id),
            ("dzi", name) => Self::material(name.strip_suffix(".dzi").or(name.strip_suffix("_files")).unwrap_or("")),
            ("iiif", _) => Self::material(next()),
            ("v1", "uploads") => {
                if next().is_empty() {
                    Self::Beginnings
                } else {
                    Self::Upload
                }
            }
            ("v1", "materials") => match (next(), next()) {
                ("", _) => Self::Beginnings,
                (id, "" | "file" | "slide" | "icc" | "associated") => Self::material(id),
                _ => Self::Other,
            },
            ("v1", "spaces") if !next().is_empty() => Self::Space,
            _ => Self::Other,
        }
    }

    const fn material(id: &'a str) -> Self {
        if id.is_empty() { Self::Other } else { Self::Material(id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Validity;

    fn bearer(role: Role) -> Bearer {
        let material = (role == Role::Viewer).then(|| "m-1".parse().unwrap());
        let space = (role == Role::Uploader).then(|| "lab".to_owned());
        let validity = Validity { from_s: 0, until_s: u64::MAX };
        Bearer { name: String::new(), role, material, space, session: None, validity }
    }

    fn may(role: Role, request: &str) -> Result<(), Denied> {
        let (method, path) = request.split_once(' ').unwrap();
        let allowed = bearer(role).may(&method.parse().unwrap(), path)?;
        assert_eq!(allowed, Allowed::Whatever, "{request}");
        Ok(())
    }

    const PIXELS: [&str; 14] = [
        "GET /tiles/m-1/0/0_0.jpg",
        "HEAD /tiles/m-1/tiles.json",
        "GET /dzi/m-1.dzi",
        "GET /dzi/m-1_files/8/0_0.jpeg",
        "GET /iiif/3/m-1",
        "GET /iiif/2/m-1/info.json",
        "GET /iiif/3/m-1/full/max/0/default.jpg",
        "GET /regions/m-1",
        "GET /v1/materials/m-1",
        "GET /v1/materials/m-1/file",
        "HEAD /v1/materials/m-1/file",
        "GET /v1/materials/m-1/slide",
        "GET /v1/materials/m-1/icc",
        "GET /v1/materials/m-1/associated/label",
    ];

    #[test]
    fn a_viewer_reads_all_of_its_material_and_nothing_else() {
        for request in PIXELS {
            assert_eq!(may(Role::Viewer, request), Ok(()), "{request}");
            let other = request.replace("m-1", "m-12");
            assert_eq!(may(Role::Viewer, &other), Err(Denied::OtherMaterial), "{other}");
            let (_, path) = request.split_once(' ').unwrap();
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                assert_eq!(may(Role::Viewer, &format!("{method} {path}")), Err(Denied::ReadsOnly), "{method} {path}");
            }
        }
        for request in [
            "GET /v1/materials",
            "GET /v1/materials/",
            "POST /v1/materials/m-1/tokens",
            "GET /v1/materials/m-1/tokens",
            "HEAD /v1/uploads/m-1",
            "PATCH /v1/uploads/m-1",
            "GET /v1/cluster",
            "GET /v1/nodes",
            "GET /metrics",
            "GET /dzi/m-1",
            "GET /dzi/.dzi",
            "GET /tiles//m-1/0/0_0.jpg",
            "GET //tiles/m-1/0/0_0.jpg",
            "GET /tiles",
            "GET ",
        ] {
            assert!(may(Role::Viewer, request).is_err(), "{request}");
        }
        // What the router would unescape is not compared in that form.
        assert_eq!(may(Role::Viewer, "GET /tiles/m%2D1/0/0_0.jpg"), Err(Denied::OtherMaterial));
    }

    #[test]
    fn an_uploader_sends_and_reads_nothing_back() {
        for request in [
            "POST /v1/uploads",
            "POST /v1/materials",
            "PATCH /v1/uploads/m-1",
            "HEAD /v1/uploads/m-1",
            "POST /v1/uploads/m-1",
            "DELETE /v1/uploads/m-1",
        ] {
            assert_eq!(may(Role::Uploader, request), Ok(()), "{request}");
        }
        assert_eq!(may(Role::Uploader, "GET /v1/uploads/m-1"), Err(Denied::UploadsOnly));
        for request in PIXELS {
            assert_eq!(may(Role::Uploader, request), Err(Denied::UploadsOnly), "{request}");
        }
        for request in ["GET /v1/materials", "DELETE /v1/materials/m-1", "POST /v1/runs", "GET /v1/nodes/candidates"] {
            assert_eq!(may(Role::Uploader, request), Err(Denied::UploadsOnly), "{request}");
        }
    }

    #[test]
    fn an_uploader_drops_files_off_under_keys_and_asks_nothing_of_them() {
        let may = |request: &str| {
            let (method, path) = request.split_once(' ').unwrap();
            bearer(Role::Uploader).may(&method.parse().unwrap(), path)
        };
        assert_eq!(may("PUT /v1/spaces/lab/files/a/b.pdf"), Ok(Allowed::ByBooks));
        for request in [
            "GET /v1/spaces/lab/files/a/b.pdf",
            "HEAD /v1/spaces/lab/files/a/b.pdf",
            "DELETE /v1/spaces/lab/files/a/b.pdf",
            "GET /v1/spaces/lab/files",
            "GET /v1/spaces",
            "PUT /v1/spaces",
            "PATCH /v1/spaces/lab",
        ] {
            assert_eq!(may(request), Err(Denied::UploadsOnly), "{request}");
        }
    }

    #[test]
    fn only_what_a_space_may_show_to_everybody_is_read_without_a_token() {
        let may = |request: &str| {
            let (method, path) = request.split_once(' ').unwrap();
            may_be_for_all(&method.parse().unwrap(), path)
        };
        for request in PIXELS.into_iter().chain(["GET /v1/spaces/lab/files", "HEAD /v1/spaces/lab/files/a/b.pdf"]) {
            assert!(may(request), "{request}");
        }
        for request in [
            "GET /metrics",
            "GET /v1/materials",
            "GET /v1/spaces",
            "GET /v1/spaces/",
            "GET /v1/cluster",
            "HEAD /v1/uploads/m-1",
            "PUT /v1/spaces/lab/files/a",
            "DELETE /v1/materials/m-1",
            "GET /internal/v1/materials/m-1",
        ] {
            assert!(!may(request), "{request}");
        }
    }

    #[test]
    fn what_users_and_members_may_stands_in_the_books() {
        for role in [Role::User, Role::Member] {
            let may = |request: &str| {
                let (method, path) = request.split_once(' ').unwrap();
                bearer(role).may(&method.parse().unwrap(), path)
            };
            for request in
                PIXELS.into_iter().chain(["DELETE /v1/materials/m-1", "POST /v1/materials", "GET /v1/cluster"])
            {
                assert_eq!(may(request), Ok(Allowed::ByBooks), "{request}");
            }
            assert_eq!(may("PATCH /v1/uploads/m-1"), Ok(Allowed::Whatever));
            assert_eq!(may("GET /internal/v1/materials/m-1"), Err(Denied::ServersOnly));
        }
    }

    #[test]
    fn only_servers_call_what_servers_say_to_each_other() {
        let internal = "POST /internal/v1/uploads";
        assert_eq!(may(Role::Server, internal), Ok(()));
        for role in [Role::Administrator, Role::Uploader, Role::Viewer] {
            assert_eq!(may(role, internal), Err(Denied::ServersOnly), "{role:?}");
        }
        for request in ["DELETE /v1/materials/m-1", "POST /v1/materials/m-1/tokens", "GET /metrics"] {
            assert_eq!(may(Role::Administrator, request), Ok(()), "{request}");
            assert_eq!(may(Role::Server, request), Ok(()), "{request}");
        }
    }
}
