//! Users: signing up, onboarding, changing what Ivy knows, pausing, and what they agree to.
//!
//! Whatever changes a user goes through `add_changed_user`, so that what follows from a change follows from every way to
//! make it: the history of consents, the streak's freeze, the timer that ends a pause, the plan of the day. A change that
//! forbids calls cancels those that wait in its own transaction: a worker that is about to claim one then fails on the
//! call's version, so nothing rings once the change was answered. Another condition on the profile in the claim was
//! rejected, since it would make every claim wait for every change of the user.
//!
//! A pause with an end needs nobody to end it: the streak's freeze has the end from the start, and [`User::resume_if_due`]
//! counts the user as active from then on. A timer writes it down and plans the day; planning itself does so if the timer
//! was lost.

use ivy_domain::{
    CallId, CharityId, ConsentId, Email, Phone, SubscriptionStatus, Text, Tier, User, UserId, Zone,
    call::CallEvent,
    days,
    local_days::DayStart,
    user::{
        CommunicationPreference, Consent, ConsentSource, Consents, PauseEnd, PauseReason, Track, UserStatus,
        WeekdaySet, WeeklyGoal, Window,
    },
    values::{Contact, Locale},
};
use ivy_store::{ConsentWord, Me, Profile, Progress, Transaction};
use jiff::{SignedDuration, Timestamp, civil::Date};
use uuid::Uuid;

use crate::{
    Error, FieldError, Ivy, calls, contacts,
    idempotency::Once,
    messages,
    outbox::{self, Effect},
    retrying::{contended, until_settled},
    sign_in,
};

/// The cause of a call that a pause cancelled.
pub(crate) const PAUSED: &str = "paused";
/// The cause of a call that was cancelled because its user withdrew a consent.
pub(crate) const CONSENT_WITHDRAWN: &str = "consent_withdrawn";
/// How many calls one change cancels; each takes two writes of a transaction's hundred. More are cancelled when they are due.
const MOST_WITHDRAWN: usize = 40;
/// A pause ends within a year, if it has an end.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What a person gives to sign up.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub phone: Phone,
    pub first_name: Text<80>,
    pub last_name: Option<Text<80>>,
    pub name_pronunciation: Option<Text<80>>,
    pub email: Option<Email>,
    pub timezone: Zone,
    pub locale: Locale,
    pub subscription_type: Tier,
}

impl NewUser {
    fn user(self, now: Timestamp) -> User {
        User {
            id: UserId::generate(now),
            email: None,
            phone: self.phone,
            phone_proven_at: None,
            unproven_email: self.email,
            unproven_phone: None,
            first_name: self.first_name,
            last_name: self.last_name,
            name_pronunciation: self.name_pronunciation,
            timezone: self.timezone,
            day_start: DayStart::default(),
            held_day: None,
            locale: self.locale,
            subscription_type: self.subscription_type,
            subscription_status: SubscriptionStatus::Trialing,
            stripe_customer_id: None,
            stripe_subscription_id: None,
            company_id: None,
            track: Track::default(),
            weekly_goal: WeeklyGoal::default(),
            morning_window: None,
            evening_window: None,
            preferred_days: WeekdaySet::default(),
            communication_preference: CommunicationPreference::default(),
            minimum_action: None,
            gift_frame: None,
            why_started: None,
            obstacles: Vec::new(),
            charity_id: None,
            status: UserStatus::default(),
            resumes_at: None,
            consents: Consents::default(),
            created_at: now,
            updated_at: now,
            onboarded_at: None,
            version: 0,
        }
    }
}

/// The fault of a plan that is not to be had by signing up.
#[must_use]
pub fn not_by_signing_up(tier: Tier) -> Option<FieldError> {
    (tier == Tier::B2bSponsor)
        .then(|| FieldError::new("subscription_type", "is given by a company's invitation; choose a b2c one"))
}

/// The fault of too long a list of obstacles.
#[must_use]
pub fn too_many_obstacles(obstacles: &[Text<200>]) -> Option<FieldError> {
    let most = User::MOST_OBSTACLES;
    (obstacles.len() > most).then(|| FieldError::new("obstacles", format!("must have at most {most} entries")))
}

/// The fault of onboarding without consent to the processing of data.
#[must_use]
pub fn no_data_processing(granted: bool) -> Option<FieldError> {
    (!granted).then(|| FieldError::new("consents.data_processing", "must be granted: without it Ivy cannot work"))
}

/// Signs a person up, and sends them their first sign-in link, in one transaction.
///
/// The link always goes to the phone: who signs in with it has proven the number that is to ring. Neither answer nor work says
/// whether the phone has an account (decision 0006): where it has one, none is made and its owner gets the link. While nobody
/// has ever signed in there, the account takes what was given last. The transactions have the same size.
///
/// # Errors
/// [`Error::Invalid`] for a plan that is not to be had by signing up; [`Error::RateLimited`] as for sign-in links, with which it
/// shares the count of the phone.
pub async fn create_user(ivy: &Ivy, new: NewUser, address: &str, once: Option<&Once<User>>) -> Result<User, Error> {
    if let Some(fault) = not_by_signing_up(new.subscription_type) {
        return Err(Error::Invalid(vec![fault]));
    }
    let phone = Contact::Phone(new.phone.clone());
    sign_in::limit(ivy, "sign_up_address", address).await?;
    sign_in::limit_links(ivy, &phone).await?;
    let (new, phone) = (&new, &phone);
    until_settled(ivy, || async move {
        let now = ivy.now();
        let user = new.clone().user(now);
        let owner = ivy.store.contact_owner(phone).await?;
        // A new person costs the same read, of a user that does not exist.
        let known = ivy.store.profile(owner.unwrap_or(user.id)).await?;
        let answer = User { version: 1, ..user.clone() };
        let mut transaction = ivy.store.transaction();
        let decoy = |transaction: &mut Transaction<'_>| {
            transaction.processed_event("decoy", &Uuid::new_v4().to_string(), now);
        };
        let profile = match (owner, known) {
            (Some(_), Some(known)) if known.user.phone_proven_at.is_some() => {
                decoy(&mut transaction);
                decoy(&mut transaction);
                known
            }
            (Some(_), Some(known)) => {
                let profile = Profile { user: signed_up_again(known.user, user), ..known };
                transaction.user(&profile);
                decoy(&mut transaction);
                profile
            }
            // Its owner is being erased, or has just signed up: what is there shows when it is read again.
            (Some(_), None) => return Err(Error::Contended),
            (None, _) => {
                let profile = Profile { cipher: ivy.store.keyring().new_user_cipher(user.id), user };
                transaction.user(&profile).own_phone(&profile);
                profile
            }
        };
        sign_in::add_request(ivy, &mut transaction, phone, Some(&profile), now)?;
        if let Some(once) = once {
            once.keep(&mut transaction, &ivy.store, &answer, now);
        }
        transaction.commit().await.map_err(contended)?;
        Ok(answer)
    })
    .await
}

/// An account that nobody has signed in to, with what was given when its phone signed up again.
fn signed_up_again(known: User, new: User) -> User {
    User {
        first_name: new.first_name,
        last_name: new.last_name,
        name_pronunciation: new.name_pronunciation,
        unproven_email: new.unproven_email,
        timezone: new.timezone,
        locale: new.locale,
        subscription_type: new.subscription_type,
        updated_at: new.updated_at,
        ..known
    }
}

/// The answers of onboarding.
#[derive(Debug, Clone)]
pub struct Onboarding {
    pub track: Track,
    pub weekly_goal: WeeklyGoal,
    pub morning_window: Option<Window>,
    pub evening_window: Option<Window>,
    pub preferred_days: WeekdaySet,
    pub communication_preference: CommunicationPreference,
    pub minimum_action: Option<Text<200>>,
    pub gift_frame: Option<Text<500>>,
    pub why_started: Option<Text<500>>,
    pub obstacles: Vec<Text<200>>,
    pub charity_id: Option<CharityId>,
    pub consents: ConsentChoices,
}

/// Which purposes a person agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsentChoices {
    pub calls: bool,
    pub messages: bool,
    pub data_processing: bool,
}

impl ConsentChoices {
    fn at(self, now: Timestamp, source: ConsentSource, wording_version: &str) -> Consents {
        let consent = |granted| {
            let wording_version = wording_version.to_owned();
            Some(Consent { granted, at: now, source, wording_version })
        };
        Consents {
            calls: consent(self.calls),
            messages: consent(self.messages),
            messages_whatsapp: None,
            messages_sms: None,
            data_processing: consent(self.data_processing),
        }
    }

    /// The same, where what was said before under the same wording stands as it was said.
    fn after(self, before: &Consents, now: Timestamp, source: ConsentSource, wording_version: &str) -> Consents {
        let said = self.at(now, source, wording_version);
        let settle = |before: &Option<Consent>, after: Option<Consent>| match (before, &after) {
            (Some(old), Some(new)) if old.granted == new.granted && old.wording_version == new.wording_version => {
                before.clone()
            }
            _ => after,
        };
        Consents {
            calls: settle(&before.calls, said.calls),
            messages: settle(&before.messages, said.messages),
            // STOP on a channel is taken back there, with START: the carriers know no other way.
            messages_whatsapp: before.messages_whatsapp.clone(),
            messages_sms: before.messages_sms.clone(),
            data_processing: settle(&before.data_processing, said.data_processing),
        }
    }
}

/// Takes a user's onboarding answers and consents; what remains of today is planned at once.
///
/// # Errors
/// A conflict `already-onboarded`; [`Error::Invalid`] for wrong answers.
pub async fn onboard_user(
    ivy: &Ivy,
    user: UserId,
    answers: Onboarding,
    once: Option<&Once<User>>,
) -> Result<User, Error> {
    let mut wrong = Vec::new();
    wrong.extend(too_many_obstacles(&answers.obstacles));
    wrong.extend(no_data_processing(answers.consents.data_processing));
    if let Some(id) = answers.charity_id {
        check_charity(ivy, id, &mut wrong).await?;
    }
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let answers = &answers;
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = ivy.me(user).await?;
        if me.user().onboarded_at.is_some() {
            let detail = "This user is onboarded. Change the answers with PATCH /api/users/{id}.".to_owned();
            return Err(Error::Conflict { slug: "already-onboarded", detail });
        }
        let mut changed = me.user().clone();
        let given = answers.clone();
        changed.track = given.track;
        changed.weekly_goal = given.weekly_goal;
        changed.morning_window = given.morning_window;
        changed.evening_window = given.evening_window;
        changed.preferred_days = given.preferred_days;
        changed.communication_preference = given.communication_preference;
        changed.minimum_action = given.minimum_action;
        changed.gift_frame = given.gift_frame;
        changed.why_started = given.why_started;
        changed.obstacles = given.obstacles;
        changed.charity_id = given.charity_id;
        changed.consents = given.consents.at(now, ConsentSource::Onboarding, &ivy.settings.consent_wording_version);
        changed.onboarded_at = Some(now);
        save(ivy, &me, changed, once, now).await
    })
    .await
}

async fn check_charity(ivy: &Ivy, id: CharityId, wrong: &mut Vec<FieldError>) -> Result<(), Error> {
    match ivy.charity(id).await {
        Ok(_) => Ok(()),
        Err(Error::NotFound(_)) => {
            wrong.push(FieldError::new("charity_id", "must be the id of a charity we know"));
            Ok(())
        }
        Err(other) => Err(other),
    }
}

/// Changes of a user; `None` leaves a field as it is, the inner `None` empties it.
#[derive(Debug, Clone, Default)]
pub struct UserChanges {
    /// Another one is the user's once its code comes back.
    pub email: Option<Option<Email>>,
    pub email_code: Option<String>,
    /// Another one is the user's once its code comes back.
    pub phone: Option<Phone>,
    pub phone_code: Option<String>,
    pub first_name: Option<Text<80>>,
    pub last_name: Option<Option<Text<80>>>,
    pub name_pronunciation: Option<Option<Text<80>>>,
    pub timezone: Option<Zone>,
    pub day_start: Option<DayStart>,
    pub locale: Option<Locale>,
    pub track: Option<Track>,
    pub weekly_goal: Option<WeeklyGoal>,
    pub morning_window: Option<Option<Window>>,
    pub evening_window: Option<Option<Window>>,
    pub preferred_days: Option<WeekdaySet>,
    pub communication_preference: Option<CommunicationPreference>,
    pub minimum_action: Option<Option<Text<200>>>,
    pub gift_frame: Option<Option<Text<500>>>,
    pub why_started: Option<Option<Text<500>>>,
    pub obstacles: Option<Vec<Text<200>>>,
    pub charity_id: Option<Option<CharityId>>,
}

fn put<T>(field: &mut T, change: Option<T>) {
    if let Some(value) = change {
        *field = value;
    }
}

impl UserChanges {
    /// The contacts that the user does not have and wants.
    fn wanted(&self, user: &User) -> Vec<Contact> {
        let phone = self.phone.clone().filter(|phone| *phone != user.phone).map(Contact::Phone);
        let email = self.email.clone().flatten().filter(|email| user.email.as_ref() != Some(email)).map(Contact::Email);
        phone.into_iter().chain(email).collect()
    }

    fn codes(&self) -> contacts::Codes<'_> {
        contacts::Codes { phone: self.phone_code.as_deref(), email: self.email_code.as_deref() }
    }

    fn apply(self, user: &mut User) {
        if let Some(phone) = self.phone {
            user.unproven_phone = (phone != user.phone).then_some(phone);
        }
        if let Some(email) = self.email {
            if email.is_none() {
                user.email = None;
            }
            user.unproven_email = email.filter(|email| user.email.as_ref() != Some(email));
        }
        put(&mut user.first_name, self.first_name);
        put(&mut user.last_name, self.last_name);
        put(&mut user.name_pronunciation, self.name_pronunciation);
        put(&mut user.timezone, self.timezone);
        put(&mut user.day_start, self.day_start);
        put(&mut user.locale, self.locale);
        put(&mut user.track, self.track);
        put(&mut user.weekly_goal, self.weekly_goal);
        put(&mut user.morning_window, self.morning_window);
        put(&mut user.evening_window, self.evening_window);
        put(&mut user.preferred_days, self.preferred_days);
        put(&mut user.communication_preference, self.communication_preference);
        put(&mut user.minimum_action, self.minimum_action);
        put(&mut user.gift_frame, self.gift_frame);
        put(&mut user.why_started, self.why_started);
        put(&mut user.obstacles, self.obstacles);
        put(&mut user.charity_id, self.charity_id);
    }
}

/// Changes a user. A new zone, window, day or preference plans what remains of today again. A code goes to another phone or
/// e-mail address, which is the user's once the code comes back, as `phone_code` or `email_code`.
///
/// # Errors
/// [`Error::Invalid`] for wrong values and codes; conflicts `phone-taken`, `email-taken` for what is proven, but another
/// account's; [`Error::RateLimited`] after five wishes for another phone or address within 15 minutes, or five codes.
pub async fn update_user(ivy: &Ivy, user: UserId, changes: UserChanges) -> Result<User, Error> {
    let mut wrong = Vec::new();
    wrong.extend(changes.obstacles.as_deref().and_then(too_many_obstacles));
    wrong.extend(one_of_contact_and_code("phone_code", changes.phone.is_some(), changes.phone_code.is_some()));
    wrong.extend(one_of_contact_and_code("email_code", changes.email.is_some(), changes.email_code.is_some()));
    if let Some(Some(id)) = changes.charity_id {
        check_charity(ivy, id, &mut wrong).await?;
    }
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    contacts::limit_tries(ivy, user, changes.codes()).await?;
    if changes.phone.is_some() || changes.email.is_some() {
        let before = ivy.store.profile(user).await?.ok_or(Error::NotFound("user"))?.user;
        contacts::limit_wishes(ivy, user, &changes.wanted(&before)).await?;
    }
    let changes = &changes;
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = as_written(ivy, user).await?;
        let proven = contacts::check(ivy, me.user(), changes.codes()).await?;
        let wanted = changes.wanted(me.user());
        let mut changed = me.user().clone();
        changed.resume_if_due(now);
        changes.clone().apply(&mut changed);
        let mut transaction = ivy.store.transaction();
        for proof in proven {
            proof.add(&mut transaction, &mut changed);
        }
        if changed == *me.user() && wanted.is_empty() {
            return Ok(changed);
        }
        let profile = add_changed_user(ivy, &mut transaction, &me, changed, now)?;
        for contact in &wanted {
            contacts::add_code(ivy, &mut transaction, &profile, contact, now)?;
        }
        commit(transaction, profile).await
    })
    .await
}

/// The fault of a contact that comes along with a code: a code proves what was named before.
#[must_use]
pub fn one_of_contact_and_code(code_field: &'static str, contact: bool, code: bool) -> Option<FieldError> {
    (contact && code).then(|| FieldError::new(code_field, "proves what was named before: send it without another one"))
}

/// The user as the table has them: to see what a change changes, also that a pause is over.
async fn as_written(ivy: &Ivy, user: UserId) -> Result<Me, Error> {
    ivy.store.me(user).await?.ok_or(Error::NotFound("user"))
}

/// Pauses a user. The streak is frozen from today on, and the calls that wait and are due before the pause's end are
/// cancelled. Who is paused already gets the new reason and end; the freeze goes on from its first day.
///
/// # Errors
/// A conflict `not-onboarded`; [`Error::Invalid`] for an end that is not ahead, or more than a year away.
pub async fn pause_user(ivy: &Ivy, user: UserId, reason: PauseReason, until: Option<PauseEnd>) -> Result<User, Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = as_written(ivy, user).await?;
        let mut transaction = ivy.store.transaction();
        match add_pause(ivy, &mut transaction, &me, reason, until, now).await? {
            Some(profile) => commit(transaction, profile).await,
            None => Ok(me.profile.user),
        }
    })
    .await
}

/// Adds a pause and what follows from it to a transaction; answers the profile as it is written, nothing when the user pauses
/// like this already. `me` is the user as the table has them.
///
/// # Errors
/// As for [`pause_user`].
pub(crate) async fn add_pause(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    me: &Me,
    reason: PauseReason,
    until: Option<PauseEnd>,
    now: Timestamp,
) -> Result<Option<Profile>, Error> {
    if me.user().onboarded_at.is_none() {
        let detail = "There is nothing to pause before onboarding. Onboard first, or withdraw consents.".to_owned();
        return Err(Error::Conflict { slug: "not-onboarded", detail });
    }
    let mut changed = me.user().clone();
    changed.resume_if_due(now);
    changed.status = reason.status();
    changed.resumes_at = until.map(|end| pause_end(end, me.user(), now)).transpose()?;
    if changed == *me.user() {
        return Ok(None);
    }
    withdraw_calls(ivy, transaction, me, changed.resumes_at, PAUSED, now).await?;
    add_changed_user(ivy, transaction, me, changed, now).map(Some)
}

/// Pauses a user who asked for it in a call, once for each call: somebody who has resumed since is not paused again by the
/// same wish told once more.
///
/// # Errors
/// When the table fails; the job is delivered again.
pub(crate) async fn pause_after_call(ivy: &Ivy, user: UserId, call: CallId) -> Result<(), Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let wish = format!("{call}#pause");
        let (Some(me), false) = ivy.store.me_and_event(user, "retell", &wish).await? else { return Ok(()) };
        let mut transaction = ivy.store.transaction();
        transaction.processed_event("retell", &wish, now);
        let paused = match add_pause(ivy, &mut transaction, &me, PauseReason::Paused, None, now).await {
            Err(Error::Conflict { .. }) => None,
            paused => paused?,
        };
        let Some(profile) = paused else {
            // Nothing to pause is an answer to the wish as well: told again, it must not pause who has resumed since.
            return match transaction.commit().await {
                Err(error) if !error.failed("event") => Err(error.into()),
                Ok(()) | Err(_) => Ok(()),
            };
        };
        let text = "Your calls are paused, as you asked in our call. Reply RESUME when you want me back.";
        messages::say_if_allowed(&mut transaction, &me, text, now)?;
        commit(transaction, profile).await.map(|_| ())
    })
    .await
}

/// Withdraws the consent to calls of a user who told the voice provider so, unless they have agreed to calls since.
///
/// # Errors
/// When the table fails; the job is delivered again.
pub(crate) async fn stop_calls_after_call(ivy: &Ivy, user: UserId, said_at: Timestamp) -> Result<(), Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let Some(me) = ivy.store.me(user).await? else { return Ok(()) };
        let agreed_since = me.user().consents.calls.as_ref().is_some_and(|word| word.granted && word.at > said_at);
        if agreed_since {
            return Ok(());
        }
        let mut transaction = ivy.store.transaction();
        let from = (OptOut::Calls, ConsentSource::Call, said_at);
        match add_opt_out(ivy, &mut transaction, &me, from, now).await? {
            Some(profile) => commit(transaction, profile).await.map(|_| ()),
            None => Ok(()),
        }
    })
    .await
}

/// What a person wants no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptOut {
    Calls,
    Messages,
    Everything,
}

impl OptOut {
    const fn calls(self) -> bool {
        matches!(self, Self::Calls | Self::Everything)
    }

    const fn messages(self) -> bool {
        matches!(self, Self::Messages | Self::Everything)
    }
}

/// Adds the withdrawal of consents, and of the calls that wait, to a transaction; answers the profile as it is written, nothing
/// when the consents were withdrawn before. `me` is the user as the table has them.
///
/// # Errors
/// When the calls cannot be read.
pub(crate) async fn add_opt_out(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    me: &Me,
    (purpose, source, said_at): (OptOut, ConsentSource, Timestamp),
    now: Timestamp,
) -> Result<Option<Profile>, Error> {
    let withdrawn = |before: &Option<Consent>| {
        let wording_version = ivy.settings.consent_wording_version.clone();
        let already = before.as_ref().is_some_and(|consent| !consent.granted);
        if already { before.clone() } else { Some(Consent { granted: false, at: said_at, source, wording_version }) }
    };
    let mut changed = me.user().clone();
    changed.resume_if_due(now);
    if purpose.calls() {
        changed.consents.calls = withdrawn(&changed.consents.calls);
    }
    if purpose.messages() {
        changed.consents.messages = withdrawn(&changed.consents.messages);
    }
    if changed == *me.user() {
        return Ok(None);
    }
    if purpose.calls() {
        withdraw_calls(ivy, transaction, me, None, CONSENT_WITHDRAWN, now).await?;
    }
    add_changed_user(ivy, transaction, me, changed, now).map(Some)
}

fn pause_end(end: PauseEnd, user: &User, now: Timestamp) -> Result<Timestamp, Error> {
    let at = end.instant(user);
    if at <= now {
        return Err(Error::invalid("until", "must lie ahead"));
    }
    if at.duration_since(now) > LONGEST_PAUSE {
        return Err(Error::invalid("until", "must lie within a year"));
    }
    // Timers go by whole seconds.
    Ok(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Ends a pause: today counts again, and what remains of it is planned. For who is active it changes nothing.
///
/// # Errors
/// When the table fails.
pub async fn resume_user(ivy: &Ivy, user: UserId) -> Result<User, Error> {
    until_settled(ivy, || async move {
        let me = as_written(ivy, user).await?;
        let mut changed = me.user().clone();
        changed.status = UserStatus::Active;
        changed.resumes_at = None;
        if changed == *me.user() {
            return Ok(changed);
        }
        save(ivy, &me, changed, None, ivy.now()).await
    })
    .await
}

/// Writes down that a pause is over, if it is; the work of its timer, or of planning. Once: the second finds the user active.
///
/// # Errors
/// When the table fails; the job is delivered again.
pub(crate) async fn resume_when_due(ivy: &Ivy, user: UserId) -> Result<(), Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let Some(me) = ivy.store.me(user).await? else {
            tracing::info!(event = "user_gone", user_id = %user);
            return Ok(());
        };
        let mut changed = me.user().clone();
        if !changed.resume_if_due(now) {
            return Ok(());
        }
        tracing::info!(event = "pause_ended", user_id = %user);
        save(ivy, &me, changed, None, now).await.map(|_| ())
    })
    .await
}

/// Sets what a user agrees to, for every purpose. What is said again under the same wording stands as it was said first.
/// Without consent to calls, or to the processing of data at all, waiting calls are cancelled; messages are suppressed when
/// they would be sent.
///
/// # Errors
/// When the table fails.
pub async fn set_consents(ivy: &Ivy, user: UserId, choices: ConsentChoices) -> Result<User, Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = as_written(ivy, user).await?;
        let mut changed = me.user().clone();
        let wording = &ivy.settings.consent_wording_version;
        changed.consents = choices.after(&me.user().consents, now, ConsentSource::Api, wording);
        if changed == *me.user() {
            return Ok(changed);
        }
        let mut transaction = ivy.store.transaction();
        if !(choices.calls && choices.data_processing) {
            withdraw_calls(ivy, &mut transaction, &me, None, CONSENT_WITHDRAWN, now).await?;
        }
        let profile = add_changed_user(ivy, &mut transaction, &me, changed, now)?;
        commit(transaction, profile).await
    })
    .await
}

/// Cancels the calls that wait and are due before a time, in the transaction of what forbids them.
pub(crate) async fn withdraw_calls(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    me: &Me,
    before: Option<Timestamp>,
    cause: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let waiting = ivy.store.waiting_calls(me.id(), now).await?;
    let due = waiting.iter().filter(|stored| before.is_none_or(|before| stored.call.due_at < before));
    for stored in due.take(MOST_WITHDRAWN) {
        let event = CallEvent::Cancelled { by: cause.to_owned() };
        if let Ok(cancelled) = calls::apply(transaction, me, stored, &event, now)? {
            transaction.call(&cancelled);
        }
    }
    Ok(())
}

/// Commits a changed user; answers them as they are stored.
async fn commit(transaction: Transaction<'_>, profile: Profile) -> Result<User, Error> {
    match transaction.commit().await {
        Ok(()) => Ok(User { version: profile.user.version + 1, ..profile.user }),
        // Another change of the user was quicker: what it left shows when it is read again.
        Err(error) if error.failed("user") => Err(contended(error)),
        Err(error) if error.failed("phone") => Err(contacts::taken("phone")),
        Err(error) if error.failed("email") => Err(contacts::taken("email")),
        Err(error) => Err(contended(error)),
    }
}

/// Moves a user's days to the zone and day start they have now; answers, where they moved, the day in progress and the days that
/// the move makes too short to be missed.
fn move_days(before: &User, after: &mut User, now: Timestamp) -> Option<(Date, Option<(Date, Date)>)> {
    if (&before.timezone, before.day_start) == (&after.timezone, after.day_start) {
        return None;
    }
    let moved = before.days().moved(&after.timezone, after.day_start, now);
    after.held_day = moved.held;
    Some((before.days().date_of(now), moved.excused))
}

fn takes_messages_in_place_of_calls(user: &User) -> bool {
    user.communication_preference != CommunicationPreference::Calls && user.may_be_written_to_in_place_of_calls()
}

/// What a day's plan follows from.
fn plans_differently(before: &User, after: &User) -> bool {
    before.may_be_called() != after.may_be_called()
        || takes_messages_in_place_of_calls(before) != takes_messages_in_place_of_calls(after)
        || before.timezone != after.timezone
        || before.morning_window != after.morning_window
        || before.evening_window != after.evening_window
        || before.preferred_days != after.preferred_days
        || before.communication_preference != after.communication_preference
        || before.subscription_type != after.subscription_type
}

/// Writes a changed user with everything that follows from the change.
pub(crate) async fn save(
    ivy: &Ivy,
    me: &Me,
    changed: User,
    once: Option<&Once<User>>,
    now: Timestamp,
) -> Result<User, Error> {
    let mut transaction = ivy.store.transaction();
    let profile = add_changed_user(ivy, &mut transaction, me, changed, now)?;
    if let Some(once) = once {
        once.keep(&mut transaction, &ivy.store, &profile.user, now);
    }
    commit(transaction, profile).await
}

/// Adds a changed profile to a transaction: the profile itself, the ownership of phone and e-mail, the history of consents, the
/// streak's preferred days and freeze, the day that a move falls into, the timer of a pause, and the new plan of the day.
/// Answers the profile as it is written.
pub(crate) fn add_changed_user(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    me: &Me,
    changed: User,
    now: Timestamp,
) -> Result<Profile, Error> {
    let mut profile = Profile { user: User { updated_at: now, ..changed }, cipher: me.profile.cipher.clone() };
    let before = me.user();
    let moved = move_days(before, &mut profile.user, now);
    let after = &profile.user;
    transaction.user(&profile);
    contacts::add_ownership(ivy, transaction, me, &profile);
    let said = after.consents.by_purpose();
    // Ids of one moment have no order of their own: sorted, they keep the words in the order of their purposes.
    let mut ids = said.map(|_| ConsentId::generate(now));
    ids.sort_unstable();
    for ((id, (purpose, new)), (_, old)) in ids.into_iter().zip(said).zip(before.consents.by_purpose()) {
        if let Some(consent) = new.filter(|new| old != Some(*new)) {
            let word = ConsentWord { id, purpose: purpose.to_owned(), consent: consent.clone() };
            transaction.consent(after.id, &word);
        }
    }
    let onboarding = before.onboarded_at.is_none() && after.onboarded_at.is_some();
    let other_days = after.preferred_days != before.preferred_days || onboarding;
    let other_pause = (after.status, after.resumes_at) != (before.status, before.resumes_at);
    let known = me.progress();
    let mut progress = known.clone();
    if let Some((today, too_short)) = moved {
        progress.streak.moved(today, too_short);
    }
    if other_days || other_pause || progress != known {
        if other_days {
            progress.streak.set_preferred_days(after.preferred_days, after.days().date_of(now));
        }
        if other_pause {
            freeze(&mut progress, before, after, now);
        }
        transaction.progress(after.id, &progress);
    }
    add_resume_timers(transaction, before, after, now)?;
    if onboarding || plans_differently(before, after) {
        let mut dates = days::days_planned_at(now, &after.timezone);
        let elsewhere = days::days_planned_at(now, &before.timezone);
        dates.extend(elsewhere.into_iter().filter(|date| !dates.contains(date)).collect::<Vec<_>>());
        outbox::add(transaction, &Effect::PlanUser { user_id: after.id, dates, from: now }, now)?;
    }
    Ok(profile)
}

/// Brings the streak's freeze in line with a pause that begins, changes, or ends.
fn freeze(progress: &mut Progress, before: &User, after: &User, now: Timestamp) {
    let days = after.days();
    if after.status == UserStatus::Active {
        // A pause that was over before somebody noticed ended on its own day.
        let ended_at = before.resumes_at.filter(|at| *at <= now).unwrap_or(now);
        progress.streak.unfreeze(days.date_of(ended_at));
    } else {
        progress.streak.freeze_until(days.date_of(now), after.resumes_at.map(|at| days.date_of(at)));
    }
}

fn add_resume_timers(
    transaction: &mut Transaction<'_>,
    before: &User,
    after: &User,
    now: Timestamp,
) -> Result<(), Error> {
    if before.resumes_at == after.resumes_at {
        return Ok(());
    }
    let user_id = after.id;
    if let Some(at) = before.resumes_at.filter(|at| *at > now) {
        outbox::add(transaction, &Effect::ClearResumeTimer { user_id, at }, now)?;
    }
    match after.resumes_at {
        Some(at) => outbox::add(transaction, &Effect::SetResumeTimer { user_id, at }, now),
        None => Ok(()),
    }
}
