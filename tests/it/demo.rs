//! The demonstration, as a newcomer runs it.

use crate::support::{TestDb, program};

#[tokio::test]
async fn demonstrations_at_once_take_turns() {
    let db = TestDb::empty().await;
    let run = || program::highwater(&db, &["demo", "--events", "2000"]);
    let (one, other) = tokio::join!(run(), run());
    for said in [one.success(), other.success()] {
        assert!(said.stdout.contains("the daily table is gone"), "{said:?}");
    }
}
