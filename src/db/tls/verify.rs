//! What of a server's certificate is checked. Beside what rustls checks by itself, two things that libpq accepts and
//! certificates in the field rely on: a self-signed certificate that is itself in the file of authorities, and a name
//! that stands in the subject's common name because the certificate has no alternative names.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::Check;

#[derive(Debug)]
pub struct Verifier {
    check: Check,
    trusted: Vec<CertificateDer<'static>>,
    /// `None` when nothing is checked.
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// A verifier that trusts what `trusted` has signed.
    ///
    /// # Errors
    ///
    /// A text, when none of the authorities can be used.
    pub fn new(
        check: Check,
        trusted: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Verifier, String> {
        let inner = match check {
            Check::Nothing => None,
            Check::Authority | Check::Name => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(trusted.iter().cloned());
                let built =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                        .build();
                Some(built.map_err(|error| format!("no usable authority: {error}"))?)
            }
        };
        Ok(Verifier { check, trusted, inner, provider: Arc::clone(provider) })
    }

    /// The chain alone: to an authority we trust, or a self-signed certificate that we were given, in its time.
    fn chain(
        &self,
        inner: &WebPkiServerVerifier,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        match inner.verify_server_cert(certificate, intermediates, name, &[], now) {
            Ok(_) => Ok(()),
            // The name is looked at last, when the chain has been found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            Err(_) if self.trusted.iter().any(|trusted| trusted == certificate) => {
                in_its_time(certificate, now)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a certificate that we were given as such is valid now.
fn in_its_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let validity = &parsed.tbs_certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        Err(CertificateError::NotValidYet.into())
    } else if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

/// Whether the certificate was made out to `name`.
fn made_out_to(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let refused = match verify_server_name(&ParsedCertificate::try_from(certificate)?, name) {
        Ok(()) => return Ok(()),
        Err(refused) => refused,
    };
    let parsed = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    match common_name(&parsed) {
        Some(common) if fits(&common, &name.to_str()) => Ok(()),
        _ => Err(refused),
    }
}

/// The subject's common name, of a certificate that has no alternative names of hosts.
fn common_name(certificate: &Certificate) -> Option<String> {
    let alternatives = certificate.tbs_certificate.get::<SubjectAltName>().ok()?;
    let names_hosts = alternatives.is_some_and(|(_, names)| {
        names.0.iter().any(|name| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_)))
    });
    if names_hosts {
        return None;
    }
    let attributes = certificate.tbs_certificate.subject.0.iter().flat_map(|set| set.0.iter());
    attributes.filter(|attribute| attribute.oid == COMMON_NAME).find_map(|attribute| {
        let value = &attribute.value;
        let utf8 = Utf8StringRef::try_from(value).ok().map(|text| text.as_str().to_owned());
        utf8.or_else(|| PrintableStringRef::try_from(value).ok().map(|text| text.as_str().to_owned()))
            .or_else(|| Ia5StringRef::try_from(value).ok().map(|text| text.as_str().to_owned()))
    })
}

/// Whether a common name, which may begin with `*.` for one label, is that of a host.
fn fits(common: &str, host: &str) -> bool {
    let (common, host) = (common.to_ascii_lowercase(), host.to_ascii_lowercase());
    match common.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == domain),
        None => common == host,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(inner) = &self.inner {
            self.chain(inner, certificate, intermediates, name, now).map_err(in_words)?;
        }
        if self.check == Check::Name {
            made_out_to(certificate, name).map_err(in_words)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a person can do about a certificate that is refused.
#[derive(Debug, thiserror::Error)]
#[error("{error}; {remedy}")]
struct Refused {
    error: Error,
    remedy: &'static str,
}

fn in_words(error: Error) -> Error {
    let remedy = match &error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no authority in sslrootcert has signed it"
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server needs a new certificate"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "connect by a name that the certificate has, or say sslmode=verify-ca",
        // What webpki says of a self-signed certificate that it was not given as an authority.
        Error::InvalidCertificate(CertificateError::Other(_)) => {
            "the server has signed itself, or the certificate is not one for a server; to trust it, name its own file \
             as sslrootcert"
        }
        _ => return error,
    };
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refused { error, remedy }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (common, host, expected) in [
            ("db.example", "db.example", true),
            ("DB.example", "db.EXAMPLE", true),
            ("*.example", "db.example", true),
            ("*.example", "a.db.example", false),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("db.example", "other.example", false),
        ] {
            assert_eq!(fits(common, host), expected, "{common} {host}");
        }
    }
}
