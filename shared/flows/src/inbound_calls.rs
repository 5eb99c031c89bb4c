//! Calls that people make to us: who it is, what they may want, and what the agent knows before it says a word.
//!
//! The provider asks while the phone rings at its side, so there is little time: one read of the number's owner, one of their
//! state, one of the slots, one write. The call is written as being talked on, under an id that follows from the provider's, so
//! a repeated question finds it there. It takes a slot, so that outbound calls leave room for it, and the user's line, so that
//! nothing rings them meanwhile; where either is taken the call is answered all the same, for the person is on the line already.
//!
//! Strangers, people who withdrew their consent to the processing of data, and numbers that are withheld get the agent that
//! knows nothing. What goes out for them is the same for all of them.

use std::collections::BTreeMap;

use ivy_domain::{
    CallId, Phone, UserId,
    call::{Call, CallPolicy, CallType},
    user::granted,
    values::Contact as Address,
};
use ivy_providers::retell::{InboundAnswer, InboundCall, InboundSetup, LATEST_PUBLISHED};
use ivy_store::{Line, Me, StoredCall, Transcript};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Ivy,
    dialling::{Others, agent_of, free_slot, others, variables_of},
    metrics,
    outbox::json,
    retrying::{contended, until_settled},
};

/// A plan is near when its time comes within so long.
const NEAR: SignedDuration = SignedDuration::from_hours(3);

/// Says who answers a call and what they know.
///
/// # Errors
/// When the table fails; the provider's own agent of the number then answers, who knows nothing.
pub async fn call_inbound(ivy: &Ivy, inbound: &InboundCall) -> Result<InboundAnswer, Error> {
    let Some(user) = caller(ivy, inbound).await? else { return Ok(welcome(ivy)) };
    let answered = until_settled(ivy, || answer(ivy, inbound, user)).await?;
    Ok(answered.unwrap_or_else(|| welcome(ivy)))
}

async fn caller(ivy: &Ivy, inbound: &InboundCall) -> Result<Option<UserId>, Error> {
    let Some(phone) = inbound.from_number.as_deref().and_then(|number| number.parse::<Phone>().ok()) else {
        return Ok(None);
    };
    Ok(ivy.store.contact_owner(&Address::Phone(phone)).await?)
}

/// The agent for people whom we do not know.
fn welcome(ivy: &Ivy) -> InboundAnswer {
    metrics::count("call_inbound", &[("caller", "stranger")]);
    InboundAnswer {
        call_inbound: InboundSetup {
            override_agent_id: Some(ivy.settings.agent_welcome.first().to_owned()),
            override_agent_version: Some(LATEST_PUBLISHED),
            dynamic_variables: BTreeMap::new(),
            metadata: BTreeMap::new(),
        },
    }
}

async fn answer(ivy: &Ivy, inbound: &InboundCall, user: UserId) -> Result<Option<InboundAnswer>, Error> {
    let now = ivy.now();
    // Without an id of its own a call cannot be told again, and so not be told twice.
    let provider_id = inbound.call_id.clone().unwrap_or_else(|| format!("inbound-{}", CallId::generate(now)));
    let id = CallId::derive(ivy_domain::days::local_date(now, &ivy_domain::Zone::default()), &[&provider_id]);
    let (Some(me), known, _) = ivy.store.me_and_call(user, id, None).await? else { return Ok(None) };
    let me = me.at(now);
    if !granted(me.user().consents.data_processing.as_ref()) {
        return Ok(None);
    }
    let others = others(ivy, &me).await;
    let (stored, variables) = match known {
        Some(known) => {
            let variables = variables_of(&me, &known, &others, now);
            (known, variables)
        }
        None => begin(ivy, &me, (id, &provider_id), &others, now).await?,
    };
    metrics::count("call_inbound", &[("caller", "user")]);
    tracing::info!(event = "call_inbound", call_id = %id, user_id = %user, call_type = stored.call.call_type.name());
    let metadata = [
        ("call_id", stored.call.id.to_string()),
        ("user_id", user.to_string()),
        ("call_type", stored.call.call_type.name().to_owned()),
        ("attempt_id", provider_id),
    ];
    Ok(Some(InboundAnswer {
        call_inbound: InboundSetup {
            override_agent_id: Some(agent_of(ivy, me.user())),
            override_agent_version: Some(LATEST_PUBLISHED),
            dynamic_variables: variables,
            metadata: metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        },
    }))
}

/// What a call of theirs is about: a plan that is near, or was due today and is still open, may be about to fail.
fn call_type(me: &Me, now: Timestamp) -> CallType {
    let today = me.date_at(now);
    let progress = me.progress();
    let at_risk = progress.agenda.plans().iter().any(|plan| {
        let near = plan.planned_time.is_some_and(|time| time <= now + NEAR && plan.date >= today);
        near || (plan.date == today && plan.planned_time.is_none())
    });
    if at_risk { CallType::Rescue } else { CallType::FollowUp }
}

/// Writes the call with what the agent is told, and with a slot where one is free. It takes the user's line also from a call
/// of ours that rings at this moment: as long as they talk with us, nothing else rings them.
async fn begin(
    ivy: &Ivy,
    me: &Me,
    (id, provider_id): (CallId, &str),
    others: &Others,
    now: Timestamp,
) -> Result<(StoredCall, BTreeMap<String, String>), Error> {
    let policy = CallPolicy::for_tier(me.user().subscription_type);
    let call_type = call_type(me, now);
    let zone = me.user().timezone.clone();
    let call = Call::inbound(id, me.id(), call_type, provider_id.to_owned(), zone, now, &policy);
    let variables = variables_of(me, &StoredCall::new(call.clone()), others, now);
    let words = Transcript { context: Some(json(&variables)?), ..Transcript::default() };
    let lease_until = call.attempt.as_ref().map_or(now, |attempt| attempt.lease_until);
    // Somebody who calls is as urgent as a rescue.
    let mut slot = free_slot(ivy, CallType::Rescue, provider_id, now).await?;
    if slot.is_none() {
        tracing::warn!(event = "no_free_slot", call_id = %id);
    }
    let line = Line { call_id: id, attempt_id: provider_id.to_owned(), lease_until };
    loop {
        let stored = StoredCall { slot: slot.as_ref().map(|slot| slot.number), ..StoredCall::new(call.clone()) };
        let mut transaction = ivy.store.transaction();
        transaction.call(&stored).transcript(&stored, &words, &me.profile.cipher, now);
        if let Some(slot) = &slot {
            transaction.take_slot(slot, now);
        }
        transaction.seize_line(me.id(), &line);
        match transaction.commit().await {
            Ok(()) => return Ok((stored, variables)),
            // Another worker took the slot, which is no reason not to answer.
            Err(error) if error.failed("slot") && slot.is_some() => slot = None,
            Err(error) => return Err(contended(error)),
        }
    }
}
