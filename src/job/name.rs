//! Names and ids as people write them: both are accepted everywhere.

use uuid::Uuid;

use super::JobError;

/// Something that was named: by its id if it reads as one, by its name all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub text: String,
    pub id: Option<Uuid>,
}

impl Named {
    pub fn new(text: &str) -> Named {
        Named { text: text.to_owned(), id: Uuid::try_parse(text).ok() }
    }

    /// The parameters of a statement that looks for something by name and id; none for what was not named.
    pub fn both(named: Option<&Named>) -> (Option<String>, Option<Uuid>) {
        (named.map(|named| named.text.clone()), named.and_then(|named| named.id))
    }
}

/// Longest name, as the CHECKs say.
const MAX_LENGTH: usize = 63;

/// Looks at a name that is to be given to something new.
///
/// # Errors
///
/// [`JobError::Invalid`] with what is allowed.
pub fn check(what: &str, name: &str) -> Result<(), JobError> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let goes_on_well = name.chars().all(|one| one.is_ascii_alphanumeric() || "._-".contains(one));
    if starts_well && goes_on_well && name.len() <= MAX_LENGTH && Uuid::try_parse(name).is_err() {
        return Ok(());
    }
    Err(JobError::Invalid(format!(
        "{what} \"{name}\": a name is of letters, digits, dots, - and _, begins with a letter or digit, has at most \
         {MAX_LENGTH} characters, and does not look like an id"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_taken_for_an_id_is_refused() {
        for bad in ["", "-x", "a b", "01980000-0000-7000-8000-000000000001", &"x".repeat(64)] {
            assert!(check("host", bad).is_err(), "{bad}");
        }
        for good in ["laptop", "db-1.example.org", "7"] {
            assert!(check("host", good).is_ok(), "{good}");
        }
    }
}
