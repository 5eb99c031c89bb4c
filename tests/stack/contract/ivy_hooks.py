"""What schemathesis has to know about Ivy beyond the OpenAPI document; contract.rs runs it and says who the people are.

The document says which requests are well formed. It cannot say who is signed in, whose things there are, or that one
address may try to sign in five times in a quarter of an hour. So:

- each request comes from an address of its own, as from as many callers;
- requests take turns among the people of IVY_PEOPLE, since each account has a limit as well; what ends an account or a session
  is left to the last of them;
- `{id}` below /api/users is `me`, and elsewhere a thing that one of them owns, who then asks for it. What is deleted meanwhile is
  not found, which is a documented answer.

Wrong ids, wrong fields and wrong types are schemathesis' own: they take the place of these values where it tries wrong data.
"""

import itertools
import json
import os

import schemathesis

PEOPLE = json.loads(os.environ["IVY_PEOPLE"])
OPERATOR = os.environ.get("IVY_OPERATOR")
# These end the account or the session that asks for them.
FINAL = {"delete-user", "end-session"}
# These are limited by the phone number or address that they name, as signing in is.
BY_CONTACT = {"create-user", "update-user"}
# Whose the id of a path is, by the path's beginning: the name of the thing in IVY_PEOPLE; none is the person.
THINGS = {"/api/users/{id}": None, "/api/workouts/{id}": "workout", "/api/calls/{id}": "call"}

_turn = itertools.count()


@schemathesis.hook
def before_load_schema(ctx, raw_schema):
    """Says which ids there are, in place of any text."""
    for path, operations in raw_schema["paths"].items():
        thing = next((thing for start, thing in THINGS.items() if path.startswith(start)), "")
        if thing == "":
            continue
        ids = ["me"] if thing is None else [person[thing] for person in PEOPLE]
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] == "id":
                    parameter["schema"] = {"type": "string", "enum": ids}


def _person(case):
    """The owner of the path's thing, or whose turn it is."""
    if case.operation.definition.raw.get("operationId") in FINAL:
        return PEOPLE[-1]
    id = (case.path_parameters or {}).get("id")
    owners = [person for person in PEOPLE if id in (person["workout"], person["call"])]
    return owners[0] if owners else PEOPLE[next(_turn) % (len(PEOPLE) - 1)]


def _token(case):
    """A route says whose token it takes; most say nothing and take a user's."""
    takes = case.operation.definition.raw.get("security", [{"bearer": []}])
    kinds = {kind for choice in takes for kind in choice}
    if "bearer" in kinds:
        return _person(case)["token"]
    return OPERATOR if "operator" in kinds else None


@schemathesis.hook
def before_call(ctx, case, **kwargs):
    if case.headers is None:
        case.headers = {}
    number = next(_turn)
    case.headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    token = _token(case)
    if token is not None:
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.check
def not_held_back(ctx, response, case):
    """A run that mostly sees 429 shows nothing. Contacts have limits that a run must meet, and there is one operator only."""
    by_contact = "auth" in case.operation.tags or case.operation.definition.raw.get("operationId") in BY_CONTACT
    if not by_contact and _token(case) != OPERATOR:
        assert response.status_code != 429, "an account's limit was met: more people are needed (PEOPLE in contract.rs)"
