//! Messages in: found out whose they are, stored, understood, acted on, answered. One flow for every channel.
//!
//! The message's id is remembered in the transaction of its effects, so a repeat changes nothing; what the user reports
//! belongs to the day on which they wrote it, not on which it arrived. Ivy answers what it does not understand once in
//! twelve hours, and sends a user at most twenty automatic answers a day, so two machines never talk for ever.
//!
//! What a reply means may hang on what was asked last ([`ivy_store::Asked`]): "7" is a score, or a time. A question stands for a
//! day, and anything that is clear by itself is taken for what it says.
//!
//! A sender is known by their number, or by the id that WhatsApp gives them for us, which finds those who hide their number. It is
//! learnt from a message that carries both, from what became of a message of ours, and from a reply to one, which nobody else can
//! give. Of strangers nothing is kept but a hash, for a day, so that they get one answer in it.
//!
//! Messages come in any order. Words that undo each other (STOP and START, pausing and resuming, two times for one plan) go by
//! when they were written: an older one that comes later changes nothing.

use ivy_domain::{
    MessageId, Phone, Text, User, UserId, WorkoutId, days,
    message::{Message, MessageDirection, MessageKind, MessageStatus, Notice, Via},
    replies::{
        Intent, StopRequest, StopScope, is_help_keyword, pause_reason, stop_request, stop_scope, understand,
        understand_button,
    },
    scores::{Score, ScoreKind},
    times::{named_time, pause_until, without_time},
    user::{CommunicationPreference, Consent, ConsentSource, PauseEnd, UserStatus, granted},
    values::Contact as Address,
    workout::{ReportedBy, Workout, WorkoutStatus},
};
use ivy_providers::whatsapp::{OutboundContent, Recipient, WhatsApp, WhatsAppMessage};
use ivy_store::{Agenda, Asked, Contact, Me, MessageOwner, Question, Rescheduled, Transaction};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Ivy,
    accounts::{self, OptOut},
    completions::{Ledger, Report},
    conversation::{FURTHEST_PLAN, named_plan, spoken},
    messages::{self, Outgoing},
    metrics,
    retrying::{contended, until_settled},
    voice_events::Taken,
    workouts::{self, NewWorkout},
};

const ACKNOWLEDGED_FOR: SignedDuration = SignedDuration::from_hours(12);
const MOST_REPLIES_A_DAY: u32 = 20;
/// A question is answered within so long, or not at all.
const ASKED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// An energy score of the last so many days needs no asking.
const SCORE_KEPT_DAYS: i32 = 6;

/// Who sent a message, by what the channel tells of them.
#[derive(Clone, Default)]
pub struct Sender {
    pub phone: Option<Phone>,
    /// WhatsApp's id of the person, for us alone.
    pub whatsapp_user_id: Option<String>,
}

impl std::fmt::Debug for Sender {
    /// Shows what is known, never what it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("phone", &self.phone.is_some())
            .field("whatsapp_user_id", &self.whatsapp_user_id.is_some())
            .finish()
    }
}

impl Sender {
    #[must_use]
    pub const fn phone(phone: Phone) -> Self {
        Self { phone: Some(phone), whatsapp_user_id: None }
    }

    /// The words by which a stranger is counted.
    fn subject(&self) -> Option<&str> {
        self.phone.as_ref().map(Phone::as_str).or(self.whatsapp_user_id.as_deref())
    }
}

/// A message from outside.
#[derive(Clone)]
pub struct Inbound {
    pub via: Via,
    /// The provider's id of it.
    pub id: String,
    pub from: Sender,
    pub content: InboundContent,
    /// The provider's id of the message that it replies to.
    pub replies_to: Option<String>,
    pub at: Timestamp,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound").field("via", &self.via).finish_non_exhaustive()
    }
}

#[derive(Clone)]
pub enum InboundContent {
    Text(String),
    Button {
        id: String,
        title: String,
    },
    /// The provider's id of the recording, and how long it is where that is told.
    VoiceNote {
        media_id: String,
        seconds: Option<u32>,
    },
    /// Anything that we do not read.
    Other,
}

impl std::fmt::Debug for InboundContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[private]")
    }
}

impl Inbound {
    fn provider(&self) -> &'static str {
        messages::provider(self.via)
    }

    fn text(&self) -> &str {
        match &self.content {
            InboundContent::Text(text) => text,
            InboundContent::Button { title, .. } => title,
            InboundContent::VoiceNote { .. } | InboundContent::Other => "",
        }
    }

    fn intent(&self) -> Intent {
        match &self.content {
            InboundContent::Text(text) => understand(text),
            InboundContent::Button { id, title } => understand_button(id).unwrap_or_else(|| understand(title)),
            InboundContent::VoiceNote { .. } | InboundContent::Other => Intent::Other,
        }
    }

    const fn source(&self) -> ReportedBy {
        match self.via {
            Via::Whatsapp => ReportedBy::Whatsapp,
            Via::Sms | Via::Email => ReportedBy::Sms,
        }
    }

    const fn consent_source(&self) -> ConsentSource {
        match self.via {
            Via::Whatsapp => ConsentSource::Whatsapp,
            Via::Sms | Via::Email => ConsentSource::Sms,
        }
    }

    fn message(&self, ivy: &Ivy, me: &Me, now: Timestamp) -> Message {
        let (kind, body) = match &self.content {
            InboundContent::Text(text) => (MessageKind::Text, Text::truncated(text)),
            InboundContent::Button { title, .. } => (MessageKind::QuickReply, Text::truncated(title)),
            InboundContent::VoiceNote { .. } => (MessageKind::VoiceNote, None),
            InboundContent::Other => (MessageKind::Text, None),
        };
        let (media_id, media_seconds) = match &self.content {
            InboundContent::VoiceNote { media_id, seconds } => (Some(media_id.clone()), *seconds),
            InboundContent::Text(_) | InboundContent::Button { .. } | InboundContent::Other => (None, None),
        };
        Message {
            id: MessageId::generate(now),
            user_id: me.id(),
            direction: MessageDirection::In,
            via: self.via,
            kind,
            status: MessageStatus::Received,
            notice: None,
            body,
            media_id,
            media_seconds,
            call_id: None,
            workout_id: None,
            created_at: self.at,
            updated_at: now,
            provider_id: Some(ivy.store.provider_id(&self.id)),
            attempts: 0,
            tried_since: None,
            not_after: None,
            unless_heard_since: None,
            answers_inbound_at: None,
            failure: None,
            version: 0,
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// From a user: taken, or known before, or not to be taken.
    User(Taken),
    /// From nobody we know; whether they get the neutral answer, which is once a day.
    Stranger { answer: bool },
}

/// What strangers are told.
pub const TO_STRANGERS: &str = "Hello, this is Ivy, an automated accountability partner. This number is for people who signed up. If that was you, write \
     from the number you gave us.";

/// Takes a message from outside. Whoever carries the channel answers a stranger, for there is nobody to queue a message for.
///
/// # Errors
/// When the table fails; the provider delivers it again.
pub async fn inbound_message(ivy: &Ivy, inbound: &Inbound) -> Result<Received, Error> {
    let (known, replied_to) = tokio::try_join!(sender(ivy, &inbound.from), replied_to(ivy, inbound))?;
    // Whoever hides their number is the one to whom the message went that they reply to: nobody else has it.
    let recipient = replied_to.filter(|_| inbound.from.phone.is_none()).map(|owner| owner.user_id);
    let Some(user) = known.or(recipient) else { return stranger(ivy, inbound).await };
    let taken = until_settled(ivy, || async move {
        let now = ivy.now();
        let (me, seen) = ivy.store.me_and_event(user, inbound.provider(), &inbound.id).await?;
        let Some(me) = me.filter(|_| !seen) else { return Ok(if seen { Taken::Duplicate } else { Taken::Ignored }) };
        let mut transaction = ivy.store.transaction();
        transaction
            .processed_event(inbound.provider(), &inbound.id, now)
            .message(&inbound.message(ivy, &me, now), &me.profile.cipher);
        let mut contact = me.contact.clone();
        match inbound.via {
            Via::Whatsapp => contact.whatsapp_inbound_at = contact.whatsapp_inbound_at.max(Some(inbound.at)),
            Via::Sms | Via::Email => contact.sms_inbound_at = contact.sms_inbound_at.max(Some(inbound.at)),
        }
        if let Some(id) = &inbound.from.whatsapp_user_id {
            learn_whatsapp_user(ivy, &mut transaction, &mut contact, id, user);
        }
        let about = workout_of(ivy, user, replied_to).await?;
        let mut reply = Reply { ivy, me: &me, inbound, now, contact, about, asked_about: None };
        reply.act(&mut transaction).await?;
        transaction.contact(user, &reply.contact);
        match transaction.commit().await {
            Ok(()) => Ok(Taken::Applied),
            Err(error) if error.failed("event") => Ok(Taken::Duplicate),
            Err(error) => Err(contended(error)),
        }
    });
    Ok(Received::User(taken.await?))
}

/// Answers a stranger by WhatsApp. Best effort, once: there is no message of ours to remember it by.
pub async fn answer_stranger(whatsapp: &WhatsApp, from: &Sender) {
    let to = match (&from.phone, &from.whatsapp_user_id) {
        (Some(phone), _) => Recipient::Phone(phone.as_str().to_owned()),
        (None, Some(id)) => Recipient::User(id.clone()),
        (None, None) => return,
    };
    let content = OutboundContent::Text { body: TO_STRANGERS.to_owned() };
    if let Err(error) = whatsapp.send(&WhatsAppMessage { to, content, biz_opaque_callback_data: None }).await {
        tracing::warn!(event = "stranger_not_answered", %error);
    }
}

async fn sender(ivy: &Ivy, from: &Sender) -> Result<Option<UserId>, Error> {
    if let Some(phone) = &from.phone {
        // A number that is nobody's is a stranger's, whatever id it once came with.
        return Ok(ivy.store.contact_owner(&Address::Phone(phone.clone())).await?);
    }
    match &from.whatsapp_user_id {
        Some(id) => Ok(ivy.store.whatsapp_user_owner(id).await?),
        None => Ok(None),
    }
}

/// Whose message somebody replies to, if it is one of ours.
async fn replied_to(ivy: &Ivy, inbound: &Inbound) -> Result<Option<MessageOwner>, Error> {
    match &inbound.replies_to {
        Some(id) => Ok(ivy.store.message_owner(inbound.provider(), id).await?),
        None => Ok(None),
    }
}

/// The workout that a message of ours to this user was about.
async fn workout_of(ivy: &Ivy, user: UserId, replied_to: Option<MessageOwner>) -> Result<Option<Workout>, Error> {
    let Some(owner) = replied_to.filter(|owner| owner.user_id == user) else { return Ok(None) };
    let (_, message) = ivy.store.me_and_message(user, owner.message_id).await?;
    let Some(id) = message.and_then(|message| message.workout_id) else { return Ok(None) };
    Ok(ivy.store.me_and_workout(user, id).await?.1)
}

/// Lets WhatsApp's id of a user lead to them from now on; whether that is new.
pub(crate) fn learn_whatsapp_user(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    contact: &mut Contact,
    id: &str,
    user: UserId,
) -> bool {
    let hashed = ivy.store.provider_id(id);
    if contact.whatsapp_user_id.as_ref() == Some(&hashed) {
        return false;
    }
    if let Some(old) = contact.whatsapp_user_id.replace(hashed) {
        transaction.forget_whatsapp_user(&old);
    }
    transaction.whatsapp_user(id, user);
    true
}

async fn stranger(ivy: &Ivy, inbound: &Inbound) -> Result<Received, Error> {
    metrics::count("message_from_stranger", &[]);
    tracing::info!(event = "message_from_stranger", via = ?inbound.via);
    // Who wants nothing gets nothing, and what is no message in words may be a machine's.
    let wants_nothing = stop_request(inbound.text()).is_some() || inbound.text().is_empty();
    let Some(subject) = inbound.from.subject().filter(|_| !wants_nothing) else {
        return Ok(Received::Stranger { answer: false });
    };
    let first = ivy.store.count_requests("stranger", subject, 1, 1, 86_400, ivy.now()).await?;
    Ok(Received::Stranger { answer: first.is_some() })
}

/// A user's message and what it changes. `me` is the user as the table has them.
struct Reply<'a> {
    ivy: &'a Ivy,
    me: &'a Me,
    inbound: &'a Inbound,
    now: Timestamp,
    contact: Contact,
    /// The workout of the message that this one replies to.
    about: Option<Workout>,
    /// The plan that the question was about which this one answers.
    asked_about: Option<WorkoutId>,
}

impl Reply<'_> {
    async fn act(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        let asked = self.contact.asked.take().filter(|asked| self.inbound.at.duration_since(asked.at) < ASKED_FOR);
        let intent = self.inbound.intent();
        tracing::info!(event = "message_understood", user_id = %self.me.id(), intent = intent.name());
        if let Some(asked) = asked
            && self.answer(transaction, asked, intent).await?
        {
            return Ok(());
        }
        match intent {
            Intent::Done => self.report(transaction, WorkoutStatus::Completed).await,
            Intent::Partial => self.report(transaction, WorkoutStatus::Partial).await,
            Intent::Skip => self.report(transaction, WorkoutStatus::Skipped).await,
            Intent::Rest => self.report(transaction, WorkoutStatus::RestDay).await,
            Intent::Stop => self.stop(transaction),
            Intent::Start => self.channel(transaction, true),
            Intent::Status => {
                let text = self.status_text();
                self.say(transaction, &text)
            }
            Intent::Help => self.help(transaction),
            Intent::Reschedule => self.reschedule(transaction).await,
            Intent::Pause => self.pause(transaction).await,
            Intent::Resume => self.resume(transaction),
            Intent::Score(_) | Intent::Other => self.other(transaction).await,
        }
    }

    /// Takes a message for the answer to the question that stands; whether it was one.
    async fn answer(&mut self, transaction: &mut Transaction<'_>, asked: Asked, intent: Intent) -> Result<bool, Error> {
        match (asked.question, intent) {
            (Question::Score(kind), Intent::Score(value)) => {
                let Ok(score) = Score::try_from(i64::from(value)) else { return Ok(false) };
                let mut ledger = Ledger::open(self.ivy, self.me, self.now).await?;
                ledger.score(kind, score, self.inbound.at);
                ledger.write(transaction)?;
                self.say(transaction, &format!("Thank you. {}: {value} out of 10.", capitalised(kind.name())))?;
                Ok(true)
            }
            (Question::NewTime, Intent::Score(_) | Intent::Reschedule | Intent::Other) => {
                let text = self.inbound.text().to_owned();
                let bare = format!("at {}", text.trim());
                let Some(time) = self.time(&text).or_else(|| self.time(&bare)) else { return Ok(false) };
                self.asked_about = asked.workout_id;
                self.move_to(transaction, time).await?;
                Ok(true)
            }
            (Question::WhatToStop, _) => {
                let Some(scope) = stop_scope(self.inbound.text()) else { return Ok(false) };
                self.stop_what(transaction, scope).await?;
                Ok(true)
            }
            (Question::Score(_) | Question::NewTime, _) => Ok(false),
        }
    }

    fn time(&self, text: &str) -> Option<Timestamp> {
        let time = named_time(text, self.inbound.at, &self.me.user().timezone)?;
        (time > self.now && time.duration_since(self.now) < FURTHEST_PLAN).then_some(time)
    }

    fn status_text(&self) -> String {
        let today = self.me.date_at(self.now);
        let progress = self.me.progress();
        let standing = progress.streak.standing(today);
        let week = self.me.counters.workouts_in_week_of(today);
        let goal = self.me.user().weekly_goal.get();
        let donated = self.me.wallet(self.now).lifetime_donated;
        let days = if standing.current == 1 { "day" } else { "days" };
        let next = progress.agenda.next_open(today).map(|plan| named_plan(self.me, plan, self.now));
        let next = next.map(|plan| format!(" Next: {plan}.")).unwrap_or_default();
        format!("Streak: {} {days}. This week: {week} of {goal}. Donated so far: {donated}.{next}", standing.current)
    }

    /// The open plan that a message means: that of the message it replies to or of the question it answers, else the one that the
    /// user was reminded of last today.
    fn meant(&self, agenda: &Agenda) -> Option<Workout> {
        if let Some(about) = self.about.as_ref().filter(|workout| workout.status == WorkoutStatus::Planned) {
            return Some(about.clone());
        }
        let asked = self.asked_about.and_then(|id| agenda.plans().iter().find(|plan| plan.id == id));
        asked.or_else(|| agenda.reminded_on(self.me.date_at(self.inbound.at))).cloned()
    }

    /// Whether a word that was written later has moved the plan already which this one would move.
    fn moved_meanwhile(&self) -> bool {
        let about = self.about.as_ref().map(|workout| workout.id);
        let same = |moved: WorkoutId| about.is_none_or(|id| id == moved);
        self.contact.rescheduled.is_some_and(|last| last.said_at > self.inbound.at && same(last.workout_id))
    }

    /// Whether a word on pausing that was written later came before this one; else this one is the last.
    fn pause_overtaken(&mut self) -> bool {
        let overtaken = self.contact.pause_said_at.is_some_and(|at| at > self.inbound.at);
        if !overtaken {
            self.contact.pause_said_at = Some(self.inbound.at);
        }
        overtaken
    }

    /// Logs what the user reports; the confirmation is the answer.
    async fn report(&mut self, transaction: &mut Transaction<'_>, status: WorkoutStatus) -> Result<(), Error> {
        let report =
            Report { status, actual_duration_minutes: None, source: self.inbound.source(), at: self.inbound.at };
        let mut ledger = Ledger::open(self.ivy, self.me, self.now).await?;
        ledger.answering(self.inbound.via, self.inbound.at);
        let today = self.me.date_at(self.inbound.at);
        let subject = match &self.about {
            // The plan of this very message is kept: told again, it is no word on another.
            Some(about) if about.status.keeps_the_day() => None,
            _ => {
                let meant = self.meant(&ledger.progress().agenda).filter(|plan| plan.date <= today);
                meant.or_else(|| ledger.subject(&report, None))
            }
        };
        let Some(workout) = subject else {
            return self.say(transaction, "That one is in the book already. Well done.");
        };
        ledger.log(&workout, &report);
        ledger.write(transaction)?;
        match status {
            WorkoutStatus::Skipped => self.say(transaction, "Noted. Tomorrow is a new day."),
            WorkoutStatus::RestDay => self.say(transaction, "Noted: a rest day. Enjoy it."),
            WorkoutStatus::Completed | WorkoutStatus::Partial | WorkoutStatus::Planned => {
                self.ask_for_score(transaction)
            }
        }
    }

    /// Asks for the energy score of who is not asked for it in calls, once in a while.
    fn ask_for_score(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        let today = self.me.date_at(self.now);
        let scores = &self.me.counters.scores;
        let last = scores.energy.as_ref().and_then(|track| track.last_recorded_on());
        let fresh = last.is_some_and(|on| days::days_between(on, today) <= SCORE_KEPT_DAYS);
        if fresh || self.me.user().communication_preference == CommunicationPreference::Calls {
            return Ok(());
        }
        self.ask(Question::Score(ScoreKind::Energy));
        self.say(transaction, "How is your energy, from 1 to 10? A number is enough.")
    }

    fn ask(&mut self, question: Question) {
        self.contact.asked = Some(Asked { question, at: self.now, workout_id: None });
    }

    fn help(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        if is_help_keyword(self.inbound.text()) {
            let text = "This is Ivy, your accountability partner: I call and write when you asked me to. Reply STOP for no more \
                        messages here.";
            return self.say(transaction, text);
        }
        match self.me.user().minimum_action.clone() {
            Some(minimum_action) => self.send(transaction, Notice::RescueSupport { minimum_action }),
            None => self.say(
                transaction,
                "I hear you. What is the smallest version you could do in five minutes? Reply DONE when it is behind you.",
            ),
        }
    }

    /// Another time for what is planned: moved if a time was named, else asked for.
    async fn reschedule(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        let text = self.inbound.text().to_owned();
        match self.time(&text) {
            Some(time) => self.move_to(transaction, time).await,
            None if self.moved_meanwhile() => Ok(()),
            None => {
                let workout_id = self.meant(&self.me.progress().agenda).map(|plan| plan.id);
                self.contact.asked = Some(Asked { question: Question::NewTime, at: self.now, workout_id });
                self.say(transaction, "All right. What time suits you? For example 6pm, or tomorrow 7am.")
            }
        }
    }

    /// Moves the plan that is meant, else today's open one or the next. Where nothing is open, the text may be a plan of its own:
    /// "run at 6pm".
    async fn move_to(&mut self, transaction: &mut Transaction<'_>, time: Timestamp) -> Result<(), Error> {
        if self.moved_meanwhile() {
            return Ok(());
        }
        let today = self.me.date_at(self.inbound.at);
        let mut ledger = Ledger::open(self.ivy, self.me, self.now).await?;
        let agenda = &ledger.progress().agenda;
        let Some(before) = self.meant(agenda).or_else(|| agenda.next_open(today).cloned()) else {
            return self.plan(transaction, ledger, time);
        };
        let moved = Workout {
            planned_time: Some(time),
            date: self.me.date_at(time),
            timezone: self.me.user().timezone.clone(),
            reminded: false,
            updated_at: self.now,
            ..before.clone()
        };
        self.contact.rescheduled = Some(Rescheduled { workout_id: moved.id, said_at: self.inbound.at });
        if moved.date == before.date {
            ledger.change(moved.clone())
        } else {
            ledger.move_plan(moved.clone(), before.date)
        }
        ledger.write(transaction)?;
        let when = spoken(self.me, time, self.now);
        self.say(transaction, &format!("Moved: {} at {when}.", moved.planned_activity.as_str()))
    }

    /// A new plan in the user's words.
    fn plan(
        &mut self,
        transaction: &mut Transaction<'_>,
        mut ledger: Ledger<'_>,
        time: Timestamp,
    ) -> Result<(), Error> {
        let words = without_time(self.inbound.text());
        let activity = Text::<200>::truncated(&words).or_else(|| self.me.user().minimum_action.clone());
        let Some(planned_activity) = activity.filter(|_| !ledger.progress().agenda.is_full()) else {
            return self.say(transaction, "What will you do, and when? For example: run at 6pm.");
        };
        let new = NewWorkout { planned_activity, planned_time: time, planned_duration_minutes: None };
        let workout = workouts::planned(self.me, new, self.inbound.source(), self.now);
        let text = format!("Planned: {} at {}.", workout.planned_activity.as_str(), spoken(self.me, time, self.now));
        ledger.plan(workout);
        ledger.write(transaction)?;
        self.say(transaction, &text)
    }

    async fn pause(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        if self.pause_overtaken() {
            return Ok(());
        }
        let reason = pause_reason(self.inbound.text());
        let until = pause_until(self.inbound.text(), self.me.date_at(self.inbound.at));
        let end = until.map(PauseEnd::Date);
        let paused = match accounts::add_pause(self.ivy, transaction, self.me, reason, end, self.now).await {
            // A date that cannot be is no reason to go on calling.
            Err(Error::Invalid(_)) => accounts::add_pause(self.ivy, transaction, self.me, reason, None, self.now).await,
            paused => paused,
        };
        match paused {
            Ok(_) => {
                let until = until.map_or("until you write RESUME".to_owned(), |date| {
                    format!("until {}; RESUME ends it sooner", date.strftime("%A, %-d %B"))
                });
                self.say(transaction, &format!("I will leave you in peace {until}. Your streak is safe."))
            }
            Err(Error::Conflict { .. }) => {
                self.say(transaction, "There is nothing to pause yet. Finish signing up in the app first.")
            }
            Err(error) => Err(error),
        }
    }

    fn resume(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        if self.pause_overtaken() {
            return Ok(());
        }
        let mut changed = self.me.user().clone();
        changed.status = UserStatus::Active;
        changed.resumes_at = None;
        if changed == *self.me.user() {
            return self.say(transaction, "You are not paused. I am here.");
        }
        accounts::add_changed_user(self.ivy, transaction, self.me, changed, self.now)?;
        self.say(transaction, "Welcome back. We go on from today.")
    }

    /// STOP alone acts at once; other words are asked what should stop.
    fn stop(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        match stop_request(self.inbound.text()) {
            Some(StopRequest::FreeText) => {
                self.ask(Question::WhatToStop);
                self.say(transaction, "Of course. What shall I stop? Reply CALLS, MESSAGES or EVERYTHING.")
            }
            Some(StopRequest::Keyword) | None => self.channel(transaction, false),
        }
    }

    async fn stop_what(&mut self, transaction: &mut Transaction<'_>, scope: StopScope) -> Result<(), Error> {
        let (purpose, text) = match scope {
            StopScope::Messages => (OptOut::Messages, "You will get no more messages from me. START brings me back."),
            StopScope::Calls => (OptOut::Calls, "I will not call you again. You can change that in the app."),
            StopScope::Everything => {
                (OptOut::Everything, "I will neither call nor write again. You can change that in the app.")
            }
        };
        let from = (purpose, self.inbound.consent_source(), self.inbound.at);
        accounts::add_opt_out(self.ivy, transaction, self.me, from, self.now).await?;
        self.confirm(transaction, text)
    }

    /// STOP and START: the consent for messages by this channel changes at once and is confirmed once. START also gives back the
    /// consent to messages at all, if that was withdrawn by message: there is no other word for it.
    fn channel(&mut self, transaction: &mut Transaction<'_>, is_granted: bool) -> Result<(), Error> {
        let consents = &self.me.user().consents;
        let whatsapp = self.inbound.via == Via::Whatsapp;
        let before = if whatsapp { &consents.messages_whatsapp } else { &consents.messages_sms };
        // What the user wrote last counts, not what arrived last; of one second, STOP.
        let overtaken = |at: Timestamp| at > self.inbound.at || (at == self.inbound.at && is_granted);
        let all_withdrawn = is_granted && !granted(consents.messages.as_ref());
        let same = before.as_ref().map_or(is_granted, |consent| consent.granted == is_granted) && !all_withdrawn;
        if same || before.as_ref().is_some_and(|consent| overtaken(consent.at)) {
            return Ok(());
        }
        let wording_version = self.ivy.settings.consent_wording_version.clone();
        let source = self.inbound.consent_source();
        let said = Some(Consent { granted: is_granted, at: self.inbound.at, source, wording_version });
        let mut user: User = self.me.user().clone();
        if all_withdrawn {
            user.consents.messages.clone_from(&said);
        }
        *(if whatsapp { &mut user.consents.messages_whatsapp } else { &mut user.consents.messages_sms }) = said;
        accounts::add_changed_user(self.ivy, transaction, self.me, user, self.now)?;
        if is_granted {
            return self.say(transaction, "You will hear from me here again.");
        }
        self.confirm(transaction, "You will get no more messages from me here. Reply START to hear from me again.")
    }

    /// What is not understood is acknowledged now and then; a time beside other words is a plan.
    async fn other(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        let text = self.inbound.text().to_owned();
        if let Some(time) = self.time(&text)
            && !without_time(&text).is_empty()
            && self.me.progress().agenda.open_on(self.me.date_at(time), None).is_none()
        {
            let ledger = Ledger::open(self.ivy, self.me, self.now).await?;
            return self.plan(transaction, ledger, time);
        }
        if matches!(self.inbound.content, InboundContent::VoiceNote { .. }) {
            // Each time: whoever spoke may think that somebody listened.
            let text = "I cannot listen to voice notes yet. Could you write it? DONE, SKIP or HELP all work.";
            return self.say(transaction, text);
        }
        if self.contact.acknowledged_at.is_some_and(|at| self.now.duration_since(at) < ACKNOWLEDGED_FOR) {
            return Ok(());
        }
        self.contact.acknowledged_at = Some(self.now);
        self.say(transaction, "Thank you. I understand DONE, HALF, SKIP, REST, LATER, HELP and STATUS here.")
    }

    /// Answers the user in words, within the day's limit.
    fn say(&mut self, transaction: &mut Transaction<'_>, text: &str) -> Result<(), Error> {
        let Some(text) = Text::truncated(text) else { return Ok(()) };
        self.send(transaction, Notice::Reply { text })
    }

    /// Answers the user, within the day's limit.
    fn send(&mut self, transaction: &mut Transaction<'_>, notice: Notice) -> Result<(), Error> {
        let today = self.me.date_at(self.now);
        let sent = self.contact.automatic_replies.get(&today).copied().unwrap_or_default();
        if sent >= MOST_REPLIES_A_DAY {
            tracing::warn!(event = "automatic_replies_exhausted", user_id = %self.me.id());
            return Ok(());
        }
        self.contact.automatic_replies.retain(|date, _| *date >= days::plus_days(today, -1));
        self.contact.automatic_replies.insert(today, sent + 1);
        self.queue(transaction, notice)
    }

    /// Confirms a withdrawal, whatever the limit: it is the last word for now.
    fn confirm(&self, transaction: &mut Transaction<'_>, text: &str) -> Result<(), Error> {
        let Some(text) = Text::truncated(text) else { return Ok(()) };
        self.queue(transaction, Notice::Reply { text })
    }

    fn queue(&self, transaction: &mut Transaction<'_>, notice: Notice) -> Result<(), Error> {
        let outgoing =
            Outgoing { answers_inbound_at: Some(self.inbound.at), ..Outgoing::new(self.inbound.via, notice) };
        messages::add(transaction, &self.me.profile, outgoing, self.now).map(|_| ())
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
