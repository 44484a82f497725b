//! The table of answers: what a status or a verdict does to an entry. Pure, so that every row of the contract is one
//! assertion.

use crate::ground::wire::problem::{IN_PROGRESS, Problem};
use crate::ground::wire::verdict::Verdict;

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Answered for: the file goes.
    Done,
    /// Sent again later.
    Keep(Hold),
    /// To conflict/, with the server's version.
    Conflict,
    /// To dead/, with the reason.
    Dead,
    /// The body was too large: sent again in smaller pieces; one that cannot be split is dead.
    Split,
}

/// Why an entry is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The server, or the way to it, is not there.
    Away,
    /// The server fell over this very request, perhaps: in smaller pieces the others get past it.
    Suspect,
    /// The server asked for this one to be sent again.
    Asked,
    /// The token is not taken: nothing is sent until it changes.
    Unauthorised,
    /// Whoever answers is not a highwater server: a redirect, or a page.
    Misconfigured,
}

/// The fate of what was sent and answered with a status.
pub fn of_status(status: u16, problem: Option<&Problem>, has_retry_after: bool) -> Fate {
    match status {
        200..=299 => Fate::Done,
        300..=399 => Fate::Keep(Hold::Misconfigured),
        401 | 403 => Fate::Keep(Hold::Unauthorised),
        408 | 425 | 429 => Fate::Keep(Hold::Away),
        409 if has_retry_after || problem.is_some_and(|problem| problem.kind == IN_PROGRESS) => {
            Fate::Keep(Hold::Asked)
        }
        409 | 412 => Fate::Conflict,
        413 => Fate::Split,
        // Somebody holds a lock on it: not said in the contract, and no reason to give up.
        423 | 424 => Fate::Keep(Hold::Asked),
        400..=499 => Fate::Dead,
        502..=504 => Fate::Keep(Hold::Away),
        500..=599 => Fate::Keep(Hold::Suspect),
        _ => Fate::Keep(Hold::Misconfigured),
    }
}

/// The fate of an event by its verdict.
pub fn of_verdict(verdict: Verdict) -> Fate {
    match verdict {
        Verdict::Applied | Verdict::Duplicate | Verdict::Stale => Fate::Done,
        Verdict::Conflict => Fate::Conflict,
        Verdict::Rejected => Fate::Dead,
        Verdict::Retry => Fate::Keep(Hold::Asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_holds() {
        let plain = |status| of_status(status, None, false);
        for status in [200, 201, 204] {
            assert_eq!(plain(status), Fate::Done, "{status}");
        }
        for status in [408, 425, 429, 500, 501, 502, 503, 504, 507, 599] {
            assert!(matches!(plain(status), Fate::Keep(Hold::Away | Hold::Suspect)), "{status}");
        }
        for status in [401, 403] {
            assert_eq!(plain(status), Fate::Keep(Hold::Unauthorised), "{status}");
        }
        for status in [301, 302, 303, 304, 307, 308] {
            assert_eq!(plain(status), Fate::Keep(Hold::Misconfigured), "{status}");
        }
        for status in [400, 404, 410, 422] {
            assert_eq!(plain(status), Fate::Dead, "{status}");
        }
        assert_eq!(plain(412), Fate::Conflict);
        assert_eq!(plain(413), Fate::Split);
        assert_eq!(plain(409), Fate::Conflict);
        assert_eq!(of_status(409, None, true), Fate::Keep(Hold::Asked));
        let problem = Problem::read(format!(r#"{{"type": "{IN_PROGRESS}", "title": "x"}}"#).as_bytes());
        assert_eq!(of_status(409, problem.as_ref(), false), Fate::Keep(Hold::Asked));
    }

    #[test]
    fn nothing_but_an_answer_lets_an_entry_go() {
        for status in 0..1_000 {
            let fate = of_status(status, None, false);
            assert_eq!(fate == Fate::Done, (200..300).contains(&status), "{status}");
        }
        for verdict in Verdict::ALL {
            let is_done = matches!(verdict, Verdict::Applied | Verdict::Duplicate | Verdict::Stale);
            assert_eq!(of_verdict(*verdict) == Fate::Done, is_done, "{verdict}");
        }
    }
}
