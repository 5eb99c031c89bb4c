//! Functions beside their floors: start, first request, warm requests, memory, size.
//!
//! Everything that is compared is measured in one run, in rounds: each round starts the floors and then every function once, with
//! the floors again after every few, so whatever else the machine does falls on all alike. Reported are ratios to the floor and the
//! figures that they come from. The README of this folder says how to read them.

mod aws;
mod events;
mod measure;
mod people;
mod process;
mod report;
mod runtime_api;
mod share;
mod template;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ivy_simulators::{Delivery, Secrets, Simulators};
use serde_json::{Value, json};

use self::{
    aws::Aws,
    events::{CASES, Case, Needs, Words},
    measure::{Setting, Start},
    people::People,
    process::Launch,
    share::Group,
    template::{Function, Template},
};
use crate::{
    failure::{Because as _, Failure},
    say,
};

pub(crate) use report::Measured;
pub(crate) use share::cpu_share;

/// A floor again after so many functions.
const FLOOR_EVERY: usize = 8;
/// Functions that stand for the others in the modes with less CPU and with TLS: no table, a read, a transaction, a provider, a webhook.
const REPRESENTATIVES: [&str; 5] = ["health", "get-user", "update-workout", "place-call", "retell-webhook"];

/// What is to be measured.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) only: Vec<String>,
    pub(crate) starts: usize,
    pub(crate) warm: usize,
    /// The modes with less CPU and with TLS for all functions, and not only for the representatives.
    pub(crate) all: bool,
    /// Writes `measured.json` and the tables of `docs/performance.md`'s source.
    pub(crate) write: bool,
    /// A program, with arguments, that every function is started under: a profiler.
    pub(crate) under: Vec<String>,
    /// Only the plain mode.
    pub(crate) plain: bool,
}

/// How much CPU, and whether the table stands behind TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) memory_mb: Option<u32>,
    pub(crate) tls: bool,
}

const PLAIN: Mode = Mode { name: "whole CPU", memory_mb: None, tls: false };
const MODES: [Mode; 5] = [
    Mode { name: "128 MB", memory_mb: Some(128), tls: false },
    Mode { name: "256 MB", memory_mb: Some(256), tls: false },
    Mode { name: "512 MB", memory_mb: Some(512), tls: false },
    Mode { name: "whole CPU, TLS", memory_mb: None, tls: true },
    Mode { name: "256 MB, TLS", memory_mb: Some(256), tls: true },
];

/// A thing that is started and measured.
#[derive(Debug, Clone)]
enum Target {
    /// A floor or the peer; it takes the event of the case, and answers in its own way.
    Other {
        launch: Launch,
        case: Case,
        environment: BTreeMap<String, String>,
    },
    Function {
        launch: Launch,
        case: Case,
        function: Function,
    },
}

impl Target {
    const fn launch(&self) -> &Launch {
        match self {
            Self::Other { launch, .. } | Self::Function { launch, .. } => launch,
        }
    }

    const fn case(&self) -> &Case {
        match self {
            Self::Other { case, .. } | Self::Function { case, .. } => case,
        }
    }

    const fn is_floor(&self) -> bool {
        matches!(self, Self::Other { case, .. } if case.most_requests == 0)
    }
}

/// All that is measured.
struct Targets {
    floors: Vec<Target>,
    functions: Vec<Target>,
    peers: Vec<Target>,
}

/// Where everything lies.
struct Places {
    binaries: PathBuf,
    logs: PathBuf,
}

struct Bench {
    template: Template,
    places: Places,
    aws: Aws,
    simulators: Simulators,
    people: People,
    group: Option<Group>,
    settings: BTreeMap<&'static str, String>,
    /// The certificate of whoever made that of the table with TLS.
    authority: PathBuf,
    /// The system's roots and that one.
    trust: PathBuf,
    number: u32,
}

/// Measures, prints, and writes.
///
/// # Errors
/// When something is not built, does not start, or answers nothing.
pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let mut bench = Box::pin(Bench::open()).await?;
    let Targets { floors, functions, peers } = bench.targets(options)?;
    if bench.group.is_none() {
        say("No control group can be made here: the modes with a share of a CPU are left out.");
    }
    say(&format!("{} functions, {} starts each, {} warm requests", functions.len(), options.starts, options.warm));
    let mut measured = Measured::new(&bench.template);
    for target in floors.iter().chain(&functions).chain(&peers) {
        measured.weigh(&target.launch().name, weight(target.launch())?);
    }
    let everything: Vec<Target> = functions.iter().chain(&peers).cloned().collect();
    let plain = Box::pin(bench.rounds(PLAIN, &floors, &everything, options)).await?;
    measured.add(PLAIN, &plain);
    say(&measured.table(PLAIN));
    if !options.plain {
        let few: Vec<Target> = everything
            .iter()
            .filter(|target| {
                let of_peer = matches!(target, Target::Other { .. });
                options.all || of_peer || REPRESENTATIVES.contains(&target.launch().name.as_str())
            })
            .cloned()
            .collect();
        for mode in MODES {
            if mode.memory_mb.is_some() && bench.group.is_none() {
                continue;
            }
            let of_mode = Box::pin(bench.rounds(mode, &floors, &few, options)).await?;
            measured.add(mode, &of_mode);
            say(&measured.table(mode));
        }
    }
    say(&measured.budgets());
    if options.write {
        let path = crate::repository("tests/bench/measured.json");
        fs::write(&path, measured.json()?).because("measured.json cannot be written")?;
    }
    Ok(())
}

fn weight(launch: &Launch) -> Result<u64, Failure> {
    // The peer is one bundled file beside a runtime that Lambda brings.
    let file = launch.command.last().because("nothing to start")?;
    process::zip_size(Path::new(file))
}

impl Bench {
    async fn open() -> Result<Self, Failure> {
        let template = Template::read(&crate::repository("template.yaml"))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::repository("target"), PathBuf::from);
        let places = Places { binaries: target.join("release"), logs: target.join("bench") };
        fs::create_dir_all(&places.logs).because("no place for logs")?;
        let keys = Secrets::for_testing();
        let secret = json!({
            "master_key": "the benchmarks' master key, of 32 bytes or more",
            "retell_api_key": keys.retell_api_key,
            "whatsapp_token": keys.whatsapp_token,
            "whatsapp_app_secret": keys.whatsapp_app_secret,
            "whatsapp_verify_token": "verify-simulated-whatsapp-token",
            "twilio_account_sid": keys.twilio_account_sid,
            "twilio_auth_token": keys.twilio_auth_token,
        });
        let aws = Aws::start(&secret).await?;
        let address = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let simulators = Simulators::start(keys.clone(), address, Delivery::Manual).await;
        let simulators = simulators.because("the simulators do not start")?;
        let charity = template.parameter("DefaultCharityId").because("no default charity")?;
        let charity = charity.parse().because("the default charity")?;
        let people = Box::pin(People::new(&aws.url, &secret, charity)).await?;
        let settings = BTreeMap::from([
            ("RetellBaseUrl", simulators.retell_url()),
            ("WhatsAppBaseUrl", simulators.whatsapp_url()),
            ("TwilioBaseUrl", simulators.twilio_url()),
            ("StripeBaseUrl", simulators.stripe_url()),
            ("WhatsAppPhoneNumberId", keys.whatsapp_phone_number_id),
            ("TwilioFrom", keys.twilio_from),
            ("FromNumbers", format!("={}", keys.retell_from_number)),
            // Every request of place-call holds one.
            ("CallSlots", "9000".to_owned()),
        ]);
        let authority = places.logs.join("authority.pem");
        fs::write(&authority, &aws.authority).because("the authority cannot be written")?;
        // As many roots as a machine has, and ours: for who takes the system's, reading them is part of a start.
        let trust = places.logs.join("roots.pem");
        let roots = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        fs::write(&trust, format!("{roots}\n{}", aws.authority)).because("the roots cannot be written")?;
        let group = Group::open();
        Ok(Self { template, places, aws, simulators, people, group, settings, authority, trust, number: 0 })
    }

    fn targets(&self, options: &Options) -> Result<Targets, Failure> {
        let launch = |name: &str, command: Vec<String>| Launch {
            name: name.to_owned(),
            command,
            log: self.places.logs.join(format!("{name}.log")),
        };
        let binary = |name: &str| {
            let binary = self.places.binaries.join(name).display().to_string();
            options.under.iter().cloned().chain([binary]).collect::<Vec<_>>()
        };
        let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|one| one == name);
        let known = |name: &str| CASES.iter().copied().find(|case| case.function == name).because("an unknown event");
        let table = BTreeMap::from([("TABLE_NAME".to_owned(), template::TABLE.to_owned())]);
        let mut floors = Vec::new();
        for name in ["floor-hello", "floor-dynamodb"] {
            let case = Case { most_requests: 0, ..known("health")? };
            floors.push(Target::Other { launch: launch(name, binary(name)), case, environment: table.clone() });
        }
        let mut functions = Vec::new();
        for function in self.template.functions.iter().filter(|function| wanted(&function.name)) {
            let case = known(&function.name)?;
            let launch = launch(&function.name, binary(&function.name));
            functions.push(Target::Function { launch, case, function: function.clone() });
        }
        let mut peers = Vec::new();
        let bundle = crate::repository("tests/bench/peer-node/dist/bootstrap.js");
        if bundle.is_file() {
            for of in ["health", "get-user", "list-workouts"] {
                let command = vec!["node".to_owned(), bundle.display().to_string()];
                let name = format!("node-{of}");
                let Ok(mut case) = known(of) else { continue };
                // The floors are those without requests of their own.
                case.most_requests = usize::MAX;
                if wanted(&name) {
                    let (launch, mut environment) = (launch(&name, command), table.clone());
                    environment.insert("TOKEN_KEY".to_owned(), self.people.token_key.clone());
                    peers.push(Target::Other { launch, case, environment });
                }
            }
        }
        Ok(Targets { floors, functions, peers })
    }

    /// Starts everything in turn, round by round; the starts of each by its name.
    async fn rounds(
        &mut self,
        mode: Mode,
        floors: &[Target],
        targets: &[Target],
        options: &Options,
    ) -> Result<BTreeMap<String, Vec<Start>>, Failure> {
        let mut found: BTreeMap<String, Vec<Start>> = BTreeMap::new();
        for round in 0..options.starts.max(1) {
            // The last round is the one with warm requests.
            let warm = if round + 1 == options.starts.max(1) { options.warm } else { 0 };
            for (index, target) in targets.iter().enumerate() {
                if index % FLOOR_EVERY == 0 {
                    for floor in floors {
                        let start = Box::pin(self.start(mode, floor, warm)).await?;
                        found.entry(floor.launch().name.clone()).or_default().push(start);
                    }
                }
                let start = Box::pin(self.start(mode, target, warm)).await?;
                if let Some(bad) = &start.first_bad {
                    say(&format!("{}: {} unexpected answers, the first: {bad}", target.launch().name, start.bad));
                }
                found.entry(target.launch().name.clone()).or_default().push(start);
            }
        }
        Ok(found)
    }

    async fn start(&mut self, mode: Mode, target: &Target, warm: usize) -> Result<Start, Failure> {
        let case = *target.case();
        let floor = target.is_floor();
        let requests = if floor { warm + 1 } else { (warm + 1).min(case.most_requests) };
        let text = case.text()?;
        let mut events = Vec::with_capacity(requests);
        for _ in 0..requests {
            self.number += 1;
            let needs = if floor { Needs::default() } else { case.needs };
            if floor {
                events.push(text.clone());
                continue;
            }
            let person = Box::pin(self.people.person(needs)).await?;
            let words = Words {
                simulators: &self.simulators,
                operator_token: &self.people.operator_token()?,
                number: self.number,
            };
            events.push(case.event(&text, &person, &words)?);
        }
        let aws = if mode.tls { &self.aws.tls_url } else { &self.aws.url };
        let (mut environment, timeout_seconds, own) = match target {
            Target::Function { function, .. } => {
                let environment = self.template.environment(function, aws, &self.settings);
                (environment, function.timeout_seconds, Some(function.memory_mb))
            }
            Target::Other { environment, .. } => (environment.clone(), 10, None),
        };
        let memory_mb = mode.memory_mb.or(own).unwrap_or(256);
        environment.extend(of_lambda(&target.launch().name, memory_mb, aws));
        environment.insert("SSL_CERT_FILE".to_owned(), self.trust.display().to_string());
        if mode.tls {
            let authority = self.authority.display().to_string();
            environment.insert("AWS_CA_BUNDLE".to_owned(), authority.clone());
            environment.insert("NODE_EXTRA_CA_CERTS".to_owned(), authority);
        }
        let setting = Setting {
            launch: target.launch(),
            environment,
            timeout_seconds,
            memory_mb: mode.memory_mb,
            group: self.group.as_ref(),
            aws: &self.aws,
        };
        let is_good = |answer: &[u8]| match target {
            Target::Function { .. } => case.is_good(answer),
            Target::Other { .. } => {
                let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
                answer["statusCode"] == 200
            }
        };
        Box::pin(measure::start(setting, &events, &is_good)).await
    }
}

/// What Lambda itself sets.
fn of_lambda(name: &str, memory_mb: u32, aws: &str) -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let memory = memory_mb.to_string();
    let variables = [
        ("PATH", path.as_str()),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
        ("AWS_LAMBDA_FUNCTION_NAME", name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_REGION", template::REGION),
        ("AWS_DEFAULT_REGION", template::REGION),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_SESSION_TOKEN", "test"),
        ("AWS_ENDPOINT_URL", aws),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect()
}
