//! From stain to colour: how light passes through eosin and haematoxylin (Beer–Lambert).
//!
//! Owns the two stains' absorbances and the glass's white. Knows nothing of what is stained.

/// Amount of stain that lets 1/e of the light of its strongest channel through, before the stain's own vector.
pub(super) const UNIT: f32 = 256.0;

const LEVELS: usize = 1024;
/// Absorbance per unit in red, green and blue. Haematoxylin is that of Ruifrok and Johnston (2001), by which analyses take
/// the stains apart; eosin is a little warmer than theirs, as scanners show it.
const HAEMATOXYLIN: [f64; 3] = [0.650, 0.704, 0.286];
const EOSIN: [f64; 3] = [0.090, 0.930, 0.400];
/// Light through bare glass.
const GLASS: [f64; 3] = [243.0, 242.0, 243.0];

/// Tables of the light that passes each amount of each stain.
pub(super) struct Light {
    eosin: Vec<[u32; 3]>,
    haematoxylin: Vec<[u32; 3]>,
}

impl Light {
    pub(super) fn new() -> Self {
        let table = |absorbance: [f64; 3], full: [f64; 3]| {
            (0..LEVELS)
                .map(|level| {
                    let amount = level as f64 / f64::from(UNIT);
                    let through = |channel: usize| (decay(amount * absorbance[channel]) * full[channel]) as u32;
                    [through(0), through(1), through(2)]
                })
                .collect()
        };
        Light { eosin: table(EOSIN, GLASS.map(|white| white * 256.0)), haematoxylin: table(HAEMATOXYLIN, [65536.0; 3]) }
    }

    /// The colour behind both stains; `grain` is the camera's noise in 1/256 of a grey level.
    pub(super) fn colour(&self, eosin: i16, haematoxylin: i16, grain: i32) -> [u8; 3] {
        let level = |amount: i16| usize::from(amount.clamp(0, LEVELS as i16 - 1) as u16);
        let (eosin, haematoxylin) = (&self.eosin[level(eosin)], &self.haematoxylin[level(haematoxylin)]);
        let channel = |index: usize| {
            let light = ((eosin[index] * (haematoxylin[index] >> 1)) >> 15) as i32;
            ((light + grain) >> 8).clamp(0, 255) as u8
        };
        [channel(0), channel(1), channel(2)]
    }
}

/// e^−x by a short series and squaring: `exp` of the system's library may differ from machine to machine.
fn decay(x: f64) -> f64 {
    let small = x / 1024.0;
    let mut value = 1.0 - small + small * small / 2.0 - small * small * small / 6.0;
    for _ in 0..10 {
        value *= value;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_is_the_exponential() {
        for x in [0.0, 0.1, 1.0, 3.9] {
            assert!((decay(x) - f64::exp(-x)).abs() < 1e-9);
        }
    }

    #[test]
    fn glass_is_nearly_white_eosin_pink_and_haematoxylin_purple() {
        let light = Light::new();
        assert!(light.colour(0, 0, 0).iter().all(|&channel| channel > 238));
        let [red, green, blue] = light.colour(110, 10, 0);
        assert!(red > 215 && blue > green + 20 && red > blue, "{red} {green} {blue}");
        let [red, green, blue] = light.colour(60, 320, 0);
        assert!(blue > red + 30 && red > green, "{red} {green} {blue}");
        assert_eq!(light.colour(-5, i16::MIN, 0), light.colour(0, 0, 0));
    }
}
