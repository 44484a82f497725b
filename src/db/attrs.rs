//! Which of several servers will do: libpq's target_session_attrs.

use super::DbError;
use super::parameter::Parameters;

/// What a session must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    /// A standby, or any server where no standby answers.
    PreferStandby,
}

const NAMES: [(&str, Wanted); 6] = [
    ("any", Wanted::Any),
    ("read-write", Wanted::ReadWrite),
    ("read-only", Wanted::ReadOnly),
    ("primary", Wanted::Primary),
    ("standby", Wanted::Standby),
    ("prefer-standby", Wanted::PreferStandby),
];

/// What a server says of a new session.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub is_standby: bool,
    pub is_read_only: bool,
}

impl Wanted {
    /// Reads target_session_attrs.
    ///
    /// # Errors
    ///
    /// [`DbError::BadUrl`] for an unknown value.
    pub fn from_parameters(parameters: &Parameters) -> Result<Wanted, DbError> {
        let Some(text) = parameters.get("target_session_attrs") else { return Ok(Wanted::Any) };
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, wanted)| *wanted).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            parameters.bad("target_session_attrs", format!("\"{text}\" is none of {}", names.join(", ")))
        })
    }

    /// Why a session will not do; `None`: it will.
    pub fn objection(self, found: Found) -> Option<&'static str> {
        match self {
            Wanted::ReadWrite if found.is_read_only => Some("the session is read-only"),
            Wanted::ReadOnly if !found.is_read_only => Some("the session is not read-only"),
            Wanted::Primary if found.is_standby => Some("the server is a standby"),
            Wanted::Standby | Wanted::PreferStandby if !found.is_standby => {
                Some("the server is not a standby")
            }
            Wanted::Any
            | Wanted::ReadWrite
            | Wanted::ReadOnly
            | Wanted::Primary
            | Wanted::Standby
            | Wanted::PreferStandby => None,
        }
    }
}
