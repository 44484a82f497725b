//! Identities on the wire. All but names are UUIDs of version 7, which may be made on a host that is offline.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Makes a newtype over a UUID.
macro_rules! identity {
    ($(#[$words:meta])* $name:ident) => {
        $(#[$words])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one. Its leading bits are the host's clock, which decides nothing: no order rests on them.
            pub fn fresh() -> $name {
                $name(Uuid::now_v7())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<$name, uuid::Error> {
                text.parse().map($name)
            }
        }
    };
}

identity!(
    /// One attempt at a backup.
    JobId
);
identity!(
    /// One event; the same id sent twice is the same event.
    EventId
);
identity!(
    /// One archive: of its row, its manifest and its place in a repository.
    RecordId
);
identity!(HostId);
identity!(GroupId);
identity!(RepositoryId);
identity!(ScheduleId);
identity!(
    /// A run that is due and waits to be claimed.
    RunId
);

/// Fences the claim of a job: a higher one makes every lower one void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseToken(pub i64);

/// The version of a row that people edit; as an ETag it stands in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rev(pub i64);

impl Rev {
    /// The strong ETag of this version.
    ///
    /// ```
    /// use highwater::ground::wire::id::Rev;
    /// assert_eq!(Rev(7).etag(), "\"7\"");
    /// assert_eq!(Rev::of_etag("\"7\""), Some(Rev(7)));
    /// assert_eq!(Rev::of_etag("W/\"7\""), None);
    /// ```
    pub fn etag(self) -> String {
        format!("\"{}\"", self.0)
    }

    /// Reads a strong ETag; none for a weak one, a list or another form.
    pub fn of_etag(text: &str) -> Option<Rev> {
        text.strip_prefix('"')?.strip_suffix('"')?.parse().ok().map(Rev)
    }
}
