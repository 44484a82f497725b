//! When a thing happened, whatever the host's clock says: from values that the report itself carries, and never from
//! the moment at which it arrived, which would make the order of arrival matter.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::ground::wire::event::Event;

/// A time this far beyond receipt cannot be; it is clamped and flagged.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Digits that Postgres keeps of a second.
const DIGITS: u16 = 6;

/// A corrected time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub at: DateTime<Utc>,
    pub is_clamped: bool,
}

/// Corrects the time of a report.
///
/// The skew that the host knew when it wrote the report comes first; then the offset since its boot, where that boot has
/// said hello (`booted_at` has the zero of its clock); else the host's own time has to do.
pub fn correct(
    event: &Event,
    booted_at: &HashMap<String, DateTime<Utc>>,
    received_at: DateTime<Utc>,
) -> Moment {
    let by_skew =
        event.skew_ms.and_then(|ms| event.event_at.checked_sub_signed(TimeDelta::try_milliseconds(ms)?));
    let by_boot = || {
        let zero = booted_at.get(event.boot_id.as_ref()?)?;
        zero.checked_add_signed(TimeDelta::try_milliseconds(event.mono_ms?)?)
    };
    let at = by_skew.or_else(by_boot).unwrap_or(event.event_at);
    if at > received_at + TOLERANCE {
        return Moment { at: received_at.trunc_subsecs(DIGITS), is_clamped: true };
    }
    Moment { at: at.trunc_subsecs(DIGITS), is_clamped: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::wire::fact::Fact;
    use crate::ground::wire::id::{EventId, JobId};

    fn event(event_at: &str) -> Event {
        Event {
            event_id: EventId::fresh(),
            epoch: 1,
            seq: 1,
            job: Some(JobId::fresh()),
            fact: Fact::JobStarted,
            event_at: event_at.parse().unwrap(),
            boot_id: Some("b".to_owned()),
            mono_ms: Some(60_000),
            skew_ms: None,
        }
    }

    #[test]
    fn a_clock_two_days_ahead_is_corrected_from_what_the_report_carries() {
        let received: DateTime<Utc> = "2026-11-22T03:00:00Z".parse().unwrap();
        let truth: DateTime<Utc> = "2026-11-22T02:30:00Z".parse().unwrap();
        let mut ahead = event("2026-11-24T02:30:00Z");
        let boots = HashMap::from([("b".to_owned(), truth - TimeDelta::minutes(1))]);
        assert_eq!(correct(&ahead, &boots, received), Moment { at: truth, is_clamped: false });
        ahead.skew_ms = Some(2 * 24 * 3_600_000);
        assert_eq!(correct(&ahead, &HashMap::new(), received), Moment { at: truth, is_clamped: false });
        ahead.skew_ms = None;
        assert_eq!(correct(&ahead, &HashMap::new(), received), Moment { at: received, is_clamped: true });
        // A clock behind is no contradiction, and neither is a little ahead.
        let late = event("2026-11-15T03:00:00Z");
        assert_eq!(correct(&late, &HashMap::new(), received).at, late.event_at);
        let little = event("2026-11-22T03:04:59Z");
        assert_eq!(
            correct(&little, &HashMap::new(), received),
            Moment { at: little.event_at, is_clamped: false }
        );
    }

    #[test]
    fn no_number_makes_it_panic() {
        let received: DateTime<Utc> = "2026-11-22T03:00:00Z".parse().unwrap();
        for number in [i64::MIN, i64::MAX, 0, -1] {
            let mut odd = event("2026-11-22T03:00:00Z");
            odd.mono_ms = Some(number);
            let _ = correct(&odd, &HashMap::from([("b".to_owned(), received)]), received);
            odd.skew_ms = Some(number);
            let _ = correct(&odd, &HashMap::new(), received);
        }
    }
}
