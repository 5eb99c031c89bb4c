//! The program as a person runs it: exit codes, and the file for the local simulators.

use std::process::{Command, Output};

use ivy_simulators::{Delivery, Secrets, Simulators};

const LOCAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/local.env");

async fn provision(arguments: Vec<String>) -> (i32, String, String) {
    // On a thread of its own, so that the simulators of this process can answer.
    let run = move || Command::new(env!("CARGO_BIN_EXE_ivy-provision")).args(arguments).env_clear().output();
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await.expect("a thread").expect("a start");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code().expect("an end"), text(stdout), text(stderr))
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn without_settings_it_stops_and_names_them() {
    let (code, _, error) = provision(words("")).await;
    assert_eq!(code, 1);
    assert!(error.contains("IVY_STAGE") && error.contains("TWILIO_NUMBERS"), "{error}");
    let (code, _, error) = provision(words("aply")).await;
    assert_eq!(code, 2);
    assert!(error.contains("aply is not understood") && error.contains("usage"), "{error}");
    let (code, output, _) = provision(words("--help")).await;
    assert!(code == 0 && output.contains("usage"), "{output}");
    let (code, _, error) = provision(words("--env /no/such.env")).await;
    assert!(code == 1 && error.contains("/no/such.env"), "{error}");
}

#[tokio::test]
async fn the_local_file_plans_by_default_and_applies_when_told() {
    let simulators = Simulators::start(Secrets::for_testing(), ([127, 0, 0, 1], 0).into(), Delivery::Manual);
    let simulators = simulators.await.expect("a free port");
    let line = |mode: &str| {
        words(&format!(
            "{mode} --env {LOCAL} --set RETELL_BASE_URL={} --set WHATSAPP_BASE_URL={} --set TWILIO_BASE_URL={}",
            simulators.retell_url(),
            simulators.whatsapp_url(),
            simulators.twilio_url()
        ))
    };
    let (code, output, error) = provision(line("")).await;
    assert!(code == 0 && output.contains("create   Retell agent ivy-local-sponsor"), "{output}{error}");
    assert_eq!(simulators.setup().writes, 0);
    let (code, output, error) = provision(line("apply")).await;
    assert!(code == 0 && output.contains("Applied."), "{output}{error}");
    assert!(output.contains("RetellAgentSponsor=en-GB=agent_"), "{output}");
    let writes = simulators.setup().writes;
    let (code, output, _) = provision(line("apply")).await;
    assert!(code == 0 && output.contains("0 to create, 0 to change"), "{output}");
    assert_eq!(simulators.setup().writes, writes);

    let mut unknown = line("apply");
    unknown.extend(words("--set TWILIO_NUMBERS=+447700900555"));
    let (code, output, _) = provision(unknown).await;
    assert!(code == 1 && output.contains("by hand  Twilio number +447700900555"), "{output}");
}
