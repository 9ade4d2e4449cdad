//! Tiles of an image whose samples lie in separate planes (PlanarConfiguration 2): as many tiles make one as the pixel
//! has samples of a meaning.

use super::Stored;
use crate::{Compression, ReadAt, SlideError, codec::Layout, error::Result, grid::Grid, jpeg};

impl Stored {
    /// The pixels of a tile from all planes that matter; nothing where one of them has no such tile.
    pub(super) fn joined(
        &self,
        (layout, tables): (&Layout, Option<&jpeg::Tables>),
        grid: &Grid,
        source: &dyn ReadAt,
        (column, row): (u32, u32),
    ) -> Result<Option<Vec<u8>>> {
        let (width, rows) = (grid.tile_width as usize, self.height_of(grid, row) as usize);
        let mut planes = Vec::new();
        for plane in 0..self.form.planes() {
            let Some(extent) = self.extent_in(grid, source, (column, row), plane)? else { return Ok(None) };
            let read = |tile: &mut [u8]| Ok(source.read_exact_at(tile, extent.offset)?);
            planes.push(match layout.compression {
                Compression::Jpeg => {
                    let mut jpeg = Vec::new();
                    let frame = jpeg::assemble(tables, jpeg::Tagged::Grey, extent.len, read, &mut jpeg)?;
                    if (usize::from(frame.width), frame.components) != (width, 1)
                        || !self.heights(grid, row).contains(&frame.height.into())
                    {
                        return Err(SlideError::Damaged("a plane's JPEG has another size or colours".into()));
                    }
                    let grey = jpeg::decode(&jpeg, &frame)?;
                    grey.into_iter().step_by(3).take(width * rows).collect()
                }
                _ => {
                    let mut packed = vec![0; extent.len];
                    read(&mut packed)?;
                    layout.plane(packed, width, rows)?
                }
            });
        }
        Ok(Some(layout.samples.joined(&planes)))
    }
}
