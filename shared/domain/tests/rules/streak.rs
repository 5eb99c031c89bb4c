//! What a report may never do to the streak. Its numbers are held against a second implementation in `tests/oracle`.

use ivy_domain::streak::{DayChange, Recorded, Streak};
use ivy_domain::user::WeekdaySet;
use jiff::{
    ToSpan,
    civil::{Date, Weekday, date},
};
use proptest::prelude::{Just, Strategy, prop_assert, prop_oneof, proptest};

const TODAY: Date = date(2026, 11, 21);
const SPAN: i32 = 100;

fn ago(days: i32) -> Date {
    TODAY - days.days()
}

fn weekdays() -> impl Strategy<Value = WeekdaySet> {
    proptest::collection::vec(0_i8..7, 0..5)
        .prop_map(|days| days.into_iter().map(|day| Weekday::from_monday_zero_offset(day).unwrap()).collect())
}

fn reports() -> impl Strategy<Value = Vec<(i32, DayChange)>> {
    let change = prop_oneof![
        6 => Just(DayChange::Kept),
        2 => Just(DayChange::Rested),
        1 => Just(DayChange::Planned),
    ];
    proptest::collection::vec((0..SPAN, change), 0..160)
}

proptest! {
    #[test]
    fn a_kept_day_never_shortens_the_run(reports in reports(), preferred in weekdays(), day in 0..SPAN) {
        let mut streak = Streak::new(ago(SPAN), preferred);
        for (days, change) in &reports {
            assert_eq!(streak.record(ago(*days), *change, TODAY), Recorded::Counted);
        }
        let before = streak.standing(TODAY).current;
        streak.record(ago(day), DayChange::Kept, TODAY);
        prop_assert!(streak.standing(TODAY).current >= before);
    }
}
