//! `routes!`: what the router of an endpoint is made of.
//!
//! With the feature `document` it is utoipa's macro, which also builds the endpoint's description: the tests and the OpenAPI document
//! are of that. A function's binary is built without it. Nobody asks it for its description, which would take a quarter of a
//! megabyte to build in each start.

use axum::{handler::Handler, routing::MethodRouter};
use utoipa::openapi::{PathItem, Paths};
use utoipa_axum::{PathItemExt as _, router::UtoipaMethodRouter};

/// A handler at the path and under the methods of its `#[utoipa::path]`, without the description.
pub fn undescribed<P, H, T, S>(handler: H) -> UtoipaMethodRouter<S>
where
    P: utoipa::Path,
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let mut paths = Paths::new();
    paths.paths.insert(P::path(), PathItem::default());
    let route = |router: MethodRouter<S>, method: utoipa::openapi::HttpMethod| {
        router.on(method.to_method_filter(), handler.clone())
    };
    (Vec::new(), paths, P::methods().into_iter().fold(MethodRouter::new(), route))
}

/// As utoipa's, without descriptions.
#[cfg(not(feature = "document"))]
#[macro_export]
macro_rules! routes {
    ($handler:ident) => {
        $crate::macros::paste! { $crate::endpoint::undescribed::<[<__path_ $handler>], _, _, _>($handler) }
    };
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;
    use utoipa_axum::router::OpenApiRouter;

    use super::undescribed;

    #[utoipa::path(get, path = "/things/{id}", responses((status = 200)))]
    async fn get_thing() -> &'static str {
        "a thing"
    }

    #[tokio::test]
    async fn an_endpoint_without_its_description_answers_at_its_path_and_by_its_method() {
        let router: axum::Router =
            OpenApiRouter::new().routes(undescribed::<__path_get_thing, _, _, _>(get_thing)).into();
        let status = async |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!(status("GET", "/things/7").await, 200);
        assert_eq!(status("HEAD", "/things/7").await, 200);
        assert_eq!(status("POST", "/things/7").await, 405);
        assert_eq!(status("GET", "/things").await, 404);
    }
}
