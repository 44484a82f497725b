//! The SQL of one rollup, made from its shape and the templates in `sql/template/`.
//!
//! One query text serves the first fill, the rebuild, the drain and the proof: the engine supplies the relation
//! `source` around it, and everything else is a difference between what the source says and what the rollup says.

use super::definition::Definition;
use super::name::RollupName;
use super::quote::{TableName, identifier, literal};
use super::shape::{SCHEMA, Shape};
use super::source::TimeKind;

mod base;
pub mod explain;
pub mod ledger;
pub mod live;
mod part;
pub mod prune;
pub mod read;
pub mod script;
mod template;
pub mod watch;

pub(super) use part::whole_query;
pub use part::{Keeper, capture_function};
use template::Template;

/// Dollar-quote tags begin with this word; a query that holds it is refused.
pub const DOLLAR_TAG_WORD: &str = "$highwater";

/// Body of a function, and statements inside it.
const QUOTE: &str = "$highwater$";
const TAG: &str = "$highwater_sql$";

/// A pending month with at most this many rows is filled by the drain that meets it: about a second's work.
const SMALL_MONTH_ROWS: &str = "100000";

/// Planner settings for work on whole slices. The planner expects several times too many groups and would sort; a
/// month's groups fit the hash table that this memory allows.
const SLICE_SETTINGS: &str = "SET enable_sort = off SET jit = off SET work_mem = '64MB'";

/// Where the parts of a slice that are filled end, NULL for none. The column is younger than the migration whose hook runs
/// these functions for the first time, and missing there.
const FILLED_TO: &str = "(to_jsonb(v_slice) ->> 'filled_to')::timestamptz";

/// Tables of the rollup: target, unique index, marks.
pub fn tables(shape: &Shape) -> String {
    let name = &shape.definition.name;
    let columns: Vec<String> = shape
        .columns
        .iter()
        .map(|column| {
            let collation = column
                .collation
                .as_ref()
                .map(|collation| format!(" COLLATE {collation}"))
                .unwrap_or_default();
            let not_null = if is_not_null(shape, &column.name) { " NOT NULL" } else { "" };
            format!("{} {}{collation}{not_null}", identifier(&column.name), column.type_name)
        })
        .collect();
    let mark_tenant = shape.source.tenant.as_ref().map(|tenant| {
        let collation =
            tenant.collation.as_ref().map(|collation| format!(" COLLATE {collation}")).unwrap_or_default();
        format!("tenant {}{collation},\n  ", tenant.base_type)
    });
    let mut text = Template::new(include_str!("../../sql/template/tables.sql"))
        .set("columns", columns.join(",\n  "))
        .set("unique_index", identifier(&format!("{}_key", shape.target.table)))
        .set("key_list", key_list(shape))
        .set(
            "target_comment",
            literal(&format!("Rollup \"{name}\" of {}, one partition a month.", shape.source.table)),
        )
        .set("mark_tenant_column", mark_tenant.unwrap_or_default())
        .set("wide_name", format!("{name}_wide"))
        .names(shape)
        .render();
    text.push_str(&watch::table(shape));
    text.push_str(&base::table(shape));
    text.push_str(&read_indexes(shape));
    text
}

/// The extra indexes of the target.
pub(super) fn read_indexes(shape: &Shape) -> String {
    let one = |(ordinal, index): (usize, &Vec<String>)| {
        let columns: Vec<String> = index.iter().map(|column| identifier(column)).collect();
        let index_name = identifier(&format!("{}_read_{}", shape.target.table, ordinal + 1));
        format!("\nCREATE INDEX {index_name} ON {} ({});\n", shape.target.quoted(), columns.join(", "))
    };
    shape.definition.index.iter().enumerate().map(one).collect()
}

/// The rollup's functions.
pub fn functions(shape: &Shape) -> String {
    let calendar = part::Calendar::of(&shape.source);
    let tenant = part::tenant(shape);
    let range_difference = part::difference(
        shape,
        &part::range_rows(shape, "$1", "$2"),
        &part::partition_range(shape, "$1", "$2"),
        &format!("{TAG} || v_partition || {TAG}"),
    );
    let bucket_difference = part::difference(
        shape,
        &part::bucket_rows(shape),
        &part::partition_buckets(shape),
        &format!("{TAG} || v_partition || {TAG}"),
    );
    // The bounds of a month are spliced in as literals where a statement takes no parameters.
    let spliced = |argument: &str| format!("{TAG} || quote_literal({argument}) || {TAG}::timestamptz");
    let month_rows = format!(
        "SELECT FROM {} AS s WHERE {} AND {}",
        shape.source.table.quoted(),
        calendar.at_or_after(&spliced("v_slice.slice_start")),
        calendar.before(&spliced("v_slice.slice_end")),
    );
    let first_fill = part::range_rows(shape, &spliced("v_slice.slice_start"), &spliced("v_slice.slice_end"));
    let text = watch::holes(Template::new(include_str!("../../sql/template/functions.sql")), shape)
        .set("census_by_index", part::census(shape, include_str!("../../sql/template/census_by_index.sql")))
        .set("census_by_tenant", census_by_tenant(shape))
        .set("census_by_scan", part::census(shape, include_str!("../../sql/template/census_by_scan.sql")))
        .set(
            "or_dropped",
            prune::dropped_before(shape).map(|before| format!(", {before}")).unwrap_or_default(),
        )
        .set("count_aside", prune::aside(shape))
        .set("assert_kept", prune::assert_kept(shape))
        .set("time_is_monotone", time_is_monotone(shape).to_string())
        .set("calendar_start", part::CALENDAR_START.to_owned())
        .set("calendar_end", part::CALENDAR_END.to_owned())
        .set("range_difference", range_difference)
        .set("bucket_difference", bucket_difference)
        .set("first_fill", first_fill)
        .set("month_rows", month_rows)
        .set("build_indexes", build_indexes(shape))
        .set("not_null_columns", not_null_columns(shape))
        .set("may_be_claimed", part::MAY_BE_CLAIMED.to_owned())
        .set("due_slices", part::due_slices(shape))
        .set("declare_tenant_array", tenant.declaration)
        .set("claim_arrays", tenant.aggregate)
        .set("claim_into", tenant.variables)
        .set("claimed", tenant.claimed)
        .set("mark_is_claimed", tenant.mark_is_claimed)
        .set("mark_columns_m", tenant.mark_columns)
        .set("chosen_columns", tenant.chosen_columns)
        .set("chosen_order", tenant.chosen_order)
        .set("grain", shape.definition.grain.interval().to_owned())
        .set("search_path", search_path(&shape.definition))
        .set("slice_settings", SLICE_SETTINGS.to_owned())
        .set("filled_to", FILLED_TO.to_owned())
        .set("origin", part::ORIGIN.to_owned())
        .set("small_month_rows", SMALL_MONTH_ROWS.to_owned())
        .set("name_literal", literal(shape.definition.name.as_str()))
        .set("source_literal", literal(&shape.source.table.quoted()))
        .set("time_name_literal", literal(&shape.source.time))
        .set(
            "target_literal",
            format!("ARRAY[{}, {}]", literal(&shape.target.schema), literal(&shape.target.table)),
        )
        .set("target_text", shape.target.quoted().replace('\'', "''"))
        .set("quote", QUOTE.to_owned())
        .set("tag", TAG.to_owned())
        .names(shape);
    FUNCTIONS
        .iter()
        .fold(text, |text, function| {
            text.set(
                function,
                format!("{SCHEMA}.{}", identifier(&format!("{}_{function}", shape.definition.name))),
            )
        })
        .render()
}

/// The branch of the census that jumps through the index of the drain; nothing where tenants may be NULL, which a jump
/// to the next tenant passes over.
fn census_by_tenant(shape: &Shape) -> String {
    if !shape.source.tenant.as_ref().is_some_and(|tenant| tenant.not_null) {
        return String::new();
    }
    let condition = part::census(shape, include_str!("../../sql/template/has_few_tenants.sql"));
    let statement = part::census(shape, include_str!("../../sql/template/census_by_tenant.sql"));
    format!(
        "ELSIF {} AND coalesce((\n{condition}  ), false) THEN\n    EXECUTE {TAG}\n{statement}    {TAG} USING v_from, v_to;",
        time_is_monotone(shape)
    )
}

/// Whether ordering by the column as stored orders the instants too: local time runs backwards once a year.
fn time_is_monotone(shape: &Shape) -> bool {
    !matches!(shape.source.time_kind, TimeKind::Zoned(_))
}

/// Functions of one rollup, each `highwater.NAME_…`.
pub const FUNCTIONS: [&str; 10] =
    ["census", "month", "ahead", "expand", "attach", "watermark", "rebuild", "fill", "drain", "window"];

/// The capture function of a source, for all rollups over it; none left means there is nothing to capture.
pub fn capture(function: &TableName, rollups: &[(Shape, Option<Keeper>)]) -> String {
    let statements = |rows: &str| -> String {
        rollups.iter().map(|(shape, keeper)| part::capture_statement(shape, keeper.as_ref(), rows)).collect()
    };
    let truncate: String = rollups
        .iter()
        .map(|(shape, _)| {
            Template::new(include_str!("../../sql/template/capture_truncate.sql")).names(shape).render()
        })
        .collect();
    Template::new(include_str!("../../sql/template/capture.sql"))
        .set("capture", function.quoted())
        .set("quote", QUOTE.to_owned())
        .set("on_insert", statements("new_row"))
        .set("on_update", statements("(SELECT * FROM old_row UNION ALL SELECT * FROM new_row)"))
        .set("on_delete", statements("old_row"))
        .set("on_truncate", truncate)
        .render()
}

/// The capture triggers of one relation.
pub fn triggers(function: &TableName, relation: &TableName) -> String {
    Template::new(include_str!("../../sql/template/trigger.sql"))
        .set("capture", function.quoted())
        .set("relation", relation.quoted())
        .render()
}

/// Compares one range with its source: `$1` and `$2` timestamptz, half-open.
pub fn verify(shape: &Shape) -> String {
    part::verify(shape)
}

/// Rows of the source whose time lies in no bucket: NULL, infinite, or beyond the calendar.
pub fn uncounted(shape: &Shape) -> String {
    let calendar = part::Calendar::of(&shape.source);
    format!(
        "SELECT count(*) AS rows FROM {} AS s WHERE ({}) IS NOT TRUE",
        shape.source.table.quoted(),
        calendar.countable
    )
}

/// What a definition says, over what is there now: its query, and `affects` of each watched table.
pub(super) fn statements_of(shape: &Shape) -> Vec<String> {
    let affects = shape.watched.iter().map(|watched| watch::affects(watched, &watch::no_key(watched)));
    [whole_query(&shape.definition, &shape.source)].into_iter().chain(affects).collect()
}

/// How many rows the planner expects in each of the months `$1` timestamptz[] (starts).
pub fn estimate(shape: &Shape) -> String {
    let calendar = part::Calendar::of(&shape.source);
    let spliced = |expression: &str| format!("{TAG} || quote_literal({expression}) || {TAG}::timestamptz");
    format!(
        "SELECT month.at, highwater.estimate_rows({TAG}SELECT FROM {} AS s WHERE {} AND {}{TAG}) AS rows \
           FROM unnest($1) AS month (at)",
        shape.source.table.quoted(),
        calendar.at_or_after(&spliced("month.at")),
        calendar.before(&spliced("month.at + interval '1 month'")),
    )
}

fn key_list(shape: &Shape) -> String {
    let names = shape.definition.tenant.iter().map(String::as_str).chain(["bucket"]);
    let keys: Vec<String> =
        names.chain(shape.definition.key.iter().map(String::as_str)).map(identifier).collect();
    keys.join(", ")
}

fn is_not_null(shape: &Shape, column: &str) -> bool {
    column == "bucket"
        || shape.source.tenant.as_ref().is_some_and(|tenant| tenant.name == column && tenant.not_null)
}

fn not_null_columns(shape: &Shape) -> String {
    shape
        .columns
        .iter()
        .filter(|column| is_not_null(shape, &column.name))
        .map(|column| format!(", ALTER COLUMN {} SET NOT NULL", identifier(&column.name).replace('\'', "''")))
        .collect()
}

fn build_indexes(shape: &Shape) -> String {
    let unique = format!(
        "EXECUTE 'CREATE UNIQUE INDEX ON ' || v_partition || {TAG} ({}) NULLS NOT DISTINCT{TAG};",
        key_list(shape)
    );
    let read = shape.definition.index.iter().map(|index| {
        let columns: Vec<String> = index.iter().map(|column| identifier(column)).collect();
        format!("EXECUTE 'CREATE INDEX ON ' || v_partition || {TAG} ({}){TAG};", columns.join(", "))
    });
    [unique].into_iter().chain(read).collect::<Vec<String>>().join("\n    ")
}

/// `pg_temp` last, so that nobody's temporary table stands in for a real one.
pub(super) fn search_path(definition: &Definition) -> String {
    let names: Vec<String> = definition.search_path.iter().map(|schema| identifier(schema)).collect();
    names.into_iter().chain(["pg_temp".to_owned()]).collect::<Vec<String>>().join(", ")
}

/// A call of one of the rollup's functions, `arguments` as `$1, $2`; its OUT parameters come as columns.
pub(super) fn call(name: &RollupName, function: &str, arguments: &str) -> String {
    format!("SELECT * FROM {SCHEMA}.{} ({arguments}) AS called", identifier(&format!("{name}_{function}")))
}

/// Open marks of every rollup, one row each: name, how many, the oldest. The names come with whether the rollup watches
/// tables.
pub(super) fn open_marks<'a>(rollups: impl Iterator<Item = (&'a RollupName, bool)>) -> String {
    let each: Vec<String> = rollups
        .map(|(name, has_watch)| {
            let suffixes = ["mark", "wide"].into_iter().chain(has_watch.then_some("watch"));
            let marks: Vec<String> = suffixes
                .map(|suffix| {
                    format!(
                        "SELECT m.marked_at FROM {SCHEMA}.{} AS m",
                        identifier(&format!("{name}_{suffix}"))
                    )
                })
                .collect();
            format!(
                "SELECT {} AS name, count(*) AS marks, min(mark.marked_at) AS oldest FROM ({}) AS mark",
                literal(name.as_str()),
                marks.join(" UNION ALL "),
            )
        })
        .collect();
    each.join("\nUNION ALL\n")
}

/// Marks ranges as changed: `$1` timestamptz[] starts, `$2` timestamptz[] ends.
pub(super) fn mark_ranges(shape: &Shape) -> String {
    Template::new(
        "INSERT INTO {{wide}} (lo, hi) SELECT range.lo, range.hi FROM unnest($1, $2) AS range (lo, hi)",
    )
    .names(shape)
    .render()
}

/// Marks a range as changed in which months may be new: `$1` and `$2` text, instants or infinite.
pub(super) fn mark_recounted(name: &RollupName) -> String {
    format!(
        "INSERT INTO {SCHEMA}.{} (lo, hi, recount) VALUES ($1::text::timestamptz, $2::text::timestamptz, true)",
        identifier(&format!("{name}_wide"))
    )
}

/// Marks everything as changed.
pub(super) fn mark_everything(shape: &Shape) -> String {
    Template::new(include_str!("../../sql/template/capture_truncate.sql")).names(shape).render()
}

/// Removes the rollup's functions and tables; `target` is qualified and quoted, `None` when it is gone already.
pub(super) fn drop(name: &RollupName, target: Option<&str>) -> String {
    let own = |suffix: &str| format!("{SCHEMA}.{}", identifier(&format!("{name}_{suffix}")));
    let tables: Vec<String> = [own("mark"), own("wide"), own("watch"), own("base")]
        .into_iter()
        .chain(target.map(str::to_owned))
        .collect();
    // The views before the tables that they stand on; they are gone already where the source was dropped with CASCADE.
    format!("{}\n{}\nDROP TABLE IF EXISTS {};", drop_functions(name), live::drop(name), tables.join(", "))
}

/// Removes the rollup's functions.
pub(super) fn drop_functions(name: &RollupName) -> String {
    let names: Vec<String> = function_names(name).iter().map(|name| literal(name)).collect();
    Template::new(include_str!("../../sql/template/drop_functions.sql"))
        .set("names", format!("ARRAY[{}]", names.join(", ")))
        .set("quote", QUOTE.to_owned())
        .render()
}

/// Names of the rollup's functions in highwater's schema.
pub(super) fn function_names(name: &RollupName) -> Vec<String> {
    FUNCTIONS.iter().chain(&["read"]).map(|function| format!("{name}_{function}")).collect()
}

/// The size of what a backfill would do; parameters as in the template.
pub fn forecast(shape: &Shape) -> String {
    let calendar = part::Calendar::of(&shape.source);
    let spliced = |expression: &str| format!("{TAG} || quote_literal({expression}) || {TAG}::timestamptz");
    let rows_between = |from: &str, to: &str| {
        format!(
            "SELECT FROM {} AS s WHERE {} AND {}",
            shape.source.table.quoted(),
            calendar.at_or_after(&spliced(from)),
            calendar.before(&spliced(to)),
        )
    };
    let (from, to) =
        (format!("coalesce($2, {})", part::CALENDAR_START), format!("coalesce($3, {})", part::CALENDAR_END));
    Template::new(include_str!("../../sql/template/forecast.sql"))
        .set("tag", TAG.to_owned())
        .set("month_rows", rows_between("s.slice_start", "s.slice_end"))
        .set("range_rows", rows_between(&from, &to))
        .set("range_groups", part::range_rows(shape, &spliced(&from), &spliced(&to)))
        .set("target_text", literal(&shape.target.quoted()))
        .set("source_literal", literal(&shape.source.table.quoted()))
        .names(shape)
        .render()
}
