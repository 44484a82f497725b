//! Tokens and codes: shown once, kept as a digest.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A secret that has just been made.
pub struct Secret {
    /// What its holder shows.
    pub text: String,
    /// What is kept: SHA-256 of `text`.
    pub sha256: Vec<u8>,
}

impl Secret {
    /// A bearer token of 244 random bits.
    pub fn token() -> Secret {
        Secret::of(format!("hw_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    /// An enrolment code of 122 random bits, short enough to be typed.
    pub fn code() -> Secret {
        Secret::of(Uuid::new_v4().simple().to_string())
    }

    fn of(text: String) -> Secret {
        let sha256 = digest(&text);
        Secret { text, sha256 }
    }
}

/// What is kept of a secret, to compare with what somebody shows.
pub fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_found_by_their_digest() {
        let (one, other) = (Secret::token(), Secret::token());
        assert_ne!(one.text, other.text);
        assert_eq!(one.sha256, digest(&one.text));
        assert_eq!(one.text.len(), 3 + 64);
        assert_eq!(Secret::code().text.len(), 32);
    }
}
