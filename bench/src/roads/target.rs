//! A server on a road: the road's requests as it wants them, tried out before they are measured.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::ask::Ask;
use super::table::Road;
use super::{HOT, Measurement, Mode};
use crate::answer::picture_size;
use crate::load;
use crate::report::note;
use crate::servers::Server;

/// Answers that are looked at before a road is measured.
const TRIED: usize = 4;

/// A server, and the requests of a road as it wants them.
pub(super) struct Target {
    pub(super) server: Arc<dyn Server>,
    pub(super) hot: Arc<Vec<Vec<u8>>>,
    pub(super) cold: Arc<Vec<Vec<u8>>>,
}

/// What is asked for, and how long.
pub(super) struct Load<'a> {
    pub(super) requests: &'a Arc<Vec<Vec<u8>>>,
    pub(super) numbers: Range<usize>,
    pub(super) duration: Duration,
}

impl Target {
    pub(super) async fn measure(&self, at: (Mode, u16, u32), load: Load<'_>) -> anyhow::Result<Measurement> {
        let Load { requests, numbers, duration } = load;
        let server = self.server.as_ref();
        let (address, requests, before) = (server.address(), Arc::clone(requests), server.usage()?);
        let run = move || load::run(address, &requests, numbers, at.1.into(), duration);
        let seen = tokio::task::spawn_blocking(run).await?;
        let seen = seen.with_context(|| format!("while asking {}", server.name()))?;
        Ok(Measurement::new(server, at, seen, before, server.usage()?))
    }
}

/// Those that take the road and answer with pictures of the sizes that ours have.
pub(super) async fn targets(road: &Road, asks: &[Ask], servers: &[Arc<dyn Server>]) -> anyhow::Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    let mut sizes = Vec::new();
    for server in road.servers.iter().flat_map(|kind| servers.iter().filter(move |server| server.kind() == *kind)) {
        let requests: Option<Vec<Vec<u8>>> =
            asks.iter().map(|ask| Some(server.wanted(road.slide, ask)?.request(server.address()))).collect();
        let tried = match requests {
            Some(mut requests) => {
                let cold = Arc::new(requests.split_off(HOT));
                let target = Target { server: Arc::clone(server), hot: Arc::new(requests), cold };
                try_out(&target).await.map(|seen| (target, seen))
            }
            None => Err(anyhow::anyhow!("it does not have that")),
        };
        match tried {
            Ok((target, seen)) if targets.is_empty() || seen == sizes => {
                sizes = seen;
                targets.push(target);
            }
            Ok((_, seen)) => {
                let name = server.name();
                note(&format!("{}: {name} is left out: it answers with {seen:?}, ours {sizes:?}", road.name));
            }
            // Without ours there is nothing to compare with.
            Err(error) if targets.is_empty() => return Err(error.context("ours does not answer")),
            Err(error) => note(&format!("{}: {} is left out: {error:#}", road.name, server.name())),
        }
    }
    Ok(targets)
}

/// Asks for the hot ones once, and answers with the sizes of the first pictures; bytes where it is none.
async fn try_out(target: &Target) -> anyhow::Result<Vec<(u32, u32)>> {
    let (address, hot) = (target.server.address(), Arc::clone(&target.hot));
    let tried = tokio::task::spawn_blocking(move || {
        let sizes: std::io::Result<Vec<_>> = hot
            .iter()
            .take(TRIED)
            .map(|request| {
                let body = load::once(address, request)?;
                Ok(picture_size(&body).unwrap_or((body.len() as u32, 1)))
            })
            .collect();
        load::run(address, &hot, 0..hot.len(), 4, Duration::from_secs(60))?;
        sizes
    });
    Ok(tried.await??)
}
