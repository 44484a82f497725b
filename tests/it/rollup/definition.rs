//! What a definition may not say: every refusal names the thing and what to do.

use highwater::db::Executor;

use super::field::{self, DEFINITION, SOURCE};

/// Installs a changed definition over an empty source and returns why it was refused.
async fn refusal(from: &str, to: &str) -> String {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    assert!(DEFINITION.contains(from), "{from}");
    let refused = field::add(&mut session, &DEFINITION.replace(from, to)).await;
    refused.map(|installed| panic!("{installed:?}")).unwrap_err().to_string()
}

fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no \"{word}\" in: {message}");
    }
}

#[tokio::test]
async fn a_definition_with_a_fault_is_refused_by_name_and_remedy() {
    let cases: [(&str, &str, &[&str]); 16] = [
        ("grain = \"1h\"", "grain = \"2h\"", &["test.toml", "2h", "15m"]),
        ("grain = \"1h\"", "grane = \"1h\"", &["grane", "line"]),
        ("\"event_hourly\"", "\"Event-Hourly\"", &["Event-Hourly", "lower-case"]),
        ("key = [\"key\"]", "key = [\"key\", \"bucket\"]", &["\"bucket\" is named twice"]),
        ("\"app.event\"", "\"app.no_event\"", &["no table \"app.no_event\""]),
        ("time = \"at\"", "time = \"when\"", &["app.event has no column \"when\"", "amount"]),
        ("time = \"at\"", "time = \"note\"", &["\"note\" is text", "timestamp with time zone"]),
        (
            "time = \"at\"",
            "time = \"at\"\nzone = \"Europe/Berlin\"",
            &["zone is for timestamp without time zone"],
        ),
        ("tenant = \"tenant\"", "tenant = \"shop\"", &["no column \"shop\""]),
        ("key = [\"key\"]", "key = [\"kind\"]", &["returns no column \"kind\"", "amount, events"]),
        ("sum(source.amount)::bigint", "sum(source.price)::bigint", &["query does not run", "price"]),
        (
            "sum(source.amount)::bigint",
            "avg(source.amount)::float8",
            &["\"amount\" is double precision", "[tolerance] amount"],
        ),
        ("sum(source.amount)::bigint", "string_agg(source.note, ',')", &["\"amount\" is text", "ORDER BY"]),
        ("sum(source.amount)::bigint", "array_agg(source.note)", &["\"amount\" is text[]", "ORDER BY"]),
        (
            "sum(source.amount)::bigint",
            "json_build_object('sum', sum(source.amount))",
            &["cannot be compared", "json"],
        ),
        ("key = [\"key\"]", "key = [\"key\"]\nindex = [[\"color\"]]", &["index names \"color\""]),
    ];
    for (from, to, words) in cases {
        assert_says(&refusal(from, to).await, words);
    }
}

#[tokio::test]
async fn a_target_whose_partitions_would_share_a_name_is_refused() {
    let long = format!("target = \"app.{}\"\nquery", "t".repeat(58));
    assert_says(&refusal("query", &long).await, &["ttt", "55"]);
}

#[tokio::test]
async fn a_float_measure_with_a_declared_tolerance_is_installed() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    let tolerant = DEFINITION.replace("sum(source.amount)::bigint", "sum(source.amount)::float8 / 3")
        + "[tolerance]\namount = 1e-9\n";
    field::add(&mut session, &tolerant).await.unwrap();
    session
        .batch("INSERT INTO app.event (tenant, at, key, amount) VALUES ('t', '2024-01-01 10:00+00', 'k', 10)")
        .await
        .unwrap();
    field::drain(&mut session, "event_hourly").await;
    session.batch("UPDATE highwater.event_hourly SET amount = amount * (1 + 1e-12)").await.unwrap();
    assert_eq!(field::verify(&db, "event_hourly").await.drifted, 0);
    session.batch("UPDATE highwater.event_hourly SET amount = amount * (1 + 1e-6)").await.unwrap();
    assert_eq!(field::verify(&db, "event_hourly").await.drifted, 1);
}

#[tokio::test]
async fn a_source_that_cannot_carry_capture_is_refused() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(SOURCE).await.unwrap();
    session
        .batch(
            "CREATE VIEW app.seen AS SELECT * FROM app.event;
             CREATE MATERIALIZED VIEW app.stored AS SELECT * FROM app.event;
             CREATE EXTENSION postgres_fdw;
             CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
             CREATE FOREIGN TABLE app.far (tenant text, at timestamptz, key text, note text, amount bigint) SERVER far;
             CREATE SEQUENCE app.counter",
        )
        .await
        .unwrap();
    let cases = [
        ("seen", "is a view"),
        ("stored", "is a view"),
        ("far", "foreign table"),
        ("counter", "not a table"),
    ];
    for (table, reason) in cases {
        let definition = DEFINITION.replace("app.event", &format!("app.{table}"));
        let refused = field::add(&mut session, &definition).await.unwrap_err().to_string();
        assert_says(&refused, &[&format!("app.{table}"), reason]);
    }
}
