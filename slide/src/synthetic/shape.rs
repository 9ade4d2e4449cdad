//! Outlines of cells and glands: ellipses that wobble a little.
//!
//! Owns what lies inside an outline, whether two of them keep apart, and points along one. Lengths are level-0 pixels.

use super::noise::{Dice, unit_vector};

/// An ellipse with a gentle wobble of two and three waves around.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) x: f64,
    pub(super) y: f64,
    /// Unit vector of the first half axis.
    pub(super) axis: (f64, f64),
    /// Half axes.
    pub(super) long: f64,
    pub(super) short: f64,
    wobble: [f64; 4],
}

/// A point of an outline with the outward normal there.
#[derive(Clone, Copy)]
pub(super) struct RingPoint {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) normal: (f64, f64),
}

impl Shape {
    /// An ellipse whose radius strays by up to `wobble` (a share of it).
    pub(super) fn new(x: f64, y: f64, axis: (f64, f64), long: f64, short: f64, wobble: f64, dice: &mut Dice) -> Self {
        let mut part = || dice.between(-wobble, wobble) * 0.25;
        Shape { x, y, axis, long, short, wobble: [part(), part(), part(), part()] }
    }

    fn bulge(&self) -> f64 {
        1.0 + self.wobble.iter().map(|part| part.abs()).sum::<f64>()
    }

    /// Radius, relative to the ellipse's, in the direction of a unit vector of the ellipse's own frame.
    fn radius(&self, u: f64, v: f64) -> f64 {
        let (cos2, sin2) = (u * u - v * v, 2.0 * u * v);
        let (cos3, sin3) = (u * cos2 - v * sin2, u * sin2 + v * cos2);
        let [a, b, c, d] = self.wobble;
        1.0 + a * cos2 + b * sin2 + c * cos3 + d * sin3
    }

    /// 0 in the middle, 1 on the outline, more outside.
    pub(super) fn level(&self, x: f64, y: f64) -> f64 {
        let (dx, dy) = (x - self.x, y - self.y);
        let u = (dx * self.axis.0 + dy * self.axis.1) / self.long;
        let v = (dy * self.axis.0 - dx * self.axis.1) / self.short;
        let length = (u * u + v * v).sqrt();
        if length < 1e-6 { 0.0 } else { length / self.radius(u / length, v / length) }
    }

    /// A radius of a circle around the centre that holds the whole shape.
    pub(super) fn reach(&self) -> f64 {
        self.long.max(self.short) * self.bulge()
    }

    /// How far the shape extends at most in the direction of a unit vector.
    fn extent(&self, dx: f64, dy: f64) -> f64 {
        let u = self.long * (dx * self.axis.0 + dy * self.axis.1);
        let v = self.short * (dy * self.axis.0 - dx * self.axis.1);
        (u * u + v * v).sqrt() * self.bulge()
    }

    /// Whether a line across the way between the centres separates the two by at least `gap`: sufficient, and symmetric
    /// to the last bit, so that every window decides alike.
    pub(super) fn keeps_apart(&self, other: &Shape, gap: f64) -> bool {
        let (dx, dy) = (other.x - self.x, other.y - self.y);
        let distance = (dx * dx + dy * dy).sqrt();
        if distance >= self.reach() + other.reach() + gap {
            return true;
        }
        if distance < 1e-6 {
            return false;
        }
        let (dx, dy) = (dx / distance, dy / distance);
        distance >= self.extent(dx, dy) + other.extent(dx, dy) + gap
    }

    /// Points on the outline moved inwards by `inset`, about `spacing` apart, the first one anywhere.
    pub(super) fn ring(&self, inset: f64, spacing: f64, dice: &mut Dice) -> Vec<RingPoint> {
        type Pair = (f64, f64);
        const STEPS: usize = 256;
        const TURN: Pair = (0.999_698_818_696_204, 0.024_541_228_522_912_3);
        let (long, short) = (self.long - inset, self.short - inset);
        if long < 2.0 || short < 2.0 {
            return Vec::new();
        }
        // Length of the way so far, place and normal in the ellipse's own frame.
        let mut walk: Vec<(f64, Pair, Pair)> = Vec::with_capacity(STEPS + 1);
        let (mut u, mut v) = (1.0, 0.0);
        let mut length = 0.0;
        for _ in 0..=STEPS {
            let radius = self.radius(u, v);
            let place = (long * radius * u, short * radius * v);
            if let Some((_, last, _)) = walk.last() {
                let (dx, dy) = (place.0 - last.0, place.1 - last.1);
                length += (dx * dx + dy * dy).sqrt();
            }
            walk.push((length, place, unit_vector(u / long, v / short)));
            (u, v) = (u * TURN.0 - v * TURN.1, u * TURN.1 + v * TURN.0);
        }
        let count = (length / spacing).floor();
        let phase = dice.unit();
        let mut ring = Vec::with_capacity(count as usize);
        let turn = |(u, v): (f64, f64)| (u * self.axis.0 - v * self.axis.1, u * self.axis.1 + v * self.axis.0);
        let mut step = 0;
        for index in 0..count as usize {
            let target = (index as f64 + phase) * length / count;
            while step < STEPS && walk[step].0 < target {
                step += 1;
            }
            let (_, place, normal) = walk[step];
            let (dx, dy) = turn(place);
            ring.push(RingPoint { x: self.x + dx, y: self.y + dy, normal: turn(normal) });
        }
        ring
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_said_to_keep_apart_share_no_point() {
        let mut dice = Dice::new(3);
        let mut checked = 0;
        while checked < 300 {
            let mut draw = |range: f64| {
                let (x, y) = (dice.between(0.0, range), dice.between(0.0, range));
                let axis = dice.direction();
                Shape::new(x, y, axis, dice.between(4.0, 14.0), dice.between(3.0, 6.0), 0.2, &mut dice)
            };
            let (one, other) = (draw(30.0), draw(30.0));
            assert_eq!(one.keeps_apart(&other, 2.0), other.keeps_apart(&one, 2.0));
            if !one.keeps_apart(&other, 2.0) {
                continue;
            }
            checked += 1;
            for step in 0..4900 {
                let (x, y) = (f64::from(step % 70) - 20.0, f64::from(step / 70) - 20.0);
                assert!(one.level(x, y) > 1.0 || other.level(x, y) > 1.0);
            }
        }
    }

    #[test]
    fn a_ring_lies_inside_and_is_evenly_spaced() {
        let mut dice = Dice::new(8);
        let shape = Shape::new(100.0, 100.0, (0.8, 0.6), 90.0, 50.0, 0.1, &mut dice);
        let ring = shape.ring(12.0, 15.0, &mut dice);
        assert!(ring.len() > 15);
        for (index, point) in ring.iter().enumerate() {
            assert!(shape.level(point.x, point.y) < 1.0);
            assert!(shape.level(point.x + 14.0 * point.normal.0, point.y + 14.0 * point.normal.1) > 1.0);
            let next = ring[(index + 1) % ring.len()];
            let distance = ((next.x - point.x).powi(2) + (next.y - point.y).powi(2)).sqrt();
            assert!((11.0..19.0).contains(&distance), "{distance}");
        }
    }
}
