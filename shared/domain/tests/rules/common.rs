//! What the integration tests share: a user to change, and times from text.

use ivy_domain::{User, Zone};
use jiff::Timestamp;
use serde_json::json;

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

/// An Elite user in London who may be called, every day from 07:00 to 09:00 and from 18:00 to 20:00.
pub(crate) fn user() -> User {
    let granted =
        json!({"granted": true, "at": "2026-01-01T12:00:00Z", "source": "onboarding", "wording_version": "1"});
    serde_json::from_value(json!({
        "id": "01939b6c-8c00-7000-8000-000000000001",
        "email": "mara@example.com",
        "phone": "+447700900123",
        "first_name": "Mara",
        "last_name": null,
        "name_pronunciation": null,
        "timezone": "Europe/London",
        "locale": "en-GB",
        "subscription_type": "b2c_elite",
        "subscription_status": "active",
        "stripe_customer_id": null,
        "stripe_subscription_id": null,
        "company_id": null,
        "track": "fitness",
        "weekly_goal": 3,
        "morning_window": {"start": "07:00", "end": "09:00"},
        "evening_window": {"start": "18:00", "end": "20:00"},
        "preferred_days": [],
        "communication_preference": "calls",
        "minimum_action": null,
        "gift_frame": null,
        "why_started": null,
        "obstacles": [],
        "charity_id": null,
        "status": "active",
        "consents": {"calls": granted, "messages": granted, "data_processing": granted},
        "created_at": "2026-01-01T12:00:00Z",
        "updated_at": "2026-01-01T12:00:00Z",
        "onboarded_at": "2026-01-01T12:00:00Z",
        "phone_proven_at": "2026-01-01T12:00:00Z",
        "version": 1
    }))
    .unwrap()
}
