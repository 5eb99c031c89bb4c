//! Whom the clients of AWS trust: the five roots of Amazon Trust Services and nobody else (decision 0023).
//!
//! To read the 144 roots of the system is two thirds of a start, and AWS presents none of the others. `AWS_CA_BUNDLE` names a
//! file of PEM certificates that is trusted in their place, as in the AWS CLI: for proxies that end TLS, and for tests.

use aws_smithy_http_client::tls::{TlsContext, TrustStore};

use crate::start::StartError;

/// Amazon Root CA 1 to 4 and Starfield Services Root CA G2: what amazontrust.com names for trust stores of one's own. The first
/// of them ends at the end of 2037.
const AMAZON: &str = include_str!("../data/amazon_roots.pem");

/// # Errors
/// When the file of `AWS_CA_BUNDLE` cannot be read, or is not of certificates: the HTTP client would panic at it.
pub(crate) fn trust(bundle: Option<&str>) -> Result<TlsContext, StartError> {
    let refused = |why: &str| StartError::Client(format!("AWS_CA_BUNDLE names a file that {why}"));
    let pem = match bundle {
        Some(path) => {
            let pem = std::fs::read(path).map_err(|_| refused("cannot be read"))?;
            if !holds_roots(&pem) {
                return Err(refused("does not hold certificates in PEM"));
            }
            pem
        }
        None => AMAZON.as_bytes().to_vec(),
    };
    let store = TrustStore::empty().with_pem_certificate(pem);
    TlsContext::builder().with_trust_store(store).build().map_err(|error| StartError::Client(error.to_string()))
}

/// Whether TLS can be set up with these certificates, and there are any.
fn holds_roots(pem: &[u8]) -> bool {
    let roots = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
    !roots.is_empty() && reqwest::Client::builder().tls_certs_only(roots).build().is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]
mod tests {
    use aws_smithy_http_client::{
        Builder,
        tls::{Provider, rustls_provider::CryptoMode},
    };

    use super::*;

    #[test]
    fn the_five_roots_are_there_and_a_client_takes_them() {
        assert_eq!(AMAZON.matches("-----BEGIN CERTIFICATE-----").count(), 5);
        assert!(holds_roots(AMAZON.as_bytes()));
        let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(trust(None).unwrap());
        drop(client.build_https());
    }

    #[test]
    fn a_bundle_that_is_none_is_refused_with_a_sentence() {
        let missing = trust(Some("/nowhere/roots.pem")).unwrap_err();
        assert_eq!(missing.to_string(), "A client cannot be made: AWS_CA_BUNDLE names a file that cannot be read.");
        let no_pem = trust(Some(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).unwrap_err();
        assert_eq!(
            no_pem.to_string(),
            "A client cannot be made: AWS_CA_BUNDLE names a file that does not hold certificates in PEM."
        );
        for rubbish in ["", "!!!!", "aGVsbG8="] {
            let pem = format!("-----BEGIN CERTIFICATE-----\n{rubbish}\n-----END CERTIFICATE-----\n");
            assert!(!holds_roots(pem.as_bytes()), "{rubbish}");
        }
    }
}
