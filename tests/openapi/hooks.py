"""Credentials for schemathesis, which loads this file as the module `hooks`."""

import base64
import json
import os
import uuid

import requests
import schemathesis
from schemathesis.generation.meta import TestPhase

SERVER = os.environ["SERVER"]
# The password in the examples of the document.
PASSWORD = "correct horse battery staple"


def wants(scheme):
    """Matches the operations for which the document names this security scheme."""
    return lambda context: any(scheme in way for way in context.operation.definition.raw.get("security", []))


def is_example(case):
    return case.meta is not None and case.meta.phase.name == TestPhase.EXAMPLES


def sign_in():
    account = {"email": f"owner-{uuid.uuid4()}@example.com", "password": PASSWORD}
    requests.post(f"{SERVER}/signup", json=account, timeout=20).raise_for_status()
    answer = requests.post(f"{SERVER}/authenticate", json=account, timeout=20)
    answer.raise_for_status()
    return answer.json()


def is_valid(token):
    answer = requests.get(f"{SERVER}/user", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    return answer.status_code == 200


def session_of(token):
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sid"]


@schemathesis.auth(refresh_interval=None).apply_to(wants("accessToken"))
class AccessToken:
    """Shares the token of one account among many cases. Many cases end the session or delete the account, so each case
    asks the server whether the token is still valid. A case with a password gets an account of its own, because other
    cases change the password, or guess it until the server refuses further guesses."""

    token = None

    def get(self, case, context):
        if context.operation.definition.raw["operationId"] in ("change_password", "delete_user"):
            return sign_in()["access_token"]
        if self.token is None or not is_valid(self.token):
            self.token = sign_in()["access_token"]
        return self.token

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"
        if is_example(case) and "id" in case.path_parameters:
            case.path_parameters = {"id": session_of(data)}


@schemathesis.auth(refresh_interval=None).apply_to(wants("resourceServer"))
class ResourceServer:
    def get(self, case, context):
        return os.environ["CREDENTIALS"]

    def set(self, case, data, context):
        case.headers["Authorization"] = data


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces the tokens in the examples of the document by genuine ones. Otherwise, all these requests would fail,
    and no run would compare the successful answers with the document."""
    if is_example(case) and isinstance(case.body, dict):
        for field, kind in (("refresh_token", "refresh_token"), ("token", "access_token")):
            if field in case.body:
                case.body = {**case.body, field: sign_in()[kind]}
