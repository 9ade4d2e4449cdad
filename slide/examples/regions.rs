//! The reader as another program's pixels: `regions FILE` answers questions, one a line, until its input ends.
//!
//! ```text
//! info                                        what the slide is, as JSON
//! region X Y LEVEL WIDTH HEIGHT               as Slide::region, raw RGB
//! image NAME                                  an associated image, raw RGB
//! zoom TILE OVERLAP                           the Deep Zoom form's levels as JSON; TILE 0 is the slide's own size
//! zoom TILE OVERLAP LEVEL COLUMN ROW          a tile of it, raw RGB
//! ```
//!
//! Each answer is a line, `ok WIDTH HEIGHT LENGTH` with that many bytes behind it, or `error REASON`.

use microtome_slide::{FileSource, Rgb, Slide, SlideError, deep_zoom::DeepZoom};
use serde_json::{Value, json};
use std::{
    error::Error,
    io::{self, BufRead as _, Write as _},
    str::FromStr,
    sync::Arc,
};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: regions FILE")?;
    let slide = FileSource::open(&path).map_err(SlideError::from).and_then(|source| Slide::open(Arc::new(source)));
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let answer = match &slide {
            Ok(slide) => answer(slide, &line?).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match answer {
            Ok((width, height, bytes)) => {
                writeln!(out, "ok {width} {height} {}", bytes.len())?;
                out.write_all(&bytes)?;
            }
            Err(error) => writeln!(out, "error {}", error.replace('\n', " "))?,
        }
        out.flush()?;
    }
    Ok(())
}

/// Width, height and bytes; text has no sides.
type Answer = (u32, u32, Vec<u8>);

fn answer(slide: &Slide, line: &str) -> Result<Answer, Box<dyn Error>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["info"] => text(&info(slide)),
        ["region", x, y, level, width, height] => {
            pixels(slide.region(x.parse()?, y.parse()?, level.parse()?, width.parse()?, height.parse()?)?)
        }
        ["image", name] => pixels(slide.associated_image(name)?),
        ["zoom", side, overlap] => text(&levels(&zoom(slide, side, overlap)?)?),
        ["zoom", side, overlap, level, column, row] => {
            pixels(zoom(slide, side, overlap)?.tile(slide, level.parse()?, column.parse()?, row.parse()?)?)
        }
        _ => return Err(format!("what is '{line}'?").into()),
    })
}

fn pixels(picture: Rgb) -> Answer {
    (picture.width, picture.height, picture.data)
}

fn text(value: &Value) -> Answer {
    (0, 0, value.to_string().into_bytes())
}

fn info(slide: &Slide) -> Value {
    let level = |level: &microtome_slide::Level| {
        json!({
            "size": [level.width, level.height], "tile": [level.tile_width, level.tile_height],
            "downsample": level.downsample, "compression": level.compression.to_string(),
        })
    };
    json!({
        "vendor": slide.vendor(),
        "levels": slide.levels().iter().map(level).collect::<Vec<_>>(),
        "mpp": slide.mpp(),
        "objective_power": slide.objective_power(),
        "associated": slide.associated().iter().map(|image| (image.name.clone(), json!([image.width, image.height])))
            .collect::<serde_json::Map<_, _>>(),
        "properties": slide.properties(),
    })
}

fn zoom(slide: &Slide, side: &str, overlap: &str) -> Result<DeepZoom, <u32 as FromStr>::Err> {
    let side: u32 = side.parse()?;
    Ok(DeepZoom::new(slide, (side > 0).then_some(side), overlap.parse()?))
}

fn levels(zoom: &DeepZoom) -> Result<Value, SlideError> {
    let level = |level| Ok(json!({ "size": zoom.dimensions(level)?, "tiles": zoom.grid(level)? }));
    let levels: Result<Vec<Value>, SlideError> = (0..zoom.levels()).map(level).collect();
    Ok(json!({ "tile_size": zoom.tile_size(), "levels": levels? }))
}
