"""Names of attachments, which are recognised without having been stored."""

from happy.domain.attachments import AttachmentNames
from happy.domain.values import SessionId

SESSION = SessionId("session")


def test_only_names_that_were_issued_for_the_session_are_recognised() -> None:
    names = AttachmentNames(b"key")
    name = names.issue(SESSION)

    assert names.issued(SESSION, name)
    assert not names.issued(SessionId("another"), name)
    assert not AttachmentNames(b"another key").issued(SESSION, name)
    assert not names.issued(SESSION, name.upper())
    assert not names.issued(SESSION, "picture.png")


def test_an_upload_that_began_before_the_secret_was_replaced_may_end() -> None:
    before, after = AttachmentNames(b"key"), AttachmentNames(b"a new key", [b"older", b"key"])
    name = before.issue(SESSION)

    assert after.issued(SESSION, name)
    assert not before.issued(SESSION, after.issue(SESSION))
