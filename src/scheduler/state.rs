//! The states of a plan, and which may follow which. `docs/DATA_MODEL.md` has the table; a test compares both with the
//! CHECK in the database.

use serde::Serialize;

use super::SchedulerError;

/// Where a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for its first run.
    Due,
    /// Runs under a lease.
    Running,
    /// Failed or crashed, and waits for another run.
    Retrying,
    Done,
    /// Failed as often as its job allows.
    Failed,
    /// Took its worker with it as often as its job allows.
    Poisoned,
    /// Never runs; the row says why.
    Skipped,
}

/// What happens to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    Claimed,
    /// The run ended well.
    Succeeded,
    /// The run ended with an error; whether it was the last attempt.
    Failed {
        is_last: bool,
    },
    /// Worker or connection vanished; whether it was the last crash that the job allows.
    Crashed {
        is_last: bool,
    },
    /// A worker that is shutting down gave the run back; whether earlier runs had failed.
    GivenBack {
        has_failed: bool,
    },
    /// A newer plan covers it, or its rollup is gone.
    Covered,
}

impl State {
    pub const ALL: [State; 7] = [
        State::Due,
        State::Running,
        State::Retrying,
        State::Done,
        State::Failed,
        State::Poisoned,
        State::Skipped,
    ];

    /// The word in the ledger.
    pub fn word(self) -> &'static str {
        match self {
            State::Due => "due",
            State::Running => "running",
            State::Retrying => "retrying",
            State::Done => "done",
            State::Failed => "failed",
            State::Poisoned => "poisoned",
            State::Skipped => "skipped",
        }
    }

    /// Reads the word of the ledger.
    ///
    /// # Errors
    ///
    /// [`SchedulerError::UnknownWord`].
    pub fn read(word: &str) -> Result<State, SchedulerError> {
        let found = State::ALL.into_iter().find(|state| state.word() == word);
        found.ok_or_else(|| SchedulerError::UnknownWord { what: "state", word: word.to_owned() })
    }

    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        match self {
            State::Due | State::Running | State::Retrying => false,
            State::Done | State::Failed | State::Poisoned | State::Skipped => true,
        }
    }

    /// The state after an event; `None` where it cannot happen, and its statement therefore touches no row.
    pub fn after(self, event: Event) -> Option<State> {
        match (self, event) {
            (State::Due | State::Retrying, Event::Claimed) => Some(State::Running),
            (State::Due | State::Retrying, Event::Covered) => Some(State::Skipped),
            (State::Running, Event::Succeeded) => Some(State::Done),
            (State::Running, Event::Failed { is_last: true }) => Some(State::Failed),
            (State::Running, Event::Crashed { is_last: true }) => Some(State::Poisoned),
            (
                State::Running,
                Event::Failed { is_last: false }
                | Event::Crashed { is_last: false }
                | Event::GivenBack { has_failed: true },
            ) => Some(State::Retrying),
            (State::Running, Event::GivenBack { has_failed: false }) => Some(State::Due),
            (State::Running, Event::Claimed | Event::Covered) => None,
            (
                State::Due | State::Retrying,
                Event::Succeeded | Event::Failed { .. } | Event::Crashed { .. } | Event::GivenBack { .. },
            ) => None,
            (State::Done | State::Failed | State::Poisoned | State::Skipped, _) => None,
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 9] = [
        Event::Claimed,
        Event::Succeeded,
        Event::Failed { is_last: false },
        Event::Failed { is_last: true },
        Event::Crashed { is_last: false },
        Event::Crashed { is_last: true },
        Event::GivenBack { has_failed: false },
        Event::GivenBack { has_failed: true },
        Event::Covered,
    ];

    #[test]
    fn nothing_follows_an_end_and_something_follows_everything_else() {
        for state in State::ALL {
            let follows = EVENTS.iter().any(|event| state.after(*event).is_some());
            assert_eq!(follows, !state.is_final(), "{state}");
        }
    }

    #[test]
    fn every_state_but_the_first_can_be_reached() {
        let mut reached = vec![State::Due];
        let mut at = 0;
        while at < reached.len() {
            let state = reached[at];
            for next in EVENTS.iter().filter_map(|event| state.after(*event)) {
                if !reached.contains(&next) {
                    reached.push(next);
                }
            }
            at += 1;
        }
        assert_eq!(reached.len(), State::ALL.len());
    }
}
