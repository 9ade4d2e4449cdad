//! A check by a service: it is sent what is known of the file, and an address to fetch it from. 2xx accepts, 403 and 422
//! refuse, and all else tells nothing.

use super::{Subject, Untold, Verdict, reason};
use http::StatusCode;
use microtome_server::outside;
use serde_json::Value;
use std::time::Duration;

/// Asks the service at `url`.
///
/// # Errors
/// Where it cannot be reached, does not answer in time, or with another status.
pub(super) async fn ask(url: &str, subject: &Subject, within: Duration) -> Result<Verdict, Untold> {
    let body = serde_json::to_vec(subject).map_err(|error| Untold(error.to_string()))?;
    let (status, said) = outside::post_json(url, body, within).await.map_err(Untold)?;
    let why = || match reason(&told(&said)) {
        empty if empty.is_empty() => format!("the check answered {status}"),
        reason => reason,
    };
    match status {
        accepted if accepted.is_success() => Ok(Verdict::Accepted),
        StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY => Ok(Verdict::Refused(why())),
        other => Err(Untold(format!("the check answers {other}"))),
    }
}

/// The reason in an answer: that of a problem, or its text.
fn told(said: &[u8]) -> String {
    let json = serde_json::from_slice::<Value>(said).ok();
    let field = |name| json.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let text = || String::from_utf8_lossy(said).into_owned();
    field("detail").or_else(|| field("reason")).or_else(|| field("title")).unwrap_or_else(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_from_a_problem_or_from_plain_text() {
        assert_eq!(told(br#"{"title":"Infected","detail":"Eicar"}"#), "Eicar");
        assert_eq!(told(br#"{"reason":"Eicar"}"#), "Eicar");
        assert_eq!(told(b"Eicar"), "Eicar");
    }
}
