//! What goes wrong with a slide, as its asker is told.

use microtome_proto::{Code, MaterialId, Problem};
use microtome_slide::SlideError;
use std::io;

/// The problem that `error` is to whoever asked for something of `material`.
pub(crate) fn problem(material: &MaterialId, error: &SlideError) -> Problem {
    let code = match error {
        SlideError::NotASlide(_) => Code::NotASlide,
        SlideError::Unsupported(_) => Code::UnsupportedSlide,
        SlideError::Damaged(_) => Code::DamagedSlide,
        SlideError::BadProfile(_) => Code::BadIccProfile,
        SlideError::Outside(_) => Code::OutsideSlide,
        SlideError::TooLarge(_) => Code::TooLarge,
        SlideError::Io(error) => match error.kind() {
            // The file's own tags point beyond its end.
            io::ErrorKind::UnexpectedEof => Code::DamagedSlide,
            // This copy does not have the material's hash, or was dropped a moment ago: another one may be whole.
            io::ErrorKind::InvalidData | io::ErrorKind::NotFound => Code::Unavailable,
            _ => Code::Internal,
        },
    };
    if matches!(code, Code::Internal | Code::Unavailable) {
        tracing::warn!(%material, %error, "a slide could not be read");
    }
    Problem::new(code, format!("{material}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_failing_has_its_code() {
        let material: MaterialId = "m-1".parse().unwrap();
        let io = |kind: io::ErrorKind| SlideError::Io(kind.into());
        for (error, code) in [
            (SlideError::NotASlide("x".into()), Code::NotASlide),
            (SlideError::Unsupported("x".into()), Code::UnsupportedSlide),
            (SlideError::Damaged("x".into()), Code::DamagedSlide),
            (SlideError::BadProfile("x".into()), Code::BadIccProfile),
            (SlideError::Outside("x".into()), Code::OutsideSlide),
            (SlideError::TooLarge("x".into()), Code::TooLarge),
            (io(io::ErrorKind::UnexpectedEof), Code::DamagedSlide),
            (io(io::ErrorKind::InvalidData), Code::Unavailable),
            (io(io::ErrorKind::NotFound), Code::Unavailable),
            (io(io::ErrorKind::PermissionDenied), Code::Internal),
        ] {
            let problem = problem(&material, &error);
            assert_eq!(problem.code, code, "{error}");
            assert!(problem.detail.starts_with("m-1: "));
        }
    }
}
