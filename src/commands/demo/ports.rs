//! Ports on loopback for the demonstration's servers.

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

const COORDINATORS: [u16; 3] = [7400, 7401, 7402];
const NODES: [u16; 3] = [7500, 7501, 7502];

/// The servers' ports. A folder that is used again keeps them: the coordinators know each other by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    version: u32,
    pub(crate) coordinators: [u16; 3],
    pub(crate) nodes: [u16; 3],
}

impl Ports {
    /// Those that the folder was used with, the usual ones where they are free, or any.
    pub(crate) fn choose(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("ports.json");
        if file.exists() {
            let read = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let ports: Self = serde_json::from_slice(&read)
                .with_context(|| format!("{} is not understood; take another folder", file.display()))?;
            if let Some(taken) = ports.all().find(|port| !is_free(*port)) {
                bail!(
                    "the port {taken}, which the demonstration in {} uses, is taken: stop the program that has it, or \
                     take another folder",
                    folder.display()
                );
            }
            return Ok(ports);
        }
        let ports = Self { version: 1, coordinators: free(COORDINATORS)?, nodes: free(NODES)? };
        fs::write(&file, serde_json::to_vec(&ports)?).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(ports)
    }

    fn all(&self) -> impl Iterator<Item = u16> {
        self.coordinators.into_iter().chain(self.nodes)
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The usual ports if all of them are free, else as many that the system chooses.
fn free(usual: [u16; 3]) -> anyhow::Result<[u16; 3]> {
    if usual.iter().all(|port| is_free(*port)) {
        return Ok(usual);
    }
    // All are held until all are known, so that they differ.
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on this machine");
    let held = [bind()?, bind()?, bind()?];
    let mut ports = usual;
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_gone_round_and_a_folder_keeps_its_ports() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let ports = free([port, port, port]).unwrap();
        assert!(!ports.contains(&port) && ports[0] != ports[1] && ports[1] != ports[2]);

        let folder = tempfile::tempdir().unwrap();
        let first = Ports::choose(folder.path()).unwrap();
        assert_eq!(Ports::choose(folder.path()).unwrap(), first);
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, first.nodes[1])).unwrap();
        assert!(Ports::choose(folder.path()).unwrap_err().to_string().contains(&first.nodes[1].to_string()));
    }
}
