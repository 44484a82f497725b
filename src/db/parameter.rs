//! Connection parameters as libpq knows them: from a URL or a `key=value` string, a service file, PG* variables, and
//! the defaults, in that order of rank. What flows out is a name → value table; `endpoint.rs` and `tls.rs` make sense
//! of the values. The names and meanings are those of libpq's documentation ("Connection Strings").

mod conninfo;
mod environment;
mod passfile;
mod service;

use std::collections::BTreeMap;

pub use passfile::password;

use super::DbError;

/// A parameter of libpq.
struct Known {
    name: &'static str,
    /// The environment variable that gives its default.
    variable: Option<&'static str>,
    /// What is done with it.
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Used,
    /// Harmless to pass over: it tunes what this program does in its own way.
    Ignored,
    /// Passing it over would do something other than was asked: only these values are accepted.
    Only(&'static [&'static str]),
}

const fn known(name: &'static str, variable: Option<&'static str>, role: Role) -> Known {
    Known { name, variable, role }
}

const KNOWN: &[Known] = &[
    known("host", Some("PGHOST"), Role::Used),
    known("hostaddr", Some("PGHOSTADDR"), Role::Used),
    known("port", Some("PGPORT"), Role::Used),
    known("dbname", Some("PGDATABASE"), Role::Used),
    known("user", Some("PGUSER"), Role::Used),
    known("password", Some("PGPASSWORD"), Role::Used),
    known("passfile", Some("PGPASSFILE"), Role::Used),
    known("service", Some("PGSERVICE"), Role::Used),
    known("servicefile", Some("PGSERVICEFILE"), Role::Used),
    known("options", Some("PGOPTIONS"), Role::Used),
    known("application_name", Some("PGAPPNAME"), Role::Used),
    known("connect_timeout", Some("PGCONNECT_TIMEOUT"), Role::Used),
    known("sslmode", Some("PGSSLMODE"), Role::Used),
    known("sslrootcert", Some("PGSSLROOTCERT"), Role::Used),
    known("sslcert", Some("PGSSLCERT"), Role::Used),
    known("sslkey", Some("PGSSLKEY"), Role::Used),
    known("sslnegotiation", Some("PGSSLNEGOTIATION"), Role::Used),
    known("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION"), Role::Used),
    known("channel_binding", Some("PGCHANNELBINDING"), Role::Used),
    known("target_session_attrs", Some("PGTARGETSESSIONATTRS"), Role::Used),
    known("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), Role::Used),
    known("keepalives", None, Role::Ignored),
    known("keepalives_idle", None, Role::Ignored),
    known("keepalives_interval", None, Role::Ignored),
    known("keepalives_count", None, Role::Ignored),
    known("tcp_user_timeout", None, Role::Ignored),
    known("fallback_application_name", None, Role::Ignored),
    known("client_encoding", Some("PGCLIENTENCODING"), Role::Ignored),
    known("sslcompression", Some("PGSSLCOMPRESSION"), Role::Ignored),
    known("sslsni", Some("PGSSLSNI"), Role::Only(&["1"])),
    known("sslpassword", None, Role::Only(&[""])),
    known("sslcrl", Some("PGSSLCRL"), Role::Only(&[""])),
    known("sslcrldir", Some("PGSSLCRLDIR"), Role::Only(&[""])),
    known("sslcertmode", Some("PGSSLCERTMODE"), Role::Only(&["allow"])),
    known("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION"), Role::Only(&["", "TLSv1.3"])),
    known("require_auth", Some("PGREQUIREAUTH"), Role::Only(&[""])),
    known("requirepeer", Some("PGREQUIREPEER"), Role::Only(&[""])),
    known("gssencmode", Some("PGGSSENCMODE"), Role::Only(&["disable", "prefer"])),
    known("krbsrvname", Some("PGKRBSRVNAME"), Role::Ignored),
    known("gsslib", Some("PGGSSLIB"), Role::Ignored),
    known("gssdelegation", Some("PGGSSDELEGATION"), Role::Ignored),
    known("min_protocol_version", Some("PGMINPROTOCOLVERSION"), Role::Only(&["3.0"])),
    known("max_protocol_version", Some("PGMAXPROTOCOLVERSION"), Role::Ignored),
    known("replication", None, Role::Only(&["false", "off", "no", "0"])),
];

/// A value, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    value: String,
    origin: &'static str,
}

/// What was given, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    given: BTreeMap<&'static str, Given>,
}

impl Parameters {
    /// Reads a `postgresql://` URL or a `key=value` string, then what its service file and the PG* variables add.
    ///
    /// # Errors
    ///
    /// [`DbError::BadUrl`]: unreadable, an unknown parameter, a service that is not found. Values are not repeated.
    pub fn read(text: &str, origin: &'static str) -> Result<Parameters, DbError> {
        let mut parameters = Parameters::of(text, origin)?;
        service::add(&mut parameters)?;
        environment::add(&mut parameters)?;
        Ok(parameters)
    }

    /// Reads the PG* variables alone. `None`: none of those is set that say where a server is.
    ///
    /// # Errors
    ///
    /// As [`Parameters::read`].
    pub fn from_environment() -> Result<Option<Parameters>, DbError> {
        if !environment::names_a_server() {
            return Ok(None);
        }
        let mut parameters = Parameters::default();
        service::add(&mut parameters)?;
        environment::add(&mut parameters)?;
        Ok(Some(parameters))
    }

    /// Reads a URL or a `key=value` string and nothing else.
    ///
    /// # Errors
    ///
    /// As [`Parameters::read`].
    pub fn of(text: &str, origin: &'static str) -> Result<Parameters, DbError> {
        let mut parameters = Parameters::default();
        for (name, value) in conninfo::pairs(text).map_err(|reason| DbError::BadUrl { origin, reason })? {
            parameters.set(&name, value, origin)?;
        }
        Ok(parameters)
    }

    /// A value that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(|given| given.value.as_str()).filter(|value| !value.is_empty())
    }

    /// Who gave a value, for messages.
    pub fn origin(&self, name: &str) -> &'static str {
        self.given.get(name).map_or("the defaults", |given| given.origin)
    }

    /// An error about one parameter.
    pub fn bad(&self, name: &str, reason: impl std::fmt::Display) -> DbError {
        DbError::BadUrl { origin: self.origin(name), reason: format!("{name}: {reason}") }
    }

    /// Sets a value, whatever was there.
    fn set(&mut self, name: &str, value: String, origin: &'static str) -> Result<(), DbError> {
        let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
            let near = nearest(name).map(|near| format!(", did you mean \"{near}\"?")).unwrap_or_default();
            return Err(DbError::BadUrl {
                origin,
                reason: format!("\"{name}\" is no connection parameter{near}"),
            });
        };
        if let Role::Only(accepted) = known.role
            && !accepted.contains(&value.as_str())
            && !value.is_empty()
        {
            let accepted: Vec<&str> =
                accepted.iter().copied().filter(|accepted| !accepted.is_empty()).collect();
            let remedy = if accepted.is_empty() {
                "leave it out".to_owned()
            } else {
                format!("leave it out or say {}", accepted.join(" or "))
            };
            return Err(DbError::BadUrl {
                origin,
                reason: format!("{name} is not supported with this value; {remedy}"),
            });
        }
        if known.role != Role::Ignored {
            self.given.insert(known.name, Given { value, origin });
        }
        Ok(())
    }

    /// Sets a value that nobody of higher rank has set.
    fn add(&mut self, name: &str, value: String, origin: &'static str) -> Result<(), DbError> {
        if self.given.contains_key(name) { Ok(()) } else { self.set(name, value, origin) }
    }
}

/// The known name that a mistyped one most likely means: one edit away, or the same without its underscores.
fn nearest(name: &str) -> Option<&'static str> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let aliases =
        [("database", "dbname"), ("username", "user"), ("ssl", "sslmode"), ("timeout", "connect_timeout")];
    KNOWN
        .iter()
        .map(|known| known.name)
        .find(|known| plain(known) == plain(name))
        .or_else(|| aliases.iter().find(|(alias, _)| *alias == name).map(|(_, known)| *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_parameter_is_named_with_the_one_that_was_meant() {
        let error = Parameters::of("host=x sslroot_cert=y", "DATABASE_URL").unwrap_err().to_string();
        assert!(error.contains("\"sslroot_cert\"") && error.contains("\"sslrootcert\""), "{error}");
        let error = Parameters::of("host=x database=y", "DATABASE_URL").unwrap_err().to_string();
        assert!(error.contains("\"dbname\""), "{error}");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_and_not_passed_over() {
        for text in
            ["sslcrl=/x.crl", "gssencmode=require", "require_auth=scram-sha-256", "replication=database"]
        {
            assert!(Parameters::of(text, "test").is_err(), "{text}");
        }
        for text in ["gssencmode=disable", "replication=false", "keepalives=0", "sslcrl=''"] {
            assert!(Parameters::of(text, "test").is_ok(), "{text}");
        }
    }
}
