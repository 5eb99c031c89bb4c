"""Start MiniStack with what it lacks for Ivy.

    python ministack_launch.py      (the environment variables of the `ministack` command)

The functions below replace private functions of one version of MiniStack, so any other version is refused: check them
against its source before changing the number, and drop what it has mended by then. What each mends was measured or read
in the source (docs: the emulator's quirks); nothing here makes a function of ours behave other than on AWS.
"""

import importlib.metadata
import json
import os
import socketserver
from datetime import datetime
from zoneinfo import ZoneInfo

EXPECTED_VERSION = "1.5.33"
assert importlib.metadata.version("ministack") == EXPECTED_VERSION, "re-check these patches for another version"

# Set before the import, because the module's servers inherit it: the Runtime API sends headers and body as two segments,
# which costs 40 ms an invocation with Nagle's algorithm and delayed acknowledgements.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True

import ministack.core.iam_actions as iam  # noqa: E402
import ministack.core.lambda_runtime as lambda_runtime  # noqa: E402
import ministack.services.apigateway_v1 as gateway  # noqa: E402
import ministack.services.cloudformation.provisioners as provisioners  # noqa: E402
import ministack.services.dynamodb as dynamodb  # noqa: E402
import ministack.services.lambda_svc as lambda_service  # noqa: E402
import ministack.services.scheduler as scheduler  # noqa: E402


def quicken_invocations():
    """It waits 50 ms for a first log line of a function that prints nothing."""
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (0.002, 0.002, 0.250)


def complete_api_import():
    """Import what it drops from an API's body: ANY methods, mock integrations (the preflight of SAM's Cors), gateway
    responses, media types written with `~1`. And import a changed body in place: it replaces the API, whose id and URL
    would change with every new route."""
    plain_operation = gateway._import_operation
    plain_path_item = gateway._import_path_item
    plain_import = gateway._import_rest_api
    plain_update = provisioners._apigw_rest_api_update

    def import_operation(api_id, resource_id, method, operation, *rest):
        plain_operation(api_id, resource_id, method, operation, *rest)
        integration = (operation or {}).get("x-amazon-apigateway-integration") or {}
        if str(integration.get("type", "")).upper() != "MOCK":
            return
        gateway._put_integration(api_id, resource_id, method, {
            "type": "MOCK", "requestTemplates": integration.get("requestTemplates") or {}})
        for pattern, response in (integration.get("responses") or {}).items():
            gateway._put_integration_response(api_id, resource_id, method, str(response.get("statusCode", 200)), {
                "selectionPattern": "" if pattern == "default" else pattern,
                "responseParameters": response.get("responseParameters") or {},
                "responseTemplates": response.get("responseTemplates") or {}})

    def import_path_item(api_id, path, path_item, *rest):
        methods = dict(path_item)
        any_method = methods.pop("x-amazon-apigateway-any-method", None)
        plain_path_item(api_id, path, methods, *rest)
        if any_method is not None:
            resource_id = next(key for key, value in gateway._resources.get(api_id, {}).items()
                               if value.get("path") == path)
            gateway._import_operation(api_id, resource_id, "ANY", any_method, *rest)

    def media_types(types):
        return [media_type.replace("~1", "/") for media_type in types or []]

    def import_gateway_responses(api_id, body):
        for kind, response in (body.get("x-amazon-apigateway-gateway-responses") or {}).items():
            gateway._put_gateway_response(api_id, kind, response)

    def import_rest_api(body, base=None):
        base = dict(base or {})
        base["binaryMediaTypes"] = media_types(base.get("binaryMediaTypes"))
        api_id = plain_import(body, base)
        import_gateway_responses(api_id, body)
        return api_id

    def update_rest_api(api_id, old, new, stack, logical_id=None):
        body = new.get("Body")
        if not isinstance(body, dict) or body == old.get("Body") or api_id not in gateway._rest_apis:
            return plain_update(api_id, old, new, stack, logical_id)
        plain_update(api_id, {**old, "Body": None}, {**new, "Body": None}, stack, logical_id)
        gateway._rest_apis[api_id]["binaryMediaTypes"] = media_types(new.get("BinaryMediaTypes"))
        gateway._resources[api_id] = {key: {**value, "resourceMethods": {}}
                                      for key, value in gateway._resources[api_id].items() if value["path"] == "/"}
        gateway._authorizers_v1[api_id], gateway._gateway_responses[api_id] = {}, {}
        schemes = gateway._import_security_schemes(api_id, body)
        for path, path_item in (body.get("paths") or {}).items():
            gateway._import_path_item(api_id, path, path_item, schemes, body.get("security"))
        import_gateway_responses(api_id, body)
        return api_id, provisioners._apigw_rest_api_attrs(api_id)

    gateway._import_operation = import_operation
    gateway._import_path_item = import_path_item
    gateway._import_rest_api = import_rest_api
    provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]["update"] = update_rest_api


class ZonedExpression(str):
    """A schedule's expression that knows its time zone."""

    zone = None


def mend_scheduler():
    """Tick each second instead of each ten; honour the time zone of at(); refuse a bad zone; let a schedule that was
    deleted and made again, or updated, fire again."""
    scheduler._SCHEDULE_TICK_INTERVAL = float(os.environ.get("SCHEDULER_TICK_SECONDS", "1"))
    plain_load = scheduler.load_persisted_state

    def at_time_epoch(expression):
        text = expression.strip()
        if not (text.startswith("at(") and text.endswith(")")):
            return None
        try:
            time = datetime.fromisoformat(text[3:-1].strip())
        except ValueError:
            return None
        zone = ZoneInfo(getattr(expression, "zone", None) or "UTC")
        return time.replace(tzinfo=time.tzinfo or zone).timestamp()

    def remember_zone(record):
        expression = ZonedExpression(record["ScheduleExpression"])
        expression.zone = record.get("ScheduleExpressionTimezone")
        record["ScheduleExpression"] = expression

    def mended(operation):
        def wrapped(name, argument):
            zone = argument.get("ScheduleExpressionTimezone")
            if zone:
                try:
                    ZoneInfo(zone)
                except Exception:
                    return scheduler._error(400, "ValidationException",
                                            f"Invalid Schedule Expression Timezone {zone}.")
            response = operation(name, argument)
            if response[0] < 400:
                group = argument.get("GroupName") or argument.get("groupName") or "default"
                for key in [key for key in scheduler._schedule_last_fired if key[2] == f"{group}/{name}"]:
                    scheduler._schedule_last_fired.pop(key, None)
                record = scheduler._schedules.get(f"{group}/{name}")
                if record is not None:
                    remember_zone(record)
            return response
        return wrapped

    def load_persisted_state(data):
        result = plain_load(data)
        for record in list(scheduler._schedules._data.values()):
            remember_zone(record)
        return result

    scheduler._at_time_epoch = at_time_epoch
    scheduler.load_persisted_state = load_persisted_state
    scheduler._create_schedule = mended(scheduler._create_schedule)
    scheduler._update_schedule = mended(scheduler._update_schedule)
    scheduler._delete_schedule = mended(scheduler._delete_schedule)


def apply_dropped_properties():
    """Apply properties of the template that it drops on create: a table's TTL, a function's reserved concurrency."""
    handlers = provisioners._RESOURCE_HANDLERS
    plain_table = handlers["AWS::DynamoDB::Table"]["create"]
    plain_function = handlers["AWS::Lambda::Function"]["create"]

    def create_table(logical_id, properties, stack):
        result = plain_table(logical_id, properties, stack)
        ttl = properties.get("TimeToLiveSpecification")
        if ttl:
            enabled = str(ttl.get("Enabled", True)).lower() == "true"
            dynamodb._update_ttl({"TableName": result[0], "TimeToLiveSpecification": {**ttl, "Enabled": enabled}})
        return result

    def create_function(logical_id, properties, stack):
        result = plain_function(logical_id, properties, stack)
        reserved = properties.get("ReservedConcurrentExecutions")
        if reserved is not None:
            lambda_service._functions[result[0]]["concurrency"] = int(reserved)
        return result

    handlers["AWS::DynamoDB::Table"]["create"] = create_table
    handlers["AWS::Lambda::Function"]["create"] = create_function


def name_resources_of_permissions():
    """Check two permissions on the resource that AWS checks: a schedule's ARN holds its group (it always says `default`),
    and ses:SendEmail is checked on the sender's identity (it says `*`, which no exact statement matches)."""
    plain_resource = iam.extract_resource_arn

    def field(body, name):
        try:
            value = json.loads(body or b"{}")
        except ValueError:
            return None
        return value.get(name) if isinstance(value, dict) else None

    def extract_resource_arn(service, method, path, headers, body, query, region, account):
        resource = plain_resource(service, method, path, headers, body, query, region, account)
        if service == "scheduler" and ":schedule/default/" in resource:
            queried = (query or {}).get("groupName")
            queried = queried[0] if isinstance(queried, list) else queried
            group = field(body, "GroupName") or queried or "default"
            return resource.replace(":schedule/default/", f":schedule/{group}/")
        if service == "ses" and resource == "*" and path.rstrip("/").endswith("/v2/email/outbound-emails"):
            sender = field(body, "FromEmailAddress")
            return f"arn:aws:ses:{region}:{account}:identity/{sender}" if sender else resource
        return resource

    iam.extract_resource_arn = extract_resource_arn


def name_permission_of_batches():
    """sqs:SendMessage permits SendMessageBatch too, as on AWS, which has no permission of that name (it asks for sqs:SendMessageBatch)."""
    plain_action = iam.extract_iam_action

    def extract_iam_action(service, method, path, headers, body, query):
        action = plain_action(service, method, path, headers, body, query)
        return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action

    iam.extract_iam_action = extract_iam_action


if __name__ == "__main__":
    quicken_invocations()
    complete_api_import()
    mend_scheduler()
    apply_dropped_properties()
    name_resources_of_permissions()
    name_permission_of_batches()
    from ministack.app import main

    main()
