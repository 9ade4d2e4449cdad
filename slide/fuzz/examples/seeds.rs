//! Fills the corpus from a folder of real files: `seeds FOLDER CORPUS`. Small files go to `open` as they are; the tiles
//! of those that are classic little-endian TIFFs go to the target of their codec.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use microtome_slide_fuzz::Head;
use std::{collections::HashMap, env, error::Error, fs, io, path::Path};

/// Longest seed: the fuzzer changes small inputs sooner to something new.
const LEN_MAX: usize = 24 << 10;
/// Tiles taken of an image.
const TILES_MAX: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [from, corpus] = paths.as_slice() else {
        eprintln!("usage: seeds FOLDER CORPUS");
        std::process::exit(2);
    };
    let (from, corpus) = (Path::new(from), Path::new(corpus));
    let mut count = made(corpus)?;
    for folder in [from.to_owned(), from.join("fuzz")].iter().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !path.is_file() {
                continue;
            }
            let bytes = fs::read(&path)?;
            if bytes.len() <= LEN_MAX {
                count += put(corpus, "open", &name, &bytes)?;
            }
            for (index, (target, seed)) in tiles(&bytes).unwrap_or_default().into_iter().enumerate() {
                count += put(corpus, target, &format!("{name}-{index}"), &seed)?;
            }
        }
    }
    eprintln!("{count} seeds in {}", corpus.display());
    Ok(())
}

/// Seeds that need no folder.
fn made(corpus: &Path) -> Result<usize, Box<dyn Error>> {
    let mut count = 0;
    let pixels: Vec<u8> = (0..48 * 40 * 3u32).map(|index| (index * index >> 6) as u8).collect();
    let samplings = [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_2_2, SamplingFactor::F_1_2];
    for (index, sampling) in samplings.into_iter().enumerate() {
        for (form, progressive, restart) in [("plain", false, 0), ("restart", false, 2), ("progressive", true, 0)] {
            let mut jpeg = Vec::new();
            let mut encoder = Encoder::new(&mut jpeg, 75);
            encoder.set_sampling_factor(sampling);
            encoder.set_progressive(progressive);
            if restart > 0 {
                encoder.set_restart_interval(restart);
            }
            encoder.encode(&pixels, 48, 40, ColorType::Rgb)?;
            let head = Head { width: 48, height: 40, samples: 3, form: 6 << 4, tables: 0 };
            count += put(corpus, "jpeg", &format!("made-{index}-{form}"), &[&head.bytes()[..], &jpeg].concat())?;
        }
    }
    let head = Head { width: 16, height: 12, samples: 3, form: 2 << 4, tables: 0 };
    let raw = [&head.bytes()[..], &pixels[..16 * 12 * 3]].concat();
    count += put(corpus, "plain", "made", &raw)?;
    // Runs of bytes as they are and one of a byte that repeats.
    let runs: Vec<u8> = pixels[..256].chunks(64).flat_map(|run| [&[63][..], run, &[0xc0, 9]].concat()).collect();
    count += put(corpus, "packbits", "made", &[&head.bytes()[..], &runs, &runs].concat())?;
    let addresses = [
        "full/max/0/default.jpg",
        "square/^max/90/gray.png",
        "0,0,30,20/15,/!180/color.jpg",
        "1,2,299,198/,10/270/bitonal.png",
        "pct:10,10.5,50,0.7/pct:12.5/0/default.jpg",
        "full/!100,100/!0/default.png",
        "full/^!9,9/0/default.jpg",
        "10,10,10,10/5,7/90/default.jpg",
    ];
    for (index, address) in addresses.iter().enumerate() {
        for version in ["3", "2"] {
            // The character's lowest bit is the version's.
            let kind = if version == "3" { "0" } else { "1" };
            count += put(corpus, "iiif", &format!("made-{index}-{version}"), format!("{kind}{address}").as_bytes())?;
        }
    }
    Ok(count)
}

fn put(corpus: &Path, target: &str, name: &str, bytes: &[u8]) -> io::Result<usize> {
    fs::create_dir_all(corpus.join(target))?;
    fs::write(corpus.join(target).join(name), bytes)?;
    Ok(1)
}

/// The first tiles of each image, as their codecs' targets take them.
fn tiles(file: &[u8]) -> Option<Vec<(&'static str, Vec<u8>)>> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
    if !file.starts_with(b"II*\0") {
        return None;
    }
    let (mut seeds, mut at) = (Vec::new(), u32_at(4)? as usize);
    for _ in 0..8 {
        let count = usize::from(u16_at(at)?);
        let mut fields = HashMap::new();
        for field in (0..count).map(|index| at + 2 + index * 12) {
            let len = match u16_at(field + 2)? {
                3 => 2,
                1 | 2 | 7 => 1,
                _ => 4,
            };
            let values = u32_at(field + 4)? as usize;
            let place = if values * len <= 4 { field + 8 } else { u32_at(field + 8)? as usize };
            fields.insert(u16_at(field)?, (place, values, len));
        }
        let number = |tag: u16, index: usize| {
            let &(place, values, len) = fields.get(&tag).filter(|field| index < field.1)?;
            debug_assert!(index < values);
            match len {
                2 => u16_at(place + index * 2).map(u32::from),
                4 => u32_at(place + index * 4),
                _ => None,
            }
        };
        let target = match number(259, 0)? {
            1 => Some("plain"),
            5 => Some("lzw"),
            7 => Some("jpeg"),
            8 | 32946 => Some("deflate"),
            32773 => Some("packbits"),
            33003..=33005 => Some("jpeg2000"),
            50000 => Some("zstd"),
            50001 => Some("webp"),
            _ => None,
        };
        let predictor = match target {
            Some("jpeg2000") => number(259, 0)? - 33003,
            _ => number(317, 0).unwrap_or(1) - 1,
        };
        let (offsets, lens) = if fields.contains_key(&324) { (324, 325) } else { (273, 279) };
        let tables = fields.get(&347).and_then(|&(place, len, _)| file.get(place..place + len)).unwrap_or_default();
        for index in 0..TILES_MAX {
            let (Some(offset), Some(len), Some(target)) = (number(offsets, index), number(lens, index), target) else {
                break;
            };
            let data = file.get(offset as usize..offset as usize + len as usize)?;
            let wide = u32::from(number(258, 0) == Some(16));
            let head = Head {
                width: number(322, 0).or(number(256, 0))? as u16,
                height: number(323, 0).or(number(278, 0))? as u16,
                samples: number(277, 0).unwrap_or(1) as u8,
                form: (wide | predictor << 1 | number(262, 0).unwrap_or(1) << 4) as u8,
                tables: tables.len() as u16,
            };
            let seed = [&head.bytes()[..], tables, data].concat();
            if seed.len() <= LEN_MAX {
                seeds.push((target, seed));
            }
        }
        at = match u32_at(at + 2 + count * 12)? {
            0 => break,
            next => next as usize,
        };
    }
    Some(seeds)
}
