//! The upper floor: the same with one DynamoDB call, as the SDK's own guide writes it. The default chain finds region and
//! credentials, the client is made once in init, and each request reads one item. Nothing is warmed up.

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let client = Client::new(&config);
    let table = std::env::var("TABLE_NAME")?;
    run(service_fn(async |_: Request| {
        let key = |text: &str| AttributeValue::S(text.to_owned());
        let read = client.get_item().table_name(&table).key("pk", key("SLOTS")).key("sk", key("0000"));
        let found = read.send().await?.item.is_some();
        let body = serde_json::json!({ "found": found }).to_string();
        let answer = Response::builder().status(200).header("content-type", "application/json");
        Ok::<_, Error>(answer.body(Body::from(body))?)
    }))
    .await
}
