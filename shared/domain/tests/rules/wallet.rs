//! The wallet under any sequence of donations, periods and invoices.

use std::collections::BTreeMap;

use ivy_domain::wallet::{CapReached, Caps, PeriodRule, Wallet};
use ivy_domain::{Pence, Tier, Zone};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::date};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

#[derive(Debug, Clone)]
enum Action {
    Completion {
        days_ago: i32,
    },
    Bonus(i64),
    Adjustment(i64),
    /// Hours that pass; negative for a clock that runs backwards.
    Time(i64),
    Invoice {
        days_ago: i64,
    },
    Roll,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..60_i32).prop_map(|days_ago| Action::Completion { days_ago: days_ago.saturating_sub(30).max(0) }),
        1 => prop_oneof![Just(300), Just(1000), Just(2500)].prop_map(Action::Bonus),
        2 => (-2500_i64..2500).prop_map(Action::Adjustment),
        3 => (-50_i64..500).prop_map(Action::Time),
        1 => (-3_i64..70).prop_map(|days_ago| Action::Invoice { days_ago }),
        2 => Just(Action::Roll),
    ]
}

proptest! {
    #[test]
    fn no_cap_is_exceeded_and_sums_agree(
        actions in proptest::collection::vec(action(), 1..120),
        tier in any::<proptest::sample::Index>(),
        company in proptest::option::of(0_i64..5000),
    ) {
        let tier = Tier::ALL[tier.index(Tier::ALL.len())];
        let caps = Caps::of(tier, company.map(Pence));
        let rule = match tier {
            Tier::B2bSponsor => PeriodRule::CalendarMonth(Zone::default()),
            Tier::B2cPro | Tier::B2cElite | Tier::B2cConcierge => PeriodRule::Billing,
        };
        let mut now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let mut wallet = Wallet::open(now, &rule);
        let mut by_period = BTreeMap::<Timestamp, Pence>::new();
        let mut by_day = BTreeMap::new();
        let mut starts = vec![wallet.period_start];
        for action in actions {
            let today = ivy_domain::days::local_date(now, &Zone::default());
            let donated = match action.clone() {
                Action::Completion { days_ago } => {
                    let date = today - days_ago.days();
                    let donated = wallet.donate_completion(date, caps);
                    prop_assert!(donated.amount <= caps.donation);
                    prop_assert_eq!(donated.cap_reached.is_some(), donated.amount < caps.donation);
                    let sum = by_day.entry(date).or_insert(Pence::ZERO);
                    *sum += donated.amount;
                    prop_assert!(*sum <= caps.daily, "daily cap on {}", date);
                    donated.amount
                }
                Action::Bonus(bonus) => wallet.donate_bonus(Pence(bonus), caps).amount,
                Action::Adjustment(pence) => {
                    let (before, amount) = (wallet.clone(), Pence(pence));
                    match wallet.adjust(amount, caps) {
                        Ok(()) => amount,
                        Err(_) => {
                            prop_assert_eq!(&wallet, &before, "whole or not at all");
                            let used = before.amount_used + amount;
                            prop_assert!(used > caps.monthly || used < Pence::ZERO, "refused without need");
                            Pence::ZERO
                        }
                    }
                }
                Action::Time(hours) => {
                    now += SignedDuration::from_hours(hours);
                    Pence::ZERO
                }
                Action::Invoice { days_ago } => {
                    let (start, before) = (now - SignedDuration::from_hours(24 * days_ago), wallet.period_start);
                    let began = wallet.start_period(start, start + SignedDuration::from_hours(24 * 30), now);
                    // Of a clock that ran backwards, the current period may lie ahead; a new one never does.
                    let same = wallet.period_start == before;
                    prop_assert!(!began || same || wallet.period_start <= now, "a period that has not begun");
                    Pence::ZERO
                }
                Action::Roll => {
                    wallet.roll(now, &rule);
                    prop_assert!(!wallet.roll(now, &rule), "never twice");
                    Pence::ZERO
                }
            };
            prop_assert!(donated >= Pence::ZERO || matches!(action, Action::Adjustment(_)));
            prop_assert!(wallet.amount_used >= Pence::ZERO);
            *by_period.entry(wallet.period_start).or_default() += donated;
            prop_assert_eq!(by_period[&wallet.period_start], wallet.amount_used);
            prop_assert_eq!(by_period.values().copied().sum::<Pence>(), wallet.lifetime_donated);
            prop_assert!(wallet.amount_used <= caps.monthly);
            prop_assert!(wallet.period_start < wallet.period_end);
            if starts.last() != Some(&wallet.period_start) {
                prop_assert!(starts.last() < Some(&wallet.period_start), "periods only follow each other");
                starts.push(wallet.period_start);
            }
            let remaining = wallet.remaining(today, caps);
            prop_assert!(remaining.day <= remaining.period && remaining.day >= Pence::ZERO);
            prop_assert!(wallet.daily.len() < 200);
        }
        let stored = serde_json::to_string(&wallet).unwrap();
        prop_assert_eq!(serde_json::from_str::<Wallet>(&stored).unwrap(), wallet);
    }
}

#[test]
fn a_date_far_ahead_does_not_make_the_wallet_forget() {
    let caps = Caps::of(Tier::B2cPro, None);
    let mut wallet = Wallet::open("2026-11-21T12:00:00Z".parse().unwrap(), &PeriodRule::Billing);
    wallet.donate_completion(date(2030, 1, 1), caps);
    let today = wallet.donate_completion(date(2026, 11, 21), caps);
    assert_ne!(today.cap_reached, Some(CapReached::TooOld));
}
