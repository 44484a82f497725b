//! States of a plan are told three times, in a CHECK, in Rust and in the documents; they must be the same.

use std::collections::BTreeSet;

use highwater::scheduler::state::State;

use crate::scheduler_site::{migrated, row};

#[tokio::test]
async fn states_of_a_plan_are_what_check_code_and_documents_say() {
    let db = migrated().await;
    let check = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'plan_state_is_known'";
    let check: String = row(&db, check).await.get(0);
    let checked: BTreeSet<&str> = check.split('\'').skip(1).step_by(2).collect();
    let coded: BTreeSet<&str> = State::ALL.into_iter().map(State::word).collect();
    assert_eq!(checked, coded);
    let page = include_str!("../../docs/DATA_MODEL.md");
    let section = page.split("### States of a plan").nth(1).expect("the documents have the section");
    let section = section.split("\n#").next().unwrap_or_default();
    let documented: BTreeSet<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(documented, coded);
}
