"""Verifies access tokens by one library: verify.py LIBRARY JWKS_URL ISSUER AUDIENCE

Reads one token from each line of the standard input, and prints `verified SUB` or `refused REASON` for each.
"""

import json
import sys
from urllib.request import urlopen

library, jwks_url, issuer, audience = sys.argv[1:]


def pyjwt():
    import jwt

    keys = jwt.PyJWKClient(jwks_url)

    def verify(token):
        key = keys.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, algorithms=["ES256"], issuer=issuer, audience=audience)["sub"]

    return verify


def authlib():
    from authlib.jose import JsonWebKey, JsonWebToken

    keys = JsonWebKey.import_key_set(json.load(urlopen(jwks_url)))
    options = {name: {"essential": True, "value": value} for name, value in [("iss", issuer), ("aud", audience)]}

    def verify(token):
        claims = JsonWebToken(["ES256"]).decode(token, keys, claims_options=options)
        claims.validate()
        return claims["sub"]

    return verify


def joserfc():
    from joserfc import jwt
    from joserfc.jwk import KeySet

    keys = KeySet.import_key_set(json.load(urlopen(jwks_url)))
    required = {"essential": True}
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer}, aud={"essential": True, "value": audience}, exp=required
    )

    def verify(token):
        claims = jwt.decode(token, keys, algorithms=["ES256"]).claims
        registry.validate(claims)
        return claims["sub"]

    return verify


verify = {"PyJWT": pyjwt, "Authlib": authlib, "joserfc": joserfc}[library]()
for line in sys.stdin:
    try:
        print("verified", verify(line.strip()), flush=True)
    except Exception as error:
        print("refused", type(error).__name__, flush=True)
