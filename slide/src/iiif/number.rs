//! Numbers as the API writes them. Rust's own parsers take more: signs, exponents, infinities.

/// A whole number: digits alone. What is beyond all slides is as good as the largest number.
pub(super) fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// A whole number, or one with a point and digits on both of its sides.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let (before, after) = text.split_once('.').unwrap_or((text, "0"));
    whole(before).and(whole(after))?;
    text.parse().ok()
}

/// `count` numbers with commas between them.
pub(super) fn list<T: Copy + Default, const N: usize>(
    text: &str,
    number: impl Fn(&str) -> Option<T>,
) -> Option<[T; N]> {
    let mut numbers = [T::default(); N];
    let mut parts = text.split(',');
    for into in &mut numbers {
        *into = number(parts.next()?)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// `value * by / of`, rounded to the nearest.
pub(super) fn share(value: u64, by: u64, of: u64) -> u64 {
    let (value, by, of) = (u128::from(value), u128::from(by), u128::from(of).max(1));
    u64::try_from((value * by + of / 2) / of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_and_at_most_one_point_between_them() {
        for (text, value) in [("0", 0.0), ("41.6", 41.6), ("007", 7.0), ("0.05", 0.05), ("100.0", 100.0)] {
            assert_eq!(decimal(text), Some(value), "{text}");
        }
        for text in ["", ".", ".5", "5.", "-1", "+1", "1e3", "inf", "nan", "1.2.3", "1,2", " 1", "١", "0x1"] {
            assert_eq!(decimal(text), None, "{text}");
        }
        assert_eq!(whole("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(decimal(&"9".repeat(400)), Some(f64::INFINITY));
        assert_eq!((whole("1.0"), whole("")), (None, None));
        assert_eq!(list("1,2,3", whole), Some([1, 2, 3]));
        for text in ["1,2", "1,2,3,", "1,2,3,4", ",2,3", "1 ,2,3"] {
            assert_eq!(list::<u64, 3>(text, whole), None, "{text}");
        }
        assert_eq!((share(3, 1, 2), share(u64::MAX, u64::MAX, 1), share(1, 1, 0)), (2, u64::MAX, 1));
    }
}
