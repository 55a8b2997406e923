"""Draws the pictures of the documentation: python3 docs/pictures/draw.py [DIRECTORY]

Without a directory, the script replaces the pictures beside it. The figures of benchmarks.svg, latency.svg and cost.svg
come from the tables of docs/benchmarks.md. The other figures are copied from docs/guarantees.md and docs/api.md.
"""

import pathlib
import sys

# The imports leave no file in the folder of the pictures.
sys.dont_write_bytecode = True

from figures import benchmarks, cost, latency
from picture import AMBER, BLUE, GREEN, GREY, RED, SOFT, Picture

HERE = pathlib.Path(__file__).parent


def architecture():
    p = Picture(
        "The servers, the clients and the services around them",
        "Browsers and apps reach the replicas of auth-service through a load balancer. The replicas hold no state: "
        "accounts, sessions and tokens are in Redis. Your services verify access tokens with the public keys and the "
        "feed of revocations, or ask for introspection. The replicas send mails to users through your mail server, and "
        "events to your receiver of webhooks.",
        540,
    )
    p.box(24, 40, 160, 60, BLUE, "Browser or app", "keeps two tokens")
    p.box(24, 290, 160, 100, GREEN, "Your services", "verify access tokens", "themselves, or ask")
    p.box(420, 40, 110, 350, GREY, "Load", "balancer")
    for n in range(3):
        p.box(590, 40 + 125 * n, 110, 100, AMBER, "auth-service", f"replica {n + 1}", "stateless")
        p.line(530, 90 + 125 * n, 588, 90 + 125 * n, arrow=True)
        p.line(700, 90 + 125 * n, 740, [150, 215, 280][n], both=True)
    p.box(742, 120, 94, 190, RED, "Redis", "accounts,", "sessions,", "tokens,", "revocations")
    p.text(789, 330, "one server,", "middle", 12, SOFT)
    p.text(789, 347, "Sentinel or Cluster", "middle", 12, SOFT)
    for y, label in [(54, "sign-up, sign-in, refresh, sign-out"), (92, "profile, sessions, removal")]:
        p.line(184, y, 418, y, BLUE, arrow=True)
        p.text(301, y - 7, label, "middle", 12)
    p.line(104, 100, 104, 288, BLUE, arrow=True)
    p.text(116, 188, "each request with", size=12)
    p.text(116, 205, "the access token", size=12)
    for y, label, how in [
        (304, "GET /.well-known/jwks.json", "the public keys, with ES256"),
        (344, "GET /revocations", "what was removed, twice a second"),
        (384, "POST /introspect", "one token, also if the feed is stale"),
    ]:
        p.line(184, y, 418, y, GREEN, arrow=True)
        p.text(301, y - 20, label, "middle", 12, bold=True)
        p.text(301, y - 6, how, "middle", 11, SOFT)
    p.line(628, 390, 628, 438, arrow=True)
    p.box(560, 440, 136, 52, GREY, "Mail server", "SMTP with TLS")
    p.line(690, 390, 770, 438, arrow=True)
    p.box(712, 440, 124, 52, GREEN, "Your receiver", "of webhooks")
    p.text(548, 462, "links and notices to users, if you set", "end", 12, SOFT)
    p.text(548, 479, "SMTP_URL; events, if you set WEBHOOK_URL", "end", 12, SOFT)
    p.text(24, 522, "A request may go to any replica. A removal deletes one key in Redis, and takes effect with the next request to any replica.", size=12, colour=SOFT)
    return p


def account_steps():
    p = Picture(
        "The steps of a forgotten password, and of a sign-in with a second factor",
        "A page asks for a mail. auth-service keeps a digest of a token, and sends a link to the mailbox of the user. The "
        "user clicks the link, which opens the page at PUBLIC_URL. The page sends the token with the new password. A "
        "sign-in with a second factor first gives an mfa_token, and both tokens only after a code.",
        530,
    )
    page, server, far = (24, 170), (310, 170), (650, 186)

    def right(y, start, end, label, colour=GREY):
        p.line(start[0] + start[1], y, end[0] - 2, y, colour, arrow=True)
        p.text((start[0] + start[1] + end[0]) / 2, y - 8, label, "middle", 11)

    def left(y, start, end, *labels):
        p.line(start[0], y, end[0] + end[1] + 2, y, BLUE, arrow=True)
        for n, label in enumerate(labels):
            p.text((start[0] + end[0] + end[1]) / 2, y - 8 if n == 0 else y + 16, label, "middle", 11)

    p.text(24, 34, "A forgotten password", size=15, bold=True)
    p.box(page[0], 52, page[1], 64, BLUE, "Your page", "asks for the email")
    right(84, page, server, "/password/forgot", BLUE)
    p.box(server[0], 52, server[1], 64, AMBER, "auth-service", "keeps a digest of the", "token for one hour")
    right(84, server, (540, 0), "a mail")
    p.box(540, 52, 110, 64, GREY, "Mail server", "SMTP with TLS")
    right(84, (540, 110), (720, 0), "")
    p.box(720, 52, 116, 64, GREEN, "Mailbox", "of the user")
    p.line(778, 116, 778, 172, GREY, arrow=True)
    p.text(768, 148, "the user opens the link", "end", 12)
    p.box(far[0], 174, far[1], 64, BLUE, "Page at PUBLIC_URL", "has #token=… in its address,", "asks for a new password")
    left(206, far, server, "POST /password/reset", "the token, the new password")
    p.box(server[0], 174, server[1], 64, AMBER, "auth-service", "ends all sessions,", "the token is used up")
    left(206, server, page, "200")
    p.box(page[0], 174, page[1], 64, BLUE, "Your page", "offers the sign-in")

    p.text(24, 292, "A sign-in with a second factor", size=15, bold=True)
    p.box(page[0], 310, page[1], 64, BLUE, "Your page", "has the password")
    right(342, page, server, "/authenticate", BLUE)
    p.box(server[0], 310, server[1], 64, AMBER, "auth-service", "opens no session yet")
    right(342, server, far, "401 with an mfa_token")
    p.box(far[0], 310, far[1], 64, BLUE, "Your page", "asks for a code,", "within five minutes")
    p.line(743, 374, 743, 410, GREY, arrow=True)
    p.box(far[0], 412, far[1], 64, BLUE, "Your page", "has a code of the app,", "or a recovery code")
    left(444, far, server, "POST /authenticate/totp", "the mfa_token, the code")
    p.box(server[0], 412, server[1], 64, AMBER, "auth-service", "takes each code once,", "opens the session")
    left(444, server, page, "200")
    p.box(page[0], 412, page[1], 64, BLUE, "Your page", "has both tokens")
    p.text(24, 508, "The token of a link is in the fragment of the address, which the browser sends to no server. The page sends it when the user clicks.", size=12, colour=SOFT)
    return p


def token_life():
    p = Picture(
        "The life of access tokens and refresh tokens",
        "By default an access token lives for 60 seconds and a refresh token for 120 seconds after sign-in. A refresh "
        "gives a new access token and leaves the refresh token as it is. With rotation, each refresh also gives a new "
        "refresh token. A removal ends all tokens at once.",
        700,
    )
    left, scale = 150, 3.6

    def at(seconds):
        return left + seconds * scale

    def bar(y, start, end, colour, label, dashed=False):
        p.box(at(start), y, (end - start) * scale, 26, colour, label, bold=False, dashed=dashed)

    def event(y1, y2, seconds, words, colour=GREY, anchor="middle"):
        p.line(at(seconds), y1, at(seconds), y2, colour, dashed=True)
        p.text(at(seconds), y1 - 6, words, anchor, 12, colour, bold=True)

    ticks = range(0, 181, 30)
    p.text(24, 34, "By default", size=15, bold=True)
    event(62, 176, 0, "sign-in")
    event(62, 176, 50, "refresh")
    event(62, 176, 105, "refresh")
    event(62, 176, 120, "sign in again", RED, "start")
    p.text(24, 88, "refresh token", size=12)
    bar(70, 0, 120, BLUE, "120 s after sign-in, however often it is used")
    p.text(24, 120, "access tokens", size=12)
    bar(102, 0, 60, GREEN, "60 s")
    bar(134, 50, 110, GREEN, "60 s")
    bar(102, 105, 165, GREEN, "60 s")
    p.text(at(122), 152, "the last access token lives longer", size=12, colour=SOFT)
    p.axis(180, ticks, at, " s")

    p.text(24, 242, "With rotation (REFRESH_TOKEN_ROTATION=on)", size=15, bold=True)
    event(270, 448, 0, "sign-in")
    event(270, 448, 50, "refresh")
    event(270, 448, 105, "refresh")
    p.text(24, 296, "refresh tokens", size=12)
    bar(278, 0, 50, BLUE, "first")
    bar(278, 50, 60, AMBER, "", dashed=True)
    p.text(at(62), 296, "spent: 10 s grace period", size=12, colour=SOFT)
    bar(310, 50, 105, BLUE, "second")
    bar(310, 105, 115, AMBER, "", dashed=True)
    p.text(at(117), 328, "spent", size=12, colour=SOFT)
    bar(342, 105, 184, BLUE, "third, until 120 s after this refresh")
    p.text(24, 392, "access tokens", size=12)
    bar(374, 0, 60, GREEN, "60 s")
    bar(406, 50, 110, GREEN, "60 s")
    bar(374, 105, 165, GREEN, "60 s")
    p.axis(452, ticks, at, " s")
    note = [
        "During the grace period (REFRESH_GRACE_SECONDS), and afterwards until its successor is used, a spent token still gives",
        "its successor. Later, a spent token counts as stolen, and ends the session. SESSION_MAX_AGE_SECONDS limits the session.",
    ]
    for n, line in enumerate(note):
        p.text(24, 494 + 18 * n, line, size=12, colour=SOFT)

    p.text(24, 554, "A removal of all tokens", size=15, bold=True)
    event(582, 654, 0, "sign-in")
    event(582, 654, 35, "DELETE /access-token", RED)
    p.text(24, 608, "refresh token", size=12)
    bar(590, 0, 35, BLUE, "valid")
    bar(590, 35, 120, RED, "404 token_not_found", dashed=True)
    p.text(24, 640, "access token", size=12)
    bar(622, 0, 35, GREEN, "valid")
    bar(622, 35, 60, RED, "401", dashed=True)
    p.text(at(62), 640, "from the next request on, at every replica", size=12, colour=SOFT)
    p.axis(658, ticks, at, " s")
    return p


def failover():
    p = Picture(
        "What clients see while Redis fails over under Sentinel",
        "The primary dies or freezes at 0 s. The server answers 503 with Retry-After, each within one second, until the "
        "Sentinels have a new primary: down-after-milliseconds plus 1 to 3 seconds, so 2 to 4 seconds in this picture. "
        "No valid token is answered with 401, so clients keep their tokens.",
        482,
    )
    left, scale = 170, 128

    def at(seconds):
        return left + (seconds + 0.5) * scale

    def lane(y, name, *bars):
        p.text(24, y + 25, name, size=13, bold=True)
        for start, end, colour, *lines in bars:
            p.box(at(start), y, (end - start) * scale, 42, colour, *lines, bold=False, dashed=colour == AMBER)

    p.text(24, 34, "The Redis primary is killed, freezes or is cut off (Sentinel, down-after-milliseconds 1000)", size=15, bold=True)
    for seconds, words, colour in [(0, "killed or frozen", RED), (1, "seen as down", GREY)]:
        p.line(at(seconds), 72, at(seconds), 376, colour, dashed=True)
        p.text(at(seconds), 64, words, "middle", 12, colour, bold=True)
    p.text(at(3), 64, "a new primary: 1 to 3 s later", "middle", 12, GREY, bold=True)
    lane(80, "Redis", (-0.5, 0, GREEN, "old"), (0, 2, RED, "no primary"), (2, 4, AMBER, "a replica becomes the primary"), (4, 4.7, GREEN, "new"))
    lane(136, "Sentinels", (-0.5, 0, GREY, "watch"), (0, 1, GREY, "wait for", "the old primary"), (1, 4, AMBER, "agree, choose a replica and promote it"), (4, 4.7, GREY, "watch"))
    lane(192, "auth-service", (-0.5, 0, GREY, "serves"), (0, 0.65, AMBER, "closes the", "connection"), (0.65, 4, GREY, "asks the Sentinels four times a second"), (4, 4.7, GREY, "serves"))
    lane(248, "Clients see", (-0.5, 0, GREEN, "200"), (0, 2, RED, "503 with Retry-After: 1,", "each within 1 s"), (2, 4, AMBER, "503, and 200 once", "the new primary is there"), (4, 4.7, GREEN, "200"))
    lane(304, "Tokens", (-0.5, 4.7, GREEN, "No valid token gets 401 because Redis is away, so clients keep their tokens."))
    p.axis(376, range(5), at, " s")
    p.text(24, 424, "Lasting writes (sign-up, removal, password change …) that were acknowledged with REDIS_WAIT_REPLICAS survive.", size=12, colour=SOFT)
    p.text(24, 442, "A sign-in just before the failure may be lost. Then the user signs in again.", size=12, colour=SOFT)
    p.text(24, 460, "The server closes the connection to a frozen primary within 0.65 s: a check every 0.25 s, and 0.4 s for its answer.", size=12, colour=SOFT)
    return p


def main():
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for draw in (architecture, account_steps, token_life, failover, benchmarks, latency, cost):
        draw().write(target / f"{draw.__name__.replace('_', '-')}.svg")


if __name__ == "__main__":
    main()
