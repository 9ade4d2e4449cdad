//! Scattering shapes so that none touch, decided locally: the same wherever one starts to draw.
//!
//! Every cell of an endless grid throws one candidate with a rank. In each round a candidate is kept when it outranks all
//! undecided ones that it conflicts with, and those then give way. A fixed number of rounds bounds how far away anything
//! can matter ([`margin`]), so windows that overlap agree where they overlap.

use super::shape::Shape;

const ROUNDS: usize = 3;

/// How far around a window candidates must be known for the window itself to come out right, where no two candidates
/// conflict that are further apart than `conflict`.
pub(super) fn margin(conflict: f64) -> f64 {
    conflict * (2 * ROUNDS - 1) as f64
}

/// Something thrown into a cell of the grid.
pub(super) struct Candidate<T> {
    pub(super) column: i64,
    pub(super) row: i64,
    pub(super) rank: u64,
    pub(super) shape: Shape,
    pub(super) what: T,
}

/// The columns and rows of cells with side `cell` that touch the square of `size` pixels from (x, y), grown by `margin`.
pub(super) fn cells(x: i64, y: i64, size: u32, margin: f64, cell: f64) -> impl Iterator<Item = (i64, i64)> {
    let first = move |from: i64| ((from as f64 - margin) / cell).floor() as i64;
    let last = move |from: i64| ((from as f64 + f64::from(size) + margin) / cell).floor() as i64;
    (first(y)..=last(y)).flat_map(move |row| (first(x)..=last(x)).map(move |column| (column, row)))
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Kept,
    Gone,
}

/// Keeps candidates of which any two are at least `gap` apart. They come row by row, as [`cells`] gives them.
pub(super) fn thin<T>(candidates: Vec<Candidate<T>>, cell: f64, gap: f64) -> Vec<Candidate<T>> {
    let conflicts = conflicts(&candidates, cell, gap);
    let mut states = vec![State::Open; candidates.len()];
    for _ in 0..ROUNDS {
        let mut first = vec![true; candidates.len()];
        for &(one, other) in &conflicts {
            if states[one] == State::Open && states[other] == State::Open {
                let key = |index: usize| (candidates[index].rank, candidates[index].column, candidates[index].row);
                first[if key(one) < key(other) { one } else { other }] = false;
            }
        }
        for (state, first) in states.iter_mut().zip(first) {
            if first && *state == State::Open {
                *state = State::Kept;
            }
        }
        for &(one, other) in &conflicts {
            for (one, other) in [(one, other), (other, one)] {
                if states[one] == State::Kept && states[other] == State::Open {
                    states[other] = State::Gone;
                }
            }
        }
    }
    candidates.into_iter().zip(states).filter(|(_, state)| *state == State::Kept).map(|(kept, _)| kept).collect()
}

/// Pairs of indexes that cannot both stay.
fn conflicts<T>(candidates: &[Candidate<T>], cell: f64, gap: f64) -> Vec<(usize, usize)> {
    let widest = candidates.iter().map(|candidate| candidate.shape.reach()).fold(0.0, f64::max);
    let cells_apart = ((2.0 * widest + gap) / cell).ceil() as i64 + 1;
    let mut pairs = Vec::new();
    let mut row_starts: std::collections::BTreeMap<i64, std::ops::Range<usize>> = std::collections::BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        row_starts.entry(candidate.row).or_insert(index..index).end = index + 1;
    }
    for (index, candidate) in candidates.iter().enumerate() {
        for range in row_starts.range(candidate.row..=candidate.row + cells_apart).map(|(_, range)| range.clone()) {
            let row = &candidates[range.clone()];
            let from = row.partition_point(|other| other.column < candidate.column - cells_apart);
            for (offset, other) in row[from..].iter().enumerate() {
                if other.column > candidate.column + cells_apart {
                    break;
                }
                let other_index = range.start + from + offset;
                if other_index > index && !candidate.shape.keeps_apart(&other.shape, gap) {
                    pairs.push((index, other_index));
                }
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::super::noise::{Dice, hash};
    use super::*;

    fn window(x: i64, y: i64, size: u32) -> Vec<Candidate<()>> {
        let cell = 10.0;
        let candidates = cells(x, y, size, margin(36.0) + 15.0, cell)
            .map(|(column, row)| {
                let mut dice = Dice::new(hash(4, column, row));
                let (x, y) = ((column as f64 + dice.unit()) * cell, (row as f64 + dice.unit()) * cell);
                let axis = dice.direction();
                let shape = Shape::new(x, y, axis, dice.between(4.0, 15.0), 4.0, 0.1, &mut dice);
                Candidate { column, row, rank: dice.bits(), shape, what: () }
            })
            .collect();
        thin(candidates, cell, 3.0)
    }

    #[test]
    fn windows_agree_where_they_overlap() {
        let inside = |kept: &[Candidate<()>]| {
            let here = |c: &&Candidate<()>| (480.0..720.0).contains(&c.shape.x) && (480.0..720.0).contains(&c.shape.y);
            kept.iter().filter(here).map(|c| (c.column, c.row)).collect::<Vec<_>>()
        };
        let whole = inside(&window(240, 240, 960));
        assert!(whole.len() > 100, "{} shapes", whole.len());
        assert_eq!(whole, inside(&window(480, 480, 240)));
    }

    #[test]
    fn those_kept_keep_apart_and_fill_the_room() {
        let kept = window(0, 0, 480);
        for (index, one) in kept.iter().enumerate() {
            assert!(kept[..index].iter().all(|other| one.shape.keeps_apart(&other.shape, 3.0)));
        }
        let cells = cells(0, 0, 480, margin(36.0) + 15.0, 10.0).count();
        assert!(kept.len() * 12 > cells, "{} of {cells}", kept.len());
    }
}
