//! A picture as three planes, red, green and blue: how it is averaged, cut and handed to the JPEG encoder.

/// An RGB picture, one plane a channel, rows from top to bottom.
#[derive(Clone)]
pub(super) struct Planes {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: [Vec<u8>; 3],
}

impl Planes {
    /// A black picture.
    pub(super) fn new(width: u32, height: u32) -> Self {
        let plane = || vec![0; width as usize * height as usize];
        Planes { width, height, channels: [plane(), plane(), plane()] }
    }

    /// A picture of one colour.
    pub(super) fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        Planes { width, height, channels: colour.map(|value| vec![value; width as usize * height as usize]) }
    }

    /// Sets the pixel at an index into the planes.
    pub(super) fn set(&mut self, index: usize, colour: [u8; 3]) {
        for (plane, value) in self.channels.iter_mut().zip(colour) {
            plane[index] = value;
        }
    }

    /// The pixel at (x, y).
    pub(super) fn get(&self, x: u32, y: u32) -> [u8; 3] {
        let index = y as usize * self.width as usize + x as usize;
        [self.channels[0][index], self.channels[1][index], self.channels[2][index]]
    }

    /// Fills the part of a rectangle that lies on the picture.
    pub(super) fn fill(&mut self, x: u32, y: u32, width: u32, height: u32, colour: [u8; 3]) {
        for row in y.min(self.height)..(y + height).min(self.height) {
            for column in x.min(self.width)..(x + width).min(self.width) {
                self.set(row as usize * self.width as usize + column as usize, colour);
            }
        }
    }

    /// Writes a picture a quarter as wide and high, each pixel the mean of 4×4, with its corner at (x, y) of `onto`.
    pub(super) fn quarter_onto(&self, onto: &mut Planes, x: u32, y: u32) {
        let (width, stride) = (self.width as usize / 4, self.width as usize);
        for (plane, target) in self.channels.iter().zip(&mut onto.channels) {
            for row in 0..self.height as usize / 4 {
                let start = (y as usize + row) * onto.width as usize + x as usize;
                let target = &mut target[start..start + width];
                let rows: [&[u8]; 4] = std::array::from_fn(|line| &plane[(row * 4 + line) * stride..][..stride]);
                for (column, pixel) in target.iter_mut().enumerate() {
                    let four = |row: &[u8]| row[column * 4..column * 4 + 4].iter().map(|&v| u32::from(v)).sum::<u32>();
                    *pixel = ((rows.iter().map(|row| four(row)).sum::<u32>() + 8) / 16) as u8;
                }
            }
        }
    }

    /// Copies the square of `side` pixels at (x, y).
    pub(super) fn cut(&self, x: u32, y: u32, side: u32) -> Planes {
        let mut part = Planes::new(side, side);
        for (plane, target) in self.channels.iter().zip(&mut part.channels) {
            for (row, line) in target.chunks_exact_mut(side as usize).enumerate() {
                let start = (y as usize + row) * self.width as usize + x as usize;
                line.copy_from_slice(&plane[start..start + side as usize]);
            }
        }
        part
    }

    /// Rows `from..to` as a picture of their own.
    pub(super) fn rows(&self, from: u32, to: u32) -> Planes {
        let range = from as usize * self.width as usize..to as usize * self.width as usize;
        let channels = std::array::from_fn(|channel| self.channels[channel][range.clone()].to_vec());
        Planes { width: self.width, height: to - from, channels }
    }
}

/// A small picture gathered from parts of a large one as they come: each of its pixels is the mean of all that fall on it.
pub(super) struct Gather {
    from: (u64, u64),
    width: u32,
    height: u32,
    sums: Vec<[u32; 4]>,
}

impl Gather {
    /// For a picture of `from` pixels; the small one fits into `limit` and is never larger than the original.
    pub(super) fn new(from: (u64, u64), limit: (u32, u32)) -> Self {
        let fitting = |width: u64, height: u64| -> (u64, u64) {
            if from.0 * height > from.1 * width {
                (width, from.1 * width / from.0)
            } else {
                (from.0 * height / from.1, height)
            }
        };
        let (width, height) = if from.0 <= u64::from(limit.0) && from.1 <= u64::from(limit.1) {
            from
        } else {
            fitting(u64::from(limit.0), u64::from(limit.1))
        };
        let (width, height) = (width.max(1) as u32, height.max(1) as u32);
        Gather { from, width, height, sums: vec![[0; 4]; width as usize * height as usize] }
    }

    /// Adds a part whose corner is at (x, y); what lies beyond the large picture is left out.
    pub(super) fn add(&mut self, part: &Planes, x: u64, y: u64) {
        let columns = u64::from(part.width).min(self.from.0.saturating_sub(x));
        let rows = u64::from(part.height).min(self.from.1.saturating_sub(y));
        let [red, green, blue] = &part.channels;
        for row in 0..rows {
            let line = (y + row) * u64::from(self.height) / self.from.1 * u64::from(self.width);
            for column in 0..columns {
                let sum = &mut self.sums[(line + (x + column) * u64::from(self.width) / self.from.0) as usize];
                let index = (row * u64::from(part.width) + column) as usize;
                sum[0] += u32::from(red[index]);
                sum[1] += u32::from(green[index]);
                sum[2] += u32::from(blue[index]);
                sum[3] += 1;
            }
        }
    }

    /// The small picture.
    pub(super) fn finish(self) -> Planes {
        let mut planes = Planes::new(self.width, self.height);
        for (index, [red, green, blue, count]) in self.sums.into_iter().enumerate() {
            let mean = |sum: u32| ((sum + count / 2) / count.max(1)) as u8;
            planes.set(index, [mean(red), mean(green), mean(blue)]);
        }
        planes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_the_mean() {
        let mut planes = Planes::filled(8, 4, [10, 20, 30]);
        planes.fill(4, 0, 2, 4, [20, 40, 60]);
        let mut onto = Planes::filled(4, 2, [1, 1, 1]);
        planes.quarter_onto(&mut onto, 2, 1);
        assert_eq!(onto.get(2, 1), [10, 20, 30]);
        assert_eq!(onto.get(3, 1), [15, 30, 45]);
        assert_eq!(onto.get(1, 1), [1, 1, 1]);
    }

    #[test]
    fn gathering_keeps_the_proportions_and_the_mean() {
        let mut gather = Gather::new((500, 250), (100, 100));
        gather.add(&Planes::filled(480, 480, [8, 8, 8]), 0, 0);
        gather.add(&Planes::filled(480, 480, [8, 8, 8]), 480, 0);
        let small = gather.finish();
        assert_eq!((small.width, small.height), (100, 50));
        assert!(small.channels.iter().flatten().all(|&value| value == 8));
        assert_eq!(Gather::new((30, 20), (100, 100)).finish().width, 30);
    }
}
