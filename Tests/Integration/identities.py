"""Tokens, the keys behind them, and callers who carry them."""

import base64
import http.server
import json
import threading
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://issuer.test", "ferry"


class Key:
    """A private key with a name."""

    KINDS = {
        "RS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
        "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
        "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
    }

    def __init__(self, kid, algorithm="ES256"):
        make, kind = self.KINDS[algorithm]
        self.kid, self.algorithm, self.private = kid, algorithm, make()
        self.jwk = {**kind.to_jwk(self.private.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": algorithm}

    @property
    def pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def token(self, sub="alice", kid=None, life=600, **claims):
        contents = {"sub": sub, "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + life, **claims}
        contents = {name: value for name, value in contents.items() if value is not None}
        return jwt.encode(contents, self.private, self.algorithm, headers={"kid": kid or self.kid})


def unsigned(token, **header):
    """The token's claims under another header, without a signature."""
    head = base64.urlsafe_b64encode(json.dumps({"typ": "JWT", **header}).encode()).rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."


def bearer(token):
    return {"authorization": f"Bearer {token}"} if token else {}


class KeyServer:
    """Serves a JWK Set and counts how often it is asked for."""

    def __init__(self, *keys):
        self.keys, self.count = list(keys), 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.count += 1
                body = json.dumps({"keys": [key.jwk for key in outer.keys]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/keys"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def config(self, **more):
        settings = {"jwks": self.url, "issuer": ISSUER, "audience": AUDIENCE, "leeway": "0s", "adminClaim": "role", **more}
        return {"mode": "jwt", "jwt": settings}
