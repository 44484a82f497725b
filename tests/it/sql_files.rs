//! Every file under `sql/` is a statement that Postgres takes: prepared, or run and rolled back where it cannot be.

use std::path::{Path, PathBuf};

use highwater::db::Executor;
use highwater::rollup::definition::Definition;
use highwater::rollup::install;
use highwater::rollup::render;

use crate::rollup::field;

/// Files that no transaction can hold, that a client has to feed, or that ask about a view made for them; each has tests of
/// its own.
const ALONE: [&str; 4] =
    ["demo/copy", "rollup/used_columns", "embedded/create_database", "migrate/index_drop"];

/// What stands for the holes of files that are filled by name, so that they can be prepared or run.
const HOLES: [(&str, &str); 9] = [
    ("{limit}", "10"),
    ("{history}", "public.sample_history"),
    ("{schema}", "sample"),
    ("{clone}", "rollup_slice"),
    ("{table}", "highwater.rollup_slice"),
    ("{unique}", "UNIQUE"),
    ("{index}", "sample_index"),
    ("{rest}", "(slice_start)"),
    ("{target}", "highwater.usage_hourly"),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            found.push(path);
        }
    }
    found.sort();
}

#[tokio::test]
async fn every_sql_file_is_understood_by_postgres() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session
        .batch(
            "CREATE TABLE public.sample_history (version int8 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255));
             CREATE TEMPORARY TABLE rollup_slice (LIKE highwater.rollup_slice)",
        )
        .await
        .unwrap();
    // What the statements of the demonstration run on.
    session
        .batch(include_str!("../../examples/upgrade/migrations/V1__activity_and_daily.sql"))
        .await
        .unwrap();
    field::add(&mut session, include_str!("../../examples/upgrade/rollups/activity_hourly.toml"))
        .await
        .unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let mut found = Vec::new();
    files(&root, &mut found);
    let mut tried = 0;
    for file in found {
        let name = file.strip_prefix(&root).unwrap().with_extension("").display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        if name.starts_with("template/") || ALONE.contains(&name.as_str()) {
            continue;
        }
        assert!(text.starts_with(&format!("-- {name}\n")), "the first line of {name} repeats the name");
        let statement = HOLES.iter().fold(text, |text, (hole, value)| text.replace(hole, value));
        let code: String = statement
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .collect::<Vec<_>>()
            .join("\n");
        let first = code.split_whitespace().next().unwrap().to_uppercase();
        let tx = session.begin().await.unwrap();
        let understood = match first.as_str() {
            "SELECT" | "WITH" | "INSERT" | "UPDATE" | "DELETE" => {
                tx.batch(&format!("PREPARE sample AS {statement}; DEALLOCATE sample")).await
            }
            "CREATE" if name == "migrate/index_likeness" => {
                tx.batch(&format!("DROP TABLE pg_temp.rollup_slice; {statement}")).await
            }
            _ => tx.batch(&statement).await,
        };
        understood.unwrap_or_else(|error| panic!("{name}: {error}"));
        tx.rollback().await.unwrap();
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

/// Renders a definition, lets Postgres take every text of it, and calls every function in a transaction that is rolled
/// back: PL/pgSQL looks into a body only when it runs.
async fn templates_are_understood(definition: &str, source: &str, name: &str, row: &str) {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(source).await.unwrap();
    field::add(&mut session, definition).await.unwrap();
    let name = highwater::rollup::RollupName::parse(name).unwrap();
    let shape = install::load(&mut session, &name).await.unwrap();
    for (what, text) in [
        ("verify", render::verify(&shape)),
        ("forecast", render::forecast(&shape)),
        ("uncounted", render::uncounted(&shape)),
        ("estimate", render::estimate(&shape)),
    ] {
        assert!(!text.contains("{{"), "{what}: {text}");
        let types = if what == "estimate" { "(timestamptz[])" } else { "" };
        session
            .batch(&format!("PREPARE sample{types} AS {text}; DEALLOCATE sample"))
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    let tx = session.begin().await.unwrap();
    tx.batch(&format!(
        "DROP TABLE {}, highwater.{name}_mark, highwater.{name}_wide CASCADE",
        shape.target.quoted()
    ))
    .await
    .unwrap();
    tx.batch(&render::tables(&shape)).await.unwrap();
    tx.batch(&render::functions(&shape)).await.unwrap();
    let capture = render::capture_function(&shape.source.table);
    tx.batch(&render::capture(&capture, &[(shape.clone(), None)])).await.unwrap();
    tx.batch(&render::triggers(&capture, &shape.source.table)).await.unwrap();
    tx.batch("DELETE FROM highwater.rollup_slice").await.unwrap();
    for call in [
        "expand()",
        "drain()",
        "census()",
        "fill(slice_start) FROM highwater.rollup_slice",
        "window('2024-03-01 00:00+00', '2024-05-01 00:00+00')",
        "watermark()",
        "drain(10, true)",
    ] {
        tx.batch(row).await.unwrap();
        tx.batch(&format!("SELECT highwater.{name}_{call}"))
            .await
            .unwrap_or_else(|error| panic!("{call}: {error}"));
    }
    tx.batch(&format!("TRUNCATE {} CASCADE", shape.source.table.quoted())).await.unwrap();
    tx.batch(&format!("SELECT highwater.{name}_expand(); SELECT highwater.{name}_drain()")).await.unwrap();
    assert_eq!(field::number(&tx, &format!("SELECT count(*) FROM {}", shape.target.quoted())).await, 0);
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn templates_of_the_built_in_rollup_are_understood() {
    let definition = include_str!("../../sql/rollups/usage_hourly.toml");
    assert!(Definition::parse(definition, "usage_hourly.toml").is_ok());
    templates_are_understood(
        definition,
        "",
        "usage_hourly",
        "INSERT INTO highwater.usage_event (event_id, tenant, occurred_at, runtime, agent, provider, model)
         VALUES (gen_random_uuid()::text, 't', '2024-03-05', 'r', 'a', 'p', 'm')",
    )
    .await;
}

#[tokio::test]
async fn templates_of_a_rollup_without_tenant_are_understood() {
    templates_are_understood(
        &field::define("hit_daily", "public.hit", "at", None, "1d"),
        "CREATE TABLE public.hit (at timestamp, key text, amount int); CREATE INDEX ON public.hit (at)",
        "hit_daily",
        "INSERT INTO public.hit VALUES ('2024-03-05', 'k', 1)",
    )
    .await;
}
