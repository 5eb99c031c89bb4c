//! `GET /openapi.json` and `GET /docs`: the API's document, and a page to read it by. Both are fixed when the function is built.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};
use ivy_runtime::routes;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

/// Generated from the handlers by a test, which also holds it against them.
pub(crate) const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

const STYLE: &str = include_str!("api_docs.css");

/// Needs no state: these two answer the same to everyone.
pub fn router<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(openapi)).routes(routes!(docs))
}

/// The OpenAPI document
#[utoipa::path(
    get, path = "/openapi.json", tag = "system", operation_id = "api-docs-document", security(()),
    responses((status = 200, description = "The OpenAPI 3.1 document of this API", body = Object))
)]
async fn openapi() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, DOCUMENT).into_response()
}

/// The API's documentation
#[utoipa::path(
    get, path = "/docs", tag = "system", operation_id = "api-docs", security(()),
    responses((status = 200, description = "A page for people", body = String, content_type = "text/html"))
)]
async fn docs() -> Response {
    static PAGE: LazyLock<String> = LazyLock::new(|| {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
        page(&document)
    });
    let headers = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, Html(PAGE.as_str())).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A description, with what stands between backticks as code.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in escaped(text).split('`').enumerate() {
        let _ = if index % 2 == 1 { write!(html, "<code>{part}</code>") } else { write!(html, "{part}") };
    }
    html
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A schema in a word: its name, or its type.
fn schema_name(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name));
    }
    let one = |value: &Value| match value {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "object".to_owned(),
    };
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(options) = schema[several].as_array() {
            return options.iter().map(schema_name).collect::<Vec<_>>().join(if several == "allOf" {
                " and "
            } else {
                " or "
            });
        }
    }
    if schema["type"] == "array" {
        return format!("list of {}", schema_name(&schema["items"]));
    }
    match schema["format"].as_str() {
        Some(format) => format!("{} ({})", escaped(&one(&schema["type"])), escaped(format)),
        None => escaped(&one(&schema["type"])),
    }
}

fn first_schema(content: &Value) -> Option<&Value> {
    content.as_object()?.values().next().map(|media| &media["schema"])
}

fn page(document: &Value) -> String {
    let mut html = String::new();
    let info = &document["info"];
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><header><h1>{title}</h1><p>{description}</p>\
         <p><a href=\"openapi.json\">OpenAPI document</a>, version {version}</p></header>",
        title = escaped(text(info, "title")),
        description = escaped(text(info, "description")),
        version = escaped(text(info, "version")),
    );
    let mut areas: BTreeMap<&str, Vec<Operation<'_>>> = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, body) in methods.as_object().into_iter().flatten() {
            areas.entry(body["tags"][0].as_str().unwrap_or("others")).or_default().push(Operation {
                path,
                method,
                body,
            });
        }
    }
    html.push_str("<nav aria-label=\"Operations\">");
    for (area, operations) in &areas {
        let _ = write!(html, "<p><b>{}</b> ", escaped(area));
        for operation in operations {
            let _ = write!(html, "<a href=\"#{0}\">{0}</a> ", escaped(text(operation.body, "operationId")));
        }
        html.push_str("</p>");
    }
    html.push_str("</nav>");
    for (area, operations) in &areas {
        let _ = write!(html, "<h2>{}</h2>", escaped(area));
        operations.iter().for_each(|operation| write_operation(&mut html, operation));
    }
    html.push_str("<h2>Schemas</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        write_schema(&mut html, name, schema);
    }
    html.push_str("</main></body></html>");
    html
}

struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    body: &'a Value,
}

fn write_operation(html: &mut String, &Operation { path, method, body: operation }: &Operation<'_>) {
    let open =
        operation["security"].as_array().is_some_and(|schemes| schemes.iter().any(|s| s == &serde_json::json!({})));
    let _ = write!(
        html,
        "<section id=\"{id}\"><h3><span class=\"method {method}\">{upper}</span> <code>{path}</code></h3>\
         <p>{summary}. <small><code>{id}</code>{access}</small></p>",
        id = escaped(text(operation, "operationId")),
        upper = method.to_uppercase(),
        path = escaped(path),
        summary = escaped(text(operation, "summary")),
        access = if open { ", open" } else { ", with a token" },
    );
    if let Some(parameters) = operation["parameters"].as_array() {
        html.push_str("<table><caption>Parameters</caption>");
        for parameter in parameters {
            let _ = write!(
                html,
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td></tr>",
                escaped(text(parameter, "name")),
                schema_name(&parameter["schema"]),
                prose(text(parameter, "description")),
            );
        }
        html.push_str("</table>");
    }
    if let Some(schema) = first_schema(&operation["requestBody"]["content"]) {
        let _ = write!(html, "<p>Body: {}</p>", schema_name(schema));
    }
    let answers: Vec<_> = operation["responses"].as_object().into_iter().flatten().collect();
    let (problems, answers): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(_, response)| !response["content"]["application/problem+json"].is_null());
    html.push_str("<table><caption>Answers</caption>");
    answers.iter().for_each(|(status, response)| write_answer(html, status, response));
    html.push_str("</table>");
    if !problems.is_empty() {
        // Nearly the same for all operations, so they stay folded.
        let statuses: Vec<&str> = problems.iter().map(|(status, _)| status.as_str()).collect();
        let _ = write!(html, "<details><summary>Problems: {}</summary><table>", escaped(&statuses.join(", ")));
        problems.iter().for_each(|(status, response)| write_answer(html, status, response));
        html.push_str("</table></details>");
    }
    html.push_str("</section>");
}

fn write_answer(html: &mut String, status: &str, response: &Value) {
    let _ = write!(
        html,
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
        escaped(status),
        first_schema(&response["content"]).map(schema_name).unwrap_or_default(),
        prose(text(response, "description")),
    );
}

fn write_schema(html: &mut String, name: &str, schema: &Value) {
    let _ = write!(
        html,
        "<section id=\"schema-{0}\"><h3><code>{0}</code></h3><p>{1}</p><table>",
        escaped(name),
        prose(text(schema, "description")),
    );
    let parts = schema["allOf"].as_array().map_or_else(|| vec![schema], |parts| parts.iter().collect());
    for (field, property) in parts.into_iter().filter_map(|part| part["properties"].as_object()).flatten() {
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td></tr>",
            escaped(field),
            schema_name(property),
            prose(text(property, "description")),
        );
    }
    html.push_str("</table></section>");
}
