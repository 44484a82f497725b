//! What README.md says can be typed: its SQL and its commands run here, in their order.

use highwater::db::Executor;

use crate::support::TestDb;
use crate::support::program::{command, run};

/// A fenced block: its language and its lines.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some((language.to_owned(), Vec::new())),
            (Some(_), Some(block)) => found.push(block),
            (None, Some((language, mut lines))) => {
                lines.push(line.to_owned());
                open = Some((language, lines));
            }
            (None, None) => {}
        }
    }
    found
}

#[tokio::test]
async fn every_command_of_the_readme_works_in_its_order() {
    let db = TestDb::empty().await;
    let session = db.session().await;
    session.batch("CREATE SCHEMA app").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    let own = "-- highwater: require-rollup orders_hourly\nCREATE TABLE app.after_the_upgrade ();";
    std::fs::write(folder.path().join("migrations/V1__first.sql"), own).unwrap();
    let readme = include_str!("../../README.md");
    let (mut commands, mut statements) = (0, 0);
    for (language, lines) in blocks(readme) {
        match language.as_str() {
            "sql" => {
                let text = lines.join("\n");
                session.batch(&text).await.unwrap_or_else(|error| panic!("{error}\n{text}"));
                statements += 1;
                if text.contains("CREATE TABLE app.orders") {
                    // Something to count, before the rollup and without it knowing.
                    let orders = "INSERT INTO app.orders (shop, created_at, country, product, amount)
                                  SELECT 'shop' || i % 3, now() - i * interval '7 hours', NULLIF('c' || i % 4, 'c0'), 'p' || i % 5, i
                                    FROM generate_series(1, 2000) AS i";
                    session.batch(orders).await.unwrap();
                }
            }
            "sh" => {
                for line in lines {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    assert_eq!(words[0], "highwater", "only our own commands stand in sh blocks: {line}");
                    let mut program = command(&words[1..]);
                    let ended = run(program.current_dir(folder.path()).env("DATABASE_URL", db.url())).await;
                    assert_eq!(ended.code(), 0, "{line}\n{ended:#?}");
                    commands += 1;
                }
            }
            _ => {}
        }
    }
    assert_eq!((commands, statements), (26, 3), "the README changed; is each of its blocks still run?");
    let row =
        session.query_one("SELECT sum(event_count)::bigint FROM highwater.orders_hourly", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 2000);
}

#[test]
fn the_exit_codes_are_documented() {
    let text = include_str!("../../docs/EXIT_CODES.md");
    for exit in highwater::ground::exit::Exit::ALL {
        assert!(
            text.contains(&format!("\n| {} |", exit.code())),
            "exit code {} is not documented",
            exit.code()
        );
    }
}
