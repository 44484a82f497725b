//! Rust values as statement parameters that know their SQL type, so that no statement has to be prepared by name.

use chrono::{DateTime, Utc};
use tokio_postgres::types::{ToSql, Type};

/// A value that can stand for `$n`; the type is the one the statement's header line declares.
pub trait Param: ToSql + Sync {
    fn sql_type(&self) -> Type;
    fn as_sql(&self) -> &(dyn ToSql + Sync);
}

macro_rules! param {
    ($($rust:ty => $sql:ident),+ $(,)?) => {
        $(
            impl Param for $rust {
                fn sql_type(&self) -> Type {
                    Type::$sql
                }
                fn as_sql(&self) -> &(dyn ToSql + Sync) {
                    self
                }
            }
            impl Param for Option<$rust> {
                fn sql_type(&self) -> Type {
                    Type::$sql
                }
                fn as_sql(&self) -> &(dyn ToSql + Sync) {
                    self
                }
            }
        )+
    };
}

param! {
    String => TEXT,
    &str => TEXT,
    bool => BOOL,
    i32 => INT4,
    i64 => INT8,
    f64 => FLOAT8,
    DateTime<Utc> => TIMESTAMPTZ,
    serde_json::Value => JSONB,
    uuid::Uuid => UUID,
    Vec<u8> => BYTEA,
    Vec<uuid::Uuid> => UUID_ARRAY,
    Vec<String> => TEXT_ARRAY,
    Vec<Option<String>> => TEXT_ARRAY,
    Vec<bool> => BOOL_ARRAY,
    Vec<i64> => INT8_ARRAY,
    Vec<DateTime<Utc>> => TIMESTAMPTZ_ARRAY,
    Vec<Option<DateTime<Utc>>> => TIMESTAMPTZ_ARRAY,
}
