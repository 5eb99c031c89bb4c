//! What a user has done, over time: pages of a list between two days, and whole spans for what is counted from them.
//!
//! A list between two days is one query a page: its position lies between the first and the last sort key, so neither the
//! number of older items nor a filter's misses change what a page costs, up to [`ROUNDS`] queries where a filter leaves nearly
//! nothing. A page holds exactly as many items as were asked for unless it is the last one or those rounds are used up; its
//! `next` is empty on the last one, also where the list ends at the page's border.
//!
//! Ids carry a time. Donations are found by the time they were made, workouts by their local date, which stands in their key.
//! A call's id is never younger than its scheduled time and at most [`CALLED_AHEAD`] older.

use aws_sdk_dynamodb::types::AttributeValue;
use ivy_domain::{
    CharityId, CompanyId, MarkerId, Pence, ScoreId, Text, UserId, WorkoutId,
    charity::Charity,
    scores::{Score, ScoreKind},
    wallet::{Donation, Wallet},
    workout::{Workout, WorkoutStatus},
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    Item, PageOf, Profile, Store, StoreError, StoredCall, UserCipher,
    entities::{entity_of, from_item, profile_from, string_of},
    keys,
    reads::{every_item, string, take},
};

/// How many queries one page may take where a filter passes over nearly everything.
const ROUNDS: usize = 8;
/// How many items a query looks at where a filter passes over some.
const FILTERED: usize = 100;
/// A call is asked for at most 31 days ahead, and may once be moved by as much.
pub const CALLED_AHEAD: SignedDuration = SignedDuration::from_hours(63 * 24);

/// A user's local days, both included; an open end has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Days {
    pub from: Option<Date>,
    pub to: Option<Date>,
}

/// A span of time: from the first instant until before the second; an open end has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// What a user scored at one time.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreEntry {
    pub id: ScoreId,
    #[serde(default)]
    pub energy: Option<Score>,
    #[serde(default)]
    pub mood: Option<Score>,
    #[serde(default)]
    pub confidence: Option<Score>,
    /// The local day that the scores are of.
    pub recorded_on: Date,
    pub recorded_at: Timestamp,
}

impl ScoreEntry {
    #[must_use]
    pub fn score(&self, kind: ScoreKind) -> Option<Score> {
        match kind {
            ScoreKind::Energy => self.energy,
            ScoreKind::Mood => self.mood,
            ScoreKind::Confidence => self.confidence,
        }
    }
}

impl std::fmt::Debug for ScoreEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScoreEntry({})", self.id)
    }
}

/// A life marker in the user's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerEntry {
    pub id: MarkerId,
    pub words: Text<200>,
    pub recorded_at: Timestamp,
}

/// What was given to one charity in a month, by one giver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptLine {
    pub charity_id: CharityId,
    /// The company that gave; without one it was Ivy.
    pub company_id: Option<CompanyId>,
    pub amount: Pence,
    pub donations: i64,
}

/// What was given on behalf of a user in one local month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Such as `2026-11`.
    pub month: String,
    pub lines: Vec<ReceiptLine>,
}

impl Receipt {
    #[must_use]
    pub fn donated(&self) -> Pence {
        self.lines.iter().map(|line| line.amount).sum()
    }

    #[must_use]
    pub fn donations(&self) -> u32 {
        let count: i64 = self.lines.iter().map(|line| line.donations).sum();
        u32::try_from(count).unwrap_or_default()
    }
}

impl crate::Store {
    /// The receipt of a month, if something was given in it.
    pub async fn receipt_of(&self, user: UserId, month: &str) -> Result<Option<Receipt>, StoreError> {
        self.get(keys::receipt(user, month)).await?.map(|item| receipt(&item)).transpose()
    }
}

const AMOUNT: &str = "amount";
const DONATIONS: &str = "donations";

/// The names of the two sums that a receipt has for a charity and a giver.
pub(crate) fn receipt_sums(charity: CharityId, company: Option<CompanyId>) -> [String; 2] {
    let giver = company.map_or_else(|| "ivy".to_owned(), |company| company.to_string());
    [AMOUNT, DONATIONS].map(|sum| format!("{sum}#{charity}#{giver}"))
}

pub(crate) fn receipt(item: &Item) -> Result<Receipt, StoreError> {
    let unreadable = || StoreError::unreadable("receipt", "a sum or the key");
    let number = |value: &AttributeValue| value.as_n().ok().and_then(|number| number.parse::<i64>().ok());
    let month = string_of(item, "sk").and_then(|sk| sk.strip_prefix(keys::RECEIPTS)).ok_or_else(unreadable)?;
    let mut lines = Vec::new();
    for (name, value) in item {
        let Some(key) = name.strip_prefix(AMOUNT).and_then(|rest| rest.strip_prefix('#')) else { continue };
        let (charity, giver) = key.split_once('#').ok_or_else(unreadable)?;
        let company_id = if giver == "ivy" { None } else { Some(giver.parse().map_err(|_| unreadable())?) };
        let donations = item.get(&format!("{DONATIONS}#{key}")).and_then(number).ok_or_else(unreadable)?;
        let amount = Pence(number(value).ok_or_else(unreadable)?);
        let charity_id = charity.parse().map_err(|_| unreadable())?;
        lines.push(ReceiptLine { charity_id, company_id, amount, donations });
    }
    lines.sort_by_key(|line| (std::cmp::Reverse(line.amount), line.charity_id, line.company_id));
    Ok(Receipt { month: month.to_owned(), lines })
}

pub(crate) fn marker(item: &Item, cipher: &UserCipher) -> Result<MarkerEntry, StoreError> {
    let field = |name| string_of(item, name).ok_or_else(|| StoreError::unreadable("marker", "a field is missing"));
    let id = field("sk")?.rsplit('#').next().unwrap_or_default();
    Ok(MarkerEntry {
        id: id.parse().map_err(|e| StoreError::unreadable("marker", e))?,
        words: cipher.open("marker", field("marker")?)?.parse().map_err(|e| StoreError::unreadable("marker", e))?,
        recorded_at: field("recorded_at")?.parse().map_err(|e| StoreError::unreadable("marker", e))?,
    })
}

/// The first and the last sort key of a list between two positions.
struct Between {
    from: String,
    to: String,
}

impl Between {
    fn days(days: Days) -> Self {
        Self {
            from: days.from.map_or_else(|| keys::WORKOUTS.to_owned(), keys::workouts_on),
            to: days.to.map_or_else(|| keys::end_of(keys::WORKOUTS), |date| keys::end_of(&keys::workouts_on(date))),
        }
    }

    fn donations(made: Span) -> Self {
        Self {
            from: made.from.map_or_else(|| keys::DONATIONS.to_owned(), keys::donations_from),
            // An id of that instant is longer than this, and sorts behind it.
            to: made.until.map_or_else(|| keys::end_of(keys::DONATIONS), keys::donations_from),
        }
    }
}

impl Store {
    /// One query of a partition between two sort keys.
    fn between(
        &self,
        user: UserId,
        between: &Between,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", string(keys::user_partition(user)))
            .expression_attribute_values(":from", string(&between.from))
            .expression_attribute_values(":to", string(&between.to))
            .consistent_read(true)
    }

    /// A page of what `wanted` keeps, newest first.
    async fn page_between(
        &self,
        user: UserId,
        between: &Between,
        limit: u32,
        after: Option<&str>,
        filtered: bool,
        wanted: impl Fn(&Item) -> bool,
    ) -> Result<PageOf<Item>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found: Vec<Item> = Vec::new();
        let mut position = after.map(str::to_owned);
        for _ in 0..ROUNDS {
            // One more than asked for tells whether there is a next page.
            let missing = limit + 1 - found.len();
            let looked_at = if filtered { missing.max(FILTERED) } else { missing };
            let mut request = self
                .between(user, between)
                .scan_index_forward(false)
                .limit(i32::try_from(looked_at).unwrap_or(i32::MAX));
            if let Some(sk) = &position {
                request = request
                    .exclusive_start_key("pk", string(keys::user_partition(user)))
                    .exclusive_start_key("sk", string(sk));
            }
            let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
            found.extend(answer.items.unwrap_or_default().into_iter().filter(&wanted));
            position = answer.last_evaluated_key.as_ref().and_then(|key| string_of(key, "sk")).map(str::to_owned);
            if found.len() > limit || position.is_none() {
                break;
            }
        }
        if found.len() > limit {
            found.truncate(limit);
            position = found.last().and_then(|item| string_of(item, "sk")).map(str::to_owned);
        }
        Ok(PageOf { items: found, next: position })
    }

    /// Everything between two sort keys, oldest first.
    async fn all_between(&self, user: UserId, between: &Between) -> Result<Vec<Item>, StoreError> {
        every_item(&self.between(user, between)).await
    }

    /// A workout by its id, of a user who is still there. One batch, and a second read for a workout that moved to another day.
    pub async fn workout(&self, user: UserId, id: WorkoutId) -> Result<Option<Workout>, StoreError> {
        let (profile, key) = (keys::profile(user), keys::workout_by_id(user, id));
        let mut items = self.batch_get(vec![profile.clone(), key.clone()]).await?;
        if take(&mut items, &profile).is_none() {
            return Ok(None);
        }
        let mut found = take(&mut items, &key);
        if let Some(date) = found.as_ref().and_then(|item| string_of(item, "moved_to")) {
            let date: Date = date.parse().map_err(|e| StoreError::unreadable("moved", e))?;
            found = self.get(keys::workout(user, date, id)).await?;
        }
        found.filter(|item| entity_of(item) == "workout").map(|item| from_item("workout", item)).transpose()
    }

    /// A page of workouts, the latest day first. What was moved away or deleted is not in it.
    pub async fn list_workouts(
        &self,
        user: UserId,
        days: Days,
        status: Option<WorkoutStatus>,
        limit: u32,
        after: Option<&str>,
    ) -> Result<PageOf<Workout>, StoreError> {
        let wanted = |item: &Item| {
            entity_of(item) == "workout" && status.is_none_or(|status| string_of(item, "status") == Some(status.name()))
        };
        let page = self.page_between(user, &Between::days(days), limit, after, status.is_some(), wanted).await?;
        let items = page.items.into_iter().map(|item| from_item("workout", item)).collect::<Result<_, _>>()?;
        Ok(PageOf { items, next: page.next })
    }

    /// All workouts of some days, oldest first.
    pub async fn workouts_between(&self, user: UserId, days: Days) -> Result<Vec<Workout>, StoreError> {
        let items = self.all_between(user, &Between::days(days)).await?;
        let workouts = items.into_iter().filter(|item| entity_of(item) == "workout");
        workouts.map(|item| from_item("workout", item)).collect()
    }

    /// A page of donations by the time they were made, newest first.
    pub async fn list_donations(
        &self,
        user: UserId,
        made: Span,
        limit: u32,
        after: Option<&str>,
    ) -> Result<PageOf<Donation>, StoreError> {
        let page = self.page_between(user, &Between::donations(made), limit, after, false, |_| true).await?;
        let items = page.items.into_iter().map(|item| from_item("donation", item)).collect::<Result<_, _>>()?;
        Ok(PageOf { items, next: page.next })
    }

    /// All donations made in a span, oldest first.
    pub async fn donations_between(&self, user: UserId, made: Span) -> Result<Vec<Donation>, StoreError> {
        let items = self.all_between(user, &Between::donations(made)).await?;
        items.into_iter().map(|item| from_item("donation", item)).collect()
    }

    /// All calls whose scheduled time lies in a span, oldest first by their ids.
    pub async fn calls_between(
        &self,
        user: UserId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<StoredCall>, StoreError> {
        // A planned call's id carries its local date as if in UTC: up to 14 hours before and after the day itself.
        let last = until.checked_add(SignedDuration::from_hours(15)).unwrap_or(Timestamp::MAX);
        let first = from.checked_sub(CALLED_AHEAD).unwrap_or(Timestamp::MIN);
        let between = Between { from: keys::calls_from(first), to: keys::calls_from(last) };
        let items = self.all_between(user, &between).await?;
        let calls: Vec<StoredCall> = items.into_iter().map(|item| from_item("call", item)).collect::<Result<_, _>>()?;
        let in_span = |stored: &StoredCall| (from..until).contains(&stored.call.scheduled_time);
        Ok(calls.into_iter().filter(in_span).collect())
    }

    /// A page of receipts, newest first; of one month there is at most one.
    pub async fn list_receipts(
        &self,
        user: UserId,
        month: Option<&str>,
        limit: u32,
        after: Option<&str>,
    ) -> Result<PageOf<Receipt>, StoreError> {
        let first = format!("{}{}", keys::RECEIPTS, month.unwrap_or_default());
        let between = Between { to: keys::end_of(&first), from: first };
        let page = self.page_between(user, &between, limit, after, false, |_| true).await?;
        let items = page.items.iter().map(receipt).collect::<Result<_, _>>()?;
        Ok(PageOf { items, next: page.next })
    }

    /// The last scores, in the order of the days that they are of.
    pub async fn last_scores(&self, user: UserId, most: u32) -> Result<Vec<ScoreEntry>, StoreError> {
        let page = self.list(keys::user_partition(user), keys::SCORES, most, None).await?;
        let mut scores: Vec<ScoreEntry> =
            page.items.into_iter().map(|item| from_item("score", item)).collect::<Result<_, _>>()?;
        scores.sort_by_key(|entry| (entry.recorded_on, entry.recorded_at));
        Ok(scores)
    }

    /// The profile and the last life markers, newest first. Two reads at once, since the markers are opened with the profile.
    pub async fn last_markers(&self, profile: &Profile, most: u32) -> Result<Vec<MarkerEntry>, StoreError> {
        let page = self.list(keys::user_partition(profile.user.id), keys::MARKERS, most, None).await?;
        page.items.iter().map(|item| marker(item, &profile.cipher)).collect()
    }

    /// All charities: they are few, and lie in one partition.
    pub async fn charities(&self) -> Result<Vec<Charity>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", string(keys::CHARITIES));
        every_item(&request).await?.into_iter().map(|item| from_item("charity", item)).collect()
    }

    /// The wallets of up to 50 users with their owners; who has none yet, or is gone, is left out. One batch.
    pub async fn wallets(&self, users: &[UserId]) -> Result<Vec<(Profile, Wallet)>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let keys = users.iter().flat_map(|user| [keys::profile(*user), keys::wallet(*user)]).collect();
        let (mut profiles, mut wallets) = (Vec::new(), std::collections::HashMap::new());
        for item in self.batch_get(keys).await? {
            let owner = string_of(&item, "pk").unwrap_or_default().to_owned();
            match entity_of(&item) {
                // One that cannot be read must not keep the others from their period.
                "user" => match profile_from(item, &self.keyring) {
                    Ok(profile) => profiles.push(profile),
                    Err(error) => tracing::error!(event = "profile_unreadable", %error),
                },
                _ => {
                    wallets.insert(owner, from_item::<Wallet>("wallet", item)?);
                }
            }
        }
        let with_wallet = |profile: Profile| {
            let wallet = wallets.remove(&keys::user_partition(profile.user.id))?;
            Some((profile, wallet))
        };
        Ok(profiles.into_iter().filter_map(with_wallet).collect())
    }
}
