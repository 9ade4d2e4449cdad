//! The one form in which pixels leave this crate.

use std::cell::Cell;

/// Most bytes of a picture whose memory a thread keeps for the next one.
const SPARE_LEN_MAX: usize = 4 << 20;

thread_local! {
    /// The memory of a picture that this thread was done with.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// 8-bit RGB pixels, rows top to bottom, no padding: `3 * width * height` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Red, green, blue of each pixel.
    pub data: Vec<u8>,
}

impl Rgb {
    /// An image all white, the colour of glass without tissue.
    pub fn white(width: u32, height: u32) -> Self {
        Self { width, height, data: vec![255; width as usize * height as usize * 3] }
    }

    /// The same in the memory of a picture that this thread was [done](Self::done) with, where there is one as large.
    pub(crate) fn white_again(width: u32, height: u32) -> Self {
        let spare = SPARE.take();
        if spare.capacity() < width as usize * height as usize * 3 {
            SPARE.set(spare);
            return Self::white(width, height);
        }
        let mut image = Self { width: 0, height: 0, data: spare };
        image.reset(width, height);
        image
    }

    /// Leaves the memory to the next picture that this thread draws, if it has at most 4 MiB. The system takes large
    /// memory back when it is freed and has to clear it, page by page, before it gives it out again: that takes about as
    /// long as to draw a picture in it.
    pub fn done(self) {
        let spare = SPARE.take();
        let is_better = (spare.capacity()..=SPARE_LEN_MAX).contains(&self.data.capacity());
        SPARE.set(if is_better { self.data } else { spare });
    }

    /// Makes this an image of another size, all white, in the memory that it has.
    pub(crate) fn reset(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        self.data.clear();
        self.data.resize(width as usize * height as usize * 3, 255);
    }

    /// Copies the rectangle of `from` at `from_at` of the given size to `at`; all are pairs of across and down. What lies
    /// outside of either image is left out.
    pub fn paste(&mut self, at: (u32, u32), from: &Self, from_at: (u32, u32), size: (u32, u32)) {
        let width = size.0.min(self.width.saturating_sub(at.0)).min(from.width.saturating_sub(from_at.0));
        let height = size.1.min(self.height.saturating_sub(at.1)).min(from.height.saturating_sub(from_at.1));
        let len = width as usize * 3;
        if len == 0 {
            return;
        }
        let rows = from.data.chunks_exact(from.width as usize * 3).skip(from_at.1 as usize).take(height as usize);
        let into_rows = self.data.chunks_exact_mut(self.width as usize * 3).skip(at.1 as usize);
        let (start, from_start) = (at.0 as usize * 3, from_at.0 as usize * 3);
        for (row, into) in rows.zip(into_rows) {
            into[start..start + len].copy_from_slice(&row[from_start..from_start + len]);
        }
    }

    /// The rectangle at `x`, `y`, cut off where this image ends.
    pub fn crop(&self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let width = width.min(self.width.saturating_sub(x));
        let height = height.min(self.height.saturating_sub(y));
        let mut cut = Self::white(width, height);
        cut.paste((0, 0), self, (x, y), (width, height));
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: u32, height: u32) -> Rgb {
        Rgb { width, height, data: (0..width * height * 3).map(|i| i as u8).collect() }
    }

    #[test]
    fn a_crop_holds_the_pixels_of_its_place_and_ends_at_the_edge() {
        let image = ramp(5, 4);
        let cut = image.crop(3, 2, 10, 10);
        assert_eq!((cut.width, cut.height), (2, 2));
        assert_eq!(cut.data[..6], image.data[(2 * 5 + 3) * 3..(2 * 5 + 5) * 3]);
        assert_eq!(cut.data[6..], image.data[(3 * 5 + 3) * 3..]);
        assert!(image.crop(5, 0, 3, 3).data.is_empty());
    }

    #[test]
    fn a_picture_in_the_memory_of_another_has_nothing_of_it() {
        Rgb { width: 40, height: 40, data: vec![7; 4800] }.done();
        assert_eq!(Rgb::white_again(41, 40), Rgb::white(41, 40), "larger than what is there");
        let again = Rgb::white_again(30, 40);
        assert_eq!(again, Rgb::white(30, 40));
        assert!(again.data.capacity() >= 4800, "it was the other's memory");
        Rgb::white(2048, 2048).done();
        assert!(Rgb::white_again(1, 1).data.capacity() < 100, "too much is not kept");
    }

    #[test]
    fn pasting_beyond_the_edge_leaves_out_what_does_not_fit() {
        let mut image = Rgb::white(4, 4);
        image.paste((3, 3), &ramp(2, 2), (0, 0), (2, 2));
        assert_eq!(image.data[45..], [0, 1, 2]);
        assert!(image.data[..45].iter().all(|&b| b == 255));
        image.paste((9, 0), &ramp(2, 2), (0, 0), (2, 2));
        image.paste((0, 0), &ramp(2, 2), (2, 0), (2, 2));
        assert!(image.data[..45].iter().all(|&b| b == 255));
    }
}
