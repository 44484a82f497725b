//! The rollup's row in the ledger, and the fingerprint of what is rendered for it.

use sha2::{Digest, Sha256};

use super::template::Template;
use super::{QUOTE, capture, capture_function, functions, live, read, tables, triggers, watch};
use crate::rollup::RollupName;
use crate::rollup::definition::Definition;
use crate::rollup::quote::{TableName, identifier, literal};
use crate::rollup::shape::{SCHEMA, Shape};

/// Version of this build, as the ledger keeps it.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");

/// What two renderings of one definition are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of functions and views, hex.
    pub engine: String,
    /// Of the capture on the source, hex.
    pub capture: String,
}

impl Fingerprint {
    /// Of what this build renders. Columns of the source do not count, so that adding one to it changes nothing.
    pub fn of(shape: &Shape) -> Fingerprint {
        let mut bare = shape.clone();
        bare.source.columns.clear();
        bare.source.relations.clear();
        let function = capture_function(&bare.source.table);
        let engine = [tables(&bare), functions(&bare), live::view(&bare, &[]), read::function(&bare)];
        let mut capture =
            vec![capture(&function, &[(bare.clone(), None)]), triggers(&function, &bare.source.table)];
        for watched in &bare.watched {
            let function = watch::capture_function(&watched.table);
            capture.push(watch::capture(&function, &watched.table, std::slice::from_ref(&bare)));
            capture.push(watch::triggers(&function, &watched.table));
        }
        Fingerprint { engine: sha256(&engine), capture: sha256(&capture) }
    }
}

fn sha256(texts: &[String]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text.as_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts the rollup on the ledger.
pub fn ledger(shape: &Shape) -> String {
    let definition = &shape.definition;
    let grain = definition.grain.interval();
    Template::new(include_str!("../../../sql/template/ledger.sql"))
        .set("definition", literal(&definition.text))
        .set("definition_sha256", literal(&definition.sha256()))
        .set("source", literal(&shape.source.table.to_string()))
        .set("target_name", literal(&shape.target.to_string()))
        .set("capture", literal(&capture_function(&shape.source.table).to_string()))
        .set("time", literal(&definition.time))
        .set("tenant", definition.tenant.as_deref().map_or("NULL".to_owned(), literal))
        .set("grain", grain.to_owned())
        .names(shape)
        .render()
}

/// Puts the tables and the ledger of `next` in the place of those of `file`'s rollup, which are gone. `from` and `to` are
/// the target's names before and after.
pub fn swap(file: &Definition, next: &RollupName, from: &TableName, to: &TableName) -> String {
    Template::new(include_str!("../../../sql/template/swap.sql"))
        .set("definition", literal(&file.text))
        .set("definition_sha256", literal(&file.sha256()))
        .set("name_literal", literal(file.name.as_str()))
        .set("next_literal", literal(next.as_str()))
        .set("next_target", literal(&from.quoted()))
        .set("next_table", literal(&from.table))
        .set("target_table", literal(&to.table))
        .set("target_name", literal(&to.to_string()))
        .set("quote", QUOTE.to_owned())
        .render()
}

/// Another definition of the same tables.
pub fn redefine(file: &Definition) -> String {
    Template::new(include_str!("../../../sql/template/redefine.sql"))
        .set("definition", literal(&file.text))
        .set("definition_sha256", literal(&file.sha256()))
        .set("name_literal", literal(file.name.as_str()))
        .render()
}

/// Records which rendering is installed.
pub fn engine(shape: &Shape) -> String {
    let fingerprint = Fingerprint::of(shape);
    Template::new(include_str!("../../../sql/template/engine.sql"))
        .set("engine_sha256", literal(&fingerprint.engine))
        .set("capture_sha256", literal(&fingerprint.capture))
        .set("build", literal(BUILD))
        .names(shape)
        .render()
}

/// Makes the rollup of an empty source complete.
pub fn complete_if_empty(shape: &Shape) -> String {
    let own =
        |suffix: &str| format!("{SCHEMA}.{}", identifier(&format!("{}_{suffix}", shape.definition.name)));
    Template::new(include_str!("../../../sql/template/complete_if_empty.sql"))
        .set("source", shape.source.table.quoted())
        .set("census", own("census"))
        .set("watermark", own("watermark"))
        .set("quote", QUOTE.to_owned())
        .render()
}
