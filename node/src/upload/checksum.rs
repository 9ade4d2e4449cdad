//! The checksum of one request's bytes: what is not as its sender says is not kept.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use microtome_proto::{
    Code, Problem,
    tus::{Algorithm, Checksum},
};

/// What a sender says of the bytes that it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Announced {
    /// Nothing.
    Nothing,
    /// Their checksum.
    Sum(Checksum),
    /// Their checksum comes behind them. By which algorithm is not known before.
    InTrailer,
}

/// The bytes so far, summed up by each algorithm that may be asked for.
pub(super) struct Sums {
    sha: Vec<(Algorithm, Context)>,
    blake3: Option<Box<blake3::Hasher>>,
}

impl Sums {
    pub(super) fn new(announced: &Announced) -> Self {
        let wanted = |algorithm| match announced {
            Announced::Nothing => false,
            Announced::Sum(checksum) => checksum.algorithm == algorithm,
            Announced::InTrailer => true,
        };
        let sha = [(Algorithm::Sha1, &SHA1_FOR_LEGACY_USE_ONLY), (Algorithm::Sha256, &SHA256)];
        let sha = sha.into_iter().filter(|(algorithm, _)| wanted(*algorithm));
        Self {
            sha: sha.map(|(algorithm, how)| (algorithm, Context::new(how))).collect(),
            blake3: wanted(Algorithm::Blake3).then(Box::default),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha.iter_mut().for_each(|(_, context)| context.update(bytes));
        if let Some(hasher) = &mut self.blake3 {
            hasher.update(bytes);
        }
    }

    /// Whether the bytes are as announced, or as the trailer says.
    ///
    /// # Errors
    /// `checksum_mismatch`, or `bad_request` where a checksum was promised and none came.
    pub(super) fn check(self, announced: &Announced, trailer: Option<Checksum>) -> Result<(), Problem> {
        let checksum = match announced {
            Announced::Nothing => return Ok(()),
            Announced::Sum(checksum) => checksum.clone(),
            Announced::InTrailer => trailer.ok_or_else(|| {
                Problem::new(Code::BadRequest, "the trailer 'Upload-Checksum' was announced and did not come")
            })?,
        };
        let algorithm = checksum.algorithm;
        let found = self.digest(algorithm);
        if found.as_ref() == Some(&checksum.digest) {
            return Ok(());
        }
        let hexadecimal = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (found, said) = (hexadecimal(&found.unwrap_or_default()), hexadecimal(&checksum.digest));
        let name = algorithm.name();
        Err(Problem::new(
            Code::ChecksumMismatch,
            format!("the {name} of what came is {found}, and {said} was announced"),
        ))
    }

    fn digest(self, algorithm: Algorithm) -> Option<Vec<u8>> {
        if algorithm == Algorithm::Blake3 {
            return self.blake3.map(|hasher| hasher.finalize().as_bytes().to_vec());
        }
        let context = self.sha.into_iter().find(|(of, _)| *of == algorithm)?.1;
        Some(context.finish().as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests of "abc": FIPS 180-4's examples, and BLAKE3's own.
    fn of_abc() -> Vec<Checksum> {
        let texts = [
            "sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
            "sha256 ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
            "blake3 ZDezrDhGUTP/tjt1JzqNtUjFWEZdedsD/TWcbNW9nYU=",
        ];
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn checked(announced: &Announced, trailer: Option<Checksum>, pieces: &[&[u8]]) -> Option<Code> {
        let mut sums = Sums::new(announced);
        pieces.iter().for_each(|piece| sums.update(piece));
        sums.check(announced, trailer).err().map(|problem| problem.code)
    }

    #[test]
    fn each_algorithm_knows_right_bytes_from_wrong_ones_announced_and_in_a_trailer() {
        for checksum in of_abc() {
            let announced = Announced::Sum(checksum.clone());
            assert_eq!(checked(&announced, None, &[b"a", b"", b"bc"]), None);
            assert_eq!(checked(&announced, None, &[b"abd"]), Some(Code::ChecksumMismatch));
            assert_eq!(checked(&Announced::InTrailer, Some(checksum.clone()), &[b"ab", b"c"]), None);
            assert_eq!(checked(&Announced::InTrailer, Some(checksum), &[b"ab"]), Some(Code::ChecksumMismatch));
        }
        assert_eq!(checked(&Announced::InTrailer, None, &[b"abc"]), Some(Code::BadRequest));
        assert_eq!(checked(&Announced::Nothing, None, &[b"abc"]), None);
    }
}
