//! `demo --check`: looks at the slide as a viewer does, kills the node that it looks at, and sees the tiles go on and
//! the copies come back.

use super::{super::copies, Shown, fleet::Fleet};
use crate::progress::Progress;
use anyhow::{Context as _, bail, ensure};
use microtome_client::{Cluster, Tile};
use microtome_proto::{
    MaterialId,
    material::{Material, Replica, ReplicaState},
    slide::SlideInfo,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Tiles looked at, spread over all levels.
const TILES_MAX: usize = 96;
/// After this a tile will not come. How long the slowest one took is told in the end: a crowded machine stalls for long.
const TILE_WITHIN: Duration = Duration::from_secs(60);
/// How long it waits for one replica.
const REPLICA_WITHIN: Duration = Duration::from_secs(2);
/// After this the copies will not come back, but for a slow disk's time for the bytes.
const HEAL_WITHIN: Duration = Duration::from_secs(180);
const HEAL_BYTES_PER_S_MIN: u64 = 10_000_000;

/// A tile's place.
type Place = (usize, u32, u32);

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    /// Tiles looked at before the kill.
    tiles: usize,
    /// Those of them that were the file's own bytes.
    native: usize,
    /// Who served the first tile and was killed.
    killed: String,
    /// Who went on.
    went_on: String,
    /// Time from the kill to the next tile.
    gap_ms: u64,
    /// Tiles fetched while the copies came back, each compared with what it was before.
    tiles_meanwhile: usize,
    /// Longest that any of them took.
    slowest_ms: u64,
    /// Time from the kill until the wanted number of copies lived again.
    healed_ms: u64,
    /// Who holds the copies now.
    holders: Vec<String>,
}

/// What OpenSeadragon does with several sources: stays with a replica until it fails, then takes the next one.
struct Viewer<'a> {
    cluster: &'a Cluster,
    id: &'a MaterialId,
    replicas: Vec<String>,
}

impl Viewer<'_> {
    async fn tile(&mut self, (level, column, row): Place) -> anyhow::Result<Tile> {
        let begin = Instant::now();
        // A dead node is left at once; that is what the other replicas are for.
        let hasty = self.cluster.with_deadline(REPLICA_WITHIN).with_refused_max(Duration::ZERO);
        loop {
            let mut failure = None;
            for turn in 0..self.replicas.len() {
                match hasty.tile(Some(&self.replicas[turn]), self.id, level, column, row).await {
                    Ok(tile) => {
                        self.replicas.rotate_left(turn);
                        return Ok(tile);
                    }
                    Err(error) => failure = Some(error),
                }
            }
            if begin.elapsed() > TILE_WITHIN {
                let place = format!("tile {level}/{column}_{row}");
                return Err(failure.map_or_else(|| anyhow::anyhow!("no replica lives"), Into::into)).context(place);
            }
            if let Ok(material) = hasty.material(self.id).await {
                self.replicas = living(&material).map(|replica| replica.url.clone()).collect();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Verified copies on nodes that answer.
pub(crate) fn living(material: &Material) -> impl Iterator<Item = &Replica> {
    material.replicas.iter().filter(|replica| replica.live && replica.state == ReplicaState::Verified)
}

/// Goes through all of it; an error tells what did not hold.
pub(crate) async fn run(cluster: &Cluster, fleet: &mut Fleet, shown: &Shown) -> anyhow::Result<Seen> {
    let (id, slide) = (&shown.material.id, &shown.slide);
    let places = places(slide);
    let first = *places.first().context("the slide has no tiles")?;
    let replicas = living(&shown.material).map(|replica| replica.url.clone()).collect();
    let mut viewer = Viewer { cluster, id, replicas };

    let mut before = BTreeMap::new();
    let mut native = 0;
    let served_first = viewer.tile(first).await?.server;
    for place in &places {
        let tile = viewer.tile(*place).await?;
        ensure!(tile.jpeg.starts_with(&[0xff, 0xd8]), "the tile {place:?} is no JPEG");
        native += usize::from(tile.native);
        before.insert(*place, tile.jpeg);
    }

    let killed = fleet.kill(&served_first).await?;
    let kill = Instant::now();
    let next = viewer.tile(first).await.with_context(|| format!("after {killed} was killed"))?;
    let gap_ms = millis(kill.elapsed());
    ensure!(next.server != served_first, "the killed node goes on answering");
    let heal_within = HEAL_WITHIN + Duration::from_secs(shown.material.size / HEAL_BYTES_PER_S_MIN);
    let (mut tiles_meanwhile, mut slowest) = (0, Duration::ZERO);
    let mut looked = Instant::now();
    let progress = Progress::of_fraction("healing");
    let healed = 'healed: loop {
        for place in &places {
            let begin = Instant::now();
            same(&before, *place, &viewer.tile(*place).await?)?;
            (tiles_meanwhile, slowest) = (tiles_meanwhile + 1, slowest.max(begin.elapsed()));
            if looked.elapsed() < Duration::from_millis(100) {
                continue;
            }
            looked = Instant::now();
            let material = cluster.material(id).await?;
            let elsewhere = living(&material).filter(|replica| replica.url != served_first).count();
            if elsewhere >= shown.material.population as usize {
                break 'healed material;
            }
            if kill.elapsed() > heal_within {
                bail!(
                    "{elsewhere} copies {} s after {killed} was killed, not {}",
                    kill.elapsed().as_secs(),
                    material.population
                );
            }
            fleet.check()?;
            copies::show(cluster, &material, &progress).await?;
        }
    };
    drop(progress);
    let healed_ms = millis(kill.elapsed());

    // Every copy, the new one too, answers what the killed one did.
    let holders: Vec<_> = living(&healed).filter(|replica| replica.url != served_first).collect();
    for replica in &holders {
        for place in &places {
            let tile = cluster.tile(Some(&replica.url), id, place.0, place.1, place.2).await?;
            ensure!(tile.server == replica.url, "{} sends on instead of answering", replica.url);
            same(&before, *place, &tile)?;
        }
    }
    Ok(Seen {
        tiles: places.len(),
        native,
        killed,
        went_on: fleet.name_of(&next.server).to_owned(),
        gap_ms,
        tiles_meanwhile,
        slowest_ms: millis(slowest),
        healed_ms,
        holders: holders.iter().map(|replica| fleet.name_of(&replica.url).to_owned()).collect(),
    })
}

fn same(before: &BTreeMap<Place, bytes::Bytes>, place: Place, tile: &Tile) -> anyhow::Result<()> {
    let (level, column, row) = place;
    ensure!(
        before.get(&place) == Some(&tile.jpeg),
        "the tile {level}/{column}_{row} from {} is not what it was before",
        tile.server
    );
    Ok(())
}

/// Tiles spread evenly over all levels, beginning with the first.
fn places(slide: &SlideInfo) -> Vec<Place> {
    let count = |level: &microtome_proto::slide::Level| u64::from(level.columns) * u64::from(level.rows);
    let total: u64 = slide.levels.iter().map(count).sum();
    let step = total.div_ceil(TILES_MAX as u64).max(1);
    let mut places = Vec::new();
    let mut start = 0_u64;
    for (number, level) in slide.levels.iter().enumerate() {
        let in_level = count(level);
        let first = start.next_multiple_of(step) - start;
        for index in (first..in_level).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let (column, row) = (index % u64::from(level.columns), index / u64::from(level.columns));
            places.push((number, u32::try_from(column).unwrap_or(0), u32::try_from(row).unwrap_or(0)));
        }
        start += in_level;
    }
    places
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Seen {
    /// For people.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let seconds = |millis: u64| format!("{:.1} s", millis as f64 / 1000.0);
        vec![
            ("tiles", format!("{}, {} of them the file's own bytes", self.tiles, self.native)),
            ("killed", format!("{}, which had served the first tile (SIGKILL)", self.killed)),
            ("went on", format!("{} after {} ms", self.went_on, self.gap_ms)),
            (
                "meanwhile",
                format!("{} tiles, all as before, the slowest in {} ms", self.tiles_meanwhile, self.slowest_ms),
            ),
            ("healed", format!("after {}: {} hold it", seconds(self.healed_ms), self.holders.join(" and "))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use microtome_proto::slide::Level;

    fn slide(grids: &[(u32, u32)]) -> SlideInfo {
        let level = |&(columns, rows): &(u32, u32)| Level {
            width: 1,
            height: 1,
            downsample: 1.0,
            tile_width: 256,
            tile_height: 256,
            columns,
            rows,
            compression: "jpeg".to_owned(),
            native: true,
        };
        SlideInfo {
            id: "m-1".parse().unwrap(),
            name: String::new(),
            vendor: String::new(),
            width: 1,
            height: 1,
            mpp_x: None,
            mpp_y: None,
            objective_power: None,
            levels: grids.iter().map(level).collect(),
            associated: Vec::new(),
            tiles: String::new(),
            deep_zoom: String::new(),
            iiif: String::new(),
            icc: None,
            properties: BTreeMap::new(),
        }
    }

    #[test]
    fn tiles_are_spread_over_the_slide_and_lie_within_it() {
        let places = places(&slide(&[(200, 100), (50, 25), (3, 2)]));
        assert!(places.len() <= TILES_MAX && places.len() > TILES_MAX / 2);
        assert_eq!(places[0], (0, 0, 0));
        assert!(places.iter().any(|place| place.0 == 1));
        assert!(places.iter().all(|&(level, column, row)| {
            let (columns, rows) = [(200, 100), (50, 25), (3, 2)][level];
            column < columns && row < rows
        }));
        assert_eq!(super::places(&slide(&[(2, 1), (1, 1)])), [(0, 0, 0), (0, 1, 0), (1, 0, 0)]);
        assert!(super::places(&slide(&[])).is_empty());
    }
}
