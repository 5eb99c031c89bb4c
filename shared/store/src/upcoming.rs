//! The calls that are due next, of all users: what operators look at.
//!
//! The index of due calls lies in shards, so a page asks each shard once, merges by due time and reads the calls of the page in
//! one batch. The index holds keys only: what a call is by now stands in its item, so calls that ring or are talked on, whose
//! place in the index is their lease, are left out after the read, and the page is filled up.
//!
//! A page ends at a due second and a call's id. Within one second an index promises no order; a shard is therefore read on
//! until the second in which the page may end is complete. So a call that stays where it is comes once, whatever moves around it.

use ivy_domain::{CallId, UserId};
use jiff::Timestamp;

use crate::{
    Item, PageOf, Store, StoreError, StoredCall,
    entities::{from_item, string_of},
    keys,
    reads::call_at,
};

/// A place in the index of due calls: when, which, whose. Sorts as the list does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: String,
    call: CallId,
    user: UserId,
}

impl Due {
    fn of(item: &Item) -> Option<Self> {
        let (user, call) = call_at(item)?;
        Some(Self { at: string_of(item, "gsi1sk")?.to_owned(), call, user })
    }

    fn position(&self) -> String {
        format!("{} {} {}", self.at, self.call, self.user)
    }

    fn parse(position: &str) -> Option<Self> {
        let mut words = position.split(' ');
        let (at, call, user) = (words.next()?, words.next()?, words.next()?);
        Some(Self { at: at.to_owned(), call: call.parse().ok()?, user: user.parse().ok()? })
    }
}

impl Store {
    /// A page of the calls of all users that wait and are due by `until`, the most overdue first.
    ///
    /// # Errors
    /// When the table fails, or a position is none of this list.
    pub async fn upcoming_calls(
        &self,
        until: Timestamp,
        limit: usize,
        after: Option<&str>,
    ) -> Result<PageOf<StoredCall>, StoreError> {
        let unreadable = || StoreError::unreadable("position", "it is none of upcoming calls");
        let mut after = after.map(|position| Due::parse(position).ok_or_else(unreadable)).transpose()?;
        let mut items = Vec::new();
        loop {
            let wanted = limit - items.len();
            let (places, more) = self.next_due(until, after.as_ref(), wanted).await?;
            items.extend(self.waiting_at(&places).await?);
            after = places.last().cloned().or(after);
            if !more || items.len() >= limit {
                return Ok(PageOf { items, next: after.filter(|_| more).map(|due| due.position()) });
            }
        }
    }

    /// The next places of all shards in their order, and whether there are more.
    async fn next_due(
        &self,
        until: Timestamp,
        after: Option<&Due>,
        wanted: usize,
    ) -> Result<(Vec<Due>, bool), StoreError> {
        let mut places = Vec::new();
        for shard in 0..keys::SHARDS {
            places.extend(self.due_of_shard(shard, until, after, wanted).await?);
        }
        places.sort();
        let more = places.len() > wanted;
        places.truncate(wanted);
        Ok((places, more))
    }

    /// A shard's next places: at least one more than wanted if there are so many, among them the `wanted` first.
    async fn due_of_shard(
        &self,
        shard: u64,
        until: Timestamp,
        after: Option<&Due>,
        wanted: usize,
    ) -> Result<Vec<Due>, StoreError> {
        // A space sorts before every time.
        let from = after.map_or(" ", |due| due.at.as_str());
        let mut found: Vec<Due> = Vec::new();
        let mut start = None;
        loop {
            let request = self
                .due_between(keys::due_partition(shard), from, until)
                .limit(i32::try_from(wanted + 1).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
            for item in answer.items.unwrap_or_default() {
                let due = Due::of(&item).ok_or_else(|| StoreError::unreadable("call", "its key"))?;
                if after.is_none_or(|after| due > *after) {
                    found.push(due);
                }
            }
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            let second_complete =
                wanted > 0 && found.len() > wanted && found.last().is_some_and(|last| last.at > found[wanted - 1].at);
            if start.is_none() || second_complete {
                return Ok(found);
            }
        }
    }

    /// The calls at these places that wait, in their order. One batch.
    async fn waiting_at(&self, places: &[Due]) -> Result<Vec<StoredCall>, StoreError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let items = self.batch_get(places.iter().map(|due| keys::call(due.user, due.call)).collect()).await?;
        let mut calls: Vec<StoredCall> =
            items.into_iter().map(|item| from_item("call", item)).collect::<Result<_, _>>()?;
        calls.retain(|stored| stored.call.state.waits());
        calls.sort_by_key(|stored| places.iter().position(|due| due.call == stored.call.id));
        Ok(calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let due = Due { at: keys::sortable(now), call: CallId::generate(now), user: UserId::generate(now) };
        assert_eq!(Due::parse(&due.position()), Some(due));
        assert_eq!(Due::parse("2026"), None);
    }
}
