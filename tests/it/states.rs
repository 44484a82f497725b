//! States are told three times, in a CHECK, in Rust and in the documents; they must be the same.

use std::collections::BTreeSet;
use std::path::Path;

use crate::rollup::field;

/// The words between single quotes of a constraint.
async fn checked(constraint: &str) -> BTreeSet<String> {
    let db = field::migrated().await;
    let query = format!("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{constraint}'");
    let text = field::text(&db.session().await, &query).await.unwrap();
    text.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

fn words(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

#[tokio::test]
async fn states_of_a_slice_are_what_the_documents_say() {
    let states = checked("rollup_slice_state_is_known").await;
    assert_eq!(states, words(&["pending", "complete"]));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DATA_MODEL.md");
    let page = std::fs::read_to_string(page).unwrap();
    // Rows of tables whose first cell is a word in backticks, under a heading that speaks of a slice's states.
    let mut documented = BTreeSet::new();
    let mut is_here = false;
    for line in page.lines() {
        if line.starts_with('#') {
            let heading = line.to_lowercase();
            is_here = heading.contains("state") || heading.contains("slice");
        }
        let cell = line.strip_prefix('|').and_then(|row| row.split('|').next()).map(str::trim);
        if let Some(state) = cell.and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'))
            && is_here
            && states.contains(state)
        {
            documented.insert(state.to_owned());
        }
    }
    assert_eq!(documented, states, "docs/DATA_MODEL.md");
}
