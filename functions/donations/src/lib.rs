//! Donations: the Impact Wallet, what was given and to whom, and the charities.

pub mod get_impact;
pub mod get_wallet;
pub mod list_charities;
pub mod list_donations;
pub mod list_receipts;
pub mod log_donation;
pub mod reset_wallets;
pub mod view;

use ivy_domain::{days, local_days::LocalDays};
use ivy_store::Span;
use jiff::civil::Date;

/// The time from the beginning of a local day to the end of another.
fn made_between(local: &LocalDays, from: Option<Date>, to: Option<Date>) -> Span {
    Span {
        from: from.map(|date| local.begins_at(date)),
        until: to.map(|date| local.begins_at(days::plus_days(date, 1))),
    }
}
