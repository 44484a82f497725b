//! Where histories happen: a database whose clock only they move, and the connections of the simulated workers.

use highwater::db::{Executor, Session};

use crate::support::TestDb;

/// Workers that are simulated.
pub const WORKERS: usize = 3;

/// A database on the histories' clock, and the connections of the simulated workers.
pub struct Site {
    pub observer: Session,
    pub wires: Vec<Wires>,
}

pub struct Wires {
    pub control: Session,
    pub beats: Session,
    pub ends: Session,
    pub work: Session,
}

/// The clock that only a history moves. Statements find it before the real one, by the search path; `now()` is there as
/// the start of the transaction, which nothing may use.
const CLOCK: &str = "CREATE SCHEMA model;
    CREATE SEQUENCE model.moment MINVALUE 0;
    CREATE FUNCTION model.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
      SELECT '2030-01-01 00:00:00+00'::timestamptz + last_value * interval '1 millisecond' FROM model.moment $$;
    CREATE FUNCTION model.now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
      SELECT coalesce(nullif(current_setting('model.began', true), '')::timestamptz, model.clock_timestamp()) $$;
    CREATE FUNCTION model.ms(at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$
      SELECT coalesce(round(extract(epoch FROM at - '2030-01-01 00:00:00+00'::timestamptz) * 1000)::int8::text, '-') $$;
    CREATE TABLE model.effect (run_id bigint NOT NULL, token bigint NOT NULL)";

impl Site {
    pub async fn new(db: &TestDb) -> Site {
        db.session().await.batch(CLOCK).await.unwrap();
        let mut wires = Vec::new();
        for _ in 0..WORKERS {
            wires.push(Wires {
                control: session(db).await,
                beats: session(db).await,
                ends: session(db).await,
                work: session(db).await,
            });
        }
        Site { observer: session(db).await, wires }
    }
}

/// Everything that others can see, a line each, as the model says it; and the numbers of plans.
pub const SEEN: &str = "
    SELECT concat_ws(' ', 'plan', run_id, job, ms(plan_time), state, 'next', ms(next_try_at), 'attempts', attempts, 'crashes',
             crash_attempts, 'token', coalesce(token::text, '-'), 'by', coalesce(worker, ''), 'from', ms(started_at), 'to',
             ms(finished_at), 'error', CASE WHEN error IS NULL THEN 'false' ELSE 'true' END) AS line,
           run_id, job, ms(plan_time)::int8 AS plan_time
      FROM highwater.plan
    UNION ALL
    SELECT concat_ws(' ', 'lease', run_id, 'token', token, 'of', worker, 'until', ms(lease_until)), NULL, NULL, NULL FROM highwater.lease
    UNION ALL
    SELECT concat_ws(' ', 'effect', run_id, 'token', token), NULL, NULL, NULL FROM model.effect";

/// On the history's clock; a step that would wait for another one's lock fails.
async fn session(db: &TestDb) -> Session {
    let session = db.session().await;
    session.batch("SET search_path = model, pg_catalog, public; SET lock_timeout = '2s'").await.unwrap();
    session
}
