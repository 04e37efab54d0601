// Visits the pages of `consent` in Chromium, as a person without a mouse does: Tab, Enter.
//
//     node scripts/browse_consent.mjs MODULES CHROMIUM PICTURES
//
// MODULES is the folder node_modules that has puppeteer-core, axe-core and @aws-sdk/client-dynamodb. CHROMIUM is the browser's program.
// PICTURES is a folder for screenshots. The variables are those of the file that `rebound dev` writes: CONSENT_URL, CONSENT_KEY,
// SUPPRESSIONS_TABLE and those of AWS. KEYLESS_URL is the URL of a second one, which has no key yet and so answers 503.
//
// For each language, width and colour scheme: the question, the button by keyboard alone, the opt-out in the table, the page after it, and
// each error. Nothing may be loaded but the page itself, nothing may be wider than the screen, and axe must find nothing. Ends with 1, and
// says why, if anything is wrong. The last line has the numbers.
//
//     npm install puppeteer-core axe-core @aws-sdk/client-dynamodb
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer, request as send } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, chromium, pictures] = process.argv.slice(2);
const load = createRequire(`${modules}/`);
const puppeteer = load("puppeteer-core");
const axe = load("axe-core");
const { DynamoDBClient, GetItemCommand } = load("@aws-sdk/client-dynamodb");
const { CONSENT_URL, CONSENT_KEY, KEYLESS_URL, SUPPRESSIONS_TABLE = "rebound-suppressions" } = process.env;
const dynamodb = new DynamoDBClient({});
mkdirSync(pictures, { recursive: true });

const WIDTHS = [380, 1440];
const SCHEMES = ["light", "dark"];
// What a reader's browser sends, and the language that the page must have.
const LANGUAGES = {
  en: "en-GB,en;q=0.9",
  de: "de-CH,de;q=0.9,en;q=0.5",
  es: "es-MX,es;q=0.8",
  fr: "fr",
  pt: "pt-BR,pt;q=0.9,en;q=0.8",
  zh: "ja;q=0.2,zh-CN;q=0.9",
};
// Each is longer than the screen of a phone, or written from right to left, or plain.
const ADDRESSES = {
  en: (n) => `ann.${n}@example.com`,
  de: (n) => `${"donaudampfschifffahrtsgesellschaft".repeat(3)}.${n}@example.com`,
  es: (n) => `maría.garcía+boletín.${n}@example.com`,
  fr: (n) => `"élise <3 ${n}"@example.com`,
  pt: (n) => `\u05e9\u05dc\u05d5\u05dd${n}@example.com`,
  zh: (n) => `\u7528\u6237${n}@example.com`,
};

const counted = { pages: 0, optedOut: 0, pictures: 0 };

/** The path of an address's link. The addresses here are spelled already. */
function path(address) {
  const key = CONSENT_KEY.split(" ")[0];
  const mac = createHmac("sha256", key).update(`u\n1\n${address}\n`).digest().subarray(0, 16);
  return `/u/${[Buffer.from(address), Buffer.from(""), mac].map((part) => part.toString("base64url")).join(".")}`;
}

/** A server in front of a URL that notes every request that reaches it: a browser asks for more than its own tools show. */
async function notesOf(url) {
  const requests = [];
  const server = createServer((incoming, answer) => {
    requests.push(`${incoming.method} ${incoming.url}`);
    const onward = send(new URL(incoming.url, url), { method: incoming.method, headers: incoming.headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.headers);
      reply.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    incoming.pipe(onward);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { url: `http://127.0.0.1:${server.address().port}`, requests, close: () => server.close() };
}

async function reasonsOf(recipient) {
  const get = { TableName: SUPPRESSIONS_TABLE, Key: { recipient: { S: recipient } }, ConsistentRead: true };
  return (await dynamodb.send(new GetItemCommand(get))).Item;
}

/** What is wrong with the page that is shown: a list of texts. */
async function wrongWith(page, language) {
  await page.evaluate(axe.source);
  return page.evaluate(async (language) => {
    const wrong = [];
    const root = document.documentElement;
    const ask = (claim, text) => claim || wrong.push(text);
    ask(root.lang === language, `lang is ${root.lang}`);
    ask(document.querySelectorAll("h1").length === 1, "not one heading");
    ask(document.title.trim(), "no title");
    ask(root.scrollWidth <= window.innerWidth, `${root.scrollWidth} px wide`);
    ask(!document.cookie, "a cookie");
    ask(!document.querySelector("script, link, img, iframe, object"), "something is loaded");
    const found = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    for (const { id, impact, nodes } of found.violations) wrong.push(`axe: ${impact} ${id}: ${nodes[0].html}`);
    // Colours that axe can't decide about would be no success.
    for (const { id, nodes } of found.incomplete) wrong.push(`axe can't tell: ${id}: ${nodes[0].html}`);
    return wrong;
  }, language);
}

async function look(page, name, language) {
  assert.deepEqual(await wrongWith(page, language), [], name);
  await page.screenshot({ path: join(pictures, `${name}.png`) });
  counted.pages += 1;
  counted.pictures += 1;
}

/** Presses Tab once: the only thing that can be pressed has the focus, and shows it. */
async function tab(page, what) {
  await page.keyboard.press("Tab");
  const focus = await page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    const { height } = document.activeElement.getBoundingClientRect();
    return { tag: document.activeElement.localName, outline: `${outlineStyle} ${outlineWidth}`, height };
  });
  assert.equal(focus.tag, what);
  assert.equal(focus.outline, "solid 3px");
  assert.ok(focus.height >= 44, `${focus.height} px high`);
}

async function enter(page) {
  const [answer] = await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  return answer;
}

/** Makes the next request of the page another one. */
async function goAs(page, url, changes) {
  await page.setRequestInterception(true);
  const change = (request) => request.continue(changes);
  page.once("request", change);
  const answer = await page.goto(url);
  await page.setRequestInterception(false);
  return answer;
}

const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const consent = await notesOf(CONSENT_URL);
const keyless = await notesOf(KEYLESS_URL);
try {
  for (const width of WIDTHS) {
    for (const scheme of SCHEMES) {
      for (const [language, header] of Object.entries(LANGUAGES)) {
        await visit(width, scheme, language, header);
      }
    }
  }
} finally {
  await browser.close();
  consent.close();
  keyless.close();
}
console.log(JSON.stringify(counted));

async function visit(width, scheme, language, header) {
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  await page.setViewport({ width, height: 800 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setExtraHTTPHeaders({ "accept-language": header });
  const name = (of) => `${of}-${language}-${width}-${scheme}`;
  const recipient = ADDRESSES[language](`${width}.${scheme}`);
  const link = path(recipient);
  const url = `${consent.url}${link}`;
  consent.requests.length = 0;

  const question = await page.goto(url);
  assert.equal(question.status(), 200);
  await look(page, name("ask"), language);
  assert.equal(await page.$eval(".address", (shown) => shown.textContent), recipient);
  assert.equal(await reasonsOf(recipient), undefined, "a visit changes nothing");

  await tab(page, "button");
  await page.screenshot({ path: join(pictures, `${name("focus")}.png`) });
  counted.pictures += 1;
  const done = await enter(page);
  assert.deepEqual([done.status(), done.request().method(), done.request().postData()], [200, "POST", "action=opt_out"]);
  assert.equal(page.url(), url);
  await look(page, name("done"), language);
  const item = await reasonsOf(recipient);
  assert.deepEqual(item?.reasons?.SS, ["opted_out"], `${recipient} in the table`);
  assert.equal(item.opted_out.M.detail.S, "page");
  counted.optedOut += 1;

  await page.goto(url);
  assert.equal(await page.$("button"), null, "who is stopped already sees no button");
  await look(page, name("stopped"), language);

  const statusOf = async (changes) => (await goAs(page, url, changes)).status();
  const form = { "content-type": "application/x-www-form-urlencoded", "accept-language": header };
  const wrong = await page.goto(url.slice(0, -1));
  assert.equal(wrong.status(), 404);
  await look(page, name("404"), language);
  assert.equal(await statusOf({ method: "POST", postData: "action=subscribe", headers: form }), 400);
  await look(page, name("400"), language);
  await tab(page, "a");
  assert.equal((await enter(page)).status(), 200, "the link leads back");
  assert.equal(await statusOf({ method: "POST", postData: `action=opt_out&more=${"x".repeat(9_000)}`, headers: form }), 413);
  await look(page, name("413"), language);
  assert.equal(await statusOf({ method: "DELETE", headers: form }), 405);
  await look(page, name("405"), language);
  const asked = new Set(consent.requests.map((request) => request.split(" ")[1]));
  assert.deepEqual([...asked].sort(), [link, link.slice(0, -1)].sort(), "nothing is asked for but the pages");

  keyless.requests.length = 0;
  assert.equal((await page.goto(`${keyless.url}${link}`)).status(), 503);
  await look(page, name("503"), language);
  assert.deepEqual(keyless.requests, [`GET ${link}`]);
  // Chromium reports each answer of 400 or more.
  const odd = said.filter((text) => !text.startsWith("Failed to load resource: the server responded with a status of"));
  assert.deepEqual(odd, []);
  await page.close();
}
