//! Tools that the agent uses while it talks: each does one thing at once and answers with a sentence to say.
//!
//! A tool's effect and the note that it was carried out ([`ivy_store::Told`], on the call) are one transaction, so:
//! - The same use told twice (the provider repeats a request that it took for lost) has one effect: the use's hash is on the call.
//! - The analysis that follows tells of the same talk, and does nothing that a tool has done.
//! - A tool that comes after the analysis changes nothing: what was said has been taken in.
//!
//! Whatever is wrong with the arguments is answered with a sentence that the agent can say, never with a status: the person is on
//! the line. A failure of ours is such a sentence too; it is logged and counted, and the analysis then does what the tool could not.
//! After a second and a half, half of what the provider waits, nothing is written any more: it would be told as failed.

use std::time::Instant;

use ivy_domain::{
    Text,
    message::{Notice, Via},
    scores::{Score, ScoreKind},
    times::named_time,
    user::{ConsentSource, PauseEnd, PauseReason},
    workout::{ReportedBy, Workout, WorkoutStatus},
};
use ivy_providers::retell::RetellCall;
use ivy_store::{Me, StoredCall, Told, Transaction, is_called};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    Error, Ivy,
    accounts::{self, OptOut},
    calls,
    completions::{Ledger, Logged, Report},
    conversation::{self, Plan, Planned, named_plan, spoken},
    messages::{self, Outgoing},
    metrics,
    retrying::{LAST_WRITE, contended, until_settled_soon},
    voice_events::{is_current, ours},
};

/// Uses that a call remembers; a talk has far fewer.
const MOST_USES: usize = 60;

/// What a tool answers.
#[derive(Clone, PartialEq, Serialize)]
pub struct ToolAnswer {
    /// Whether it was done.
    pub ok: bool,
    /// For the agent to say, in its own words.
    pub say: String,
    #[serde(flatten)]
    pub facts: Map<String, Value>,
}

impl std::fmt::Debug for ToolAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolAnswer").field("ok", &self.ok).finish_non_exhaustive()
    }
}

impl ToolAnswer {
    fn done(say: impl Into<String>) -> Self {
        Self { ok: true, say: say.into(), facts: Map::new() }
    }

    fn not_done(say: impl Into<String>) -> Self {
        Self { ok: false, say: say.into(), facts: Map::new() }
    }

    /// When we failed: what was said is taken in from the analysis, which knows all but a wish to opt out.
    #[must_use]
    pub fn failed(tool: &str) -> Self {
        Self::not_done(match tool {
            "opt_out" => {
                "I could not note that just now. Please say it once more, or reply STOP to any message of mine."
            }
            _ => "I could not write that down just now, but I have heard you and will do it after our call.",
        })
    }
}

/// What a tool is asked for, once its arguments make sense.
#[derive(Debug, Clone)]
enum Tool {
    GetToday,
    Plan(Plan),
    Log { status: WorkoutStatus, activity: Option<Text<200>>, minutes: Option<u16> },
    FollowUp { time: String },
    Score { kind: ScoreKind, score: Score },
    Marker { words: Text<200> },
    Pause { reason: PauseReason, until: Option<Date> },
    OptOut(OptOut),
    Summary,
}

/// Arguments as a language model fills them in: numbers may come as text, and nothing may be said in several ways.
struct Arguments<'a>(&'a Map<String, Value>);

impl Arguments<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        conversation::said(Some(&text)).map(str::to_owned)
    }

    fn words<const MAX: usize>(&self, name: &str) -> Option<Text<MAX>> {
        self.text(name).as_deref().and_then(Text::truncated)
    }

    fn word(&self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_lowercase().replace([' ', '-'], "_")
    }

    fn minutes(&self, name: &str) -> Option<u16> {
        conversation::minutes(self.text(name).and_then(|text| text.parse().ok()))
    }
}

impl Tool {
    /// Reads a tool's arguments; a sentence to say when they make no sense.
    fn read(name: &str, arguments: &Arguments<'_>) -> Result<Self, String> {
        let ask = |question: &str| Err(question.to_owned());
        Ok(match name {
            "get_today" => Self::GetToday,
            "plan_workout" => {
                let Some(activity) = arguments.words("activity") else {
                    return ask("I did not catch what you want to do. What is the plan?");
                };
                let (time, minutes) = (arguments.text("time"), arguments.minutes("duration_minutes"));
                Self::Plan(Plan { activity, time, minutes })
            }
            "log_workout" => {
                let Some(status) = conversation::status(&arguments.word("status")) else {
                    return ask("Was it done, done in part, skipped, or a rest day?");
                };
                Self::Log {
                    status,
                    activity: arguments.words("activity"),
                    minutes: arguments.minutes("duration_minutes"),
                }
            }
            "schedule_follow_up" => match arguments.text("time") {
                Some(time) => Self::FollowUp { time },
                None => return ask("When shall I call you back?"),
            },
            "record_score" => {
                let kind = arguments.word("kind");
                let Some(kind) = ScoreKind::ALL.into_iter().find(|known| known.name() == kind) else {
                    return ask("Is that your energy, your mood, or your confidence?");
                };
                let score = arguments.text("value").and_then(|value| value.parse::<i64>().ok());
                match score.and_then(|score| Score::try_from(score).ok()) {
                    Some(score) => Self::Score { kind, score },
                    None => return ask("I need a whole number from one to ten for that."),
                }
            }
            "record_marker" => match arguments.words("words") {
                Some(words) => Self::Marker { words },
                None => return ask("Tell me that once more, in your own words?"),
            },
            "pause_calls" => {
                let reason = match arguments.word("reason").as_str() {
                    "sick" => PauseReason::Sick,
                    "traveling" | "travelling" => PauseReason::Traveling,
                    _ => PauseReason::Paused,
                };
                let until = match arguments.text("until") {
                    None => None,
                    Some(text) => match text.parse() {
                        Ok(date) => Some(date),
                        Err(_) => return ask("Until which date shall I pause?"),
                    },
                };
                Self::Pause { reason, until }
            }
            "opt_out" => match arguments.word("purpose").as_str() {
                "calls" => Self::OptOut(OptOut::Calls),
                "messages" => Self::OptOut(OptOut::Messages),
                "everything" | "all" | "both" => Self::OptOut(OptOut::Everything),
                _ => return ask("Shall I stop the calls, the messages, or both?"),
            },
            "send_whatsapp_summary" => Self::Summary,
            _ => return ask("I cannot do that during a call."),
        })
    }
}

impl Tool {
    /// Whether a use was carried out before. What can be said anew (a score, a time, how it went) is repeated only by the very same
    /// word again: who says 4, 6 and 4 means 4.
    fn is_repeated(&self, uses: &[String], name: &str, told: &String) -> bool {
        match self {
            Self::Score { .. } | Self::FollowUp { .. } | Self::Plan(_) | Self::Log { .. } => {
                uses.iter().rev().find(|used| used.starts_with(&format!("{name}:"))) == Some(told)
            }
            _ => uses.contains(told),
        }
    }
}

/// Uses a tool.
///
/// # Errors
/// When the table fails or the items keep changing. The caller answers [`ToolAnswer::failed`].
pub async fn use_tool(
    ivy: &Ivy,
    name: &str,
    args: &Map<String, Value>,
    call: &RetellCall,
) -> Result<ToolAnswer, Error> {
    let Some((user, id)) = ours(call) else {
        return Ok(ToolAnswer::not_done("I can only do that for people I know."));
    };
    let tool = match Tool::read(name, &Arguments(args)) {
        Ok(tool) => tool,
        Err(question) => {
            metrics::count("voice_tool_not_understood", &[]);
            return Ok(ToolAnswer::not_done(question));
        }
    };
    let words = ivy.store.provider_id(&format!("{}#{name}#{}", call.call_id, Value::Object(args.clone())));
    let told = format!("{name}:{words}");
    let (tool, told) = (&tool, &told);
    let began = Instant::now();
    until_settled_soon(ivy, || async move {
        let now = ivy.now();
        let (Some(me), Some(mut stored), _) = ivy.store.me_and_call(user, id, None).await? else {
            return Ok(ToolAnswer::not_done("I can only do that for people I know."));
        };
        if let Tool::GetToday = tool {
            return Ok(today(&me.at(now), now));
        }
        if stored.analyzed || !is_current(&stored.call, call) {
            return Ok(ToolAnswer::not_done("That will have to wait for our next call."));
        }
        if tool.is_repeated(&stored.told.uses, name, told) {
            return Ok(ToolAnswer::done("That is noted already."));
        }
        let at = stored.call.started_at.or(call.started_at()).unwrap_or(now);
        let mut transaction = ivy.store.transaction();
        let used = Use { ivy, me: &me, at, now };
        let answer = used.carry_out(&mut transaction, &mut stored, tool).await?;
        if !answer.ok {
            return Ok(answer);
        }
        stored.told.uses.push(told.clone());
        let surplus = stored.told.uses.len().saturating_sub(MOST_USES);
        stored.told.uses.drain(..surplus);
        transaction.call(&stored);
        if began.elapsed() > LAST_WRITE {
            return Err(Error::Contended);
        }
        transaction.commit().await.map_err(contended)?;
        tracing::info!(event = "voice_tool_used", tool = name, call_id = %id, user_id = %user);
        Ok(answer)
    })
    .await
}

/// What a report of the person is about.
enum Subject {
    /// A plan of the day that is open.
    Plan(Workout),
    /// What was logged in this very call, as it is said now.
    Logged(Workout),
    /// Something that was neither planned nor logged in this call.
    Own,
    /// The day, of which nothing is open: new, unless the day is kept, for then it was told before.
    Day,
    /// More than one thing; their names.
    Unclear(String),
}

/// One use of a tool by a user who is on the line. `me` is the user as the table has them; `at` is when the call began.
struct Use<'a> {
    ivy: &'a Ivy,
    me: &'a Me,
    at: Timestamp,
    now: Timestamp,
}

impl Use<'_> {
    async fn carry_out(
        &self,
        transaction: &mut Transaction<'_>,
        stored: &mut StoredCall,
        tool: &Tool,
    ) -> Result<ToolAnswer, Error> {
        let told = &mut stored.told;
        match tool {
            Tool::GetToday => Ok(today(self.me, self.now)),
            Tool::Plan(plan) => {
                let mut ledger = Ledger::open(self.ivy, self.me, self.now).await?;
                let planned = conversation::plan(&mut ledger, self.me, plan.clone(), self.now, self.now);
                told.planned |= matches!(planned, Planned::At(_));
                ledger.write(transaction)?;
                Ok(self.planned(&planned))
            }
            Tool::Log { status, activity, minutes } => {
                let about = self.subject(told, *status, activity.as_ref()).await?;
                self.log(transaction, told, about, (*status, activity.clone(), *minutes)).await
            }
            Tool::Score { kind, score } => {
                let mut ledger = Ledger::open(self.ivy, self.me, self.now).await?;
                ledger.score(*kind, *score, self.at);
                if !told.scores.contains(kind) {
                    told.scores.push(*kind);
                }
                ledger.write(transaction)?;
                Ok(ToolAnswer::done(format!("{} {}, noted.", kind.name(), score.get())))
            }
            Tool::Marker { words } => {
                let mut ledger = Ledger::open(self.ivy, self.me, self.now).await?;
                ledger.marker(words.clone());
                told.marked = true;
                ledger.write(transaction)?;
                Ok(ToolAnswer::done("That is worth remembering. I have written it down."))
            }
            Tool::FollowUp { time } => self.follow_up(transaction, stored, time).await,
            Tool::Pause { reason, until } => self.pause(transaction, stored, *reason, *until).await,
            Tool::OptOut(purpose) => {
                let from = (*purpose, ConsentSource::Call, self.now);
                told.opted_out |= *purpose != OptOut::Messages;
                accounts::add_opt_out(self.ivy, transaction, self.me, from, self.now).await?;
                Ok(ToolAnswer::done(match purpose {
                    OptOut::Calls => "Understood. I will not call you again.",
                    OptOut::Messages => "Understood. I will not write to you again.",
                    OptOut::Everything => "Understood. I will neither call nor write to you again.",
                }))
            }
            Tool::Summary => self.summary(transaction, stored),
        }
    }

    /// What a report is about. A name means the open plan of that name, else what this call has logged under it; another name is
    /// something of its own, unless it can only mean the one plan of the day. Without a name it is the one thing that it can be.
    async fn subject(
        &self,
        told: &Told,
        status: WorkoutStatus,
        activity: Option<&Text<200>>,
    ) -> Result<Subject, Error> {
        let date = self.me.date_at(self.at);
        let progress = self.me.progress();
        let open: Vec<&Workout> = progress.agenda.all_on(date).collect();
        if let Some(plan) = activity.and_then(|said| progress.agenda.named_on(date, said.as_str())) {
            return Ok(Subject::Plan(plan.clone()));
        }
        let mut logged = Vec::new();
        for log in &told.logs {
            // One that was deleted meanwhile is not put right any more.
            logged.extend(self.ivy.store.me_and_workout(self.me.id(), log.workout).await?.1);
        }
        if let Some(said) = activity {
            let known = logged.into_iter().find(|workout| is_called(workout, said.as_str()));
            return Ok(match (known, &open[..]) {
                (Some(known), _) => Subject::Logged(known),
                (None, [plan]) if told.logs.is_empty() => Subject::Plan((*plan).clone()),
                (None, []) if told.logs.is_empty() => Subject::Day,
                (None, _) => Subject::Own,
            });
        }
        Ok(match (&open[..], &mut logged[..]) {
            ([], []) => Subject::Day,
            ([plan], []) => Subject::Plan((*plan).clone()),
            ([], [known]) => Subject::Logged(known.clone()),
            // A rest is the day's, whatever was planned for it.
            ([plan, ..], []) if status == WorkoutStatus::RestDay => Subject::Plan((*plan).clone()),
            (open, logged) => {
                let names = open.iter().copied().chain(logged.iter()).map(|workout| workout.planned_activity.as_str());
                Subject::Unclear(names.collect::<Vec<_>>().join(", or "))
            }
        })
    }

    async fn log(
        &self,
        transaction: &mut Transaction<'_>,
        told: &mut Told,
        about: Subject,
        (status, activity, minutes): (WorkoutStatus, Option<Text<200>>, Option<u16>),
    ) -> Result<ToolAnswer, Error> {
        let mut ledger = Ledger::open(self.ivy, self.me, self.now).await?;
        let report = Report { status, actual_duration_minutes: minutes, source: ReportedBy::Call, at: self.at };
        let workout = match about {
            Subject::Unclear(names) => {
                return Ok(ToolAnswer::not_done(format!("Which one do you mean: {names}?")));
            }
            Subject::Plan(workout) => Some(workout),
            Subject::Logged(mut workout) if workout.status == status => {
                workout.actual_duration_minutes = minutes.or(workout.actual_duration_minutes);
                workout.updated_at = self.now;
                told.log(workout.id, status);
                ledger.change(workout);
                ledger.write(transaction)?;
                return Ok(ToolAnswer::done(logged_sentence(status, &Logged::default(), ledger.charity_name())));
            }
            Subject::Logged(workout) => Some(workout),
            Subject::Own => ledger.unplanned(&report, activity),
            Subject::Day => ledger.subject(&report, activity),
        };
        let Some(workout) = workout else {
            return Ok(ToolAnswer::done("That one is in the book already. Well done."));
        };
        let (workout, logged) = ledger.log(&workout, &report);
        told.log(workout.id, status);
        ledger.write(transaction)?;
        Ok(ToolAnswer::done(logged_sentence(status, &logged, ledger.charity_name())))
    }

    fn planned(&self, planned: &Planned) -> ToolAnswer {
        match planned {
            Planned::At(workout) => {
                let activity = workout.planned_activity.as_str();
                ToolAnswer::done(match workout.planned_time {
                    Some(time) => format!("Planned: {activity} at {}.", spoken(self.me, time, self.now)),
                    None => format!("Planned for today: {activity}."),
                })
            }
            Planned::NoSuchTime => ToolAnswer::not_done("I need a time that lies ahead. When will you do it?"),
            Planned::Full => ToolAnswer::not_done("Your plan is full as it is. Let us finish something first."),
        }
    }

    async fn follow_up(
        &self,
        transaction: &mut Transaction<'_>,
        stored: &mut StoredCall,
        time: &str,
    ) -> Result<ToolAnswer, Error> {
        let ask = ToolAnswer::not_done("I need a time that lies ahead, within a month. When shall I call?");
        let Some(time) = named_time(time, self.now, &self.me.user().timezone) else { return Ok(ask) };
        if !self.me.clone().at(self.now).user().may_be_called() {
            return Ok(ToolAnswer::not_done("I may not call you at present. You can change that in the app."));
        }
        let agreed = self.ivy.store.call(self.me.id(), calls::follow_up_id(&stored.call)).await?;
        let agreed = (&stored.call, agreed.as_ref());
        match calls::add_follow_up(transaction, self.me, agreed, time, self.now)? {
            Some(time) => {
                stored.told.follow_up = true;
                Ok(ToolAnswer::done(format!("I will call you at {}.", spoken(self.me, time, self.now))))
            }
            None => Ok(ask),
        }
    }

    async fn pause(
        &self,
        transaction: &mut Transaction<'_>,
        stored: &mut StoredCall,
        reason: PauseReason,
        until: Option<Date>,
    ) -> Result<ToolAnswer, Error> {
        match accounts::add_pause(self.ivy, transaction, self.me, reason, until.map(PauseEnd::Date), self.now).await {
            Ok(_) => {
                stored.told.paused = true;
                Ok(ToolAnswer::done(match until {
                    Some(date) => format!("I will leave you in peace until {}.", date.strftime("%A, %-d %B")),
                    None => "I will leave you in peace until you say otherwise. Your streak is safe.".to_owned(),
                }))
            }
            Err(Error::Invalid(_)) => {
                Ok(ToolAnswer::not_done("Until which date shall I pause? It has to be one of the year ahead."))
            }
            Err(Error::Conflict { .. }) => {
                Ok(ToolAnswer::not_done("There is nothing to pause yet: you have not finished signing up."))
            }
            Err(error) => Err(error),
        }
    }

    /// Where the person stands, in writing. Once a call.
    fn summary(&self, transaction: &mut Transaction<'_>, stored: &mut StoredCall) -> Result<ToolAnswer, Error> {
        if stored.told.summary {
            return Ok(ToolAnswer::done("It is on its way already."));
        }
        if !self.me.user().may_be_messaged_by(Via::Whatsapp) {
            return Ok(ToolAnswer::not_done("You asked me not to write to you, so I had better not."));
        }
        stored.told.summary = true;
        let today = self.me.date_at(self.now);
        let progress = self.me.progress();
        let plan = progress.agenda.next_open(today).map(|plan| named_plan(self.me, plan, self.now));
        let notice = Notice::CallSummary {
            name: self.me.user().first_name.clone(),
            plan,
            streak: progress.streak.standing(today).current,
            donated: self.me.wallet(self.now).lifetime_donated,
        };
        let outgoing = Outgoing { call_id: Some(stored.call.id), ..Outgoing::new(Via::Whatsapp, notice) };
        messages::add_if_allowed(transaction, self.me, outgoing, self.now)?;
        Ok(ToolAnswer::done("I will send you that on WhatsApp."))
    }
}

/// What was logged, and what it brought, as a voice says it.
fn logged_sentence(status: WorkoutStatus, logged: &Logged, charity: &str) -> String {
    let mut words = match status {
        WorkoutStatus::Completed | WorkoutStatus::Partial | WorkoutStatus::Planned => "That is logged.".to_owned(),
        WorkoutStatus::Skipped => "That is noted. Tomorrow is a new day.".to_owned(),
        WorkoutStatus::RestDay => "A rest day, noted. Enjoy it.".to_owned(),
    };
    if let Some(donation) = &logged.donation {
        words.push_str(&format!(" {} goes to {charity}.", donation.amount));
    } else if logged.cap_reached.is_some() {
        words.push_str(" Your wallet's cap is reached, so nothing more is donated for it. It counts all the same.");
    }
    for bonus in &logged.bonuses {
        words.push_str(&format!(" And a streak bonus of {}.", bonus.amount));
    }
    words
}

/// What the agent may want to look up in the middle of a talk.
fn today(me: &Me, now: Timestamp) -> ToolAnswer {
    let date = me.date_at(now);
    let progress = me.progress();
    let standing = progress.streak.standing(date);
    let plans: Vec<String> = progress.agenda.all_on(date).map(|plan| named_plan(me, plan, now)).collect();
    let say = match (plans.is_empty(), standing.kept_today) {
        (false, _) => format!("Still open today: {}.", plans.join("; ")),
        (true, true) => "Today's commitment is kept.".to_owned(),
        (true, false) => "Nothing is planned for today yet.".to_owned(),
    };
    let local = me.user().timezone.time_zone().to_datetime(now);
    let facts = json!({
        "now": format!("{}, {}", local.strftime("%A %-d %B %Y"), ivy_domain::days::spoken_time(local.time())),
        "date": local.date().to_string(),
        "utc_offset": now.to_zoned(me.user().timezone.time_zone()).strftime("%:z").to_string(),
        "open_plans": plans,
        "kept_today": standing.kept_today,
        "current_streak": standing.current,
        "workouts_this_week": me.counters.workouts_in_week_of(date),
        "weekly_goal": me.user().weekly_goal.get(),
        "total_donated": me.wallet(now).lifetime_donated.to_string(),
    });
    let facts = if let Value::Object(facts) = facts { facts } else { Map::new() };
    ToolAnswer { facts, ..ToolAnswer::done(say) }
}
