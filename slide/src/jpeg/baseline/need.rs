//! What a part of a picture needs of each component, and the rows of samples that become it.

use super::{
    Target, color,
    plan::{Color, Plan},
};
use crate::grid::Part;
use fearless_simd::Simd;
use std::ops::Range;

/// Samples before the first one of a row, and at least as many after the last: room for what stands for those beyond
/// the picture's edge.
const MARGIN: usize = 8;

/// How chroma is brought to luma's places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chroma {
    /// It is there.
    Same,
    /// It has half the columns, half the rows, or half of both, and is filled in.
    Fill { across: bool, down: bool },
    /// It has twice the rows.
    MeanDown,
    /// It has twice the columns.
    MeanAcross,
}

/// What is needed of a component. Its samples are those of the smaller picture.
#[derive(Debug, Clone)]
pub(super) struct Need {
    /// Halvings in its transform.
    pub(super) shrink: u32,
    /// Blocks across and down.
    pub(super) columns: Range<usize>,
    pub(super) rows: Range<usize>,
    /// Samples of the whole component across and down, as far as the picture goes.
    width: usize,
    height: usize,
}

impl Need {
    /// Samples of a block's side.
    pub(super) fn side(&self) -> usize {
        8 >> self.shrink
    }
}

/// What a part needs.
#[derive(Debug)]
pub(super) struct Needs {
    pub(super) components: Vec<Need>,
    color: Color,
    chroma: Chroma,
    /// Pixels of the smaller picture.
    columns: Range<usize>,
    rows: Range<usize>,
    height: usize,
    /// Rows of pixels that a row of MCUs has.
    mcu_height: usize,
}

impl Needs {
    /// What `part` needs, which lies in the picture of `plan`.
    pub(super) fn new(plan: &Plan, part: Part) -> Self {
        let shrunk = |pixels: usize| pixels.div_ceil(1 << part.shrink);
        let range = |start: u32, len: u32| start as usize..start as usize + len as usize;
        let (columns, rows) = (range(part.x, part.width), range(part.y, part.height));
        let (width, height) = (shrunk(plan.width), shrunk(plan.height));
        let blocks = plan.components.first().map_or((1, 1), |luma| luma.blocks);
        let need = |shrink: u32, columns: Range<usize>, rows: Range<usize>, width: usize, height: usize| {
            let side = 8usize >> shrink;
            let blocks = |samples: Range<usize>, of: usize| samples.start / side..samples.end.min(of).div_ceil(side);
            Need { shrink, columns: blocks(columns, width), rows: blocks(rows, height), width, height }
        };
        let around = |pixels: &Range<usize>| (pixels.start / 2).saturating_sub(1)..pixels.end.div_ceil(2) + 1;
        let twice = |pixels: &Range<usize>| pixels.start * 2..pixels.end * 2;
        let (across, down) = (blocks.0 == 2, blocks.1 == 2);
        let luma = need(part.shrink, columns.clone(), rows.clone(), width, height);
        let (chroma, other) = match (part.shrink, across, down) {
            (_, false, false) => (Chroma::Same, luma.clone()),
            (0, ..) => {
                let columns = if across { around(&columns) } else { columns.clone() };
                let rows = if down { around(&rows) } else { rows.clone() };
                let half = |pixels: usize, by: bool| if by { pixels.div_ceil(2) } else { pixels };
                let need = need(0, columns, rows, half(width, across), half(height, down));
                (Chroma::Fill { across, down }, need)
            }
            (shrink, true, true) => (Chroma::Same, need(shrink - 1, columns.clone(), rows.clone(), width, height)),
            (shrink, true, false) => {
                (Chroma::MeanDown, need(shrink - 1, columns.clone(), twice(&rows), width, height * 2))
            }
            (shrink, false, true) => {
                (Chroma::MeanAcross, need(shrink - 1, twice(&columns), rows.clone(), width * 2, height))
            }
        };
        let mcu_height = blocks.1 * luma.side();
        let mut components = vec![luma];
        components.resize(plan.components.len(), other);
        Self { components, color: plan.color, chroma, columns, rows, height, mcu_height }
    }

    /// Rows that are filled in need the one before them and the one after: what was decoded last is kept, and the last
    /// row of pixels waits.
    fn waits(&self) -> bool {
        matches!(self.chroma, Chroma::Fill { down: true, .. })
    }

    /// The rows of pixels that are ready when the row of MCUs `mcu_row` is decoded.
    fn ready(&self, mcu_row: usize, is_last: bool) -> Range<usize> {
        let late = usize::from(self.waits());
        let start = (mcu_row * self.mcu_height).saturating_sub(late);
        let end = if is_last { self.height } else { (mcu_row + 1) * self.mcu_height - late };
        start.max(self.rows.start)..end.min(self.rows.end)
    }
}

/// A component's samples of one row of MCUs.
#[derive(Default)]
struct Strip {
    samples: Vec<u8>,
    stride: usize,
    rows: usize,
}

/// The samples of one row of MCUs, and memory for making pixels of them.
#[derive(Default)]
pub(super) struct Strips {
    strips: [Strip; 3],
    sums: Vec<u16>,
    blue: Vec<u8>,
    red: Vec<u8>,
}

impl Strips {
    /// Makes room for what is needed.
    pub(super) fn prepare(&mut self, plan: &Plan, needs: &Needs) {
        for ((strip, need), component) in self.strips.iter_mut().zip(&needs.components).zip(&plan.components) {
            strip.stride = need.columns.len() * need.side() + 2 * MARGIN;
            strip.rows = component.blocks.1 * need.side();
            let len = strip.stride * (strip.rows + usize::from(needs.waits()));
            if strip.samples.len() < len {
                strip.samples.resize(len, 0);
            }
        }
    }

    /// Lets go of the samples of the last row of MCUs, but for what is still needed.
    pub(super) fn next(&mut self, needs: &Needs) {
        if needs.waits() {
            for strip in &mut self.strips[..needs.components.len()] {
                let last = strip.rows * strip.stride;
                strip.samples.copy_within(last..last + strip.stride, 0);
            }
        }
    }

    /// A component's samples, with the place of a block's first one, `column` and `row` being counted from the first
    /// that is needed and from the row of MCUs, and the distance of rows.
    #[inline(always)]
    pub(super) fn block(
        &mut self,
        needs: &Needs,
        index: usize,
        (column, row): (usize, usize),
    ) -> (&mut [u8], (usize, usize)) {
        let (strip, side) = (&mut self.strips[index], needs.components[index].side());
        let at = (row * side + usize::from(needs.waits())) * strip.stride + MARGIN + column * side;
        (&mut strip.samples, (at, strip.stride))
    }

    /// Makes pixels of what is ready when the row of MCUs `mcu_row` is decoded.
    #[inline(always)]
    pub(super) fn draw<S: Simd>(
        &mut self,
        simd: S,
        needs: &Needs,
        mcu_row: usize,
        is_last: bool,
        target: &mut Target<'_>,
    ) {
        self.extend(needs);
        let Self { strips, sums, blue, red } = self;
        let late = usize::from(needs.waits());
        let luma_top = mcu_row * needs.mcu_height;
        for y in needs.ready(mcu_row, is_last) {
            let pixels = target.row(y - needs.rows.start);
            let luma = strips[0].row(&needs.components[0], y + late - luma_top, needs.columns.clone());
            if needs.color == Color::Grey {
                color::rgb(simd, luma, luma, luma, pixels);
                target.finish(y - needs.rows.start);
                continue;
            }
            let need = &needs.components[1];
            let top = mcu_row * strips[1].rows;
            let (blue, red) = match needs.chroma {
                Chroma::Same => {
                    let [_, blue, red] = &*strips;
                    let row = y - luma_top;
                    (blue.row(need, row, needs.columns.clone()), red.row(need, row, needs.columns.clone()))
                }
                Chroma::MeanDown => {
                    for (strip, out) in strips[1..].iter().zip([&mut *blue, &mut *red]) {
                        out.resize(needs.columns.len(), 0);
                        let row = |row: usize| strip.row(need, row - top, needs.columns.clone());
                        color::mean(row(2 * y), row(2 * y + 1), out);
                    }
                    (&**blue, &**red)
                }
                Chroma::MeanAcross => {
                    for (strip, out) in strips[1..].iter().zip([&mut *blue, &mut *red]) {
                        out.resize(needs.columns.len(), 0);
                        let columns = needs.columns.start * 2..needs.columns.end * 2;
                        color::mean_of_pairs(strip.row(need, y - top, columns), out);
                    }
                    (&**blue, &**red)
                }
                Chroma::Fill { across, down } => {
                    let lower = y % 2 == 1;
                    let near = if down { y / 2 } else { y };
                    let far = if lower { (near + 1).min(need.height - 1) } else { near.saturating_sub(1) };
                    let columns = needs.columns.start / 2..needs.columns.end.div_ceil(2);
                    for (strip, out) in strips[1..].iter().zip([&mut *blue, &mut *red]) {
                        let index = |row: usize| row + late - top;
                        if !across {
                            out.resize(needs.columns.len(), 0);
                            let row = |row: usize| strip.row(need, index(row), needs.columns.clone());
                            color::between(row(near), row(far), lower, out);
                            continue;
                        }
                        out.resize(columns.len() * 2, 0);
                        let row = |row: usize| strip.row_and_margin(need, index(row), columns.clone());
                        color::wider(row(near), down.then(|| row(far)), sums, out);
                    }
                    let first = if across { needs.columns.start % 2 } else { 0 };
                    (&blue[first..], &red[first..])
                }
            };
            match needs.color {
                Color::Rgb => color::rgb(simd, luma, blue, red, pixels),
                _ => color::ycbcr(simd, luma, blue, red, pixels),
            }
            target.finish(y - needs.rows.start);
        }
    }

    /// Repeats chroma's outermost samples beyond the picture's edge, where it is to be filled in across.
    #[inline(always)]
    fn extend(&mut self, needs: &Needs) {
        if !matches!(needs.chroma, Chroma::Fill { across: true, .. }) {
            return;
        }
        for (strip, need) in self.strips.iter_mut().zip(&needs.components).skip(1) {
            let rows = strip.rows + usize::from(needs.waits());
            let first = need.columns.start * need.side();
            for row in strip.samples.chunks_exact_mut(strip.stride).take(rows) {
                if need.columns.start == 0 {
                    row[MARGIN - 1] = row[MARGIN];
                }
                if need.columns.end * need.side() >= need.width {
                    let end = MARGIN + need.width - first;
                    row[end] = row[end - 1];
                }
            }
        }
    }
}

impl Strip {
    /// Samples of a row, which is counted in the strip.
    #[inline(always)]
    fn row(&self, need: &Need, row: usize, columns: Range<usize>) -> &[u8] {
        let start = row * self.stride + MARGIN + columns.start - need.columns.start * need.side();
        &self.samples[start..start + columns.len()]
    }

    /// The same with one sample more at each end.
    #[inline(always)]
    fn row_and_margin(&self, need: &Need, row: usize, columns: Range<usize>) -> &[u8] {
        let start = row * self.stride + MARGIN + columns.start - need.columns.start * need.side();
        &self.samples[start - 1..start + columns.len() + 1]
    }
}
