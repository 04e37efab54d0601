// Drives a Resend with Resend's own package for Node: every part of the API that the Resend in memory has.
//
//     node scripts/drive_resend.mjs MODULES URL KEY ENDPOINT WEBHOOK ERRORS ANSWERS
//
// MODULES is the folder node_modules that has the package. ENDPOINT is where webhooks may post to. WEBHOOK is one that was to deliver
// three events; the newest was answered 500. ERRORS is JSON: a list of [status, name] with which a GET of /emails/STATUS-NAME is
// answered; a name of "html" is a page. ANSWERS is a file to write: each answer as a TypeScript constant of the type that the package
// says it has, for `tsc` to check to the last field. Ends with 1, and says why, if anything is not as the package expects it.
//
//     npm install resend typescript
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, url, key, endpoint, hook, expected, answers] = process.argv.slice(2);
const { Resend } = createRequire(`${modules}/`)("resend");
const client = (key) => new Resend(key, { baseUrl: url });
const resend = client(key);
const constants = [];

/** The data of an answer, kept under the type that it must have. */
async function is(type, answer) {
  const { data, error } = await answer;
  assert.equal(error, null, JSON.stringify(error));
  if (type) constants.push(`export const answer${constants.length}: ${type} = ${JSON.stringify(data, null, 2)};`);
  return data;
}

async function refused(answer, ...expected) {
  const { data, error } = await answer;
  assert.equal(data, null, JSON.stringify(data));
  assert.deepEqual([error.statusCode, error.name], expected.slice(0, 2));
  if (expected.length > 2) assert.equal(error.message, expected[2]);
}

/** The ids of a list, page after page. */
async function pages(list, limit) {
  const ids = [];
  for (let after; ; ) {
    const page = await is(undefined, list(after ? { limit, after } : { limit }));
    ids.push(...page.data.map((entry) => entry.id));
    if (!page.has_more) return ids;
    after = page.data.at(-1).id;
  }
}

async function webhooks() {
  const hooks = resend.webhooks;
  const events = ["email.delivered", "email.bounced", "topic.updated", "inbox.draft.sent"];
  const made = await is("CreateWebhookResponseSuccess", hooks.create({ endpoint, events }));
  const one = await is("GetWebhookResponseSuccess", hooks.get(made.id));
  assert.deepEqual([one.endpoint, one.events, one.status, one.signing_secret], [endpoint, events, "enabled", made.signing_secret]);
  const before = (await is("ListWebhooksResponseSuccess", hooks.list())).data.map((hook) => hook.id);
  for (let n = 0; n < 3; n++) await is(undefined, hooks.create({ endpoint, events: ["email.sent"] }));
  const everything = await pages((options) => hooks.list(options), 2);
  assert.deepEqual(everything.slice(0, before.length), before);
  assert.equal(everything.length, before.length + 3);
  for (const id of everything.slice(before.length)) await is("RemoveWebhookResponseSuccess", hooks.remove(id));
  await is("UpdateWebhookResponseSuccess", hooks.update(made.id, { status: "disabled", events: ["email.opened"] }));
  const changed = await is("GetWebhookResponseSuccess", hooks.get(made.id));
  assert.deepEqual([changed.status, changed.events], ["disabled", ["email.opened"]]);
  const rotated = await is("RotateWebhookSigningSecretResponseSuccess", hooks.rotateSigningSecret(made.id));
  assert.notEqual(rotated.signing_secret, made.signing_secret);
  await refused(hooks.create({ endpoint, events: ["email.teleported"] }), 422, "validation_error");
  await refused(hooks.create({ endpoint }), 422, "missing_required_field");
  await refused(hooks.list({ limit: 101 }), 422, "validation_error");
  await is(undefined, hooks.remove(made.id));
  await refused(hooks.get(made.id), 404, "not_found");
}

async function events() {
  const { events } = resend.webhooks;
  const log = await is("ListWebhookEventsResponseSuccess", events.list({ webhookId: hook }));
  assert.deepEqual(log.data.map((event) => event.status), ["failed", "success", "success"]);
  const ids = log.data.map((event) => event.id);
  assert.deepEqual(await pages((options) => events.list({ webhookId: hook, ...options }), 1), ids);
  const event = { webhookId: hook, eventId: ids[0] };
  const whole = await is("Omit<GetWebhookEventResponseSuccess, \"payload\"> & { payload: unknown }", events.get(event));
  assert.deepEqual([whole.payload.type, whole.next_attempt_at], ["email.delivered", null]);
  const tries = await is("ListWebhookEventAttemptsResponseSuccess", events.attempts.list(event));
  assert.deepEqual(tries.data.map((attempt) => attempt.http_status_code), [500]);
  await is("ReplayWebhookEventResponseSuccess", events.replay(event));
  for (let n = 0; n < 200; n++) {
    if ((await is(undefined, events.get(event))).status === "success") break;
    await new Promise((done) => setTimeout(done, 20));
  }
  const after = await is("ListWebhookEventAttemptsResponseSuccess", events.attempts.list(event));
  assert.deepEqual(after.data.map((attempt) => attempt.http_status_code), [200, 500]);
  await refused(events.replay({ ...event, eventId: "msg_unknown" }), 404, "not_found");
  await is(undefined, resend.webhooks.update(hook, { status: "disabled" }));
  await refused(events.replay(event), 422, "validation_error");
}

async function suppressions() {
  const listed = resend.suppressions;
  const email = "eve+news@example.net";
  const added = await is("AddSuppressionResponseSuccess", listed.add({ email }));
  const one = await is("GetSuppressionResponseSuccess", listed.get(email));
  assert.deepEqual([one.id, one.email, one.origin], [added.id, email, "manual"]);
  const emails = Array.from({ length: 100 }, (_, n) => `q${n}@example.net`);
  assert.equal((await is("BatchAddSuppressionsResponseSuccess", listed.batch.add({ emails }))).data.length, 100);
  await refused(listed.batch.add({ emails: [...emails, email] }), 422, "validation_error");
  await is("ListSuppressionsResponseSuccess", listed.list({ limit: 3 }));
  const ids = await pages((options) => listed.list(options), 40);
  assert.ok(ids.length >= 101 && ids.includes(added.id));
  assert.deepEqual((await is("ListSuppressionsResponseSuccess", listed.list({ origin: "bounce" }))).data, []);
  await is("BatchRemoveSuppressionsResponseSuccess", listed.batch.remove({ emails: emails.slice(0, 2) }));
  await is("BatchRemoveSuppressionsResponseSuccess", listed.batch.remove({ ids: [added.id] }));
  await is("RemoveSuppressionResponseSuccess", listed.remove(emails[2]));
  await refused(listed.get(emails[2]), 404, "not_found");
}

async function contacts() {
  const email = "kim@example.net";
  const made = await is("CreateContactResponseSuccess", resend.contacts.create({ email, firstName: "Kim", unsubscribed: true }));
  const one = await is("GetContactResponseSuccess", resend.contacts.get({ email }));
  assert.deepEqual([one.id, one.first_name, one.unsubscribed], [made.id, "Kim", true]);
  assert.equal((await is(undefined, resend.contacts.create({ email }))).id, made.id);
  assert.equal((await is(undefined, resend.contacts.get(made.id))).unsubscribed, false);
  await is("UpdateContactResponseSuccess", resend.contacts.update({ email, unsubscribed: true }));
  assert.equal((await is(undefined, resend.contacts.get(made.id))).unsubscribed, true);
  await is("ListContactsResponseSuccess", resend.contacts.list());
  await refused(resend.contacts.update({ email: "nobody@example.net", unsubscribed: true }), 404, "not_found", "Contact not found");
  await refused(resend.contacts.create({}), 422, "missing_required_field", "Missing `email` field.");
  await is("RemoveContactsResponseSuccess", resend.contacts.remove({ email }));
  await refused(resend.contacts.get({ email }), 404, "not_found");
}

async function emails() {
  const mail = { from: "Acme <news@acme.example>", to: "ann@example.org", subject: "Hello", text: "Hi", tags: [{ name: "campaign", value: "spring" }] };
  const once = { idempotencyKey: "node-1" };
  const sent = await is("CreateEmailResponseSuccess", resend.emails.send(mail, once));
  assert.equal((await is(undefined, resend.emails.send(mail, once))).id, sent.id, "the same twice is sent once");
  await refused(resend.emails.send({ ...mail, text: "Ho" }, once), 409, "invalid_idempotent_request");
  await refused(resend.emails.send(mail, { idempotencyKey: "k".repeat(257) }), 400, "invalid_idempotency_key");
  const one = await is("GetEmailResponseSuccess", resend.emails.get(sent.id));
  assert.deepEqual([one.to, one.cc, one.last_event, one.tags], [["ann@example.org"], [], "sent", mail.tags]);
  const later = await is(undefined, resend.emails.send({ ...mail, scheduledAt: "2026-12-24T08:00:00.000Z" }));
  assert.equal((await is("GetEmailResponseSuccess", resend.emails.get(later.id))).last_event, "scheduled");
  await is("ListEmailsResponseSuccess", resend.emails.list({ limit: 2 }));
  for (const field of ["from", "to", "subject"]) await refused(resend.emails.send({ ...mail, [field]: undefined }), 422, "missing_required_field");
}

async function errors() {
  for (const [status, name] of JSON.parse(expected)) {
    // A page that is no JSON is made an `application_error`, with its status.
    await refused(resend.emails.get(`${status}-${name}`), status, name === "html" ? "application_error" : name);
  }
  await refused(client("re_unknown").webhooks.list(), 401, "validation_error", "API key is invalid");
  await refused(client("re_sending_only").webhooks.list(), 401, "restricted_api_key");
}

await webhooks();
await events();
await suppressions();
await contacts();
await emails();
await errors();
const types = [...new Set(constants.flatMap((line) => line.split(" = ")[0].match(/\w+Success\b/g)))];
writeFileSync(answers, `import type { ${types.join(", ")} } from "resend";\n${constants.join("\n")}\n`);
console.log("ok");
