//! An application with highwater's worker inside: a rollup that stays current, and a job whose effects happen once.
//!
//! ```sh
//! highwater migrate up                # once, and after each upgrade of highwater
//! cargo run --example embed_worker    # on $DATABASE_URL, else on highwater's embedded server; Ctrl-C ends it
//! ```

use std::time::Duration;

use highwater::scheduler::worker::End;
use highwater::{Definition, Ended, Executor, JobSpec, Run, RunError, Shutdown, Target, Worker};

/// The application's own tables; its migrations would make them.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS shop_order (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      shop text NOT NULL,
      at timestamptz NOT NULL DEFAULT clock_timestamp(),
      amount bigint NOT NULL
    );
    CREATE INDEX IF NOT EXISTS shop_order_shop_at ON shop_order (shop, at);
    CREATE TABLE IF NOT EXISTS receipt (minute timestamptz PRIMARY KEY, orders bigint NOT NULL)";

const ROLLUP: &str = r#"
name = "shop_order_hourly"
source = "shop_order"
time = "at"
tenant = "shop"
grain = "1h"
query = '''
SELECT source.shop, source.bucket, sum(source.amount)::bigint AS amount, count(*) AS orders
  FROM source
 GROUP BY source.shop, source.bucket
'''
"#;

#[tokio::main]
async fn main() -> Result<(), RunError> {
    tracing_subscriber::fmt().init();
    work(Target::choose(None).await?, &Shutdown::from_signals()?).await?;
    Ok(())
}

/// Runs the application's worker until it is asked to end.
pub async fn work(target: Target, shutdown: &Shutdown) -> Result<End, RunError> {
    highwater::db::connect::connect(&target, "example").await?.batch(TABLES).await?;
    let worker = Worker::builder(target)
        .application("shop")
        .rollup(Definition::parse(ROLLUP, "examples/embed_worker.rs")?)
        .job(
            JobSpec::every("receipt", Duration::from_secs(60), write_receipt)
                .timeout(Duration::from_secs(20))
                .catch_up_every(Duration::from_secs(3600), 10),
        )
        .build()?;
    Ok(worker.run(shutdown).await?)
}

/// Writes down how many orders came in the minute before the plan time. The row and the end of the run are one commit:
/// a crash at any moment leaves both or none, so that a plain INSERT is enough.
async fn write_receipt(run: Run) -> Result<Ended, RunError> {
    let mut session = run.session().await?;
    let tx = session.begin().await?;
    let statement = "INSERT INTO receipt (minute, orders)
        SELECT $1, count(*) FROM shop_order WHERE at >= $1 - interval '1 minute' AND at < $1
        RETURNING orders";
    let orders: i64 = tx.query_one(statement, &[&run.plan_time()]).await?.get("orders");
    Ok(tx.finish(serde_json::json!({ "orders": orders })).await?)
}
