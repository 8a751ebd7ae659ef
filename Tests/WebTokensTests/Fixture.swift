/// Made by make_tokens.py with PyJWT. Do not edit.
enum Fixture {
    static let secret = "a secret for tests that is long enough"
    static let secretToken =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImlzcyI6Imlzc3VlciIsImF1ZCI6WyJmZXJyeSIsIm90aGVyIl0sImV4cCI6MjAwMDAwMDAwMCwibmJmIjoxMDAwMDAwMDAwLCJzY29wZSI6InJlYWQgYWRtaW4ifQ.jsKrHkVaq8StDFXPYpDnHHz2Fe169Ng1d-x1F1GY6Mo"
    static let rsaPEM = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwLvcdJUhjVEuPwvG6GFS
        uA/mrGeu5pMHHlnuI+bIdlNgtZFeidnjhrOfqrSuMgnMHtL0CdCiq+AmRENV/PLH
        +Q32+DfUXhPPx2dzlWQNiLLy2yr+8/47KlCUhSih/xqsoHoW+T2gvMZ3CLla4Pp1
        z8JELXXuc1YFN77qeq8EdPPFdw0PID17W3tWzic+ysBMAAurNHKzXMft4cKjgzEb
        OgYeUwnvSA1pJpohuHDJtibUSaNrjSNxBgvkt2mWM/vpGYyXTZF2X5GMFUn3VYmr
        1yArFPvj5OFSF8sxprb2xAr5UMjuiWJ6iLqplUVLWX0QZ/hdo7yo/yc8W18znMyd
        jwIDAQAB
        -----END PUBLIC KEY-----

        """
    static let rsaToken =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImlzcyI6Imlzc3VlciIsImF1ZCI6WyJmZXJyeSIsIm90aGVyIl0sImV4cCI6MjAwMDAwMDAwMCwibmJmIjoxMDAwMDAwMDAwLCJzY29wZSI6InJlYWQgYWRtaW4ifQ.eQKq7N8gJnHOh61GfIxdDgIqdWSWAy7I7QNsvsVF8TPon4lq9JAgIAmiCV2kk6nzr8CSpzOcOa07EADCCCEvZ0-VwWodOjW0STObaiw7YCPF7Or4p80MJLgmqW53l-90UWxSpatyelDkvnk5VurAov0HqE-A9njUa278Y43Y6duNcvCgkUAllvgOIUOEwvOu8Rgp7NwRxhu9zXX0WRo5Rynz3qZrQHahMtUuKzyl_3WYiG_W-GhOqIisN_EOcoK-cE1sezeZCTvaaOr-7fhDQlsop2SerM9WBPI_cmV8-qpfM_06aO_lutzIGTeUsrgKLBU8LT8woqhv245tHfd4DA"
    static let p256PEM = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6gitvZ0CTZynLgcZ2DQ9gemxPk7b
        MZYykWuVTqBEVF3gVbkg3S/P7uNr7EBgrtKq1Zw/u9DjHou3uRYidwtU+w==
        -----END PUBLIC KEY-----

        """
    static let p256Token =
        "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJhbGljZSIsImlzcyI6Imlzc3VlciIsImF1ZCI6WyJmZXJyeSIsIm90aGVyIl0sImV4cCI6MjAwMDAwMDAwMCwibmJmIjoxMDAwMDAwMDAwLCJzY29wZSI6InJlYWQgYWRtaW4ifQ.eqOJWG-8cBtVd9yqLVNNXIsw88gSohJUYSLasirbG9Qp_IekBgyysnDjuot5xwj_v3b-c5brRrKd7NzT8wRGqA"
    static let ed25519PEM = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEAo6jMEZzxVPLopRX4VBJwTbenCBfULYkqBvZ4t25VEvE=
        -----END PUBLIC KEY-----

        """
    static let ed25519Token =
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkMjU1MTkiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJhbGljZSIsImlzcyI6Imlzc3VlciIsImF1ZCI6WyJmZXJyeSIsIm90aGVyIl0sImV4cCI6MjAwMDAwMDAwMCwibmJmIjoxMDAwMDAwMDAwLCJzY29wZSI6InJlYWQgYWRtaW4ifQ.1PzHK6aWHSiL7i-YAdxjZIbTQs2MTK4edp7da2_LZxhi_LPb6R5jCC-1cAUkqXR5NwIZA7X7PAaC2vNaybCACA"
}
