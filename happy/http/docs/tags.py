"""How the published document groups endpoints. These names are an interface: they outlive those of files."""

from typing import NamedTuple


class Tag(NamedTuple):
    name: str
    description: str


TAGS = {
    "access_keys": Tag("access keys", "Access keys of a session and a machine."),
    "accounts": Tag("accounts", "The caller's own account: profile and settings."),
    "artifacts": Tag("artifacts", "Artifacts: list, read, create, edit and delete."),
    "attachments": Tag("attachments", "Encrypted files of a session: upload and download."),
    "developer_log": Tag("developer log", "Clients under development write into a log of the server."),
    "feed": Tag("feed", "The caller's feed."),
    "files": Tag("files", "Public files, such as profile pictures, from local storage."),
    "github": Tag("github", "Link an account to a GitHub user, and receive webhooks of GitHub."),
    "health": Tag("system", "The banner by which clients recognise a server, and its health."),
    "invites": Tag("invites", "The page of an invite: for people, in a browser."),
    "kv": Tag("kv", "The key-value store."),
    "machines": Tag("machines", "Machines: register, list and delete."),
    "messages": Tag("messages", "Messages of a session: append and page."),
    "pairing": Tag("pairing", "Sign-in, and linking a new device to an account."),
    "push": Tag("push", "Push events of sessions to the account's devices."),
    "push_tokens": Tag("push tokens", "The devices that receive an account's push notifications."),
    "sessions": Tag("sessions", "Sessions: list, create, archive and delete."),
    "social": Tag("social", "Other people: find them, and be friends with them."),
    "usage": Tag("usage", "Usage reports, summed up."),
    "vendor_tokens": Tag(
        "connect", "Vendor tokens: credentials of other services, stored sealed for an account."
    ),
    "version": Tag("version", "Whether the app is up to date."),
    "voice": Tag("voice", "Voice conversations."),
}
"""By the module of `happy/http/endpoints` that declares them."""
