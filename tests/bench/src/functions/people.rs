//! The people and operators that the events are about.
//!
//! They are made by the flows that make them in production, on the table that the functions will read: nobody here knows an
//! item's shape. Each request is about a person of its own, so that no request finds what the one before left, and no account
//! comes near its limit of requests.

use std::sync::Arc;

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::AttributeValue,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ivy_domain::{
    AdminId, CallId, CharityId, SessionId, UserId, WorkoutId,
    admin::AdminRole,
    call::CallType,
    charity::Charity,
    tier::Tier,
    user::{CommunicationPreference, Track, WeekdaySet, WeeklyGoal, Window, WindowText},
};
use ivy_flows::{
    Ivy, Settings, SystemClock,
    accounts::{self, ConsentChoices, NewUser, Onboarding},
    admins,
    calls::{self, NewCall},
    workouts::{self, NewWorkout},
};
use ivy_runtime::{Tokens, secrets::Secrets};
use ivy_store::{Store, keys};
use jiff::{SignedDuration, Timestamp};

use super::{events::Needs, template::TABLE};
use crate::failure::{Because as _, Failure};

/// The operator of the events.
const OPERATOR_EMAIL: &str = "operator@ivy.test";
const OPERATOR_PASSWORD: &str = "the benchmarks' operator";

/// A person, and what an event may be about.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) phone: String,
    pub(crate) token: String,
    pub(crate) workout: Option<WorkoutId>,
    pub(crate) call: Option<(CallId, Timestamp)>,
    /// The message that brought the first sign-in link.
    pub(crate) message: Option<String>,
}

/// A fresh table, and who is in it.
#[derive(Debug)]
pub(crate) struct People {
    ivy: Ivy,
    client: Client,
    tokens: Tokens,
    /// What access tokens are signed with, in base64: the peer checks them as well.
    pub(crate) token_key: String,
    made: u32,
}

/// How many numbers there are that are kept for fiction.
const NUMBERS: u32 = 1000;

impl People {
    pub(crate) async fn new(aws: &str, secret: &serde_json::Value, charity: CharityId) -> Result<Self, Failure> {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(aws)
            .region(Region::from_static(super::template::REGION))
            .credentials_provider(Credentials::new("test", "test", None, None, "bench"))
            .build();
        let client = Client::from_conf(config);
        ivy_store::create_table(&client, TABLE).await.because("the table is not made")?;
        let keyring = Secrets::from_json(&secret.to_string()).and_then(|secrets| secrets.keyring());
        let keyring = keyring.because("the secret is none")?;
        let tokens = Tokens::new(&keyring);
        let token_key = STANDARD.encode(keyring.signing_key().derive("access-token"));
        let store = Store::new(client.clone(), TABLE.to_owned(), keyring);
        let charity = Charity {
            id: charity,
            name: "Mind".to_owned(),
            impact_unit: "helpline calls".to_owned(),
            impact_per_pound_milli: 2000,
        };
        store.put_charity(&charity).await.because("the charity is not written")?;
        let settings = Settings { default_charity_id: charity.id, ..Settings::for_testing() };
        let ivy = Ivy::new(store, Arc::new(SystemClock), Arc::new(settings));
        let email = OPERATOR_EMAIL.parse().because("the operator's address")?;
        let password = OPERATOR_PASSWORD.parse().because("the operator's password")?;
        let made = Box::pin(admins::add(&ivy.store, &email, AdminRole::Operator, &password, ivy.now()));
        made.await.because("the operator is not made")?;
        Ok(Self { ivy, client, tokens, token_key, made: 0 })
    }

    /// A token of an operator of its own: each account may ask 120 times a minute.
    pub(crate) fn operator_token(&self) -> Result<String, Failure> {
        let id = AdminId::generate(self.ivy.now());
        self.tokens.issue_admin(id, AdminRole::Operator, self.ivy.now()).because("no token")
    }

    /// A new person with what an event needs.
    pub(crate) async fn person(&mut self, needs: Needs) -> Result<Person, Failure> {
        self.made += 1;
        let number = self.made;
        // A phone belongs to one account: beyond the thousand numbers of fiction, in other countries' ranges.
        let phone = format!("+{}5550{:03}{:04}", 1 + number / 10_000_000, number / NUMBERS, number % NUMBERS);
        let phone = if number < NUMBERS { format!("+447700900{number:03}") } else { phone };
        let new = NewUser {
            phone: phone.parse().because("a phone number")?,
            first_name: "Mara".to_owned().try_into().because("a name")?,
            last_name: None,
            name_pronunciation: None,
            email: None,
            timezone: "Europe/London".parse().because("a zone")?,
            locale: Default::default(),
            subscription_type: Tier::B2cElite,
        };
        let address = format!("198.{}.{}.{}", 18 + number / 65_536, number / 256 % 256, number % 256);
        let user = Box::pin(accounts::create_user(&self.ivy, new, &address, None)).await.because("no sign-up")?;
        let token = self.tokens.issue(user.id, SessionId::generate(self.ivy.now()), self.ivy.now());
        let token = token.because("no token")?;
        self.prove_phone(user.id).await?;
        let mut person = Person { id: user.id, phone, token, workout: None, call: None, message: None };
        if needs.onboarded {
            Box::pin(accounts::onboard_user(&self.ivy, person.id, onboarding()?, None))
                .await
                .because("no onboarding")?;
        }
        if needs.workout {
            let planned_activity = "30 minute run".to_owned().try_into().because("an activity")?;
            let planned_time = self.ivy.now() + SignedDuration::from_mins(5);
            let new = NewWorkout { planned_activity, planned_time, planned_duration_minutes: Some(30) };
            let made = Box::pin(workouts::create_workout(&self.ivy, person.id, new, None)).await;
            person.workout = Some(made.because("no workout")?.id);
        }
        if needs.call {
            let scheduled_time = self.ivy.now() + SignedDuration::from_hours(2);
            let call_type = CallType::MorningPlanning;
            let new = NewCall { call_type, scheduled_time, window_start: None, window_end: None };
            let made = Box::pin(calls::schedule_call(&self.ivy, person.id, new, None)).await;
            person.call = Some(made.map(|call| (call.id, call.due_at)).because("no call")?);
        }
        if needs.due_call {
            let made = Box::pin(calls::initiate_call(&self.ivy, person.id, CallType::Rescue, None)).await;
            person.call = Some(made.map(|call| (call.id, call.due_at)).because("no call at once")?);
        }
        if needs.message {
            person.message = Some(self.message(person.id).await?);
        }
        Ok(person)
    }

    /// As a code does that came by SMS and was entered: the one thing that no flow does without a phone at hand.
    async fn prove_phone(&self, user: UserId) -> Result<(), Failure> {
        let me = Box::pin(self.ivy.store.me(user)).await.because("no account")?.because("no account")?;
        let mut profile = me.profile;
        profile.user.phone_proven_at = Some(self.ivy.now());
        let mut transaction = self.ivy.store.transaction();
        transaction.user(&profile);
        Box::pin(transaction.commit()).await.because("the phone is not proven")
    }

    async fn message(&self, user: UserId) -> Result<String, Failure> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let query = self
            .client
            .query()
            .table_name(TABLE)
            .key_condition_expression("pk = :pk and begins_with(sk, :sk)")
            .expression_attribute_values(":pk", text(&keys::user_partition(user)))
            .expression_attribute_values(":sk", text(keys::MESSAGES));
        let found = Box::pin(query.send()).await.because("no message")?;
        let item = found.items().first().because("no message was written at sign-up")?;
        let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).because("a message without a key")?;
        Ok(sk.trim_start_matches(keys::MESSAGES).to_owned())
    }
}

fn onboarding() -> Result<Onboarding, Failure> {
    let window = |start: &str, end: &str| {
        Window::try_from(WindowText { start: start.to_owned(), end: end.to_owned() }).because("a window")
    };
    Ok(Onboarding {
        track: Track::Fitness,
        weekly_goal: WeeklyGoal::default(),
        morning_window: Some(window("07:00", "09:00")?),
        evening_window: Some(window("18:00", "20:00")?),
        preferred_days: WeekdaySet::default(),
        communication_preference: CommunicationPreference::Calls,
        minimum_action: Some("a walk around the block".to_owned().try_into().because("a minimum action")?),
        gift_frame: None,
        why_started: Some("to sleep again".to_owned().try_into().because("a reason")?),
        obstacles: Vec::new(),
        charity_id: None,
        consents: ConsentChoices { calls: true, messages: true, data_processing: true },
    })
}
