//! What a search is bounded by: the window, the instants at which anything may happen, and how much may go wrong.
//!
//! Time runs over a list of instants, not over every second: what the rules tell apart (lease, shortest pause, retry, window's
//! end, grace, quiet hours, the longest call) has instants on both sides of it. All else may happen at any of them, in any order.
//!
//! Four bounds of the outside world are taken as given; `main.rs` shows for each that the promises fall without it:
//! - a worker lives for 45 seconds at most (`PlaceCall.Timeout` in `template.yaml`);
//! - a request that the provider got is acted on within 60 seconds or never, and a call is listed within 60 seconds of its
//!   creation: together 165 seconds after the claim, and the lease is 180;
//! - a phone call takes 60 minutes at most (Retell's default), and it is given up after 65;
//! - the sweep runs. Webhooks need not.

use jiff::{SignedDuration, Timestamp};

/// How long a worker lives, in seconds.
pub(crate) const WORKER_LIFE: i64 = 45;
/// How late the provider may act on a request whose sender has stopped listening, in seconds.
pub(crate) const IN_FLIGHT: i64 = 60;
/// How long a new call may be missing from the provider's list, in seconds.
pub(crate) const LIST_LAG: i64 = 60;
/// The longest that a phone rings, in seconds.
pub(crate) const LONGEST_RING: i64 = 60;
/// The longest talk that the provider allows, in seconds.
pub(crate) const LONGEST_TALK: i64 = 3_600;

/// What is wrong with the model on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The claim is written whatever the version.
    ClaimWithoutVersion,
    /// The second request after a lost answer has another idempotency key.
    NewKey,
    /// A lost answer is taken for "nothing was dialled".
    LostMeansNotPlaced,
    /// A webhook moves the call whatever attempt it is about.
    AnyAttempt,
    /// No slot is ever given back.
    KeepSlot,
    /// A worker may live for long.
    SlowWorker,
    /// A new call may be missing from the list for long.
    SlowList,
    /// The provider lets people talk for two hours.
    LongTalk,
    /// The sweep does not run.
    NoSweep,
    /// The call is dialled without a look at its window.
    AnyTime,
}

#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) opens_at: Timestamp,
    pub(crate) closes_at: Timestamp,
    /// Before which a retry must start, by the spec's words, not by the code's reckoning.
    pub(crate) last_retry: Timestamp,
    pub(crate) instants: Vec<Timestamp>,
    /// From this instant on no webhook arrives, and a sweep runs at each.
    pub(crate) closing_from: usize,
    /// One or two: with one, a second claim of the same call fails on the slot already.
    pub(crate) slots: u8,
    /// How often something may go wrong: a crash, a lost or refused request, a lie of the list, a slot that others take.
    pub(crate) faults: u8,
    /// Whether an event that was taken is known when it comes again. Without it the transitions alone have to cope.
    pub(crate) markers: bool,
    /// Whether the promises about slots are checked. Off, a flaw shows in what the person hears of it.
    pub(crate) slots_judged: bool,
    /// Whether the carrier has its word on every end, and an analysis may find that a machine took the call.
    pub(crate) afterthoughts: bool,
    pub(crate) flaw: Option<Flaw>,
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-23T{time}Z").parse().unwrap()
}

impl Scenario {
    /// `window` and `instants` are UTC, which is London's time in November; a call is due when its window opens.
    fn new(name: &'static str, window: [&str; 3], instants: &str, closing: &str) -> Self {
        let [opens_at, closes_at, last_retry] = window.map(at);
        let mut all: Vec<Timestamp> = instants.split_whitespace().map(at).collect();
        let closing_from = all.len();
        all.extend(closing.split_whitespace().map(at));
        assert!(all.is_sorted(), "{name}: time runs forwards");
        Self {
            name,
            opens_at,
            closes_at,
            last_retry,
            instants: all,
            closing_from,
            slots: 1,
            faults: 1,
            markers: true,
            slots_judged: true,
            afterthoughts: false,
            flaw: None,
        }
    }

    /// Three attempts, 30 and 60 minutes apart, then silence until every lease is over.
    pub(crate) fn whole_ladder() -> Self {
        let instants = "12:00:00 12:00:40 12:03:50 12:05:10 12:34:00 12:34:40 12:38:30 13:06:00 \
                        13:39:00 13:39:40 13:43:30 14:10:00";
        let closing = "15:20:00 15:50:00";
        Self::new("the whole ladder", ["12:00:00", "13:38:00", "14:08:00"], instants, closing)
    }

    /// One attempt and its retry seen closely: every bound of the lease has instants around it.
    pub(crate) fn around_the_lease() -> Self {
        let instants =
            "12:00:00 12:00:40 12:01:35 12:02:35 12:03:05 12:05:45 12:33:00 12:33:40 12:34:20 12:37:10 13:06:00";
        let closing = "14:30:00 14:35:00";
        Self::new("around the lease", ["12:00:00", "12:04:00", "12:34:00"], instants, closing)
    }

    /// The last minute of the window, and a retry that is moved to fit the grace or dropped.
    pub(crate) fn end_of_the_window() -> Self {
        let instants = "12:00:00 12:04:30 12:05:10 12:05:40 12:08:50 12:33:30 12:34:10 12:34:50 12:35:20 12:40:00";
        let closing = "13:46:00 13:51:00";
        Self::new("the end of the window", ["12:00:00", "12:05:00", "12:35:00"], instants, closing)
    }

    /// A window that ends a quarter of an hour before the quiet hours, which cut the grace.
    pub(crate) fn quiet_hours() -> Self {
        let instants =
            "21:00:00 21:00:40 21:04:00 21:14:40 21:15:20 21:18:10 21:28:30 21:29:10 21:29:50 21:30:20 21:35:00";
        let closing = "22:41:00 22:46:00";
        Self::new("quiet hours", ["21:00:00", "21:15:00", "21:30:00"], instants, closing)
    }

    /// A window so long that an attempt can be given up and tried again in it.
    pub(crate) fn given_up() -> Self {
        let instants = "12:00:00 12:00:40 12:03:50 13:00:30 13:06:00 13:37:00 13:37:40 13:41:00 14:43:00 15:29:10 15:29:50 15:33:00";
        let closing = "16:40:00 16:45:00";
        Self::new("given up and tried again", ["12:00:00", "15:00:00", "15:30:00"], instants, closing)
    }

    pub(crate) const fn slots(mut self, slots: u8) -> Self {
        self.slots = slots;
        self
    }

    pub(crate) const fn faults(mut self, faults: u8) -> Self {
        self.faults = faults;
        self
    }

    pub(crate) const fn without_markers(mut self) -> Self {
        self.markers = false;
        self
    }

    pub(crate) const fn with_afterthoughts(mut self) -> Self {
        self.afterthoughts = true;
        self
    }

    pub(crate) const fn without_slot_promises(mut self) -> Self {
        self.slots_judged = false;
        self
    }

    pub(crate) const fn flaw(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub(crate) fn worker_life(&self) -> SignedDuration {
        SignedDuration::from_secs(if self.has(Flaw::SlowWorker) { 600 } else { WORKER_LIFE })
    }

    pub(crate) fn list_lag(&self) -> SignedDuration {
        SignedDuration::from_secs(if self.has(Flaw::SlowList) { 600 } else { LIST_LAG })
    }

    pub(crate) fn longest_talk(&self) -> SignedDuration {
        SignedDuration::from_secs(if self.has(Flaw::LongTalk) { 2 * LONGEST_TALK } else { LONGEST_TALK })
    }
}
