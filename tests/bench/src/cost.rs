//! What a user costs: dollars a month and a completed check-in, by tier, AWS and providers apart.
//!
//! From the capacity ledger, the measured CPU time of the functions, the price file with its date, and a day of each tier's people
//! played with the real rules. Nothing here is a bill: what is assumed stands in `prices.json` and in `scale`.

use ivy_domain::Tier;

use crate::{
    failure::{Because as _, Failure},
    figures::{Table, brief, ratio},
    money::{Dollars, Till},
    plot::{self, Bar},
    say,
    scale::{self, Tiered},
};

/// A tier's month.
#[derive(Debug, Clone)]
struct Month {
    tier: Tier,
    calls: f64,
    attempts: f64,
    completed: f64,
    dollars: Dollars,
}

impl Month {
    fn of(tier: Tier, tiered: &Tiered, weeks: f64) -> Self {
        let calls = tiered.calls_a_week * weeks;
        let mut dollars = tiered.a_day.times(weeks * 7.0);
        dollars += tiered.a_call.times(calls);
        Self { tier, calls, attempts: calls * tiered.attempts, completed: calls * tiered.completed, dollars }
    }

    fn a_check_in(&self) -> Dollars {
        self.dollars.times(ratio(1.0, self.completed).unwrap_or_default())
    }
}

/// Prints the table; with `write`, plots it into `docs/cost.svg`.
///
/// # Errors
/// When a file is missing or a price is not in it.
pub(crate) fn run(write: bool) -> Result<(), Failure> {
    let till = Till::open()?;
    let weeks = till.prices.usage("weeks_per_month")?;
    let mut months = Vec::new();
    for tier in Tier::ALL {
        months.push(Month::of(tier, &scale::tiered(&till, tier)?, weeks));
    }
    say(&format!(
        "A user's month, prices of {}\n\n{}",
        till.prices.date,
        table(&months, till.prices.usage("pound_in_usd")?)
    ));
    let fixed = till.prices.aws("fixed_month")?;
    let storage = till.prices.usage("kilobytes_per_user")? / 1e6 * till.prices.aws("dynamodb_gb_month")?;
    say(&format!(
        "Beside these: ${fixed} a month for what is there once (key, secret, web ACL, alarms), and ${} a user and month for storage.",
        brief(storage)
    ));
    if write {
        let path = crate::repository("docs/cost.svg");
        std::fs::write(&path, plot::svg(&bars(&months), &till.prices.date))
            .because("docs/cost.svg cannot be written")?;
        say(&format!("Plotted into {}", path.display()));
    }
    Ok(())
}

fn table(months: &[Month], pound: f64) -> String {
    let mut table = Table::new(&[
        "tier",
        "calls",
        "attempts",
        "check-ins",
        "Lambda $",
        "table $",
        "around $",
        "AWS $",
        "voice $",
        "messages $",
        "total $",
        "AWS a check-in $",
        "providers a check-in $",
        "AWS of it",
        "of the price",
    ]);
    for month in months {
        let (dollars, each) = (month.dollars, month.a_check_in());
        let percent = |part: f64, whole: f64| format!("{:.2} %", ratio(part * 100.0, whole).unwrap_or_default());
        #[expect(clippy::cast_precision_loss, reason = "prices in pence")]
        let price = month.tier.rules().price.map(|price| price.0 as f64 / 100.0 * pound);
        table.row([
            month.tier.name().to_owned(),
            format!("{:.1}", month.calls),
            format!("{:.1}", month.attempts),
            format!("{:.1}", month.completed),
            brief(dollars.lambda),
            brief(dollars.table),
            brief(dollars.around),
            brief(dollars.aws()),
            brief(dollars.voice),
            brief(dollars.messages),
            brief(dollars.total()),
            brief(each.aws()),
            brief(each.providers()),
            percent(each.aws(), each.total()),
            price.map_or_else(|| "contract".to_owned(), |price| percent(dollars.total(), price)),
        ]);
    }
    table.text()
}

fn bars(months: &[Month]) -> Vec<Bar> {
    let bar = |month: &Month| {
        let each = month.a_check_in();
        Bar {
            name: month.tier.name().to_owned(),
            providers: vec![("voice", each.voice), ("messages", each.messages)],
            aws: vec![
                ("Lambda", each.lambda),
                ("table", each.table),
                ("gateway, queues, schedules, logs", each.around),
            ],
        }
    };
    months.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiered() -> Tiered {
        Tiered {
            a_day: Dollars { table: 0.001, ..Dollars::default() },
            a_call: Dollars { lambda: 0.002, voice: 0.25, ..Dollars::default() },
            completed: 0.5,
            attempts: 1.5,
            calls_a_week: 10.0,
        }
    }

    #[test]
    fn a_month_is_its_days_and_its_calls() {
        let month = Month::of(Tier::B2cElite, &tiered(), 4.0);
        assert!((month.calls - 40.0).abs() < 1e-9 && (month.completed - 20.0).abs() < 1e-9);
        assert!((month.dollars.table - 0.028).abs() < 1e-9);
        assert!((month.dollars.providers() - 10.0).abs() < 1e-9);
        let each = month.a_check_in();
        assert!((each.voice - 0.5).abs() < 1e-9 && (each.aws() - (0.028 + 0.08) / 20.0).abs() < 1e-9);
    }

    #[test]
    fn the_table_sets_it_against_the_price() {
        let month = Month::of(Tier::B2cElite, &tiered(), 4.0);
        let text = table(&[month], 1.0);
        // 10.108 dollars of 199.
        assert!(text.contains("5.08 %"), "{text}");
    }

    #[test]
    fn calls_a_week_are_those_of_the_rules() {
        let till = Till::open().unwrap();
        let of = |tier| scale::tiered(&till, tier).unwrap();
        let (pro, elite) = (of(Tier::B2cPro), of(Tier::B2cElite));
        // Two calls a week, less those of people who write.
        assert!((1.8..=2.0).contains(&pro.calls_a_week), "{pro:?}");
        assert!(elite.calls_a_week > 4.0 * pro.calls_a_week && elite.attempts > 1.0);
        assert!((0.5..0.9).contains(&elite.completed), "{elite:?}");
        assert!(elite.a_call.providers() > 20.0 * elite.a_call.aws());
    }
}
