//! `ivy-local admin`: the accounts of operators and companies' admins, which no endpoint makes.
//!
//! It works on the running local stack, or with `--table` and `--secret` on a deployed one: then region, credentials and endpoint
//! come from the environment, as every AWS client has them (`aws configure export-credentials --format env`). The secret is
//! needed because an account lies under the keyed hash of its address. A password is read from standard input or made
//! here and shown once; it is never an argument, because other users of a machine see those.

use std::io::Read as _;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use ivy_domain::{
    Email,
    admin::{AdminRole, NewPassword},
};
use ivy_flows::{Clock as _, SystemClock, admins};
use ivy_runtime::{secrets::Secrets, start::sdk_config};
use ivy_store::{Keyring, Store};
use uuid::Uuid;

use crate::{
    console::Console,
    deploy,
    emulator::{Aws, REGION},
    failure::Failure,
    layout::Layout,
    seed,
};

/// What is to be done with whose account, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    action: Action,
    email: String,
    password_from_stdin: bool,
    place: Place,
}

#[derive(Debug, PartialEq, Eq)]
enum Action {
    Add(AdminRole),
    SetPassword,
    Disable,
    Enable,
    Remove,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Local { port: u16 },
    Deployed { table: String, secret: String },
}

impl Order {
    /// Reads what stands after `admin`.
    ///
    /// # Errors
    /// A sentence about the first thing that is wrong.
    pub(crate) fn parse(words: &[String], default_port: u16) -> Result<Self, String> {
        let mut words = words.iter();
        let verb = words.next().map(String::as_str);
        let (mut email, mut role, mut company, mut table, mut secret) = (None, None, None, None, None);
        let (mut port, mut password_from_stdin) = (default_port, false);
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--email" => email = Some(value()?),
                "--role" => role = Some(value()?),
                "--company" => company = Some(value()?),
                "--table" => table = Some(value()?),
                "--secret" => secret = Some(value()?),
                "--port" => port = value()?.parse().map_err(|_| "--port needs a port number".to_owned())?,
                "--password-stdin" => password_from_stdin = true,
                other => return Err(format!("admin does not know {other}")),
            }
        }
        let action = match verb {
            Some("add") => Action::Add(role_of(role.as_deref(), company.as_deref())?),
            Some("set-password") => Action::SetPassword,
            Some("disable") => Action::Disable,
            Some("enable") => Action::Enable,
            Some("remove") => Action::Remove,
            _ => return Err("admin needs add, set-password, disable, enable or remove".to_owned()),
        };
        let place = match (table, secret) {
            (None, None) => Place::Local { port },
            (Some(table), Some(secret)) => Place::Deployed { table, secret },
            _ => return Err("--table and --secret go together".to_owned()),
        };
        Ok(Self { action, email: email.ok_or("admin needs --email")?, password_from_stdin, place })
    }
}

fn role_of(role: Option<&str>, company: Option<&str>) -> Result<AdminRole, String> {
    match (role, company) {
        (Some("operator"), None) => Ok(AdminRole::Operator),
        (Some("company_admin"), Some(id)) => {
            let company_id = id.parse().map_err(|reason| format!("--company {reason}"))?;
            Ok(AdminRole::CompanyAdmin { company_id })
        }
        (Some("operator"), Some(_)) => Err("an operator belongs to no --company".to_owned()),
        (Some("company_admin"), None) => Err("a company_admin needs --company".to_owned()),
        _ => Err("--role must be operator or company_admin".to_owned()),
    }
}

/// Carries an order out.
pub(crate) async fn run(console: &Console, layout: &Layout, order: &Order) -> Result<(), Failure> {
    let email: Email = order.email.parse().map_err(|reason| Failure::new(format!("--email {reason}.")))?;
    let store = open(layout, &order.place).await?;
    let now = SystemClock.now();
    let failed = |error: ivy_flows::Error| Failure::new(format!("The account was not changed: {error}."));
    match &order.action {
        Action::Add(role) => {
            let password = Password::get(order.password_from_stdin)?;
            let id = Box::pin(admins::add(&store, &email, *role, &password.value, now)).await.map_err(failed)?;
            console.line(&format!("Made {id}, {}.", role.name()));
            password.show(console);
        }
        Action::SetPassword => {
            let password = Password::get(order.password_from_stdin)?;
            let change = admins::Change::SetPassword(password.value.clone());
            Box::pin(admins::change(&store, &email, &change, now)).await.map_err(failed)?;
            console.line("Changed the password. Tokens that are out live for up to an hour.");
            password.show(console);
        }
        Action::Disable => {
            Box::pin(admins::change(&store, &email, &admins::Change::Disable, now)).await.map_err(failed)?;
            console.line("Disabled. Tokens that are out live for up to an hour.");
        }
        Action::Enable => {
            Box::pin(admins::change(&store, &email, &admins::Change::Enable, now)).await.map_err(failed)?;
            console.line("Enabled.");
        }
        Action::Remove => {
            Box::pin(admins::remove(&store, &email)).await.map_err(failed)?;
            console.line("Removed. Tokens that are out live for up to an hour.");
        }
    }
    Ok(())
}

struct Password {
    value: NewPassword,
    made_here: bool,
}

impl Password {
    fn get(from_stdin: bool) -> Result<Self, Failure> {
        let text = if from_stdin {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Failure::new(format!("The password cannot be read: {error}.")))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            made_password()
        };
        let value = text.parse().map_err(|reason| Failure::new(format!("The password {reason}.")))?;
        Ok(Self { value, made_here: !from_stdin })
    }

    fn show(&self, console: &Console) {
        if self.made_here {
            console.line(&format!("Password, shown this once: {}", self.value.as_str()));
        }
    }
}

/// 32 hexadecimal digits, of which 122 bits are random.
pub(crate) fn made_password() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The table of the emulator at an address.
pub(crate) fn local_store(url: &str, table: &str, keyring: Keyring) -> Store {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("test", "test", None, None, "local"))
        .build();
    Store::new(aws_sdk_dynamodb::Client::from_conf(config), table.to_owned(), keyring)
}

async fn open(layout: &Layout, place: &Place) -> Result<Store, Failure> {
    match place {
        Place::Local { port } => {
            let aws = Aws::new(*port);
            let mut outputs = aws.stack_outputs(deploy::STACK).await?;
            let table = outputs.remove("TableName").ok_or_else(|| Failure::new("The local stack has no table."))?;
            Ok(local_store(&aws.url, &table, seed::keyring(layout)?))
        }
        Place::Deployed { table, secret } => {
            let sdk = sdk_config().map_err(|error| Failure::new(format!("{error}")))?;
            let unusable = |error| Failure::new(format!("{error}"));
            let secrets = Box::pin(Secrets::fetch(&sdk, secret)).await.map_err(unusable)?;
            let keyring = secrets.keyring().map_err(unusable)?;
            Ok(Store::new(aws_sdk_dynamodb::Client::new(&sdk), table.clone(), keyring))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Order, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Order::parse(&words, 4566)
    }

    #[test]
    fn an_order_is_read() {
        let order = parse("add --email sam@example.com --role operator --password-stdin").unwrap();
        let expected = Order {
            action: Action::Add(AdminRole::Operator),
            email: "sam@example.com".to_owned(),
            password_from_stdin: true,
            place: Place::Local { port: 4566 },
        };
        assert_eq!(order, expected);
        let deployed = parse("disable --email sam@example.com --table ivy --secret ivy/secret").unwrap();
        assert_eq!(deployed.place, Place::Deployed { table: "ivy".to_owned(), secret: "ivy/secret".to_owned() });
        for (wrong, word) in [
            ("", "admin needs add"),
            ("add --email a@b.example", "--role"),
            ("add --email a@b.example --role company_admin", "--company"),
            ("add --email a@b.example --role company_admin --company 7", "--company"),
            ("add --role operator", "--email"),
            ("remove --email a@b.example --table ivy", "go together"),
            ("remove --email a@b.example --password secret", "does not know --password"),
            ("remove --email", "needs a value"),
        ] {
            let sentence = parse(wrong).unwrap_err();
            assert!(sentence.contains(word), "{wrong}: {sentence}");
        }
    }

    #[test]
    fn a_password_made_here_may_be_one() {
        assert!(made_password().parse::<NewPassword>().is_ok());
        assert_ne!(made_password(), made_password());
    }
}
