//! Refresh tokens: a session's id and 256 random bits. Of the form of no access token, and none is taken for the other.

use microtome_proto::{SessionId, account::Confidential, limits::REFRESH_TOKEN_LEN_MAX};

/// A refresh token. The books have its hash.
pub(crate) struct RefreshToken {
    pub(crate) session: SessionId,
    text: String,
}

impl RefreshToken {
    /// The next one of a session.
    pub(crate) fn draw(session: &SessionId) -> Self {
        let bits = rand::random::<[u128; 2]>();
        Self { session: session.clone(), text: format!("{session}.{:032x}{:032x}", bits[0], bits[1]) }
    }

    /// One that came from outside; none where it is of another form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > REFRESH_TOKEN_LEN_MAX {
            return None;
        }
        let (session, secret) = text.split_once('.')?;
        let is_secret = secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self { session: session.parse().ok().filter(|_| is_secret)?, text: text.to_owned() })
    }

    /// What the books keep of it.
    pub(crate) fn hash(&self) -> String {
        blake3::hash(self.text.as_bytes()).to_hex().to_string()
    }

    /// To be told to its bearer, once.
    pub(crate) fn into_text(self) -> Confidential {
        Confidential(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_is_read_again_and_nothing_else() {
        let drawn = RefreshToken::draw(&SessionId::from_random(7));
        let (hash, text) = (drawn.hash(), drawn.into_text().0);
        let read = RefreshToken::parse(&text).unwrap();
        assert_eq!((read.hash(), read.session), (hash, SessionId::from_random(7)));
        assert!(text.len() <= REFRESH_TOKEN_LEN_MAX);
        for other in
            ["", ".", "s-1.", "eyJh.eyJz.c2ln", &format!("x-1.{}", "0".repeat(64)), &text[1..], &format!("{text}0")]
        {
            assert!(RefreshToken::parse(other).is_none(), "{other}");
        }
    }
}
