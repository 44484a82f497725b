//! The name of a rollup.

/// A checked rollup name: `^[a-z][a-z0-9_]{0,39}$`, short enough that every object made from it fits 63 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RollupName(String);

/// Longest name; with a suffix such as `_watermark` or `_2026_03_tenant_bucket_idx` it stays below Postgres's 63.
pub(super) const MAX_LENGTH: usize = 40;

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
        if looks_like_a_part(text) {
            return Err(format!(
                "\"{text}\" is no rollup name: one that ends like 2026_03, mark, wide, watch, live or open could be taken for a part of another rollup"
            ));
        }
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

/// Whether a table of this name could be another rollup's month or marks.
fn looks_like_a_part(text: &str) -> bool {
    let is_number =
        |part: &str, digits: usize| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.rsplit('_');
    let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_month = is_number(last, 2) && is_number(before, 4);
    !before.is_empty() && (is_month || matches!(last, "mark" | "wide" | "watch" | "live" | "open"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_a_part_of_another_rollup_is_refused() {
        for bad in ["x_2026_11", "orders_mark", "orders_wide", "Orders", "1st", ""] {
            assert!(RollupName::parse(bad).is_err(), "{bad}");
        }
        for good in ["x", "usage_hourly", "orders_2026", "mark", "v_11"] {
            assert!(RollupName::parse(good).is_ok(), "{good}");
        }
    }
}
