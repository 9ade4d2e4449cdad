//! What pixels cost: CPU time of one tile, decoded, drawn and encoded in the ways that a server does it.
//!
//! ```sh
//! cargo run --release -p microtome-slide --example pixels -- [slide.svs] [--rounds 20] [--tiles 100]
//! ```
//! Without a slide one is drawn. The ways take turns, and of all rounds the least and the median are told.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use microtome_slide::{FileSource, Rgb, Slide, deep_zoom::DeepZoom, encode, synthetic};
use rustix::time::{ClockId, clock_gettime};
use std::{hint::black_box, path::PathBuf, sync::Arc, time::Duration};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

const QUALITY: u8 = 85;

type Failure = Box<dyn std::error::Error>;
/// A name, and what makes one picture of the tile of this number.
type Way<'a> = (&'static str, Box<dyn Fn(usize) -> Result<usize, Failure> + 'a>);

fn main() -> Result<(), Failure> {
    let (mut path, mut rounds, mut tiles) = (None, 20, 100);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).ok_or("a number is missing");
        match argument.as_str() {
            "--rounds" => rounds = number()?,
            "--tiles" => tiles = number()?,
            _ => path = Some(PathBuf::from(argument)),
        }
    }
    let folder = tempfile::tempdir()?;
    let path = match path {
        Some(path) => path,
        None => {
            let path = folder.path().join("drawn.svs");
            synthetic::write(&path, &synthetic::Options { width: 8000, height: 6000, seed: 1 }, &mut |_| {})?;
            path
        }
    };
    let source = Arc::new(FileSource::open(path)?);
    let slide = Slide::open(source.clone())?;
    measure(&slide, &Places::choose(&slide, &source, tiles)?, rounds)
}

fn measure(slide: &Slide, places: &Places, rounds: usize) -> Result<(), Failure> {
    let level = &slide.levels()[0];
    println!(
        "{} × {} pixels in tiles of {} × {}, {:.1} kB each; µs a picture",
        level.width,
        level.height,
        level.tile_width,
        level.tile_height,
        places.natives.iter().map(Vec::len).sum::<usize>() as f64 / places.natives.len() as f64 / 1000.0
    );
    let (own, other) = (DeepZoom::new(slide, None, 0), DeepZoom::new(slide, Some(254), 1));
    let pick = |tiles: &[(u32, u32)], index: usize| tiles[index % tiles.len()];
    let native = |index: usize| &places.natives[index % places.natives.len()];
    let drawn = |zoom: &DeepZoom, level: usize, (column, row)| zoom.tile(slide, level, column, row);
    let jpeg = |picture: &Rgb| Ok(encode::jpeg(picture, QUALITY)?.len());
    let (top, between, other_top) = (own.levels() - 1, own.levels() - 2, other.levels() - 1);
    let encoded: Vec<Rgb> =
        places.others.iter().take(20).map(|&place| drawn(&other, other_top, place)).collect::<Result<_, _>>()?;
    let ways: Vec<Way<'_>> = vec![
        ("a tile", Box::new(|index| Ok(drawn(&own, top, pick(&places.owns, index))?.data.len()))),
        ("a tile, by zune-jpeg", Box::new(|index| zune(native(index)))),
        ("between levels, drawn", Box::new(|i| Ok(drawn(&own, between, pick(&places.betweens, i))?.data.len()))),
        ("between levels, as JPEG", Box::new(|i| jpeg(&drawn(&own, between, pick(&places.betweens, i))?))),
        ("2 levels up, as JPEG", Box::new(|i| jpeg(&drawn(&other, other_top - 2, pick(&places.above, i))?))),
        ("254 + 1, drawn", Box::new(|i| Ok(drawn(&other, other_top, pick(&places.others, i))?.data.len()))),
        ("254 + 1, as JPEG", Box::new(|i| jpeg(&drawn(&other, other_top, pick(&places.others, i))?))),
        (
            "1024 × 1024, drawn",
            Box::new(|index| {
                let (x, y) = pick(&places.corners, index);
                Ok(slide.region(x.into(), y.into(), 0, 1024, 1024)?.data.len())
            }),
        ),
        ("256 × 256 to JPEG", Box::new(|index| jpeg(&encoded[index % encoded.len()]))),
        ("256 × 256, by jpeg-encoder", Box::new(|index| other_jpeg(&encoded[index % encoded.len()]))),
    ];
    let mut times = vec![Vec::new(); ways.len()];
    for round in 0..rounds {
        for ((_, way), times) in ways.iter().zip(&mut times) {
            let start = cpu_time();
            for index in 0..places.natives.len() {
                black_box(way(round * 7919 + index)?);
            }
            times.push((cpu_time() - start) / places.natives.len() as u32);
        }
    }
    println!("{:>8} {:>8}", "least", "median");
    for ((name, _), times) in ways.iter().zip(&mut times) {
        times.sort();
        let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
        println!("{:8.1} {:8.1}  {name}", micros(times[0]), micros(times[times.len() / 2]));
    }
    Ok(())
}

/// Which tiles of each kind are taken, in no order.
struct Places {
    natives: Vec<Vec<u8>>,
    owns: Vec<(u32, u32)>,
    betweens: Vec<(u32, u32)>,
    others: Vec<(u32, u32)>,
    above: Vec<(u32, u32)>,
    corners: Vec<(u32, u32)>,
}

impl Places {
    /// Takes places around `count` tiles with tissue on them: those whose JPEGs are the longer half.
    fn choose(slide: &Slide, source: &FileSource, count: usize) -> Result<Self, Failure> {
        let level = &slide.levels()[0];
        let (side, width, height) = (level.tile_width, level.width as u32, level.height as u32);
        let (columns, rows) = (width / side, height / side);
        let mut tiles = Vec::new();
        for index in 0..u64::from(columns) * u64::from(rows) {
            // A walk that visits every tile but no neighbours.
            let index = index * 7_368_787 % (u64::from(columns) * u64::from(rows));
            let (column, row) = ((index % u64::from(columns)) as u32, (index / u64::from(columns)) as u32);
            let mut jpeg = Vec::new();
            if slide.native_tile(source, 0, column, row, &mut jpeg)? {
                tiles.push(((column, row), jpeg));
            }
            if tiles.len() == 4 * count {
                break;
            }
        }
        let mut lens: Vec<usize> = tiles.iter().map(|(_, jpeg)| jpeg.len()).collect();
        lens.sort_unstable();
        let median = lens.get(lens.len() / 2).copied().ok_or("the slide has no JPEG tiles")?;
        tiles.retain(|(_, jpeg)| jpeg.len() >= median);
        tiles.truncate(count);
        let owns: Vec<(u32, u32)> = tiles.iter().map(|(place, _)| *place).collect();
        let scaled = |by: u32, of: (u32, u32)| {
            let place = move |&(column, row): &(u32, u32)| {
                ((column * side / by).min(of.0 - 1), (row * side / by).min(of.1 - 1))
            };
            owns.iter().map(place).collect::<Vec<_>>()
        };
        Ok(Self {
            natives: tiles.into_iter().map(|(_, jpeg)| jpeg).collect(),
            betweens: scaled(2 * side, (width / 2 / side, height / 2 / side)),
            others: scaled(254, (width / 254, height / 254)),
            above: scaled(4 * 254, (width / 4 / 254, height / 4 / 254)),
            corners: scaled(1, (width.saturating_sub(1024) + 1, height.saturating_sub(1024) + 1)),
            owns,
        })
    }
}

fn zune(jpeg: &[u8]) -> Result<usize, Failure> {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    Ok(decoder.decode().map_err(|error| format!("{error:?}"))?.len())
}

fn other_jpeg(picture: &Rgb) -> Result<usize, Failure> {
    let mut out = Vec::with_capacity(picture.data.len() / 8);
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, QUALITY);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    encoder.encode(&picture.data, picture.width as u16, picture.height as u16, jpeg_encoder::ColorType::Rgb)?;
    Ok(out.len())
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
