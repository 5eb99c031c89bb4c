//! TCP ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

use crate::failure::Failure;

/// # Errors
/// When something listens there already; the sentence names the option that chooses another port.
pub(crate) fn must_be_free(port: u16, option: &str) -> Result<(), Failure> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(format!(
            "Port {port} cannot be used ({error}): is Ivy running already? Choose another with {option} N."
        ))),
    }
}

/// A port that is free now. Somebody else may take it before we do; then the start fails with a sentence.
///
/// # Errors
/// When the system has none.
pub(crate) fn free() -> Result<u16, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Failure::new(format!("No free port was found: {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_and_a_free_one_is_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        assert!(must_be_free(taken, "--port").is_err());
        drop(listener);
        assert!(must_be_free(taken, "--port").is_ok());
    }
}
