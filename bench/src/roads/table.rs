//! The roads that are measured: what is asked for, on which slide, of whom.

use super::ask::{Asks, Form};
use crate::servers::Kind;
use crate::slides::Which;

/// One road from the file to the asker.
#[derive(Clone, Debug)]
pub(crate) struct Road {
    /// For `--only`.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) slide: Which,
    pub(crate) asks: Asks,
    /// Ours is the first; others that are not there are left out.
    pub(crate) servers: &'static [Kind],
    /// Nobody keeps what was answered, so the list may go round between measurements (never within one).
    pub(crate) goes_round: bool,
    /// Whether it is asked for a few things over and over, too.
    pub(crate) hot: bool,
}

const SIDE: u32 = 1024;

/// All of them, for an Aperio slide with so many levels.
pub(crate) fn roads(levels: usize) -> Vec<Road> {
    use Kind::{CutFiles, Iipsrv, Microtome, OpenSlide, Range};
    let road = |name: &str, title: &str, slide, asks, servers| Road {
        name: name.to_owned(),
        title: title.to_owned(),
        slide,
        asks,
        servers,
        goes_round: false,
        hot: true,
    };
    let own = |below| Asks::DeepZoom { tile_size: None, overlap: 0, below };
    let mut roads = vec![
        Road {
            goes_round: true,
            ..road(
                "native",
                "native tile of level 0",
                Which::Aperio,
                Asks::Native,
                &[Microtome, Range, CutFiles, OpenSlide],
            )
        },
        road(
            "between",
            "Deep Zoom tile of the level between: four native tiles make one",
            Which::Aperio,
            own(1),
            &[Microtome, OpenSlide],
        ),
        road(
            "openslide-grid",
            "Deep Zoom tile of full resolution in openslide's own grid (254, overlap 1)",
            Which::Aperio,
            Asks::DeepZoom { tile_size: Some(254), overlap: 1, below: 0 },
            &[Microtome, OpenSlide],
        ),
        road(
            "recoded",
            "256-pixel tile decoded and encoded again",
            Which::Pyramid,
            Asks::Recoded,
            &[Microtome, Iipsrv, OpenSlide],
        ),
        road(
            "iiif",
            "IIIF region 1000×1000 scaled to 500×500",
            Which::Pyramid,
            Asks::Iiif { side: 1000, to: 500 },
            &[Microtome, Iipsrv, OpenSlide],
        ),
        road(
            "iiif-aperio",
            "IIIF region 1000×1000 scaled to 500×500, from levels far apart",
            Which::Aperio,
            Asks::Iiif { side: 1000, to: 500 },
            &[Microtome, OpenSlide],
        ),
        road("jp2k", "JPEG 2000 tile as JPEG", Which::Jpeg2000, Asks::Native, &[Microtome, OpenSlide]),
    ];
    for form in [Form::Png, Form::Raw] {
        roads.extend((0..levels).map(|level| {
            let (name, suffix) = (format!("region-{}-{level}", form.suffix()), form.suffix());
            let title = format!("region of {SIDE}×{SIDE} of level {level} as {suffix}");
            let asks = Asks::Region { level, side: SIDE, form };
            // No server here keeps regions.
            Road { hot: false, ..road(&name, &title, Which::Aperio, asks, &[Microtome, OpenSlide]) }
        }));
    }
    roads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_road_has_its_own_name_and_begins_with_ours() {
        let roads = roads(3);
        let mut names: Vec<_> = roads.iter().map(|road| road.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), roads.len());
        assert!(roads.iter().all(|road| road.servers.first() == Some(&Kind::Microtome)));
    }
}
