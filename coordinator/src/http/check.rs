//! Limits on what comes from outside. Each refusal names the part and its limit.

use crate::config::is_base_url;
use axum::http::{HeaderMap, HeaderName};
use microtome_proto::{
    Code, Problem,
    account::Confidential,
    limits::{
        DESCRIPTION_LEN_MAX, FILE_KEY_LEN_MAX, LIFE_S_MAX, MATERIAL_SIZE_MAX, MEDIA_TYPE_LEN_MAX, NAME_LEN_MAX,
        PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, POPULATION_MAX, USER_NAME_CHARS_MAX,
    },
};

/// Longest `Idempotency-Key`, in bytes.
const KEY_LEN_MAX: usize = 128;
/// Longest URL of a server, in bytes: a name of 253 letters, and what stands around it.
const URL_LEN_MAX: usize = 300;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A name that people see.
pub(super) fn name(what: &str, name: &str) -> Result<(), Problem> {
    if name.is_empty() {
        return Err(bad(format!("{what} is empty")));
    }
    if name.len() > NAME_LEN_MAX {
        return Err(bad(format!("{what} has {} bytes: at most {NAME_LEN_MAX} are allowed", name.len())));
    }
    if name.chars().any(char::is_control) {
        return Err(bad(format!("{what} has a control character in it")));
    }
    Ok(())
}

/// A space's name: what a token claims, `hospital/lab` for one. In a path it is one part, its slashes escaped.
pub(super) fn space_name(text: &str) -> Result<(), Problem> {
    name("space", text)
}

/// The key under which a space serves a file: names with slashes between them, and never a path.
pub(super) fn file_key(key: &str) -> Result<(), Problem> {
    if key.is_empty() || key.len() > FILE_KEY_LEN_MAX {
        return Err(bad(format!("key has {} bytes: it must have 1 to {FILE_KEY_LEN_MAX}", key.len())));
    }
    if key.chars().any(char::is_control) {
        return Err(bad("key has a control character in it"));
    }
    match key.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some(part) => {
            Err(bad(format!("key has the part '{part}' in it: its parts are names, with one slash between two")))
        }
        None => Ok(()),
    }
}

/// A user's name as it comes.
pub(super) fn user_name(text: &str) -> Result<(), Problem> {
    name("name", text)?;
    match text.chars().count() {
        chars if chars > USER_NAME_CHARS_MAX => {
            Err(bad(format!("name has {chars} characters: at most {USER_NAME_CHARS_MAX} are allowed")))
        }
        _ => Ok(()),
    }
}

/// A password that is to be one.
pub(super) fn password(password: &Confidential) -> Result<(), Problem> {
    match password.0.len() {
        PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX => Ok(()),
        len => Err(bad(format!("the password has {len} bytes: it must have {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX}"))),
    }
}

/// What a case is about.
pub(super) fn description(text: &str) -> Result<(), Problem> {
    match text.len() > DESCRIPTION_LEN_MAX {
        true => Err(bad(format!("description has {} bytes: at most {DESCRIPTION_LEN_MAX} are allowed", text.len()))),
        false => Ok(()),
    }
}

/// How long something is to live, in seconds.
pub(super) fn life(what: &str, seconds: Option<u64>) -> Result<(), Problem> {
    match seconds {
        Some(seconds) if !(1..=LIFE_S_MAX).contains(&seconds) => {
            Err(bad(format!("{what} is {seconds}: it must be 1 to {LIFE_S_MAX} seconds")))
        }
        _ => Ok(()),
    }
}

/// A material's length.
pub(super) fn size(size: u64) -> Result<(), Problem> {
    if size > MATERIAL_SIZE_MAX {
        return Err(Problem::new(Code::TooLarge, format!("{size} bytes: a material has at most {MATERIAL_SIZE_MAX}")));
    }
    Ok(())
}

/// A header's number of bytes: digits only. More digits than a number has are a number beyond every limit.
pub(super) fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().unwrap_or(u64::MAX))
}

/// A number of copies.
pub(super) fn population(population: u32) -> Result<(), Problem> {
    if (1..=POPULATION_MAX).contains(&population) {
        return Ok(());
    }
    Err(bad(format!("population is {population}: it must be 1 to {POPULATION_MAX}")))
}

/// A media type: `type/subtype`, with parameters.
pub(super) fn media_type(text: &str) -> Result<(), Problem> {
    let whole = text.split(';').next().unwrap_or_default().trim().split_once('/');
    let fits = whole.is_some_and(|(kind, rest)| is_token(kind) && is_token(rest));
    if fits && text.len() <= MEDIA_TYPE_LEN_MAX && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(());
    }
    Err(bad(format!("media_type must be TYPE/SUBTYPE in at most {MEDIA_TYPE_LEN_MAX} characters")))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

/// A BLAKE3 hash: 64 hexadecimal digits. Comes back in lower case.
pub(super) fn blake3(text: &str) -> Result<String, Problem> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(bad("blake3 must be 64 hexadecimal digits"))
}

/// A server's base URL.
pub(super) fn base_url(text: &str) -> Result<(), Problem> {
    if text.len() <= URL_LEN_MAX && is_base_url(text) && !text.ends_with('/') {
        return Ok(());
    }
    Err(bad(format!("url must be http://HOST:PORT in at most {URL_LEN_MAX} bytes, without a slash at its end")))
}

/// The caller's `Idempotency-Key`, where one is sent.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let fits = (1..=KEY_LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        return Err(bad(format!("Idempotency-Key must be 1 to {KEY_LEN_MAX} visible ASCII characters")));
    }
    Ok(Some(text.to_owned()))
}

pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(Code::BadRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_part() {
        assert!(name("name", "Präparat 7.svs").is_ok());
        assert_eq!(name("name", "").unwrap_err().detail, "name is empty");
        assert!(name("name", &"é".repeat(128)).unwrap_err().detail.contains("256 bytes"));
        assert!(name("name", "a\u{7}b").unwrap_err().detail.contains("control character"));
        assert_eq!((digits("7"), digits("99999999999999999999")), (Some(7), Some(u64::MAX)));
        assert!(["+7", "-7", "7.0", "1e9", " 7", ""].iter().all(|text| digits(text).is_none()));
        assert_eq!(size(u64::MAX).unwrap_err().code, Code::TooLarge);
        assert!(population(0).is_err() && population(17).is_err() && population(16).is_ok());
    }

    #[test]
    fn keys_are_names_with_slashes_between_them() {
        for key in ["a", "P/6/9107.pdf", "a b/Präparat", "..a/b..", ".hidden"] {
            assert!(file_key(key).is_ok(), "{key}");
        }
        for key in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a\0b", "a\nb", &"k".repeat(1025)] {
            assert!(file_key(key).is_err(), "{key}");
        }
        assert!(space_name("Prüfstelle/7").is_ok() && space_name("").is_err() && space_name("a\0").is_err());
        assert!(life("x", Some(0)).is_err() && life("x", Some(u64::MAX)).is_err() && life("x", None).is_ok());
    }

    #[test]
    fn forms_are_checked() {
        assert!(media_type("image/tiff").is_ok() && media_type("text/plain; charset=utf-8").is_ok());
        assert!(media_type("image").is_err() && media_type("a/b\r\nX: y").is_err() && media_type("/").is_err());
        assert_eq!(blake3(&"AB".repeat(32)).unwrap(), "ab".repeat(32));
        assert!(blake3("ab").is_err());
        assert!(base_url("http://10.0.0.1:7500").is_ok() && base_url("https://lab.example").is_ok());
        assert!(base_url("10.0.0.1:7500").is_err());
        for other in ["ftp://lab.example", "http://a/b", "http://a?b", "http://a#b", "http://a:b@c", "http://a/"] {
            assert!(base_url(other).is_err(), "{other}");
        }
        let with = |key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IDEMPOTENCY_KEY, key.parse().unwrap());
            idempotency_key(&headers)
        };
        assert_eq!(with("k-1").unwrap().as_deref(), Some("k-1"));
        assert!(with("").is_err() && with("a b").is_err() && with(&"k".repeat(129)).is_err());
    }
}
