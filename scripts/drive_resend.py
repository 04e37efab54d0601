#!/usr/bin/env python3
"""Drives a Resend with Resend's own Python package: every part of the API that the Resend in memory has.

    scripts/drive_resend.py URL KEY ENDPOINT WEBHOOK ERRORS

ENDPOINT is where webhooks may post to. WEBHOOK is one that was to deliver three events; the newest was answered 500. ERRORS is JSON: a list of [status, name] with which a GET of /emails/STATUS-NAME is answered;
a name of "html" is a page. Each answer is held against the package's own types, to the last field. Ends with 1, and says why, if
anything is not as the package expects it.

    pip install resend
"""

import json
import sys
import time
import typing

import resend
import typing_extensions
from resend.exceptions import ResendError

FREE = (typing.NotRequired, typing_extensions.NotRequired)

# Where the package's types are not what Resend answers: recordings in resend/resend-node and that package's types say otherwise.
OTHERWISE = {
    # A list of webhooks tells neither (https://resend.com/docs/api-reference/webhooks/list-webhooks).
    "webhooks.data.object is missing",
    "webhooks.data.signing_secret is missing",
    # A contact that was removed is named as it was asked for, in `contact` alone.
    "removed contact.id is missing",
    "contact.object is not known",
    # A text that was not given is null, and there are fields more.
    "email.html: None is no str",
    "email.object is not known",
    "email.scheduled_at is not known",
    "email.tags is not known",
}


def wrong(value, hint, at):
    """What of a value is not as a type says: no other type of a field, no field too few, and none too many."""
    if typing_extensions.is_typeddict(hint):
        hints = typing_extensions.get_type_hints(hint, include_extras=True)
        hints.pop("http_headers", None)
        free = {name for name, kind in hints.items() if typing.get_origin(kind) in FREE}
        found = [f"{at}.{name} is missing" for name in hints if name not in value and name not in free]
        found += [f"{at}.{name} is not known" for name in value if name not in hints and name != "http_headers"]
        return found + [more for name in hints if name in value for more in wrong(value[name], hints[name], f"{at}.{name}")]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in FREE:
        return wrong(value, arguments[0], at)
    if origin is typing.Union:
        return min((wrong(value, argument, at) for argument in arguments), key=len)
    if origin is typing.Literal:
        return [] if value in arguments else [f"{at}: {value!r} is none of {arguments}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{at}: {value!r} is no list"]
        return [more for item in value for more in wrong(item, arguments[0], at)]
    if hint in (str, bool, int, type(None)):
        fits = isinstance(value, hint) and (hint is not int or not isinstance(value, bool))
        return [] if fits else [f"{at}: {value!r} is no {hint.__name__}"]
    return []


def fits(value, hint, at):
    """The value, if it is as the type says."""
    found = [what for what in wrong(value, hint, at) if what not in OTHERWISE]
    assert not found, found
    return value


def refused(call, *arguments):
    """The status, the name and the message with which a call is refused."""
    try:
        answer = call(*arguments)
    except ResendError as error:
        return int(error.code), error.error_type, error.message
    raise AssertionError(f"not refused, but answered {answer}")


def pages(call, limit, first=None):
    """Every entry of a list, page after page."""
    after, entries = first, []
    while True:
        page = call({"limit": limit, **({"after": after} if after else {})})
        assert len(page["data"]) <= limit
        entries += page["data"]
        if not page["has_more"]:
            return entries
        after = page["data"][-1]["id"]


def webhooks(endpoint):
    hooks = resend.Webhooks
    before = [hook["id"] for hook in hooks.list()["data"]]
    events = ["email.delivered", "email.bounced", "suppression.added", "inbox.thread.labels.updated"]
    made = fits(hooks.create({"endpoint": endpoint, "events": events}), hooks.CreateWebhookResponse, "made")
    assert made["object"] == "webhook" and made["signing_secret"].startswith("whsec_")
    one = hooks.get(made["id"])
    fits(one, resend.webhooks._webhook.Webhook, "webhook")
    assert (one["endpoint"], one["events"], one["status"]) == (endpoint, events, "enabled")
    assert one["signing_secret"] == made["signing_secret"]
    more = [hooks.create({"endpoint": f"{endpoint}{n}", "events": ["email.sent"]})["id"] for n in range(4)]
    everything = fits(hooks.list(), hooks.ListResponse, "webhooks")
    assert [hook["id"] for hook in everything["data"]] == [*before, made["id"], *more] and not everything["has_more"]
    assert pages(hooks.list, 2) == everything["data"]
    back = hooks.list({"limit": 2, "before": more[3]})
    assert ([hook["id"] for hook in back["data"]], back["has_more"]) == (more[1:3], True)
    for hook in more:
        gone = fits(hooks.remove(hook), hooks.DeleteWebhookResponse, "removed")
        assert gone["deleted"] and refused(hooks.get, hook)[:2] == (404, "not_found")
    changed = hooks.update({"webhook_id": made["id"], "status": "disabled", "events": ["email.opened"]})
    fits(changed, hooks.UpdateWebhookResponse, "changed")
    assert (hooks.get(made["id"])["status"], hooks.get(made["id"])["events"]) == ("disabled", ["email.opened"])
    hooks.update({"webhook_id": made["id"], "status": "enabled", "events": ["email.delivered"]})
    rotated = fits(hooks.rotate_signing_secret(made["id"]), hooks.RotateSigningSecretResponse, "rotated")
    assert rotated["signing_secret"] not in (made["signing_secret"], "")
    assert refused(hooks.create, {"endpoint": endpoint, "events": ["email.teleported"]})[:2] == (422, "validation_error")
    assert refused(hooks.create, {"endpoint": endpoint})[:2] == (422, "missing_required_field")
    for odd in ({"limit": 0}, {"limit": 101}, {"after": "a", "before": "b"}):
        assert refused(hooks.list, odd)[:2] == (422, "validation_error"), odd
    hooks.remove(made["id"])


def events(hook):
    """Of a webhook that was to deliver three events; the newest was answered 500."""
    hooks = resend.Webhooks
    log = fits(hooks.list_events(hook), hooks.ListEventsResponse, "events")
    assert [event["status"] for event in log["data"]] == ["failed", "success", "success"], log
    assert pages(lambda options: hooks.list_events(hook, options), 1) == log["data"]
    assert refused(hooks.list_events, hook, {"before": log["data"][0]["id"]})[:2] == (422, "validation_error")
    event = log["data"][0]["id"]
    whole = fits(hooks.get_event(hook, event), hooks.GetEventResponse, "event")
    assert whole["payload"]["type"] == "email.delivered" and whole["next_attempt_at"] is None
    tries = fits(hooks.list_event_attempts(hook, event), hooks.ListEventAttemptsResponse, "attempts")
    assert [attempt["http_status_code"] for attempt in tries["data"]] == [500]
    replayed = fits(hooks.replay_event(hook, event), hooks.ReplayEventResponse, "replayed")
    assert replayed["id"] == event
    for _ in range(200):
        if hooks.get_event(hook, event)["status"] == "success":
            break
        time.sleep(0.02)
    assert [attempt["http_status_code"] for attempt in hooks.list_event_attempts(hook, event)["data"]] == [200, 500]
    assert refused(hooks.get_event, hook, "msg_unknown")[:2] == (404, "not_found")
    hooks.update({"webhook_id": hook, "status": "disabled"})
    assert refused(hooks.replay_event, hook, event)[:2] == (422, "validation_error")


def suppressions():
    listed = resend.Suppressions
    added = fits(listed.add({"email": "ann+news@example.com"}), listed.AddSuppressionResponse, "added")
    assert listed.add({"email": "Ann+News@example.com"})["id"] == added["id"]
    one = fits(listed.get("ann+news@example.com"), resend.suppressions._suppression.Suppression, "suppression")
    assert (one["id"], one["email"], one["origin"]) == (added["id"], "ann+news@example.com", "manual")
    batch = listed.Batch.add({"emails": [f"p{n}@example.com" for n in range(100)]})
    assert len(batch["data"]) == 100 and all(entry["object"] == "suppression" for entry in batch["data"])
    assert refused(listed.Batch.add, {"emails": ["a@example.com"] * 101})[:2] == (422, "validation_error")
    page = fits(listed.list({"limit": 100}), listed.ListResponse, "suppressions")
    assert page["has_more"] and len(pages(listed.list, 40)) == 101
    assert len(listed.list()["data"]) == 20 and listed.list({"origin": "bounce"})["data"] == []
    gone = listed.Batch.remove({"emails": ["p0@example.com"]})["data"] + listed.Batch.remove({"ids": [added["id"]]})["data"]
    assert [entry["deleted"] for entry in gone] == [True, True]
    fits(listed.remove("p1@example.com"), listed.RemoveSuppressionResponse, "removed")
    assert refused(listed.get, "p1@example.com")[:2] == (404, "not_found")
    assert refused(listed.remove, "p1@example.com")[:2] == (404, "not_found")


def contacts():
    all_of = resend.Contacts
    made = all_of.create({"email": "zoe@example.com", "first_name": "Zoe", "unsubscribed": True})
    fits(made, all_of.CreateContactResponse, "made")
    one = fits(all_of.get(email="zoe@example.com"), resend.contacts._contact.Contact, "contact")
    assert (one["id"], one["first_name"], one["unsubscribed"]) == (made["id"], "Zoe", True)
    # To make one that is there subscribes it again: what is not said goes back to how it begins.
    assert all_of.create({"email": "zoe@example.com"})["id"] == made["id"]
    assert all_of.get(id=made["id"])["unsubscribed"] is False
    changed = all_of.update({"email": "zoe@example.com", "unsubscribed": True})
    fits(changed, all_of.UpdateContactResponse, "changed")
    assert all_of.get(id=made["id"])["unsubscribed"] is True
    fits(all_of.list(), all_of.ListResponse, "contacts")
    assert refused(all_of.update, {"email": "nobody@example.com", "unsubscribed": True}) == (404, "not_found", "Contact not found")
    assert refused(all_of.create, {})[:2] == (422, "missing_required_field")
    gone = fits(all_of.remove(email="zoe@example.com"), all_of.RemoveContactResponse, "removed contact")
    assert gone["contact"] == "zoe@example.com" and refused(all_of.get, None, None, "zoe@example.com")[0] == 404
    assert all_of.remove(email="zoe@example.com")["deleted"], "one that is not there is removed too"


def emails():
    mail = {"from": "Acme <news@acme.example>", "to": ["ann@example.org"], "subject": "Hello", "text": "Hi",
            "tags": [{"name": "campaign", "value": "winter"}], "headers": {"X-Entity-Ref-ID": "1"}}
    sent = fits(resend.Emails.send(mail, {"idempotency_key": "key-1"}), resend.Emails.SendResponse, "sent")
    assert resend.Emails.send(mail, {"idempotency_key": "key-1"})["id"] == sent["id"], "the same twice is sent once"
    assert resend.Emails.send(mail, {"idempotency_key": "key-2"})["id"] != sent["id"]
    other = {**mail, "subject": "Bye"}
    assert refused(resend.Emails.send, other, {"idempotency_key": "key-1"})[:2] == (409, "invalid_idempotent_request")
    assert refused(resend.Emails.send, mail, {"idempotency_key": "k" * 257})[:2] == (400, "invalid_idempotency_key")
    one = fits(resend.Emails.get(sent["id"]), resend.emails._email.Email, "email")
    assert (one["to"], one["cc"], one["last_event"], one["tags"]) == (mail["to"], [], "sent", mail["tags"])
    for field in ("from", "to", "subject"):
        lacking = {name: value for name, value in mail.items() if name != field}
        assert refused(resend.Emails.send, lacking)[:2] == (422, "missing_required_field"), field
    crowd = {**mail, "to": [f"p{n}@example.org" for n in range(51)]}
    assert refused(resend.Emails.send, crowd)[:2] == (422, "validation_error")
    odd_tag = {**mail, "tags": [{"name": "campaign", "value": "winter seeds"}]}
    assert refused(resend.Emails.send, odd_tag)[:2] == (422, "validation_error")
    resend.Suppressions.add({"email": "no@example.org"})
    skipped = resend.Emails.send({**mail, "to": "no@example.org"})
    assert resend.Emails.get(skipped["id"])["last_event"] == "suppressed", "accepted, and not sent"
    assert refused(resend.Emails.get, "unknown")[:2] == (404, "not_found")
    listed = resend.Emails.list({"limit": 2})
    assert listed["has_more"] and "text" not in listed["data"][0] and listed["data"][0]["cc"] is None


def errors(expected):
    for status, name in expected:
        code, error_type, message = refused(resend.Emails.get, f"{status}-{name}")
        if name == "html":
            assert (code, error_type) == (status, "application_error") and "text/html" in message
        else:
            assert (code, error_type) == (status, name)


def keys(url, key):
    resend.api_key = "re_unknown"
    assert refused(resend.Webhooks.list) == (401, "validation_error", "API key is invalid")
    resend.api_key = "re_sending_only"
    assert refused(resend.Webhooks.list)[:2] == (401, "restricted_api_key")
    resend.api_key = key


if __name__ == "__main__":
    url, key, endpoint, with_events, expected = sys.argv[1:]
    resend.api_url, resend.api_key = url, key
    webhooks(endpoint)
    events(with_events)
    suppressions()
    contacts()
    emails()
    errors(json.loads(expected))
    keys(url, key)
    print("ok")
