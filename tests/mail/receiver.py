"""Usage: receiver.py PORT PORT_WITH_LOGIN

aiosmtpd, which takes mails on two ports. The second one wants a user name and a password. Prints a line when it listens,
and each mail as a line of JSON. The local part of an address says how its mails fare:

    busy-N     refused for now, N times
    late-N     refused for now after the mail has been sent, N times
    unknown    refused for good
    spam       refused for good after the mail has been sent
"""

import collections
import email
import email.policy
import json
import logging
import re
import sys
import threading
import warnings

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

# A login without TLS is a risk elsewhere.
warnings.simplefilter("ignore")
logging.disable()
tries = collections.Counter()


def is_early(address, word):
    """Whether an address still has to be refused."""
    times = re.match(rf'"?{word}-(\d+)', address)
    if not times:
        return False
    tries[address] += 1
    return tries[address] <= int(times[1])


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if is_early(address, "busy"):
            return f"451 4.7.1 <{address}>: try again later"
        if address.startswith("unknown"):
            return f"550 5.1.1 <{address}>: no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(
            json.dumps(
                {
                    "envelope_from": envelope.mail_from,
                    "envelope_to": envelope.rcpt_tos,
                    "login": session.auth_data.login.decode() if session.authenticated else None,
                    "client": session.host_name,
                    "headers": {name: str(value) for name, value in message.items()},
                    "kind": message.get_content_type(),
                    "text": message.get_body(("plain",)).get_content(),
                    "html": message.get_body(("html",)).get_content(),
                    "longest_line": max(map(len, envelope.content.split(b"\r\n"))),
                }
            ),
            flush=True,
        )
        if is_early(envelope.rcpt_tos[0], "late"):
            return "451 4.3.0 try again later"
        return "554 5.7.1 no" if envelope.rcpt_tos[0].startswith("spam") else "250 OK"


def authenticator(server, session, envelope, mechanism, data):
    is_right = (data.login, data.password) == (b"user@example.com", b"p@ss:w/rd")
    return AuthResult(success=is_right, handled=False, auth_data=data)


plain, with_login = map(int, sys.argv[1:])
Controller(Handler(), "127.0.0.1", plain).start()
login = {"authenticator": authenticator, "auth_required": True, "auth_require_tls": False}
Controller(Handler(), "127.0.0.1", with_login, **login).start()
print("listening", flush=True)
threading.Event().wait()
