//! The name of a rollup.

/// A checked rollup name: `^[a-z][a-z0-9_]{0,39}$`, short enough that every object made from it fits 63 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RollupName(String);

/// Longest name; with a suffix such as `_watermark` or `_2026_03_tenant_bucket_idx` it stays below Postgres's 63.
const MAX_LENGTH: usize = 40;

impl RollupName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// A sentence that says what is allowed.
    pub fn parse(text: &str) -> Result<RollupName, String> {
        let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase());
        let goes_on_well =
            text.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_');
        if starts_well && goes_on_well && text.len() <= MAX_LENGTH {
            Ok(RollupName(text.to_owned()))
        } else {
            Err(format!(
                "\"{text}\" is no rollup name: use lower-case letters, digits and underscores, beginning with a \
                 letter, at most {MAX_LENGTH} characters"
            ))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RollupName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::str::FromStr for RollupName {
    type Err = String;

    fn from_str(text: &str) -> Result<RollupName, String> {
        RollupName::parse(text)
    }
}
