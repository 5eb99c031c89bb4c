//! `POST /api/users/{id}/onboard`: goals, windows, the person's own words, the charity, and consents. What remains of today is
//! planned at once.

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::{
    CharityId, Text,
    user::{CommunicationPreference, Track, WeekdaySet, WeeklyGoal, Window},
};
use ivy_flows::{
    Ivy,
    accounts::{self, ConsentChoices, Onboarding},
};
use ivy_runtime::{AppState, Keyed, Own, Problem, WriteProblems, idempotency, input, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::{UserView, WindowInput};

input! {
    /// Which purposes the person agrees to.
    pub struct ConsentsInput {
        pub calls: bool,
        pub messages: bool,
        /// Onboarding needs it: without it Ivy neither calls nor writes.
        pub data_processing: bool,
    }
}

input! {
    /// The answers of onboarding.
    #[schema(as = Onboarding)]
    pub struct OnboardingInput {
        /// `fitness`, `focus`, `sleep` or `balance`.
        #[schema(value_type = String, example = "fitness")]
        pub track: Track,
        /// Commitments a week, by default 3.
        #[schema(value_type = Option<u8>, minimum = 1, maximum = 14)]
        pub weekly_goal: Option<WeeklyGoal>,
        /// Absent: no call in the morning.
        #[schema(value_type = Option<WindowInput>)]
        pub morning_window: Option<Window>,
        /// Absent: no call in the evening.
        #[schema(value_type = Option<WindowInput>)]
        pub evening_window: Option<Window>,
        /// Short day names, each once; absent or empty means every day.
        #[schema(value_type = Option<Vec<String>>, example = json!(["mon", "wed", "fri"]))]
        pub preferred_days: Option<WeekdaySet>,
        /// `calls` (the default), `async` or `mixed`.
        #[schema(value_type = Option<String>, example = "calls")]
        pub communication_preference: Option<CommunicationPreference>,
        #[schema(value_type = Option<String>, min_length = 1, max_length = 200, example = "Put on the shoes and walk round the block")]
        pub minimum_action: Option<Text<200>>,
        #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
        pub gift_frame: Option<Text<500>>,
        #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
        pub why_started: Option<Text<500>>,
        #[schema(value_type = Option<Vec<String>>, max_items = 10)]
        pub obstacles: Option<Vec<Text<200>>>,
        #[schema(value_type = Option<String>, format = Uuid)]
        pub charity_id: Option<CharityId>,
        pub consents: ConsentsInput,
    }
    also(obstacles) {
        obstacles.and_then(Option::as_deref).and_then(accounts::too_many_obstacles)
    }
    also(consents) {
        consents.and_then(|consents| accounts::no_data_processing(consents.data_processing))
    }
}

impl From<OnboardingInput> for Onboarding {
    fn from(input: OnboardingInput) -> Self {
        let ConsentsInput { calls, messages, data_processing } = input.consents;
        Self {
            track: input.track,
            weekly_goal: input.weekly_goal.unwrap_or_default(),
            morning_window: input.morning_window,
            evening_window: input.evening_window,
            preferred_days: input.preferred_days.unwrap_or_default(),
            communication_preference: input.communication_preference.unwrap_or_default(),
            minimum_action: input.minimum_action,
            gift_frame: input.gift_frame,
            why_started: input.why_started,
            obstacles: input.obstacles.unwrap_or_default(),
            charity_id: input.charity_id,
            consents: ConsentChoices { calls, messages, data_processing },
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(onboard_user))
}

/// Onboard
#[utoipa::path(
    post, path = "/api/users/{id}/onboard", tag = "users", operation_id = "onboard-user",
    params(
        ("id" = String, Path, description = "`me` or the own id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours"),
    ),
    request_body = OnboardingInput,
    responses((status = 200, description = "The onboarded user", body = UserView), WriteProblems)
)]
async fn onboard_user(
    State(ivy): State<Ivy>,
    own: Own,
    Keyed { input, key }: Keyed<OnboardingInput>,
) -> Result<Response, Problem> {
    let answers = Onboarding::from(input);
    idempotency::once::<UserView, _, _, _>(&ivy, key.map(|key| key.of(own.user_id)), StatusCode::OK, |once| {
        let (ivy, answers) = (ivy.clone(), answers.clone());
        async move { accounts::onboard_user(&ivy, own.user_id, answers, once.as_deref()).await }
    })
    .await
}
