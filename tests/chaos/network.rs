//! Servers with addresses of their own, whose links can be cut: network namespaces on a bridge.

use crate::harness::Place;
use std::{
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

const PORT: u16 = 7400;

/// So many hosts, each with one server.
pub struct Network {
    name: String,
    subnet: u8,
    hosts: usize,
}

/// A break in the network.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// Nothing comes to this host or leaves it.
    Host(usize),
    /// What the first sends to the second is lost; the other way it goes.
    OneWay(usize, usize),
    /// The host's link carries some 2 Mbit/s.
    Slow(usize),
    /// One in five packets from and to the host is lost.
    Lossy(usize),
}

/// For `tc`, in the machine code of packet filters: a number by chance, of 32 bits; lost where it is below a fifth of them all.
const LOSE: &str = "4,32 0 0 4294963256,53 0 1 858993459,6 0 0 4294967295,6 0 0 2";

fn done(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn ip(words: &[&str]) -> bool {
    done("ip", words)
}

impl Network {
    /// Nothing where this user or this machine may not have one.
    pub fn new(hosts: usize) -> Option<Self> {
        static SUBNET: AtomicU8 = AtomicU8::new(0);
        let subnet = process::id() as u8 ^ SUBNET.fetch_add(1, Ordering::Relaxed);
        let network = Self { name: format!("mt{}x{subnet}", process::id() % 10_000), subnet, hosts };
        if network.build() {
            return Some(network);
        }
        eprintln!("left out: network namespaces need root and iproute2");
        None
    }

    fn build(&self) -> bool {
        let bridge = &self.name;
        let made = ip(&["link", "add", bridge, "type", "bridge"])
            && ip(&["addr", "add", &format!("{}/24", self.address(254)), "dev", bridge])
            && ip(&["link", "set", bridge, "up"]);
        made && (0..self.hosts).all(|host| {
            let (space, outer) = (self.space(host), self.outer(host));
            let inside = |words: &[&str]| ip(&[&["-n", &space], words].concat());
            ip(&["netns", "add", &space])
                && ip(&["link", "add", &outer, "type", "veth", "peer", "name", "eth0", "netns", &space])
                && ip(&["link", "set", &outer, "master", bridge, "up"])
                && inside(&["addr", "add", &format!("{}/24", self.address(host)), "dev", "eth0"])
                && inside(&["link", "set", "eth0", "up"])
                && inside(&["link", "set", "lo", "up"])
        })
    }

    /// Where servers can be started, one on each host.
    pub fn places(&self) -> Vec<Place> {
        let place = |host| Place {
            address: format!("{}:{PORT}", self.address(host)),
            prefix: ["ip", "netns", "exec", &self.space(host)].map(str::to_owned).to_vec(),
            ..Place::default()
        };
        (0..self.hosts).map(place).collect()
    }

    /// Whether it is cut: not every kernel can make links slow or lossy.
    pub fn cut(&self, cut: Cut) -> bool {
        let is_cut = self.change(cut, true);
        assert!(is_cut || matches!(cut, Cut::Slow(_) | Cut::Lossy(_)), "{cut:?}");
        if !is_cut {
            eprintln!("left out, since this kernel or its tc cannot: {cut:?}");
        }
        is_cut
    }

    pub fn mend(&self, cut: Cut) {
        assert!(self.change(cut, false), "{cut:?}");
    }

    fn change(&self, cut: Cut, broken: bool) -> bool {
        match cut {
            Cut::Host(host) => ip(&["link", "set", &self.outer(host), if broken { "down" } else { "up" }]),
            Cut::OneWay(from, to) => {
                let route = format!("{}/32", self.address(to));
                ip(&["-n", &self.space(from), "route", if broken { "add" } else { "del" }, "blackhole", &route])
            }
            Cut::Slow(host) => {
                let outer = self.outer(host);
                let limit = ["root", "tbf", "rate", "2mbit", "burst", "32kbit", "latency", "400ms"];
                let words = match broken {
                    true => [&["qdisc", "add", "dev", outer.as_str()][..], &limit].concat(),
                    false => vec!["qdisc", "del", "dev", outer.as_str(), "root"],
                };
                done("tc", &words)
            }
            Cut::Lossy(host) => {
                let outer = self.outer(host);
                let queue = |act| done("tc", &["qdisc", act, "dev", &outer, "clsact"]);
                let lose = |way| {
                    let words = ["filter", "add", "dev", &outer, way, "bpf", "direct-action", "bytecode", LOSE];
                    done("tc", &words)
                };
                match broken {
                    true => queue("add") && lose("ingress") && lose("egress"),
                    false => queue("del"),
                }
            }
        }
    }

    fn address(&self, host: usize) -> String {
        format!("10.77.{}.{}", self.subnet, if host == 254 { 254 } else { host + 1 })
    }

    fn space(&self, host: usize) -> String {
        format!("{}h{host}", self.name)
    }

    fn outer(&self, host: usize) -> String {
        format!("{}v{host}", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in 0..self.hosts {
            ip(&["netns", "del", &self.space(host)]);
        }
        ip(&["link", "del", &self.name]);
    }
}
