"""Credentials for schemathesis, which loads this file as the module `hooks`."""

import base64
import hmac
import json
import os
import time
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


def post(path, body, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.post(SERVER + path, json=body, headers=headers, timeout=20)
    answer.raise_for_status()
    return answer.json()


def sign_up():
    account = {"email": f"owner-{uuid.uuid4()}@example.com", "password": PASSWORD}
    post("/signup", account)
    return account


def sign_in():
    return post("/authenticate", sign_up())


def start_totp(token):
    """Returns the code that an authenticator app shows (RFC 6238)."""
    secret = base64.b32decode(post("/user/totp", {"password": PASSWORD}, token)["secret"])
    digest = hmac.digest(secret, (int(time.time()) // 30).to_bytes(8, "big"), "sha1")
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start:start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def enable_totp(token):
    """Returns a recovery code, because the code of the app is used up."""
    return post("/user/totp/confirm", {"code": start_totp(token)}, token)["recovery_codes"][0]


def second_step():
    account = sign_up()
    code = enable_totp(post("/authenticate", account)["access_token"])
    first_step = requests.post(f"{SERVER}/authenticate", json=account, timeout=20)
    return {"mfa_token": first_step.json()["mfa_token"], "code": code}


def is_valid(token):
    answer = requests.get(f"{SERVER}/user", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    return answer.status_code == 200


def session_of(token):
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sid"]


OF_AN_ACCOUNT_OF_ITS_OWN = (
    "change_password",
    "change_email",
    "delete_user",
    "start_totp",
    "confirm_totp",
    "remove_totp",
)


@schemathesis.auth(refresh_interval=None).apply_to(wants("accessToken"))
class AccessToken:
    """Shares the token of one account among many cases. Many cases end the session or delete the account, so each case
    asks the server whether the token is still valid. A case with a password or a code gets an account of its own, because
    other cases change them, or guess them until the server refuses further guesses."""

    token = None

    def get(self, case, context):
        if context.operation.definition.raw["operationId"] in OF_AN_ACCOUNT_OF_ITS_OWN:
            return sign_in()["access_token"]
        if self.token is None or not is_valid(self.token):
            self.token = sign_in()["access_token"]
        return self.token

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"
        if not is_example(case):
            return
        if "id" in case.path_parameters:
            case.path_parameters = {"id": session_of(data)}
        operation = context.operation.definition.raw["operationId"]
        if operation == "confirm_totp":
            case.body = {"code": start_totp(data)}
        if operation == "remove_totp":
            case.body = {"password": PASSWORD, "code": enable_totp(data)}


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
        if "mfa_token" in case.body:
            case.body = second_step()
        for field, kind in (("refresh_token", "refresh_token"), ("token", "access_token")):
            if field in case.body:
                case.body = {**case.body, field: sign_in()[kind]}
