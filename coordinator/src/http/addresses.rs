//! Servers' addresses in answers: whoever came encrypted is led on encrypted, so that a page that came over TLS loads
//! nothing that did not.

use microtome_proto::{
    cluster::{Cluster, Coordinator},
    material::Material,
    node::{Candidate, Node},
    page::Page,
};
use microtome_server::Scheme;

/// What tells addresses of servers.
pub(super) trait Addresses {
    /// All of them.
    fn addresses(&mut self) -> Vec<&mut String>;
}

/// An answer for an asker that came so.
pub(super) fn shown<T: Addresses>(scheme: Scheme, mut told: T) -> axum::Json<T> {
    if scheme == Scheme::Https {
        for address in told.addresses() {
            *address = scheme.address(address).into_owned();
        }
    }
    axum::Json(told)
}

impl Addresses for Material {
    fn addresses(&mut self) -> Vec<&mut String> {
        self.replicas.iter_mut().map(|replica| &mut replica.url).chain(&mut self.upload_url).collect()
    }
}

impl Addresses for Node {
    fn addresses(&mut self) -> Vec<&mut String> {
        vec![&mut self.url]
    }
}

impl Addresses for Candidate {
    fn addresses(&mut self) -> Vec<&mut String> {
        vec![&mut self.url]
    }
}

impl Addresses for Coordinator {
    fn addresses(&mut self) -> Vec<&mut String> {
        vec![&mut self.url]
    }
}

impl Addresses for Cluster {
    fn addresses(&mut self) -> Vec<&mut String> {
        self.coordinators.addresses()
    }
}

impl<T: Addresses> Addresses for Vec<T> {
    fn addresses(&mut self) -> Vec<&mut String> {
        self.iter_mut().flat_map(T::addresses).collect()
    }
}

impl<T: Addresses> Addresses for Page<T> {
    fn addresses(&mut self) -> Vec<&mut String> {
        self.items.addresses()
    }
}
