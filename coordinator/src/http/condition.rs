//! `If-Match` and `If-None-Match` of who writes under a key: what must stand there.

use super::check::bad;
use axum::http::{HeaderMap, header};
use microtome_proto::{Problem, limits::CONDITION_TAGS_MAX, material::Condition};

/// The condition that a request's headers make.
pub(super) fn condition(headers: &HeaderMap) -> Result<Option<Condition>, Problem> {
    let text = |name| match headers.get(&name) {
        None => Ok(None),
        Some(value) => match value.to_str() {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(bad(format!("the header '{name}' has other than ASCII in it"))),
        },
    };
    match (text(header::IF_MATCH)?, text(header::IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (Some("*"), None) => Ok(Some(Condition::Something)),
        (Some(tags), None) => matching(tags).map(Some),
        (None, Some("*")) => Ok(Some(Condition::Nothing)),
        (None, Some(_)) => Err(bad("If-None-Match of who writes can be '*' only: nothing stands there")),
        (Some(_), Some(_)) => Err(bad("If-Match is there, and If-None-Match, too: send one of them")),
    }
}

/// Tags are compared strongly: a weak one is never the file's.
fn matching(tags: &str) -> Result<Condition, Problem> {
    let mut hashes = Vec::new();
    for (nth, tag) in tags.split(',').map(str::trim).enumerate() {
        if nth == CONDITION_TAGS_MAX {
            return Err(bad(format!("If-Match has more than {CONDITION_TAGS_MAX} ETags")));
        }
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        let opaque = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let opaque = opaque.ok_or_else(|| bad(format!("If-Match: {tag} is no ETag: it stands in quotes")))?;
        if !tag.starts_with("W/") {
            hashes.push(opaque.to_owned());
        }
    }
    Ok(Condition::AnyOf(hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(header::HeaderName, &str)]) -> Option<Option<Condition>> {
        condition(&pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()).ok()
    }

    #[test]
    fn a_condition_is_read_from_its_headers() {
        let (yes, no) = (header::IF_MATCH, header::IF_NONE_MATCH);
        assert_eq!(read(&[]), Some(None));
        assert_eq!(read(&[(yes.clone(), "*")]), Some(Some(Condition::Something)));
        assert_eq!(read(&[(no.clone(), "*")]), Some(Some(Condition::Nothing)));
        let any = |hashes: &[&str]| Condition::AnyOf(hashes.iter().map(|hash| (*hash).to_owned()).collect());
        assert_eq!(read(&[(yes.clone(), "\"ab\", \"cd\"")]), Some(Some(any(&["ab", "cd"]))));
        assert_eq!(read(&[(yes.clone(), "W/\"ab\"")]), Some(Some(any(&[]))));
        let many = vec!["\"a\""; CONDITION_TAGS_MAX + 1].join(",");
        for wrong in [vec![(yes.clone(), "ab")], vec![(yes.clone(), many.as_str())], vec![(no.clone(), "\"ab\"")]] {
            assert_eq!(read(&wrong), None, "{wrong:?}");
        }
        assert_eq!(read(&[(yes, "*"), (no, "*")]), None);
    }
}
