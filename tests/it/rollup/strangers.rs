//! What other sessions, other roles and odd names do to a rollup: nothing, or a clear error.

use highwater::db::Executor;

use super::field;
use crate::support::program::highwater;

const HITS: &str = "CREATE TABLE public.hit (at timestamptz NOT NULL, key text, amount int, kind text NOT NULL DEFAULT 'k');
    CREATE INDEX ON public.hit (at);
    INSERT INTO public.hit SELECT '2024-03-05 00:30+00'::timestamptz + i * interval '1 hour', 'k' || i % 3, i FROM generate_series(1, 40) AS i";

#[tokio::test]
async fn installations_at_once_over_one_source_leave_each_other_their_capture() {
    let db = field::migrated().await;
    let session = db.session().await;
    session.batch(HITS).await.unwrap();
    let names: Vec<String> = (0..4).map(|n| format!("hits_{n}")).collect();
    let installs = names.iter().map(|name| async {
        let mut session = db.session().await;
        field::add(&mut session, &field::define(name, "public.hit", "at", None, "1h")).await.unwrap();
    });
    futures_util::future::join_all(installs).await;
    session.batch("INSERT INTO public.hit VALUES ('2024-03-07 10:00+00', 'new', 1)").await.unwrap();
    for name in &names {
        let marks = format!("SELECT count(*) FROM highwater.{name}_mark");
        assert_eq!(field::number(&session, &marks).await, 1, "{name}");
    }
}

#[tokio::test]
async fn row_level_security_that_would_hide_rows_is_an_error_and_not_an_empty_rollup() {
    let db = field::migrated().await;
    let session = db.session().await;
    session.batch(HITS).await.unwrap();
    let role = format!("reader_of_{}", db.name());
    let hide = format!(
        "ALTER TABLE public.hit ENABLE ROW LEVEL SECURITY; CREATE POLICY none ON public.hit USING (false);
         CREATE ROLE {role} LOGIN; GRANT SELECT, TRIGGER ON public.hit TO {role};
         GRANT ALL ON SCHEMA highwater TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA highwater TO {role}"
    );
    session.batch(&hide).await.unwrap();
    let url = db.url().replacen("//postgres@", &format!("//{role}@"), 1);
    let target = highwater::db::target::Target::from_url(&url, "the test").unwrap();
    let mut hidden = highwater::db::connect::connect(&target, "test").await.unwrap();
    let refused = field::add(&mut hidden, &field::define("hits", "public.hit", "at", None, "1h")).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("row-level security"), "{said}");
}

#[tokio::test]
async fn names_resolve_the_same_way_when_filling_proving_and_forecasting() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(HITS).await.unwrap();
    let other = "CREATE SCHEMA app; CREATE TABLE app.label (key text PRIMARY KEY, label text);
                 INSERT INTO app.label VALUES ('k0', 'zero'), ('k1', 'one'), ('k2', 'two')";
    session.batch(other).await.unwrap();
    let definition = "name = 'hits'\nsource = 'public.hit'\ntime = 'at'\ngrain = '1h'\nkey = ['kind', 'label']\nsearch_path = ['app']\n\
                      query = 'SELECT source.bucket, source.kind, label.label, count(*) AS events FROM source JOIN label USING (key) GROUP BY 1, 2, 3'\n";
    field::add(&mut session, definition).await.unwrap();
    session.batch("ANALYZE public.hit").await.unwrap();
    highwater(&db, &["backfill", "hits", "--dry-run"]).await.success();
    highwater(&db, &["backfill", "hits"]).await.success();
    let proof = highwater(&db, &["rollup", "verify", "hits"]).await.success();
    assert!(proof.stdout.contains("40 rows of 1 months compared, 0 differ"), "{proof:?}");
}

#[tokio::test]
async fn a_query_that_moves_rows_to_another_bucket_fails_loudly() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    session.batch(HITS).await.unwrap();
    let definition = "name = 'hits'\nsource = 'public.hit'\ntime = 'at'\ngrain = '1h'\nkey = ['key']\n\
                      query = \"SELECT date_trunc('day', source.bucket) AS bucket, source.key, count(*) AS events FROM source GROUP BY 1, 2\"\n";
    field::add(&mut session, definition).await.unwrap();
    highwater(&db, &["backfill", "hits"]).await.success();
    session.batch("INSERT INTO public.hit VALUES ('2024-03-05 10:00+00', 'k0', 1)").await.unwrap();
    let drained = highwater(&db, &["rollup", "drain", "hits"]).await;
    assert_eq!(drained.code(), 7, "{drained:?}");
    assert!(drained.stderr.contains("answered for bucket"), "{drained:?}");
}

#[tokio::test]
async fn a_wider_tenant_column_fails_no_writer_and_a_missing_trigger_closes_the_guard() {
    let db = field::migrated().await;
    let mut session = db.session().await;
    let table =
        "CREATE TABLE public.visit (shop varchar(5) NOT NULL, at timestamptz NOT NULL, key text, amount int);
                 CREATE INDEX ON public.visit (shop, at)";
    session.batch(table).await.unwrap();
    field::add(&mut session, &field::define("visits", "public.visit", "at", Some("shop"), "1h"))
        .await
        .unwrap();
    let typed = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'highwater.visits_mark'::regclass AND attname = 'tenant' AND atttypmod = -1";
    assert_eq!(field::number(&session, typed).await, 1);
    session.batch("SELECT highwater.assert_rollup_current('visits', '1 hour')").await.unwrap();
    session.batch("ALTER TABLE public.visit DISABLE TRIGGER highwater_capture_delete").await.unwrap();
    let refused =
        session.batch("SELECT highwater.assert_rollup_current('visits', '1 hour')").await.unwrap_err();
    assert!(refused.to_string().contains("are not captured"), "{refused}");
}
