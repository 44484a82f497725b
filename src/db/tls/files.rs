//! Certificate and key files: `~/.postgresql/` unless a parameter says otherwise.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::db::DbError;
use crate::db::parameter::Parameters;
use crate::ground::config;

/// A key of ours may be read by us alone; one of root's also by a group of ours.
const OTHERS_OF_OURS: u32 = 0o077;
const OTHERS_OF_ROOTS: u32 = 0o027;

fn own(name: &str) -> Option<PathBuf> {
    Some(config::env_path("HOME")?.join(".postgresql").join(name))
}

/// The authorities that verification needs.
///
/// # Errors
///
/// [`DbError::BadUrl`] when there is no file, or nothing in it.
pub fn trusted(parameters: &Parameters) -> Result<Vec<CertificateDer<'static>>, DbError> {
    match trusted_if_there(parameters)? {
        Some(found) => Ok(found),
        None => {
            let file = own("root.crt")
                .map_or_else(|| "~/.postgresql/root.crt".to_owned(), |file| file.display().to_string());
            Err(parameters.bad(
                "sslmode",
                format!(
                    "there is no file of trusted authorities ({file}); name one with sslrootcert=FILE, say \
                     sslrootcert=system, or choose a mode that does not verify"
                ),
            ))
        }
    }
}

/// The authorities where there is a file of them. A file that is named and missing counts as none, as in libpq: only
/// verification complains, in [`trusted`].
pub fn trusted_if_there(parameters: &Parameters) -> Result<Option<Vec<CertificateDer<'static>>>, DbError> {
    let file = match parameters.get("sslrootcert") {
        Some("system") => return system(parameters).map(Some),
        Some(file) => PathBuf::from(file),
        None => match own("root.crt") {
            Some(file) => file,
            None => return Ok(None),
        },
    };
    if !file.exists() {
        return match parameters.get("sslrootcert") {
            Some(_) if parameters.get("sslmode").is_some_and(|mode| mode.starts_with("verify")) => {
                Err(parameters.bad("sslrootcert", format!("file {} does not exist", file.display())))
            }
            _ => Ok(None),
        };
    }
    let found = certificates(&file).map_err(|reason| parameters.bad("sslrootcert", reason))?;
    Ok(Some(found))
}

fn system(parameters: &Parameters) -> Result<Vec<CertificateDer<'static>>, DbError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(parameters.bad("sslrootcert", format!("the system has no trusted authorities{why}")));
    }
    Ok(found.certs)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable =
        |error: rustls::pki_types::pem::Error| format!("cannot read {}: {error}", file.display());
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if found.is_empty() { Err(format!("{} holds no certificate (PEM)", file.display())) } else { Ok(found) }
}

/// Our own certificate with its chain, and its key, where there is one.
///
/// # Errors
///
/// [`DbError::BadUrl`]: a certificate without its key, a key that others may read or that is encrypted.
pub fn identity(
    parameters: &Parameters,
) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, DbError> {
    let file = match parameters.get("sslcert") {
        Some(file) => Some(PathBuf::from(file)),
        None => own("postgresql.crt"),
    };
    // As libpq has it, a certificate that is not there is one that is not sent.
    let Some(file) = file.filter(|file| file.exists()) else { return Ok(None) };
    let chain = certificates(&file).map_err(|reason| parameters.bad("sslcert", reason))?;
    let key = parameters.get("sslkey").map(PathBuf::from).or_else(|| own("postgresql.key"));
    let Some(key) = key.filter(|key| key.exists()) else {
        return Err(parameters
            .bad("sslkey", format!("certificate {} is there, its private key is not", file.display())));
    };
    guard(&key).map_err(|reason| parameters.bad("sslkey", reason))?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| {
        parameters.bad(
            "sslkey",
            format!("cannot read {} (encrypted keys are not supported): {error}", key.display()),
        )
    })?;
    Ok(Some((chain, key)))
}

fn guard(key: &Path) -> Result<(), String> {
    let metadata =
        std::fs::metadata(key).map_err(|error| format!("cannot read {}: {error}", key.display()))?;
    let is_roots = metadata.uid() == 0 && !nix::unistd::geteuid().is_root();
    let forbidden = if is_roots { OTHERS_OF_ROOTS } else { OTHERS_OF_OURS };
    // Root's own process may hold a key as root's key for a group.
    let forbidden = if metadata.uid() == 0 { forbidden & OTHERS_OF_ROOTS } else { forbidden };
    if metadata.mode() & forbidden == 0 {
        Ok(())
    } else {
        Err(format!("private key {} can be read by others; run \"chmod 600\" on it", key.display()))
    }
}
