//! The parts that templates are filled with: predicates on the time column, sources, differences.

use super::base;
use super::template::Template;
use crate::rollup::combine;
use crate::rollup::definition::Definition;
use crate::rollup::quote::{TableName, identifier, literal};
use crate::rollup::shape::{SCHEMA, Shape};
use crate::rollup::source::{Column, Source, TimeKind};

/// Buckets are counted from here, whatever the session's zone.
pub(super) const ORIGIN: &str = "timestamptz '2000-01-01 00:00:00+00'";

/// Times outside these years lie in no bucket: they are mistakes, and near the ends of Postgres's own range a bucket's
/// end could not be represented.
pub(super) const CALENDAR_START: &str = "timestamptz '0001-01-01 00:00:00+00'";
pub(super) const CALENDAR_END: &str = "timestamptz '10000-01-01 00:00:00+00'";

/// Predicates on the source's time column, over the alias `s`.
pub(super) struct Calendar<'a> {
    source: &'a Source,
    /// The time as timestamptz.
    pub instant: String,
    /// Whether the row lies in any bucket; NULL for a NULL time.
    pub countable: String,
}

impl Calendar<'_> {
    pub fn of(source: &Source) -> Calendar<'_> {
        let time = format!("s.{}", identifier(&source.time));
        let instant = match &source.time_kind {
            TimeKind::Instant => time.clone(),
            TimeKind::Utc { is_date: false } => format!("({time} AT TIME ZONE 'UTC')"),
            TimeKind::Utc { is_date: true } => format!("({time}::timestamp AT TIME ZONE 'UTC')"),
            TimeKind::Zoned(zone) => format!("({time} AT TIME ZONE {})", literal(zone)),
        };
        // Compared as stored, so that no conversion can fail on a far-off value; a zone moves the edge by a day at most.
        let countable = match &source.time_kind {
            TimeKind::Instant => format!("{time} >= {CALENDAR_START} AND {time} < {CALENDAR_END}"),
            TimeKind::Utc { .. } => {
                format!("{time} >= timestamp '0001-01-01' AND {time} < timestamp '10000-01-01'")
            }
            TimeKind::Zoned(_) => {
                format!("{time} >= timestamp '0001-01-02' AND {time} < timestamp '9999-12-31'")
            }
        };
        Calendar { source, instant, countable }
    }

    /// `instant >= bound`, in a form that an index on the column can serve.
    pub fn at_or_after(&self, bound: &str) -> String {
        self.compare(">=", "- interval '1 day'", bound)
    }

    /// `instant < bound`, in a form that an index on the column can serve.
    pub fn before(&self, bound: &str) -> String {
        self.compare("<", "+ interval '1 day'", bound)
    }

    fn compare(&self, operator: &str, slack: &str, bound: &str) -> String {
        let time = format!("s.{}", identifier(&self.source.time));
        match &self.source.time_kind {
            TimeKind::Instant => format!("{time} {operator} {bound}"),
            TimeKind::Utc { .. } => format!("{time} {operator} ({bound} AT TIME ZONE 'UTC')"),
            // Local time runs backwards once a year: the index narrows to a day around, the instant decides.
            TimeKind::Zoned(zone) => format!(
                "{time} {operator} (({bound} AT TIME ZONE {}) {slack}) AND {} {operator} {bound} AND {}",
                literal(zone),
                self.instant,
                self.countable
            ),
        }
    }
}

/// A statement of the census, over `[$1, $2)`.
pub(super) fn census(shape: &Shape, text: &'static str) -> String {
    let calendar = Calendar::of(&shape.source);
    let tenant = shape.source.tenant.as_ref().map(|tenant| tenant.name.as_str()).unwrap_or_default();
    Template::new(text)
        .set("instant", calendar.instant.clone())
        .set("source", shape.source.table.quoted())
        .set("source_literal", literal(&shape.source.table.quoted()))
        .set("time", identifier(&shape.source.time))
        .set("time_name_literal", literal(&shape.source.time))
        .set("tenant", identifier(tenant))
        .set("tenant_name_literal", literal(tenant))
        .set("at_or_after_from", calendar.at_or_after("$1"))
        .set("at_or_after_next_month", calendar.at_or_after("(month.at + interval '1 month')"))
        .set("before_month_after", calendar.before("(month.at + interval '2 months')"))
        .set("before_to", calendar.before("$2"))
        .set("origin", ORIGIN.to_owned())
        .names(shape)
        .render()
}

/// The bucket of a row of `s`.
pub(super) fn bucket(definition: &Definition, calendar: &Calendar<'_>) -> String {
    format!("date_bin({}, {}, {ORIGIN})", definition.grain.interval(), calendar.instant)
}

/// `source` as the query sees it: the table's columns, and `bucket` as given.
pub(super) fn source_relation(source: &Source, bucket: &str, condition: &str) -> String {
    relation_of(source, &source.table.quoted(), bucket, condition)
}

/// The same out of `rows`, a relation with the source's columns.
pub(super) fn relation_of(source: &Source, rows: &str, bucket: &str, condition: &str) -> String {
    let columns = columns_of(source);
    format!("source AS (SELECT {columns}, {bucket} AS bucket FROM {rows} AS s WHERE {condition})")
}

/// The source's columns of its alias `s`; a column called bucket gives way to the computed one.
pub(super) fn columns_of(source: &Source) -> String {
    let others = source.columns.iter().filter(|column| column.name != "bucket");
    others.map(|column| format!("s.{}", identifier(&column.name))).collect::<Vec<_>>().join(", ")
}

/// The definition's query over the whole source; only its columns are of interest.
pub(in crate::rollup) fn whole_query(definition: &Definition, source: &Source) -> String {
    let calendar = Calendar::of(source);
    let relation = source_relation(source, &bucket(definition, &calendar), &calendar.countable);
    format!("WITH {relation} SELECT q.* FROM (\n{}\n) AS q", definition.query)
}

/// What the source says about `[from, to)`; both are SQL expressions.
pub(super) fn range_rows(shape: &Shape, from: &str, to: &str) -> String {
    let calendar = Calendar::of(&shape.source);
    let condition = format!("{} AND {}", calendar.at_or_after(from), calendar.before(to));
    let relation = source_relation(&shape.source, &bucket(&shape.definition, &calendar), &condition);
    let rows =
        format!("WITH {relation} SELECT {} FROM (\n{}\n) AS q", listed(shape, "q"), shape.definition.query);
    base::merged(shape, rows, &base::range(shape, from, to))
}

/// What the source says about the claimed buckets `$1…`, each read by itself through the index.
pub(super) fn bucket_rows(shape: &Shape) -> String {
    let calendar = Calendar::of(&shape.source);
    let end = format!("(c.bucket + {})", shape.definition.grain.interval());
    let in_bucket = format!("{} AND {}", calendar.at_or_after("c.bucket"), calendar.before(&end));
    let condition = match &shape.source.tenant {
        Some(tenant) => format!(
            "{} AND {in_bucket}",
            same_tenant(tenant, &format!("s.{}", identifier(&tenant.name)), "c.tenant")
        ),
        None => in_bucket,
    };
    let relation = source_relation(&shape.source, "c.bucket", &condition);
    // A query that moves rows to another bucket or tenant would collide with rows that nobody claimed.
    let same_tenant = shape
        .source
        .tenant
        .as_ref()
        .map(|tenant| format!(" AND n.{} IS NOT DISTINCT FROM c.tenant", identifier(&tenant.name)));
    let rows = format!(
        "SELECT n.* FROM {} CROSS JOIN LATERAL (WITH {relation} SELECT {} FROM (\n{}\n) AS q) AS n \
          WHERE CASE WHEN n.bucket = c.bucket{} THEN true \
                     ELSE highwater.refuse_bucket({}, c.bucket, n.bucket) END",
        tenant(shape).claimed,
        listed(shape, "q"),
        shape.definition.query,
        same_tenant.unwrap_or_default(),
        literal(shape.definition.name.as_str()),
    );
    base::merged(shape, rows, &base::claimed(shape))
}

/// What the partition says about `[from, to)`.
pub(super) fn partition_range(shape: &Shape, from: &str, to: &str) -> String {
    format!(
        "SELECT t.ctid AS highwater_row, {} FROM {{{{partition}}}} AS t WHERE t.bucket >= {from} AND t.bucket < {to}",
        listed(shape, "t")
    )
}

/// What the partition says about the claimed buckets.
pub(super) fn partition_buckets(shape: &Shape) -> String {
    format!(
        "SELECT t.ctid AS highwater_row, {} FROM {} JOIN {{{{partition}}}} AS t ON {}",
        listed(shape, "t"),
        tenant(shape).claimed,
        of_claim(shape, "t"),
    )
}

/// Whether a row of the rollup's columns lies in the claimed bucket `c`.
pub(super) fn of_claim(shape: &Shape, alias: &str) -> String {
    match &shape.source.tenant {
        Some(tenant) => format!(
            "{} AND {alias}.bucket = c.bucket",
            same_tenant(tenant, &format!("{alias}.{}", identifier(&tenant.name)), "c.tenant")
        ),
        None => format!("{alias}.bucket = c.bucket"),
    }
}

/// The statement that makes a partition equal to its source. `partition` replaces the hole in `old_rows` too.
pub(super) fn difference(shape: &Shape, new_rows: &str, old_rows: &str, partition: &str) -> String {
    let set: Vec<String> =
        shape.measures().map(|column| format!("{0} = d.{0}", identifier(&column.name))).collect();
    // A rollup without measures has nothing to update; assigning the bucket to itself keeps the statement whole.
    let set = if set.is_empty() { "bucket = d.bucket".to_owned() } else { set.join(", ") };
    Template::new(include_str!("../../../sql/template/difference.sql"))
        .set("new_rows", new_rows.to_owned())
        .set("old_rows", old_rows.replace("{{partition}}", partition))
        .set("difference_columns", listed(shape, "n"))
        .set("same_key", same_key(shape))
        .set("measures_differ", measures_differ(shape))
        .set("set_measures", set)
        .set("column_list", column_list(shape))
        .set("added_columns", listed(shape, "d"))
        .set("partition", partition.to_owned())
        .render()
}

/// Equality of keys that a hash join can use and that takes NULL for equal to NULL: arrays compare so.
fn same_key(shape: &Shape) -> String {
    let mut plain = vec!["o.bucket = n.bucket".to_owned()];
    let mut groups: Vec<(&Column, Vec<&Column>)> = Vec::new();
    let tenant =
        shape.definition.tenant.iter().filter_map(|name| shape.columns.iter().find(|one| one.name == *name));
    for column in tenant.chain(shape.keys()) {
        let is_tenant = shape.definition.tenant.as_ref() == Some(&column.name);
        if is_tenant && shape.source.tenant.as_ref().is_some_and(|source| source.not_null) {
            plain.push(format!("o.{0} = n.{0}", identifier(&column.name)));
            continue;
        }
        let alike = |(first, _): &&mut (&Column, Vec<&Column>)| {
            first.type_name == column.type_name && first.collation == column.collation
        };
        match groups.iter_mut().find(alike) {
            Some((_, group)) => group.push(column),
            None => groups.push((column, vec![column])),
        }
    }
    for (_, group) in groups {
        let array = |side: &str| {
            let names: Vec<String> =
                group.iter().map(|column| format!("{side}.{}", identifier(&column.name))).collect();
            format!("ARRAY[{}]", names.join(", "))
        };
        plain.push(format!("{} = {}", array("o"), array("n")));
    }
    plain.join(" AND ")
}

fn measures_differ(shape: &Shape) -> String {
    let differ: Vec<String> = shape
        .measures()
        .map(|column| {
            let name = identifier(&column.name);
            let side = |alias: &str| combine::comparable(shape, column, alias);
            let differs = format!("{} IS DISTINCT FROM {}", side("o"), side("n"));
            match shape.definition.tolerance.get(&column.name) {
                Some(tolerance) if *tolerance > 0.0 => format!(
                    "({differs} AND (abs(o.{name} - n.{name}) <= {tolerance:e} * greatest(abs(o.{name}), abs(n.{name}))) IS NOT TRUE)"
                ),
                Some(_) | None => differs,
            }
        })
        .collect();
    if differ.is_empty() { "false".to_owned() } else { format!("({})", differ.join(" OR ")) }
}

/// How claimed buckets travel through a drain: one array a column.
pub(super) struct Claim {
    /// Declaration of the tenant array, or nothing.
    pub declaration: String,
    pub aggregate: String,
    /// Array variables, in the order of `$1…`.
    pub variables: String,
    /// The relation `c` of claimed buckets.
    pub claimed: String,
    pub mark_is_claimed: String,
    pub mark_columns: String,
    /// Columns of the buckets that were chosen, and the order in which they are computed.
    pub chosen_columns: String,
    pub chosen_order: String,
}

pub(super) fn tenant(shape: &Shape) -> Claim {
    match &shape.source.tenant {
        Some(tenant) => Claim {
            declaration: format!("v_tenant {}[];", tenant.base_type),
            aggregate: "array_agg(c.tenant), array_agg(c.bucket)".to_owned(),
            variables: "v_tenant, v_bucket".to_owned(),
            claimed: "unnest($1, $2) AS c (tenant, bucket)".to_owned(),
            mark_is_claimed: format!(
                "{} AND m.bucket = c.bucket",
                same_tenant(tenant, "m.tenant", "c.tenant")
            ),
            mark_columns: "m.tenant, m.bucket".to_owned(),
            chosen_columns: "chosen.tenant, chosen.bucket".to_owned(),
            chosen_order: "chosen.bucket, chosen.tenant".to_owned(),
        },
        None => Claim {
            declaration: String::new(),
            aggregate: "array_agg(c.bucket)".to_owned(),
            variables: "v_bucket".to_owned(),
            claimed: "unnest($1) AS c (bucket)".to_owned(),
            mark_is_claimed: "m.bucket = c.bucket".to_owned(),
            mark_columns: "m.bucket".to_owned(),
            chosen_columns: "chosen.bucket".to_owned(),
            chosen_order: "chosen.bucket".to_owned(),
        },
    }
}

pub(super) fn same_tenant(tenant: &Column, left: &str, right: &str) -> String {
    if tenant.not_null {
        format!("{left} = {right}")
    } else {
        format!("({left} = {right} OR ({left} IS NULL AND {right} IS NULL))")
    }
}

/// Whether the marks `m` of one bucket may be claimed. A bucket that is written to all the time is made right every
/// `p_patience` and not in every pass, however much its events cost to count; nobody else's marks wait for it. Five
/// hundred statements in one bucket within a few seconds are a stream.
pub(super) const MAY_BE_CLAIMED: &str = "(count(*) < 500 OR min(m.marked_at) <= v_patient)";

/// Months with marks or split ranges, each with its oldest mark.
pub(super) fn due_slices(shape: &Shape) -> String {
    Template::new(include_str!("../../../sql/template/due_slices.sql"))
        .set("mark_columns_m", tenant(shape).mark_columns)
        .set("may_be_claimed", MAY_BE_CLAIMED.to_owned())
        .names(shape)
        .render()
}

/// Tenant and bucket of a row of `s`.
pub(super) fn mark_values(shape: &Shape, calendar: &Calendar<'_>) -> String {
    let bucket = bucket(&shape.definition, calendar);
    match &shape.source.tenant {
        Some(tenant) => format!("s.{}, {bucket}", identifier(&tenant.name)),
        None => bucket,
    }
}

/// An index of the source that begins with the columns that capture reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// Its identity in the catalog.
    pub id: i64,
    /// The columns as `pg_get_indexdef` tells them.
    pub columns: Vec<String>,
}

/// Whether the columns that capture reads are what they were: by the index, else by the catalog.
fn columns_are_kept(shape: &Shape, keeper: Option<&Keeper>) -> String {
    let is_time = |column: &&Column| column.name == shape.source.time;
    let time = shape.source.columns.iter().find(is_time);
    let lost = has_lost_columns(shape.source.tenant.iter().chain(time));
    match keeper {
        Some(keeper) => {
            let told: Vec<String> = (1..)
                .zip(&keeper.columns)
                .map(|(place, name)| {
                    format!("pg_get_indexdef({}, {place}, true) = {}", keeper.id, literal(name))
                })
                .collect();
            format!("({}) IS TRUE OR NOT {lost}", told.join(" AND "))
        }
        None => format!("NOT {lost}"),
    }
}

/// Asks the catalog about columns of the table that a trigger fires for.
pub(super) fn has_lost_columns<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    let (names, types): (Vec<String>, Vec<String>) =
        columns.map(|column| (literal(&column.name), column.type_id.to_string())).unzip();
    format!(
        "highwater.has_lost_columns(TG_RELID, ARRAY[{}], ARRAY[{}]::oid[])",
        names.join(", "),
        types.join(", ")
    )
}

/// One INSERT of a capture function.
pub(super) fn capture_statement(shape: &Shape, keeper: Option<&Keeper>, rows: &str) -> String {
    let calendar = Calendar::of(&shape.source);
    let columns = if shape.source.tenant.is_some() { "tenant, bucket" } else { "bucket" };
    Template::new(include_str!("../../../sql/template/capture_statement.sql"))
        .set("columns_are_kept", columns_are_kept(shape, keeper))
        .set("mark_columns", columns.to_owned())
        .set("mark_values", mark_values(shape, &calendar))
        .set("rows", rows.to_owned())
        .set("countable", calendar.countable.clone())
        .names(shape)
        .render()
}

/// The proof of one range.
pub(super) fn verify(shape: &Shape) -> String {
    let is_open = match &shape.source.tenant {
        Some(tenant) => {
            let name = identifier(&tenant.name);
            format!("m.bucket = d.bucket AND {}", same_tenant(tenant, "m.tenant", &format!("d.{name}")))
        }
        None => "m.bucket = d.bucket".to_owned(),
    };
    let side = |side: &str, wanted: &mut dyn Iterator<Item = &Column>| -> String {
        let pairs: Vec<String> = wanted
            .map(|column| format!("{}, {side}.{}", literal(&column.name), identifier(&column.name)))
            .collect();
        format!("jsonb_build_object({})", pairs.join(", "))
    };
    let tenant_name = shape.definition.tenant.iter();
    let key: Vec<String> = tenant_name
        .map(String::as_str)
        .chain(["bucket"])
        .chain(shape.definition.key.iter().map(String::as_str))
        .map(|name| format!("CASE WHEN n.bucket IS NULL THEN o.{0} ELSE n.{0} END AS {0}", identifier(name)))
        .collect();
    let key_columns: Vec<&Column> = shape
        .columns
        .iter()
        .filter(|column| {
            column.name == "bucket"
                || shape.definition.tenant.as_ref() == Some(&column.name)
                || shape.definition.key.contains(&column.name)
        })
        .collect();
    Template::new(include_str!("../../../sql/template/verify.sql"))
        .set("new_rows", range_rows(shape, "$1", "$2"))
        .set(
            "old_rows",
            format!(
                "SELECT {} FROM {} AS t WHERE t.bucket >= $1 AND t.bucket < $2",
                listed(shape, "t"),
                shape.target.quoted()
            ),
        )
        .set("same_key", same_key(shape))
        .set("measures_differ", measures_differ(shape))
        .set("key_columns", key.join(", "))
        .set("old_measures", side("o", &mut shape.measures()))
        .set("new_measures", side("n", &mut shape.measures()))
        .set("key_object", side("d", &mut key_columns.into_iter()))
        .set("mark_is_open", is_open)
        .set("mark_columns", tenant(shape).mark_columns)
        .set("dirty", super::watch::dirty(shape))
        .names(shape)
        .render()
}

pub(super) fn listed(shape: &Shape, alias: &str) -> String {
    let names: Vec<String> =
        shape.columns.iter().map(|column| format!("{alias}.{}", identifier(&column.name))).collect();
    names.join(", ")
}

pub(super) fn column_list(shape: &Shape) -> String {
    let names: Vec<String> = shape.columns.iter().map(|column| identifier(&column.name)).collect();
    names.join(", ")
}

/// Name of the capture function of a source.
pub fn capture_function(source: &TableName) -> TableName {
    function_of("capture", source)
}

/// Name of a function that a table has for itself.
pub(super) fn function_of(prefix: &str, source: &TableName) -> TableName {
    use sha2::{Digest, Sha256};
    let digest: String =
        Sha256::digest(source.quoted().as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let readable: String =
        source.table.chars().filter(|one| one.is_ascii_alphanumeric() || *one == '_').take(40).collect();
    TableName { schema: SCHEMA.to_owned(), table: format!("{prefix}_{readable}_{digest}") }
}
