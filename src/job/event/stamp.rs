//! What decides between two reports of the same thing: `[rank, kind, -epoch, -seq]`, the greatest wins.

use serde::{Deserialize, Serialize};

/// Where a report stands among others that say the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp([i64; 4]);

/// Ranks, doubled so that an inferred end lies between `lost` and a reported one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Dispatched = 2,
    Running = 4,
    /// An end that a sweep has concluded.
    Inferred = 7,
    /// An end that the host has reported.
    Reported = 8,
}

/// What brought a report: the host's start counter and its number within the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub epoch: i64,
    pub seq: i64,
}

impl Stamp {
    /// Of two equal ranks and kinds the earlier report wins, so that nothing said is unsaid.
    pub fn new(rank: Rank, kind: i64, place: Place) -> Stamp {
        Stamp([rank as i64, kind, -place.epoch, -place.seq])
    }

    /// Whether it is of an end that the host itself reported.
    pub fn is_reported_end(&self) -> bool {
        self.0.first() == Some(&(Rank::Reported as i64))
    }

    /// Reads a column; `None` where nothing was reported.
    pub fn of_column(column: Option<Vec<i64>>) -> Option<Stamp> {
        column.and_then(|numbers| numbers.try_into().ok()).map(Stamp)
    }
}

/// Takes a value's place if its stamp is greater. Returns whether it is.
pub fn wins(current: &mut Option<Stamp>, new: Stamp) -> bool {
    let is_greater = current.is_none_or(|current| new > current);
    if is_greater {
        *current = Some(new);
    }
    is_greater
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_beats_kind_and_kind_beats_place_and_the_earlier_place_wins() {
        let at = |epoch, seq| Place { epoch, seq };
        let inferred = Stamp::new(Rank::Inferred, 9, at(0, 0));
        let failed = Stamp::new(Rank::Reported, 1, at(5, 5));
        let succeeded = Stamp::new(Rank::Reported, 2, at(9, 9));
        assert!(inferred < failed && failed < succeeded);
        assert!(Stamp::new(Rank::Reported, 1, at(5, 4)) > failed);
        assert!(Stamp::new(Rank::Reported, 1, at(4, 9)) > failed);
        assert!(failed.is_reported_end() && !inferred.is_reported_end());
    }
}
