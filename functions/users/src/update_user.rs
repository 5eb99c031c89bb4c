//! `PATCH /api/users/{id}`: a merge patch. A new zone, window, day or preference plans what remains of today again; a new zone
//! or day start never ends a day early.

use axum::{Json, extract::State};
use ivy_domain::{
    CharityId, Email, Phone, Text, Zone,
    local_days::DayStart,
    user::{CommunicationPreference, Track, WeekdaySet, WeeklyGoal, Window},
    values::Locale,
};
use ivy_flows::{
    Ivy,
    accounts::{self, UserChanges},
};
use ivy_runtime::{AppState, Change, Input, Own, Patch, Problem, Sent, WriteProblems, input, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::{UserView, WindowInput};

input! {
    /// Changes; an absent field stays, null empties one that may be empty.
    #[schema(as = UserPatch)]
    pub struct UserPatchInput {
        /// Another address gets a code and is `unproven_email` until `email_code` brings the code back; null takes both out.
        #[schema(required = false, value_type = Option<String>)]
        pub email: Patch<Email>,
        /// The code that was sent to `unproven_email`.
        #[schema(required = false, value_type = String, max_length = 16)]
        pub email_code: Change<Sent<16>>,
        /// Another phone gets a code and is `unproven_phone` until `phone_code` brings the code back.
        #[schema(required = false, value_type = String, pattern = "^\\+[1-9][0-9]{6,14}$")]
        pub phone: Change<Phone>,
        /// The code that was sent to `unproven_phone`.
        #[schema(required = false, value_type = String, max_length = 16)]
        pub phone_code: Change<Sent<16>>,
        #[schema(required = false, value_type = String, min_length = 1, max_length = 80)]
        pub first_name: Change<Text<80>>,
        #[schema(required = false, value_type = Option<String>, min_length = 1, max_length = 80)]
        pub last_name: Patch<Text<80>>,
        #[schema(required = false, value_type = Option<String>, min_length = 1, max_length = 80)]
        pub name_pronunciation: Patch<Text<80>>,
        #[schema(required = false, value_type = String)]
        pub timezone: Change<Zone>,
        /// When the own days begin: a local time from 00:00 to 06:00.
        #[schema(required = false, value_type = String, pattern = "^0([0-5]:[0-5][0-9]|6:00)$")]
        pub day_start: Change<DayStart>,
        #[schema(required = false, value_type = String)]
        pub locale: Change<Locale>,
        #[schema(required = false, value_type = String)]
        pub track: Change<Track>,
        #[schema(required = false, value_type = u8, minimum = 1, maximum = 14)]
        pub weekly_goal: Change<WeeklyGoal>,
        #[schema(required = false, value_type = Option<WindowInput>)]
        pub morning_window: Patch<Window>,
        #[schema(required = false, value_type = Option<WindowInput>)]
        pub evening_window: Patch<Window>,
        #[schema(required = false, value_type = Vec<String>)]
        pub preferred_days: Change<WeekdaySet>,
        #[schema(required = false, value_type = String)]
        pub communication_preference: Change<CommunicationPreference>,
        #[schema(required = false, value_type = Option<String>, min_length = 1, max_length = 200)]
        pub minimum_action: Patch<Text<200>>,
        #[schema(required = false, value_type = Option<String>, min_length = 1, max_length = 500)]
        pub gift_frame: Patch<Text<500>>,
        #[schema(required = false, value_type = Option<String>, min_length = 1, max_length = 500)]
        pub why_started: Patch<Text<500>>,
        #[schema(required = false, value_type = Vec<String>, max_items = 10)]
        pub obstacles: Change<Vec<Text<200>>>,
        #[schema(required = false, value_type = Option<String>, format = Uuid)]
        pub charity_id: Patch<CharityId>,
    }
    also(obstacles) {
        obstacles.and_then(|change| change.0.as_deref()).and_then(accounts::too_many_obstacles)
    }
    also(phone, phone_code) {
        accounts::one_of_contact_and_code("phone_code", is_sent(phone), is_sent(phone_code))
    }
    also(email, email_code) {
        let email = email.is_none_or(|email| !email.is_absent());
        accounts::one_of_contact_and_code("email_code", email, is_sent(email_code))
    }
}

/// Whether a field was sent, also one that could not be read.
fn is_sent<T>(field: Option<&Change<T>>) -> bool {
    field.is_none_or(|field| field.0.is_some())
}

impl From<UserPatchInput> for UserChanges {
    fn from(input: UserPatchInput) -> Self {
        Self {
            email: input.email.change(),
            email_code: input.email_code.0.map(|code| code.0),
            phone: input.phone.0,
            phone_code: input.phone_code.0.map(|code| code.0),
            first_name: input.first_name.0,
            last_name: input.last_name.change(),
            name_pronunciation: input.name_pronunciation.change(),
            timezone: input.timezone.0,
            day_start: input.day_start.0,
            locale: input.locale.0,
            track: input.track.0,
            weekly_goal: input.weekly_goal.0,
            morning_window: input.morning_window.change(),
            evening_window: input.evening_window.change(),
            preferred_days: input.preferred_days.0,
            communication_preference: input.communication_preference.0,
            minimum_action: input.minimum_action.change(),
            gift_frame: input.gift_frame.change(),
            why_started: input.why_started.change(),
            obstacles: input.obstacles.0,
            charity_id: input.charity_id.change(),
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(update_user))
}

/// Change the own profile
#[utoipa::path(
    patch, path = "/api/users/{id}", tag = "users", operation_id = "update-user",
    params(("id" = String, Path, description = "`me` or the own id")),
    request_body = UserPatchInput,
    responses((status = 200, description = "The changed user", body = UserView), WriteProblems)
)]
async fn update_user(
    State(ivy): State<Ivy>,
    own: Own,
    Input(input): Input<UserPatchInput>,
) -> Result<Json<UserView>, Problem> {
    let user = accounts::update_user(&ivy, own.user_id, input.into()).await?;
    Ok(Json(UserView::from(&user)))
}
