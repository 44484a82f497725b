//! Faults, planted into the statements on their way to the server.

use highwater::db::{DbError, Executor, Param, Row, Session};

/// A mistake that a scheduler could hold.
pub struct Fault {
    pub name: &'static str,
    /// The file that holds it, by its first line, and what stands there instead; none for a fault that is no text.
    replaced: &'static [(&'static str, &'static str, &'static str)],
    /// The first history that finds it.
    pub seed: u64,
    /// Heartbeats travel in the job's transaction.
    pub beats_with_job: bool,
}

const CLAIM: &str = "-- scheduler/claim";
const FENCE: &str = "-- scheduler/fence";
const FINISH: &str = "-- scheduler/finish";
const FINISH_OWN: &str = "-- scheduler/finish_own";
const HEARTBEAT: &str = "-- scheduler/heartbeat";
const SWEEP: &str = "-- scheduler/sweep";
const BEHIND: &str = "-- scheduler/behind";
const MATERIALISE: &str = "-- scheduler/materialise";

const fn text(
    seed: u64,
    name: &'static str,
    replaced: &'static [(&'static str, &'static str, &'static str)],
) -> Fault {
    Fault { name, replaced, seed, beats_with_job: false }
}

pub const FAULTS: &[Fault] = &[
    text(
        3,
        "the fence does not compare tokens",
        &[(FENCE, "AND lease.token = $2", "AND $2::int8 IS NOT NULL")],
    ),
    text(1, "the fence takes no lock", &[(FENCE, "FOR KEY SHARE", "")]),
    text(
        0,
        "the fence lets a lease through that has run out",
        &[(FENCE, "AND lease.lease_until > clock_timestamp()", "")],
    ),
    text(
        68,
        "a heartbeat does not compare tokens",
        &[
            (
                HEARTBEAT,
                "lease.run_id = held.run_id AND lease.token = held.token",
                "lease.run_id = held.run_id",
            ),
            (HEARTBEAT, "WHERE lease.worker = ($1::text)::uuid", "WHERE $1::text IS NOT NULL"),
            (HEARTBEAT, "lease.run_id = own.run_id AND lease.token = own.token", "lease.run_id = own.run_id"),
        ],
    ),
    text(
        0,
        "a heartbeat renews what has run out",
        &[
            (HEARTBEAT, "lease.lease_until > clock_timestamp() AS is_live", "true AS is_live"),
            (HEARTBEAT, "AND lease.lease_until > clock_timestamp()", ""),
        ],
    ),
    text(
        32,
        "a heartbeat takes a locked lease for a lost one",
        &[(HEARTBEAT, "WHERE own.is_live\n", "WHERE renewed.run_id IS NOT NULL\n")],
    ),
    text(
        3,
        "a claim reads the clock of its transaction's start",
        &[(CLAIM, "clock_timestamp() AS now", "now() AS now")],
    ),
    text(
        0,
        "a claim passes the oldest plan of a scope over",
        &[(CLAIM, "AND older.plan_time < plan.plan_time", "AND older.plan_time > plan.plan_time")],
    ),
    text(
        0,
        "a claim does not look whether the scope runs",
        &[(CLAIM, "other.state = 'running' AND other.exclusive", "false")],
    ),
    text(
        0,
        "a claim does not wait for the next try",
        &[
            (CLAIM, "AND plan.next_try_at <= (SELECT moment.now FROM moment)", ""),
            (CLAIM, "AND older.next_try_at <= (SELECT moment.now FROM moment)", ""),
        ],
    ),
    text(
        4,
        "the scopes' cursor is the newest plan time",
        &[(
            BEHIND,
            "coalesce(known.materialised_to,",
            "coalesce((SELECT max(plan.plan_time) FROM highwater.plan AS plan WHERE plan.job = job.name AND plan.scope = scope.scope),",
        )],
    ),
    text(
        15,
        "a plan is finished by its number alone",
        &[(
            FINISH,
            "ON lease.run_id = ended.run_id AND lease.token = ended.token",
            "ON lease.run_id = ended.run_id",
        )],
    ),
    text(
        1,
        "a run may finish after its lease",
        &[
            (FINISH, "WHERE lease.lease_until > clock_timestamp()", ""),
            (FINISH, "AND lease.lease_until > clock_timestamp()", ""),
        ],
    ),
    text(
        2,
        "a transaction's own end leaves the lease",
        &[
            (
                FINISH_OWN,
                "DELETE FROM highwater.lease AS lease WHERE",
                "SELECT lease.run_id FROM highwater.lease AS lease WHERE",
            ),
            (FINISH_OWN, "AND lease.token = $2 RETURNING lease.run_id", "AND lease.token = $2"),
        ],
    ),
    text(
        4,
        "a sweep waits for a working transaction",
        &[(SWEEP, "FOR UPDATE SKIP LOCKED", "FOR NO KEY UPDATE SKIP LOCKED")],
    ),
    text(
        0,
        "a sweep takes leases that are good",
        &[(SWEEP, "WHERE lease.lease_until <= clock_timestamp()", "WHERE true")],
    ),
    text(0, "a crash costs an attempt", &[(SWEEP, "attempts = plan.attempts - 1,", "")]),
    text(
        1,
        "a plan that is given back costs an attempt",
        &[(FINISH, "IN ('crashed', 'stopped') THEN 1", "IN ('crashed') THEN 1")],
    ),
    text(
        1,
        "a newer plan covers one that failed",
        &[(
            MATERIALISE,
            "plan.state = 'due' AND plan.why IS NULL",
            "plan.state IN ('due', 'retrying') AND plan.why IS NULL",
        )],
    ),
    Fault { name: "heartbeats share the job's connection", replaced: &[], seed: 7, beats_with_job: true },
];

/// A connection that a fault may lie on.
pub struct Wire<'a> {
    pub session: &'a Session,
    pub fault: Option<&'a Fault>,
}

impl Wire<'_> {
    fn planted(&self, statement: &str) -> String {
        let mut planted = statement.to_owned();
        let name = statement.lines().next().unwrap_or_default();
        for (file, from, to) in self.fault.into_iter().flat_map(|fault| fault.replaced) {
            if *file == name {
                assert!(planted.contains(from), "the fault has nowhere to be: {from} in {file}");
                planted = planted.replace(from, to);
            }
        }
        planted
    }
}

impl Executor for Wire<'_> {
    async fn query(&self, statement: &str, params: &[&dyn Param]) -> Result<Vec<Row>, DbError> {
        self.session.query(&self.planted(statement), params).await
    }

    async fn batch(&self, statements: &str) -> Result<(), DbError> {
        self.session.batch(statements).await
    }
}
