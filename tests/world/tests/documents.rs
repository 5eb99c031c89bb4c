//! What is written down about the API holds together: the handlers' OpenAPI document and its file, the template's routes and
//! functions, the binaries, the table's definition, the captured events, and the page that people read.
//!
//! The template is read by a YAML parser that passes over CloudFormation's tags, so `!Ref Api` reads as `Api`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use aws_sdk_dynamodb::types::{KeySchemaElement, ProjectionType};
use axum::{body::Body, http::Request};
use ivy_runtime::{config::HttpConfig, http::harden};
use ivy_world::{TABLE, World, api};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use yaml_rust2::{Yaml, YamlLoader};

/// Served by `api-docs` beside its own page, so it has a route and no function of its own.
const DOCUMENT_OPERATION: &str = "api-docs-document";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn openapi() -> Value {
    serde_json::from_str(&api::document()).unwrap()
}

/// An operation of the OpenAPI document.
struct Operation {
    id: String,
    /// `POST /api/users`.
    route: String,
    body: Value,
}

fn operations() -> Vec<Operation> {
    let document = openapi();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, body) in methods.as_object().unwrap() {
            let route = format!("{} {path}", method.to_uppercase());
            let id = body["operationId"].as_str().unwrap_or_else(|| panic!("{route} has no operationId")).to_owned();
            found.push(Operation { id, route, body: body.clone() });
        }
    }
    found
}

/// The names of all binaries of `functions/`.
fn binaries() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for area in fs::read_dir(root().join("functions")).unwrap() {
        let Ok(files) = fs::read_dir(area.unwrap().path().join("src/bin")) else { continue };
        for file in files {
            let path = file.unwrap().path();
            assert_eq!(path.extension().unwrap(), "rs", "{}", path.display());
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(names.insert(name.clone()), "two binaries are called {name}");
        }
    }
    names
}

fn template() -> Yaml {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

/// Answers `OPTIONS` of all paths, and the methods that they lack; no operation of the document.
const PREFLIGHT: &str = "answer-preflight";

/// A function of the template: its name and the routes that lead to it.
struct TemplateFunction {
    name: String,
    routes: BTreeSet<String>,
}

fn template_functions() -> Vec<TemplateFunction> {
    let template = template();
    let mut found = Vec::new();
    for (logical_id, resource) in template["Resources"].as_hash().unwrap() {
        if resource["Type"].as_str() != Some("AWS::Serverless::Function") {
            continue;
        }
        let properties = &resource["Properties"];
        let full_name = properties["FunctionName"].as_str().unwrap();
        let name = full_name.strip_prefix("${AWS::StackName}-").unwrap_or_else(|| panic!("{full_name}")).to_owned();
        assert_eq!(properties["CodeUri"].as_str().unwrap(), format!("target/lambda/{name}/"));
        assert_eq!(logical_id.as_str().unwrap(), pascal_case(&name));
        let mut routes = BTreeSet::new();
        for event in properties["Events"].as_hash().into_iter().flat_map(|events| events.values()) {
            if event["Type"].as_str() == Some("Api") {
                let route = &event["Properties"];
                routes.insert(format!("{} {}", route["Method"].as_str().unwrap(), route["Path"].as_str().unwrap()));
            }
        }
        found.push(TemplateFunction { name, routes });
    }
    found
}

fn pascal_case(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

#[test]
fn the_checked_in_document_is_the_handlers_own() {
    let path = root().join("docs/openapi.json");
    let document = api::document();
    if std::env::var_os("IVY_UPDATE").is_some() {
        fs::write(&path, &document).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == document,
        "docs/openapi.json is not what the handlers say; write it with: IVY_UPDATE=1 cargo test -p ivy-world --test documents"
    );
}

#[test]
fn every_operation_says_what_it_is() {
    let binaries = binaries();
    let mut seen = BTreeSet::new();
    for Operation { id, route, body } in operations() {
        assert!(seen.insert(id.clone()), "{id} stands twice");
        assert!(id == DOCUMENT_OPERATION || binaries.contains(&id), "{route}: {id} is not the name of a binary");
        assert!(body["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{id} has no summary");
        assert_eq!(body["tags"].as_array().map(Vec::len), Some(1), "{id} needs one tag");
        let open = body["security"] == json!([{}]);
        let for_admins = [json!([{"operator": []}]), json!([{"company_admin": []}])].contains(&body["security"]);
        assert!(open || for_admins || body["security"].is_null(), "{id}: {}", body["security"]);
        let responses = body["responses"].as_object().unwrap();
        assert!(open || responses.contains_key("401"), "{id} needs a token and says nothing of 401");
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with('4')) {
            let content = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(content, "#/components/schemas/Problem", "{id}: {status}");
        }
    }
}

#[test]
fn the_document_refers_to_nothing_that_is_missing() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.insert(reference.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = openapi();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn routes_operations_functions_and_binaries_are_the_same() {
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Operation { id, route, .. } in operations() {
        let function = if id == DOCUMENT_OPERATION { "api-docs".to_owned() } else { id };
        documented.entry(function).or_default().insert(route);
    }
    let functions = template_functions();
    let routed: BTreeMap<String, BTreeSet<String>> = functions
        .iter()
        .filter(|function| !function.routes.is_empty() && function.name != PREFLIGHT)
        .map(|function| (function.name.clone(), function.routes.clone()))
        .collect();
    assert_eq!(routed, documented, "the template's routes and the OpenAPI operations");
    let deployed: BTreeSet<String> = functions.into_iter().map(|function| function.name).collect();
    assert_eq!(deployed, binaries(), "the template's functions and the binaries");
}

/// A browser asks before it calls, and a method that is not there is told: of each path that there is, and of no other.
#[test]
fn every_path_answers_preflight_and_wrong_methods() {
    let paths = operations().into_iter().map(|operation| {
        let path = operation.route.split_once(' ').unwrap().1;
        format!("ANY {path}")
    });
    assert_eq!(preflight_routes(), paths.collect::<BTreeSet<_>>());
}

fn preflight_routes() -> BTreeSet<String> {
    template_functions().into_iter().find(|function| function.name == PREFLIGHT).unwrap().routes
}

/// SAM adds a statement for each route to the policy of its function, and Lambda takes 20 kB of them. Where this fails, a part of
/// the paths goes to a second function of the same router.
#[test]
fn the_policy_of_the_preflight_function_has_room_for_its_routes() {
    let statement = |route: &String| {
        let path = route.split_once(' ').unwrap().1;
        format!(
            r#"{{"Sid":"ivy-production-AnswerPreflightRoute10PermissionStage-ABCDEFGHIJKL","Effect":"Allow","Principal":{{"Service":"apigateway.amazonaws.com"}},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:eu-west-2:123456789012:function:ivy-production-answer-preflight","Condition":{{"ArnLike":{{"AWS:SourceArn":"arn:aws:execute-api:eu-west-2:123456789012:abcdefghij/*/*{path}"}}}}}},"#
        )
    };
    let size: usize = preflight_routes().iter().map(|route| statement(route).len()).sum();
    assert!(size < 20_480, "{size} bytes");
}

#[tokio::test]
async fn a_method_that_a_path_lacks_is_answered_with_those_it_has() {
    const ORIGIN: &str = "https://app.ivy.test";
    let app = harden(ivy_system::answer_preflight::router(), &HttpConfig::for_testing());
    let ask = async |method: &str, path: &str, asks: bool| {
        let mut request = Request::builder().method(method).uri(path).header("origin", ORIGIN);
        if asks {
            request = request.header("access-control-request-method", "PATCH");
        }
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let document = openapi();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let known: BTreeSet<String> = methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let path = path.replace("{id}", "me").replace("{name}", "x");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let answer = ask(method, &path, false).await;
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.headers()["access-control-allow-origin"], ORIGIN);
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let allowed = answer.headers()["allow"].to_str().unwrap();
            assert_eq!(allowed.split(", ").map(str::to_owned).collect::<BTreeSet<_>>(), known, "{method} {path}");
        }
        assert_eq!(ask("OPTIONS", &path, true).await.status(), 204, "{path}");
    }
    assert_eq!(ask("PUT", "/api/nothing", false).await.status(), 404);
}

/// What the gateway answers by itself is a problem document that pages of other origins can read, whose status is that of the answer.
#[test]
fn the_gateways_own_answers_are_problem_documents() {
    let template = template();
    let responses = template["Resources"]["Api"]["Properties"]["GatewayResponses"].as_hash().unwrap();
    for (kind, response) in responses {
        let kind = kind.as_str().unwrap();
        let headers = &response["ResponseParameters"]["Headers"];
        let header = |name: &str| headers[name].as_str().unwrap_or_default();
        assert_eq!(header("Content-Type"), "'application/problem+json'", "{kind}");
        assert_eq!(header("Access-Control-Allow-Origin"), "method.request.header.Origin", "{kind}");
        assert_eq!(header("X-Request-Id"), "context.requestId", "{kind}");
        let status = response["StatusCode"].as_i64().unwrap();
        if status == 429 {
            for name in ["Retry-After", "RateLimit", "RateLimit-Policy"] {
                assert!(!header(name).is_empty(), "{kind} lacks {name}");
            }
        }
        let body = response["ResponseTemplates"]["application/json"].as_str().unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["status"], status, "{kind}");
        assert!(body["type"].as_str().unwrap().starts_with("/problems/") && body["title"].is_string(), "{kind}");
    }
}

/// Attribute names and their kinds, in order.
fn keys_of(schema: &[KeySchemaElement]) -> Vec<(String, String)> {
    schema.iter().map(|key| (key.attribute_name().to_owned(), key.key_type().as_str().to_owned())).collect()
}

fn keys_in(schema: &Yaml) -> Vec<(String, String)> {
    let text = |key: &Yaml, name: &str| key[name].as_str().unwrap().to_owned();
    schema.as_vec().unwrap().iter().map(|key| (text(key, "AttributeName"), text(key, "KeyType"))).collect()
}

#[tokio::test]
async fn the_table_is_the_same_in_tests_and_in_the_template() {
    let world = World::new().await;
    let described = Box::pin(world.table.describe_table().table_name(TABLE).send()).await.unwrap();
    let table = described.table().unwrap();
    let template = template();
    let properties = &template["Resources"]["Table"]["Properties"];

    assert_eq!(keys_of(table.key_schema()), keys_in(&properties["KeySchema"]));
    let attributes: BTreeMap<String, String> = table
        .attribute_definitions()
        .iter()
        .map(|a| (a.attribute_name().to_owned(), a.attribute_type().as_str().to_owned()))
        .collect();
    let declared: BTreeMap<String, String> = properties["AttributeDefinitions"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|a| (a["AttributeName"].as_str().unwrap().to_owned(), a["AttributeType"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(attributes, declared);

    type Index = (Vec<(String, String)>, String);
    let indexes: BTreeMap<String, Index> = table
        .global_secondary_indexes()
        .iter()
        .map(|index| {
            let projection = index.projection().and_then(|p| p.projection_type()).map_or("", ProjectionType::as_str);
            (index.index_name().unwrap().to_owned(), (keys_of(index.key_schema()), projection.to_owned()))
        })
        .collect();
    let declared: BTreeMap<String, Index> = properties["GlobalSecondaryIndexes"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|index| {
            let projection = index["Projection"]["ProjectionType"].as_str().unwrap().to_owned();
            (index["IndexName"].as_str().unwrap().to_owned(), (keys_in(&index["KeySchema"]), projection))
        })
        .collect();
    assert_eq!(indexes, declared);
    assert_eq!(properties["TimeToLiveSpecification"]["AttributeName"].as_str(), Some("expires_at"));
    assert_eq!(properties["StreamSpecification"]["StreamViewType"].as_str(), Some("NEW_IMAGE"));
}

#[test]
fn every_function_has_a_captured_event_that_can_be_read() {
    let mut without = Vec::new();
    let mut known = BTreeSet::new();
    for TemplateFunction { name, .. } in template_functions() {
        let folder = root().join("events").join(&name);
        let files: Vec<_> = fs::read_dir(&folder).into_iter().flatten().map(|file| file.unwrap().path()).collect();
        for file in &files {
            assert_eq!(file.extension().unwrap(), "json", "{}", file.display());
            let event: Value = serde_json::from_str(&fs::read_to_string(file).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(event.is_object(), "{} is not an event", file.display());
        }
        if files.is_empty() {
            without.push(name.clone());
        }
        known.insert(name);
    }
    for folder in fs::read_dir(root().join("events")).into_iter().flatten() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        assert!(!folder.path().is_dir() || known.contains(&name), "events/{name} belongs to no function");
    }
    assert!(without.is_empty(), "no event under events/<function>/<scenario>.json for: {without:?}");
}

#[tokio::test]
async fn the_documentation_page_shows_every_operation() {
    let world = World::new().await;
    let page = world.client().try_get("/docs").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    assert!(!page.text.contains("<script"));
    for Operation { id, .. } in operations() {
        assert!(page.text.contains(&format!("id=\"{id}\"")), "{id} is not on the page");
    }
    for target in page.text.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(page.text.contains(&format!("id=\"{target}\"")), "a link leads to #{target}, which is not there");
    }
    if let Some(path) = std::env::var_os("IVY_DOCS_PAGE") {
        fs::write(path, &page.text).unwrap();
    }
    let document = world.client().try_get("/openapi.json").await;
    assert_eq!(document.headers["content-type"], "application/json");
    assert!(document.body == openapi(), "the function serves another document than the handlers make");
}
