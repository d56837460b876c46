"""Headers of pages for browsers: not to guess types, not to be framed, and what may run in them."""

import base64
import hashlib

from happy.http.framework.asgi import Headers

HTML = "text/html; charset=utf-8"
NOSNIFF = (b"x-content-type-options", b"nosniff")

WEB_APP: Headers = (NOSNIFF, (b"x-frame-options", b"SAMEORIGIN"), (b"referrer-policy", b"same-origin"))
"""For pages of the web app, which is not ours: no policy of ours may break what it loads and runs."""


def page_headers(style: str, *, forms: bool = False) -> Headers:
    """For a page of ours: nothing is loaded and nothing runs, but for this one style sheet in it."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    actions = "'self'" if forms else "'none'"
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action {actions};"
        f" frame-ancestors 'none'; style-src 'sha256-{digest}'"
    )
    return (
        (b"content-security-policy", policy.encode()),
        NOSNIFF,
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
    )
