//! A step of a job as its reports make it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::job::Effect;
use super::stamp::{Place, Rank, Stamp, wins};
use crate::ground::wire::fact;
use crate::ground::wire::id::JobId;
use crate::ground::wire::state::StepState;

/// The columns of a step that reports fill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub job: JobId,
    pub name: String,
    /// The name without its parameter: `remove` of `remove/01980…`.
    pub action: String,
    pub state: StepState,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub log_tail: Option<String>,
    pub started_by: Option<Stamp>,
    pub ended_by: Option<Stamp>,
}

impl Step {
    /// A step that nobody has heard of.
    pub fn unheard(job: JobId, name: &str) -> Step {
        let action = name.split_once('/').map_or(name, |(action, _)| action);
        Step {
            job,
            name: name.to_owned(),
            action: action.to_owned(),
            state: StepState::Pending,
            exit_code: None,
            reason: None,
            started_at: None,
            finished_at: None,
            log_tail: None,
            started_by: None,
            ended_by: None,
        }
    }

    /// `step.started`.
    pub fn start(&mut self, at: DateTime<Utc>, place: Place) -> Effect {
        let is_first = wins(&mut self.started_by, Stamp::new(Rank::Running, 0, place));
        if is_first {
            self.started_at = Some(at);
            if self.ended_by.is_none() {
                self.state = StepState::Running;
            }
        }
        Effect::of(is_first)
    }

    /// `step.finished`; its state is an end, as reading has seen to.
    pub fn finish(&mut self, step: &fact::Step, at: DateTime<Utc>, place: Place) -> Effect {
        let state = step.state.unwrap_or(StepState::Failed);
        let is_greatest = wins(&mut self.ended_by, Stamp::new(Rank::Reported, state as i64, place));
        if is_greatest {
            self.state = state;
            self.finished_at = Some(at);
            self.exit_code = step.exit_code;
            self.reason.clone_from(&step.reason);
            self.log_tail.clone_from(&step.log_tail);
        }
        Effect::of(is_greatest)
    }
}
