//! Happenings: what people, providers and billing do in a story, chosen by the seed.
//!
//! Each is one or a few tasks for the burst at hand: a request, the same request again at once, the same deed by several
//! ways (the app, a reply, a call's analysis), a webhook, a change that billing will make. What was not answered is
//! sent again in a later burst, with the same `Idempotency-Key` where there was one.

use ivy_simulators::{CallScript, CallStatus, Persona, SimulatedCall};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::driver::{Change, Doing, Driver, Request, Sent, Someone};

/// Everything that may happen, with its weight.
const KINDS: [(Kind, usize); 36] = [
    (Kind::Log, 14),
    (Kind::LogTwice, 8),
    (Kind::LogEveryWay, 8),
    (Kind::Undo, 8),
    (Kind::Plan, 10),
    (Kind::PlanTwice, 4),
    (Kind::Move, 8),
    (Kind::Write, 12),
    (Kind::ScheduleCall, 12),
    (Kind::ScheduleCallTwice, 6),
    (Kind::CancelCall, 8),
    (Kind::CallDueTwice, 6),
    (Kind::Talk, 6),
    (Kind::Tool, 10),
    (Kind::CallIn, 4),
    (Kind::Text, 3),
    (Kind::Tier, 3),
    (Kind::Delete, 5),
    (Kind::Pause, 3),
    (Kind::Consent, 2),
    (Kind::Resume, 4),
    (Kind::Invoice, 2),
    (Kind::CompanyLimit, 3),
    (Kind::WalletJob, 2),
    (Kind::CallNow, 4),
    (Kind::Reschedule, 5),
    (Kind::DayStart, 2),
    (Kind::Prefer, 3),
    (Kind::Charity, 4),
    (Kind::Zone, 4),
    (Kind::Windows, 3),
    (Kind::Refresh, 4),
    (Kind::SignUp, 4),
    (Kind::Deliveries, 6),
    (Kind::Fly, 2),
    (Kind::Repeat, 10),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Log,
    LogTwice,
    LogEveryWay,
    Undo,
    Plan,
    PlanTwice,
    Move,
    Write,
    ScheduleCall,
    ScheduleCallTwice,
    CancelCall,
    CallDueTwice,
    Talk,
    Tool,
    CallIn,
    Text,
    Tier,
    Delete,
    Pause,
    Consent,
    Resume,
    Invoice,
    CompanyLimit,
    WalletJob,
    CallNow,
    Reschedule,
    DayStart,
    Prefer,
    Fly,
    Charity,
    Zone,
    Windows,
    Refresh,
    SignUp,
    Deliveries,
    Repeat,
}

/// How somebody takes calls.
fn personas() -> Vec<Persona> {
    vec![
        Persona::Answers(CallScript::log("completed", 30)),
        Persona::Answers(CallScript::log("partial", 10)),
        Persona::Answers(CallScript::log("skipped", 1)),
        Persona::Answers(CallScript::plan("Swim", "18:10", 20)),
        Persona::Answers(CallScript::nothing()),
        Persona::NeverAnswers,
        Persona::NeverAnswers,
        Persona::Voicemail,
        Persona::Declines,
        Persona::Busy,
        Persona::Drops,
        Persona::Handset,
        Persona::Handset,
    ]
}

impl Driver {
    fn kind(&mut self) -> Kind {
        let total = KINDS.iter().map(|(_, weight)| weight).sum();
        let mut at = self.chance.below(total);
        for (kind, weight) in KINDS {
            if at < weight {
                return kind;
            }
            at -= weight;
        }
        Kind::Log
    }

    fn someone(&mut self) -> Someone {
        let people = self.people.clone();
        self.chance.pick(&people)
    }

    fn workouts(&self, who: &Someone, fits: impl Fn(&str) -> bool) -> Vec<Value> {
        let mut workouts = self.book.of_user(&who.key(), "workout");
        workouts.retain(|workout| fits(workout["status"].as_str().unwrap()));
        workouts
    }

    fn request(&mut self, who: &Someone, method: &'static str, path: String, body: Value, label: &str) -> Doing {
        let label = format!("{}: {label}", who.name);
        self.send(Request { who: Some(who.clone()), method, path, body, key: None, label })
    }

    /// One happening: the tasks that it adds to the burst.
    pub(crate) fn happen(&mut self) -> Vec<Doing> {
        let (kind, who) = (self.kind(), self.someone());
        let doings = self.tasks_of(kind, &who);
        if !doings.is_empty() {
            self.happenings += 1;
            self.schedule.note(format!("  {}: {kind:?}", who.name));
        }
        doings
    }

    fn tasks_of(&mut self, kind: Kind, who: &Someone) -> Vec<Doing> {
        match kind {
            Kind::Log => self.log(who, 1),
            Kind::LogTwice => self.log(who, 2),
            Kind::LogEveryWay => {
                let mut doings = self.log(who, 1);
                doings.extend(self.write(who, "done"));
                if self.chance.happens(500) {
                    doings.extend(self.fresh_webhooks());
                }
                doings
            }
            Kind::Undo => self.undo(who),
            Kind::Plan => self.plan(who, 1),
            Kind::PlanTwice => self.plan(who, 2),
            Kind::Move => self.move_plan(who),
            Kind::Write => {
                let texts =
                    ["done", "done", "Done!", "half", "skip", "rest", "status", "STOP", "START", "hello", "help"];
                let text = self.chance.pick(&texts);
                self.write(who, text)
            }
            Kind::ScheduleCall => self.schedule_call(who, 1),
            Kind::ScheduleCallTwice => self.schedule_call(who, 2),
            Kind::CancelCall => self.cancel_call(who),
            Kind::CallDueTwice => self.due_twice(who),
            Kind::Talk => self.talk(who),
            Kind::Tool => self.tool(who),
            Kind::CallIn => self.call_in(who),
            Kind::Text => {
                let text = self.chance.pick(&["done", "Done!", "skip", "status", "STOP", "START"]);
                self.schedule.note(format!("  {} texts {text:?}", who.name));
                self.world.simulators.reply_sms(&who.phone, text);
                self.fresh_webhooks()
            }
            Kind::Tier => {
                let tier = self.chance.pick(&["b2c_pro", "b2c_elite", "b2c_concierge", "b2b_sponsor"]);
                vec![Doing::Change { who: who.clone(), change: Change::Tier(tier) }]
            }
            Kind::Delete => self.delete(who),
            Kind::Pause => {
                let reason = self.chance.pick(&["paused", "sick", "traveling"]);
                let hours = self.chance.pick(&[None, Some(2), Some(20)]);
                let mut body = json!({"reason": reason});
                if let Some(hours) = hours {
                    body["until"] = json!(self.world.now() + SignedDuration::from_hours(hours));
                }
                vec![self.request(who, "POST", "/api/users/me/pause".to_owned(), body, &format!("is {reason}"))]
            }
            Kind::Consent => vec![self.consent(who, false)],
            Kind::Resume => {
                let path = "/api/users/me/resume".to_owned();
                vec![self.request(who, "POST", path, json!({}), "is back"), self.consent(who, true)]
            }
            Kind::Invoice => {
                let hours = self.chance.pick(&[0, 0, -30, 40]);
                vec![Doing::Change { who: who.clone(), change: Change::Invoice(hours) }]
            }
            Kind::CompanyLimit => {
                let pence = self.chance.pick(&[0, 250, 600, 2000]);
                vec![Doing::Change { who: who.clone(), change: Change::CompanyLimit(pence) }]
            }
            Kind::WalletJob => {
                let shard = ivy_store::keys::shard_of(who.id);
                let job = json!({"kind": "wallets", "zone": self.zone_of(who), "shard": shard, "after": null});
                let queue = ivy_flows::ports::Queue::PlanUsers;
                vec![Doing::Message(ivy_world::delivery(queue, &job.to_string(), self.world.now()))]
            }
            Kind::CallNow => self.call_now(who),
            Kind::Reschedule => self.reschedule(who),
            Kind::DayStart => {
                let start = self.chance.pick(&["00:00", "03:00", "06:00"]);
                let body = json!({"day_start": start});
                vec![self.request(who, "PATCH", "/api/users/me".to_owned(), body, &format!("days from {start}"))]
            }
            Kind::Prefer => {
                let days = self.chance.pick(&[vec![], vec!["mon", "thu", "sat"], vec!["sun"], vec!["tue", "wed"]]);
                let label = format!("prefers {days:?}");
                let body = json!({"preferred_days": days});
                vec![self.request(who, "PATCH", "/api/users/me".to_owned(), body, &label)]
            }
            Kind::Fly => {
                // Away and back at once.
                let home = self.zone_of(who);
                let away = self.chance.pick(&["Asia/Tokyo", "America/Los_Angeles"]);
                let fly = |zone: &str| json!({"timezone": zone});
                let path = || "/api/users/me".to_owned();
                vec![
                    self.request(who, "PATCH", path(), fly(away), &format!("flies to {away}")),
                    self.request(who, "PATCH", path(), fly(&home), "flies home"),
                ]
            }
            Kind::Charity => {
                let charity = crate::story::charities(&self.world)[self.chance.below(2)].to_string();
                let body = json!({"charity_id": charity});
                vec![self.request(who, "PATCH", "/api/users/me".to_owned(), body, "another charity")]
            }
            Kind::Zone => {
                let zones = ["Europe/London", "America/Los_Angeles", "America/New_York", "Asia/Kolkata", "Asia/Tokyo"];
                let zone = self.chance.pick(&zones);
                let body = json!({"timezone": zone});
                vec![self.request(who, "PATCH", "/api/users/me".to_owned(), body, &format!("moves to {zone}"))]
            }
            Kind::Windows => {
                let start = self.chance.pick(&["18:00", "19:00", "17:00"]);
                let body = json!({"evening_window": {"start": start, "end": "20:30"}});
                vec![self.request(who, "PATCH", "/api/users/me".to_owned(), body, &format!("evenings from {start}"))]
            }
            Kind::Refresh => self.refresh(who),
            Kind::SignUp => self.sign_up(),
            Kind::Deliveries => self.deliveries(),
            Kind::Repeat => self.repeat(),
        }
    }

    /// Logs a workout, an open one if there is one; the same request so many times at once.
    fn log(&mut self, who: &Someone, times: usize) -> Vec<Doing> {
        let open = self.workouts(who, |status| status == "planned");
        let any = self.workouts(who, |_| true);
        let from = if open.is_empty() || self.chance.happens(200) { any } else { open };
        if from.is_empty() {
            return self.plan(who, times);
        }
        let workout = self.chance.pick(&from);
        let status = self.chance.pick(&["completed", "completed", "completed", "partial", "skipped", "rest_day"]);
        let path = format!("/api/workouts/{}", workout["id"].as_str().unwrap());
        let body = json!({"status": status});
        let label = format!("logs {} as {status}", workout["planned_activity"].as_str().unwrap());
        (0..times).map(|_| self.request(who, "PATCH", path.clone(), body.clone(), &label)).collect()
    }

    fn undo(&mut self, who: &Someone) -> Vec<Doing> {
        let logged = self.workouts(who, |status| matches!(status, "completed" | "partial"));
        if logged.is_empty() {
            return Vec::new();
        }
        let workout = self.chance.pick(&logged);
        let path = format!("/api/workouts/{}", workout["id"].as_str().unwrap());
        let undone = self.request(who, "PATCH", path.clone(), json!({"status": "skipped"}), "undoes");
        if self.chance.happens(600) {
            return vec![undone];
        }
        let again = self.request(who, "PATCH", path, json!({"status": "completed"}), "logs again");
        vec![undone, again]
    }

    /// Plans something new: each plan has a name and a minute of its own.
    fn plan(&mut self, who: &Someone, times: usize) -> Vec<Doing> {
        let number = self.sent.len();
        let days = self.chance.pick(&[0, 0, 0, 1, 2]);
        let minutes = self.chance.between(1, 600);
        let time = self.world.now() + SignedDuration::from_hours(24 * days) + SignedDuration::from_mins(minutes);
        let time = time + SignedDuration::from_secs(i64::try_from(number).unwrap() % 60);
        let body = json!({"planned_activity": format!("Plan {number}"), "planned_time": time});
        let key = Some(format!("plan-{number}"));
        let label = format!("{}: plans Plan {number}", who.name);
        let request =
            Request { who: Some(who.clone()), method: "POST", path: "/api/workouts".to_owned(), body, key, label };
        (0..times).map(|_| self.send(request.clone())).collect()
    }

    fn move_plan(&mut self, who: &Someone) -> Vec<Doing> {
        let open = self.workouts(who, |status| status == "planned");
        if open.is_empty() {
            return Vec::new();
        }
        let workout = self.chance.pick(&open);
        let path = format!("/api/workouts/{}", workout["id"].as_str().unwrap());
        let copies = self.chance.pick(&[1, 1, 2]);
        let mut doings = Vec::new();
        for _ in 0..copies {
            let days = self.chance.between(0, 3);
            let time = self.world.now() + SignedDuration::from_hours(24 * days) + SignedDuration::from_mins(37);
            let time = time + SignedDuration::from_secs(i64::try_from(self.sent.len()).unwrap() % 60);
            let label = format!("moves {} by {days} days", workout["planned_activity"].as_str().unwrap());
            doings.push(self.request(who, "PATCH", path.clone(), json!({"planned_time": time}), &label));
        }
        doings
    }

    /// Writes on WhatsApp; the webhook runs in the burst, perhaps twice.
    fn write(&mut self, who: &Someone, text: &str) -> Vec<Doing> {
        self.schedule.note(format!("  {} writes {text:?}", who.name));
        self.world.simulators.faults().duplicate_webhooks(self.chance.happens(300));
        self.world.simulators.reply(&who.phone, text);
        self.world.simulators.faults().duplicate_webhooks(false);
        self.fresh_webhooks()
    }

    fn schedule_call(&mut self, who: &Someone, times: usize) -> Vec<Doing> {
        let number = self.sent.len();
        let now = self.world.now();
        let at = now + SignedDuration::from_mins(self.chance.between(1, 40));
        // Each has a second of its own, by which it is known.
        let at = at + SignedDuration::from_secs(i64::try_from(number).unwrap() % 60);
        let call_type = self.chance.pick(&["evening_review", "morning_planning", "rescue", "follow_up"]);
        let window = self.chance.pick(&[None, Some(10), Some(60), Some(180)]);
        let end = window.map(|minutes| at + SignedDuration::from_mins(minutes));
        let mut body = json!({"call_type": call_type, "scheduled_time": at});
        if let Some(end) = end {
            body["window_end"] = json!(end);
        }
        let persona = self.chance.pick(&personas());
        self.schedule.note(format!("  {} is {}", who.name, persona_name(&persona)));
        self.world.simulators.set_persona(&who.phone, persona);
        let key = Some(format!("call-{number}"));
        let label = format!("{}: schedules {call_type}", who.name);
        let request =
            Request { who: Some(who.clone()), method: "POST", path: "/api/calls".to_owned(), body, key, label };
        (0..times).map(|_| self.send(request.clone())).collect()
    }

    /// Deletes a workout, open or logged, perhaps twice at once.
    fn delete(&mut self, who: &Someone) -> Vec<Doing> {
        let any = self.workouts(who, |_| true);
        if any.is_empty() {
            return Vec::new();
        }
        let workout = self.chance.pick(&any);
        let path = format!("/api/workouts/{}", workout["id"].as_str().unwrap());
        let label = format!("deletes {}", workout["planned_activity"].as_str().unwrap());
        let copies = self.chance.pick(&[1, 1, 2]);
        (0..copies).map(|_| self.request(who, "DELETE", path.clone(), Value::Null, &label)).collect()
    }

    /// Agrees to calls, or no longer.
    fn consent(&mut self, who: &Someone, calls: bool) -> Doing {
        let body = json!({"calls": calls, "messages": true, "data_processing": true});
        let label = if calls { "agrees to calls" } else { "wants no calls" };
        self.request(who, "PUT", "/api/users/me/consents".to_owned(), body, label)
    }

    /// Asks to be called now, perhaps twice at once.
    fn call_now(&mut self, who: &Someone) -> Vec<Doing> {
        let persona = self.chance.pick(&personas());
        self.schedule.note(format!("  {} is {}", who.name, persona_name(&persona)));
        self.world.simulators.set_persona(&who.phone, persona);
        let copies = self.chance.pick(&[1, 2]);
        let body = json!({"call_type": "rescue"});
        let path = || "/api/calls/initiate".to_owned();
        (0..copies).map(|_| self.request(who, "POST", path(), body.clone(), "wants a call now")).collect()
    }

    /// Moves a call that waits to another time.
    fn reschedule(&mut self, who: &Someone) -> Vec<Doing> {
        let open = self.open_calls(who);
        if open.is_empty() {
            return Vec::new();
        }
        let call = self.chance.pick(&open);
        let path = format!("/api/calls/{}/reschedule", call["id"].as_str().unwrap());
        let time = self.world.now() + SignedDuration::from_mins(self.chance.between(5, 90));
        let time = time + SignedDuration::from_secs(i64::try_from(self.sent.len()).unwrap() % 60);
        vec![self.request(who, "POST", path, json!({"scheduled_time": time}), "moves a call")]
    }

    fn open_calls(&self, who: &Someone) -> Vec<Value> {
        let mut calls = self.book.of_user(&who.key(), "call");
        calls.retain(|call| call["gsi1sk"].is_string());
        calls
    }

    fn cancel_call(&mut self, who: &Someone) -> Vec<Doing> {
        let open = self.open_calls(who);
        if open.is_empty() {
            return Vec::new();
        }
        let call = self.chance.pick(&open);
        let path = format!("/api/calls/{}", call["id"].as_str().unwrap());
        vec![self.request(who, "DELETE", path, Value::Null, "cancels a call")]
    }

    /// A waiting call falls due, and its wake-up comes to two workers; a sweep and a cancellation may be at it as well.
    fn due_twice(&mut self, who: &Someone) -> Vec<Doing> {
        let mut waiting = self.open_calls(who);
        waiting.retain(|call| matches!(call["state"].as_str(), Some("scheduled" | "retry")));
        if waiting.is_empty() {
            return Vec::new();
        }
        let call = self.chance.pick(&waiting);
        let due_at: jiff::Timestamp = call["due_at"].as_str().unwrap().parse().unwrap();
        if due_at > self.world.now() + SignedDuration::from_hours(2) {
            return Vec::new();
        }
        // The next full minute after it; nothing else is let run before.
        let minute = 60_000;
        let at = jiff::Timestamp::from_millisecond((due_at.as_millisecond() / minute + 1) * minute).unwrap();
        self.set_time(at.max(self.world.now()));
        let body = json!({"user_id": call["user_id"], "call_id": call["id"], "due_at": call["due_at"]}).to_string();
        let message = |_| ivy_world::delivery(ivy_flows::ports::Queue::DueCalls, &body, self.world.now());
        let mut doings: Vec<Doing> = (0..2).map(message).map(Doing::Message).collect();
        if self.chance.happens(400) {
            doings.push(Doing::Sweep);
        }
        if self.chance.happens(300) {
            doings.extend(self.cancel_call(who));
        }
        doings
    }

    fn call_of(&self, who: &Someone, fits: impl Fn(&SimulatedCall) -> bool) -> Option<SimulatedCall> {
        self.world.simulators.calls().into_iter().find(|call| call.person() == who.phone && fits(call))
    }

    /// The phone's owner does something with the call that rings or runs.
    fn talk(&mut self, who: &Someone) -> Vec<Doing> {
        let Some(call) = self.call_of(who, SimulatedCall::is_live) else { return Vec::new() };
        let script = self.chance.pick(&[CallScript::log("completed", 30), CallScript::nothing()]);
        match (call.status, self.chance.below(3)) {
            (CallStatus::Registered, 0) => self.world.simulators.decline(&call.call_id),
            (CallStatus::Registered, 1) => self.world.simulators.pick_up(&call.call_id),
            (CallStatus::Registered, _) => self.world.simulators.answer(&call.call_id, script),
            _ => self.world.simulators.hang_up(&call.call_id, script),
        }
        self.fresh_webhooks()
    }

    /// The agent uses a tool in a talk that goes on, or two at once. What a talk's analysis tells as done is kept: no tool says
    /// otherwise, for a tool's word stands against the analysis.
    fn tool(&mut self, who: &Someone) -> Vec<Doing> {
        let ours = |call: &SimulatedCall| call.status == CallStatus::Ongoing && call.metadata.contains_key("call_id");
        let Some(call) = self.call_of(who, ours) else { return Vec::new() };
        let tools = [
            ("get_today", json!({})),
            ("log_workout", json!({"status": "completed", "duration_minutes": 20})),
            ("log_workout", json!({"status": "completed"})),
            ("log_workout", json!({"status": "partial", "activity": "Swim"})),
            ("plan_workout", json!({"activity": "Swim", "time": "18:10"})),
            ("plan_workout", json!({"activity": "Read", "time": "tomorrow 07:15"})),
            ("record_score", json!({"kind": "energy", "value": 7})),
            ("record_score", json!({"kind": "mood", "value": "4"})),
            ("record_marker", json!({"words": "slept through"})),
            ("schedule_follow_up", json!({"time": "19:20"})),
            ("pause_calls", json!({"reason": "sick"})),
            ("opt_out", json!({"purpose": "calls"})),
            ("opt_out", json!({"purpose": "messages"})),
        ];
        let uses = self.chance.pick(&[1, 1, 2]);
        let mut doings = Vec::new();
        for _ in 0..uses {
            let (name, args) = self.chance.pick(&tools);
            let webhook = self.world.simulators.use_tool(&call.call_id, name, &args);
            doings.push(Doing::Webhook { webhook, tries: 1 });
        }
        doings
    }

    /// Somebody calls Ivy, unless they are on the phone already.
    fn call_in(&mut self, who: &Someone) -> Vec<Doing> {
        if self.call_of(who, SimulatedCall::is_live).is_some() {
            return Vec::new();
        }
        let (call_id, question) = self.world.simulators.call_in(&who.phone);
        vec![Doing::CallIn { who: who.clone(), call_id, question }]
    }

    /// The same refresh token twice at once.
    fn refresh(&mut self, who: &Someone) -> Vec<Doing> {
        let body = json!({"refresh_token": who.refresh_token});
        let label = format!("{}: refreshes", who.name);
        let path = "/api/auth/refresh".to_owned();
        let request = Request { who: None, method: "POST", path, body, key: None, label };
        vec![self.send(request.clone()), self.send(request)]
    }

    /// Two people sign up with one number.
    fn sign_up(&mut self) -> Vec<Doing> {
        let number = self.sent.len() % 90;
        let body = json!({"phone": format!("+4477009008{:02}", 10 + number), "first_name": "Twin", "timezone": "Europe/London"});
        let key = self.chance.happens(500).then(|| format!("sign-up-{number}"));
        let (path, label) = ("/api/users".to_owned(), "a twin signs up".to_owned());
        let request = Request { who: None, method: "POST", path, body, key, label };
        vec![self.send(request.clone()), self.send(request)]
    }

    /// Something happens to the deliveries.
    fn deliveries(&mut self) -> Vec<Doing> {
        match self.chance.below(5) {
            0 => self.stream_stopped = !self.stream_stopped,
            1 => self.webhooks_held = !self.webhooks_held,
            // The sweep stands in for them; for other timers the scheduler's own promise has to do.
            2 => self.world.timers.lose_calls(),
            3 => self.sweep_minutes = self.chance.pick(&[5, 5, 15]),
            _ => return vec![Doing::Sweep],
        }
        let words = format!("stream stopped {}, webhooks held {}", self.stream_stopped, self.webhooks_held);
        self.schedule.note(format!("  {words}"));
        Vec::new()
    }

    /// A client that got no answer, or one that says "try again", sends its request once more.
    fn repeat(&mut self) -> Vec<Doing> {
        let now = self.world.now();
        // A key is kept for 24 hours from its first request; a later repeat is a new request.
        let first =
            |sent: &Sent| self.sent.iter().find(|other| other.request.key == sent.request.key).map(|sent| sent.at);
        let unanswered = |sent: &&Sent| {
            let fresh = first(sent).is_none_or(|at| now.duration_since(at) < SignedDuration::from_hours(23));
            fresh && !matches!(sent.answer, Some((200..=499, _)))
        };
        let open: Vec<Request> = self.sent.iter().filter(unanswered).map(|sent| sent.request.clone()).collect();
        if open.is_empty() {
            return Vec::new();
        }
        let request = self.chance.pick(&open);
        vec![self.send(request)]
    }
}

fn persona_name(persona: &Persona) -> String {
    match persona {
        Persona::Answers(script) => format!("answering {}", script.analysis),
        other => format!("{other:?}"),
    }
}
