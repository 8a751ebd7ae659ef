"""Writes tokens signed by PyJWT, and their keys, as Swift: `.venv/bin/python Tests/WebTokensTests/Fixtures/make_tokens.py`.

The private keys are thrown away.
"""

import pathlib

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

SECRET = "a secret for tests that is long enough"
CLAIMS = {"sub": "alice", "iss": "issuer", "aud": ["ferry", "other"], "exp": 2_000_000_000, "nbf": 1_000_000_000,
          "scope": "read admin"}


def pem(key):
    encoded = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode()


def main():
    keys = {
        "rsa": (rsa.generate_private_key(65537, 2048), "RS256"),
        "p256": (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        "ed25519": (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    }
    lines = ["/// Made by make_tokens.py with PyJWT. Do not edit.", "enum Fixture {", f'    static let secret = "{SECRET}"']
    lines.append(f'    static let secretToken = "{jwt.encode(CLAIMS, SECRET, "HS256")}"')
    for name, (key, algorithm) in keys.items():
        lines.append(f'    static let {name}PEM = """')
        lines += ["        " + line for line in pem(key).splitlines()]
        lines += ["", '        """']
        lines.append(f'    static let {name}Token =')
        lines.append(f'        "{jwt.encode(CLAIMS, key, algorithm, headers={"kid": name})}"')
    lines.append("}")
    path = pathlib.Path(__file__).parents[1] / "Fixture.swift"
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
