//! New wallet periods by the job, for wallets that nobody used since the last one ended.
//!
//! A period begins by rule on first use, so no donation ever waits for this job: it keeps what is stored true for exports and
//! reports. `reset-wallets` runs every hour and takes the zones whose local day begins in it, as `plan-day` does, so a wallet
//! is looked at once a day, in the hour in which a calendar month begins where its owner lives. The pages of users go over the
//! `plan-users` queue. A wallet is written only where its period is over, on the condition of its version: whoever begins the
//! period first has begun it, and the other finds it begun. Users who cannot be called stand in no index; their period begins
//! on first use.

use ivy_domain::{UserId, Zone, days, wallet::PeriodRule};
use ivy_store::StoreError;
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Ivy,
    planning::{self, PlanJob},
    ports::Queues,
};

/// Wallets looked at by one job: each takes two keys of a batch of 100.
const PAGE: u32 = 50;

/// Puts a job on the queue for each shard of each zone whose local day begins in the hour from `hour` on.
///
/// # Errors
/// When the queue does not take a job; the event is delivered again and repeats the same jobs.
pub async fn reset_wallets(hour: Timestamp, queues: &dyn Queues) -> Result<usize, Error> {
    let zones = days::zones_whose_day_begins(hour, hour + SignedDuration::from_hours(1));
    planning::begin_pages(queues, zones, |zone, shard, _| PlanJob::Wallets { zone, shard, after: None }).await
}

/// Begins the periods that are due among a page of users.
pub(crate) async fn reset_page(
    ivy: &Ivy,
    queues: &dyn Queues,
    zone: &Zone,
    shard: u64,
    after: Option<UserId>,
) -> Result<(), Error> {
    let page = ivy.store.users_of_zone(zone.as_str(), shard, PAGE, after).await?;
    let behind = |last| PlanJob::Wallets { zone: zone.clone(), shard, after: Some(last) };
    planning::next_page(queues, &page, behind).await?;
    let now = ivy.now();
    let mut failure = None;
    for (profile, mut wallet) in ivy.store.wallets(&page.items).await? {
        let user = profile.user.id;
        if !wallet.roll(now, &PeriodRule::of(&profile.user)) {
            continue;
        }
        let mut transaction = ivy.store.transaction();
        transaction.wallet(user, &wallet);
        match transaction.commit().await {
            Ok(()) => tracing::info!(event = "wallet_period_begun", user_id = %user),
            // Used meanwhile: the period began with that, or the job comes again tomorrow.
            Err(StoreError::ConditionFailed(_)) => {}
            Err(error) => {
                tracing::error!(event = "wallet_not_reset", user_id = %user, %error);
                failure = Some(error);
            }
        }
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}
