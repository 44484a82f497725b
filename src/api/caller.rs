//! Who asks: a bearer token, which is looked up by its digest, so that no comparison depends on the secret's bytes.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use tracing::warn;
use uuid::Uuid;

use super::desk::Desk;
use super::refusal::Refusal;
use crate::db::Executor;
use crate::ground::wire::id::HostId;
use crate::job::secret;

/// Names of parameters that people put tokens into.
const SECRETS: [&str; 4] = ["token", "access_token", "code", "authorization"];

/// A host's agent, proven by its token.
#[derive(Debug, Clone)]
pub struct Agent {
    pub host: HostId,
    /// Name of the host's tenant.
    pub tenant: String,
}

impl FromRequestParts<Desk> for Agent {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Agent, Refusal> {
        let refuse = |refusal: Refusal, why: &str| {
            // The path alone: a query may hold what should not be logged.
            warn!(method = %parts.method, path = parts.uri.path(), why, "refused a request: {why}");
            refusal
        };
        if let Some(query) = parts.uri.query()
            && query.split('&').any(|pair| SECRETS.contains(&pair.split('=').next().unwrap_or_default()))
        {
            let detail = "a secret in a URL ends up in logs; send it as \"Authorization: Bearer TOKEN\", and replace \
                          this one with \"highwater hosts token\"";
            return Err(refuse(Refusal::new(StatusCode::BAD_REQUEST, detail), "a token in the URL"));
        }
        let Some(token) = bearer(parts) else {
            let detail = "send the host's token as \"Authorization: Bearer TOKEN\"";
            return Err(refuse(Refusal::new(StatusCode::UNAUTHORIZED, detail), "no bearer token"));
        };
        let session = desk.pool.get().await?;
        let statement = include_str!("../../sql/api/host_of_token.sql");
        let Some(row) = session.query_opt(statement, &[&secret::digest(token)]).await? else {
            let detail = "the token is not known; make one with \"highwater hosts token\"";
            return Err(refuse(Refusal::new(StatusCode::UNAUTHORIZED, detail), "an unknown token"));
        };
        if row.get("is_revoked") {
            return Err(refuse(
                Refusal::new(StatusCode::UNAUTHORIZED, "the token was revoked"),
                "a revoked token",
            ));
        }
        if row.get("is_expired") {
            return Err(refuse(
                Refusal::new(StatusCode::UNAUTHORIZED, "the token has expired"),
                "an expired token",
            ));
        }
        if row.get("is_retired") {
            return Err(refuse(Refusal::new(StatusCode::FORBIDDEN, "the host is retired"), "a retired host"));
        }
        let host = HostId(row.get::<_, Uuid>("host"));
        desk.limiter.admit(host.0)?;
        Ok(Agent { host, tenant: row.get("tenant") })
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
