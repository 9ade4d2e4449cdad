//! Several images of one size shown as one: each has the light of one channel, in its colour, and lights add up on black,
//! as microscopes for fluorescence show them.

use super::{Raster, Tiles};
use crate::{
    Compression, ReadAt, Rgb, SlideError,
    error::Result,
    grid::{Grid, Part},
};

/// The channels with the colours of their light.
#[derive(Debug)]
struct Blended {
    channels: Vec<(Raster, [u8; 3])>,
}

impl Raster {
    /// The channels as one image. They must be of one size and cut alike.
    pub(crate) fn blended(channels: Vec<(Self, [u8; 3])>) -> Result<Self> {
        let grid = match channels.first() {
            Some((first, _)) if channels.iter().all(|(channel, _)| channel.grid == first.grid) => first.grid,
            _ => return Err(SlideError::Unsupported("channels of different sizes in one image".into())),
        };
        Ok(Self::new(grid, Blended { channels }))
    }
}

impl Tiles for Blended {
    fn compression(&self) -> Compression {
        self.channels.first().map_or(Compression::None, |(channel, _)| channel.compression())
    }

    fn pixels(&self, grid: &Grid, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Rgb>> {
        let mut tile = Rgb::white(grid.tile_width, grid.tile_height);
        let part = Part::whole(grid);
        Ok(self.draw(grid, source, (column, row), part, &mut tile, (0, 0))?.then_some(tile))
    }

    fn draw(
        &self,
        _grid: &Grid,
        source: &dyn ReadAt,
        tile: (u32, u32),
        part: Part,
        picture: &mut Rgb,
        at: (u32, u32),
    ) -> Result<bool> {
        let mut sum = Rgb { width: part.width, height: part.height, data: Vec::new() };
        sum.data.resize(part.width as usize * part.height as usize * 3, 0);
        let (mut light, mut any) = (sum.clone(), false);
        for (channel, color) in &self.channels {
            // What a channel lacks is dark.
            if channel.draw(source, tile, part, &mut light, (0, 0))? {
                any = true;
                add(&mut sum.data, &light.data, *color);
            }
        }
        if any {
            picture.paste(at, &sum, (0, 0), (part.width, part.height));
        }
        Ok(any)
    }
}

/// Adds light in a colour.
fn add(sum: &mut [u8], light: &[u8], color: [u8; 3]) {
    for (sum, light) in sum.chunks_exact_mut(3).zip(light.chunks_exact(3)) {
        for ((sum, light), color) in sum.iter_mut().zip(light).zip(color) {
            *sum = sum.saturating_add(((u32::from(*light) * u32::from(color) + 127) / 255) as u8);
        }
    }
}
