//! Whom the clients of AWS trust: the five roots of Amazon Trust Services and nobody else (decision 0023).
//!
//! To read the 144 roots of the system is two thirds of a start, and AWS presents none of the others. `AWS_CA_BUNDLE` names a
//! file of PEM certificates that is trusted in their place, as in the AWS CLI: for proxies that end TLS, and for tests.

use aws_smithy_http_client::tls::{TlsContext, TrustStore};

use crate::start::StartError;

/// Amazon Root CA 1 to 4 and Starfield Services Root CA G2: what amazontrust.com names for trust stores of one's own. The first
/// of them ends at the end of 2037.
const AMAZON: &str = include_str!("../data/amazon_roots.pem");
const BEGINS: &str = "-----BEGIN CERTIFICATE-----";

/// # Errors
/// When the file of `AWS_CA_BUNDLE` cannot be read or holds no certificate.
pub(crate) fn trust(bundle: Option<&str>) -> Result<TlsContext, StartError> {
    let refused = |why: &str| StartError::Client(format!("AWS_CA_BUNDLE {why}"));
    let pem = match bundle {
        Some(path) => std::fs::read_to_string(path).map_err(|_| refused("names a file that cannot be read as text"))?,
        None => AMAZON.to_owned(),
    };
    // The HTTP client panics at certificates that it cannot parse, and trusts nobody if there are none.
    if !pem.contains(BEGINS) {
        return Err(refused("names a file without a PEM certificate"));
    }
    let store = TrustStore::empty().with_pem_certificate(pem);
    TlsContext::builder().with_trust_store(store).build().map_err(|error| StartError::Client(error.to_string()))
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
        assert_eq!(AMAZON.matches(BEGINS).count(), 5);
        let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(trust(None).unwrap());
        drop(client.build_https());
    }

    #[test]
    fn a_bundle_that_is_none_is_refused_with_a_sentence() {
        let missing = trust(Some("/nowhere/roots.pem")).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "A client cannot be made: AWS_CA_BUNDLE names a file that cannot be read as text."
        );
        let empty = trust(Some(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).unwrap_err();
        assert_eq!(empty.to_string(), "A client cannot be made: AWS_CA_BUNDLE names a file without a PEM certificate.");
    }
}
