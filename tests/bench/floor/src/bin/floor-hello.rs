//! The lower floor: `lambda_http` and nothing else. It answers every event alike.

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_: Request| Ok::<_, Error>(Response::builder().status(200).body(Body::from("hello"))?))).await
}
