//! Numbers for people.

/// A count with its thousands set apart.
///
/// ```
/// assert_eq!(highwater::ground::digits::grouped(1_234_567), "1,234,567");
/// ```
pub fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if count < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 month`, `12 months`.
///
/// ```
/// assert_eq!(highwater::ground::digits::counted(1, "month"), "1 month");
/// assert_eq!(highwater::ground::digits::counted(2_000, "row"), "2,000 rows");
/// ```
pub fn counted(count: i64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Bytes as lower-case hexadecimal digits.
///
/// ```
/// assert_eq!(highwater::ground::digits::hex(&[0, 171]), "00ab");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(-1_234_567), "-1,234,567");
    }
}
