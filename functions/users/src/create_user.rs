//! `POST /api/users`: sign up. A sign-in link goes to the phone by SMS, whose number the first sign-in proves.

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::{Email, Phone, Text, Tier, Zone, values::Locale};
use ivy_flows::{
    Ivy,
    accounts::{self, NewUser},
};
use ivy_runtime::{AppState, CallerAddress, Keyed, Problem, WriteProblems, idempotency, input, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::UserView;

input! {
    /// A person who signs up.
    #[schema(as = NewUser)]
    pub struct NewUserInput {
        /// In E.164 form.
        #[schema(value_type = String, example = "+447700900123", pattern = "^\\+[1-9][0-9]{6,14}$")]
        pub phone: Phone,
        #[schema(value_type = String, example = "Mara", min_length = 1, max_length = 80)]
        pub first_name: Text<80>,
        #[schema(value_type = Option<String>, min_length = 1, max_length = 80)]
        pub last_name: Option<Text<80>>,
        /// How Ivy should say the name.
        #[schema(value_type = Option<String>, min_length = 1, max_length = 80)]
        pub name_pronunciation: Option<Text<80>>,
        #[schema(value_type = Option<String>, example = "mara@example.com")]
        pub email: Option<Email>,
        /// An IANA time zone; by default Europe/London.
        #[schema(value_type = Option<String>, example = "Europe/London")]
        pub timezone: Option<Zone>,
        /// By default en-GB.
        #[schema(value_type = Option<String>, example = "en-GB")]
        pub locale: Option<Locale>,
        /// Which plan to try: `b2c_pro` (the default), `b2c_elite` or `b2c_concierge`.
        #[schema(value_type = Option<String>, example = "b2c_pro")]
        pub subscription_type: Option<Tier>,
    }
    also(subscription_type) {
        subscription_type.copied().flatten().and_then(accounts::not_by_signing_up)
    }
}

impl From<NewUserInput> for NewUser {
    fn from(input: NewUserInput) -> Self {
        Self {
            phone: input.phone,
            first_name: input.first_name,
            last_name: input.last_name,
            name_pronunciation: input.name_pronunciation,
            email: input.email,
            timezone: input.timezone.unwrap_or_default(),
            locale: input.locale.unwrap_or_default(),
            subscription_type: input.subscription_type.unwrap_or(Tier::B2cPro),
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create_user))
}

/// Sign up
#[utoipa::path(
    post, path = "/api/users", tag = "users", operation_id = "create-user", security(()),
    request_body = NewUserInput,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours")),
    responses((status = 201, description = "The new user; a sign-in link is on its way", body = UserView), WriteProblems)
)]
async fn create_user(
    State(ivy): State<Ivy>,
    CallerAddress(address): CallerAddress,
    Keyed { input, key }: Keyed<NewUserInput>,
) -> Result<Response, Problem> {
    let subject = format!("address:{}", ivy.store.keyring().keyed_hash("caller", &address));
    let new = NewUser::from(input);
    idempotency::once::<UserView, _, _, _>(&ivy, key.map(|key| key.of(subject)), StatusCode::CREATED, |once| {
        let (ivy, new, address) = (ivy.clone(), new.clone(), address.clone());
        async move { accounts::create_user(&ivy, new, &address, once.as_deref()).await }
    })
    .await
}
