/** One spelling for an address, as Rebound's list has it. A file to copy; it needs npm's `punycode`, by this path: Node has another. */

// @ts-ignore: no types are published for this path.
import punycode from "punycode/punycode.js";

// Default_Ignorable_Code_Point (https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point) but the two joiners.
const INVISIBLE = new RegExp(
  "[\\u00AD\\u034F\\u061C\\u115F\\u1160\\u17B4\\u17B5\\u180B-\\u180F\\u200B\\u200E\\u200F\\u202A-\\u202E\\u2060-\\u206F\\u3164\\uFE00-\\uFE0F" +
    "\\uFEFF\\uFFA0\\uFFF0-\\uFFF8\\u{1BCA0}-\\u{1BCA3}\\u{1D173}-\\u{1D17A}\\u{E0000}-\\u{E0FFF}]",
  "gu",
);
const WHITE_SPACE = /[\t-\r\u0085\u1680\u2028\u2029]/g; // what NFKC leaves of it
const JOINERS_AFTER_ASCII = /(^|[\0-\x7F])[\u200C\u200D]+/g;
const COMMENT = /\([^()]*\)/g;
const NO_TEXT = /[\0-\x1F\x7F-\x9F\u{D800}-\u{DFFF}\uFFFD]/u;
const QUOTED_ONLY = /[ ()<>[\]:;@\\,"]|^\*$/;
const NOT_IN_DOMAINS = /[ ()<>;@\\,"']/;
const ASCII = /^[\0-\x7F]*$/;
const ASCII_LABEL = /^[A-Za-z0-9_-]+$/;

/** The key of an address, however it is written. `undefined` if it is no address: do not send. */
export function spell(address: string): string | undefined {
  if (bytes(address) > 4096) return undefined;
  // What `toLowerCase` makes of a capital sigma depends on the letters around it.
  let text = address.replace(INVISIBLE, "").normalize("NFKC").replaceAll("Σ", "σ").toLowerCase().replaceAll("\u3002", ".");
  text = text.replace(WHITE_SPACE, " ").replace(JOINERS_AFTER_ASCII, "$1");
  for (let before = ""; before !== text; ) {
    before = text;
    text = text.replace(COMMENT, " ");
  }
  const closed = text.lastIndexOf(">");
  const opened = closed < 0 ? -1 : text.lastIndexOf("<", closed);
  if (opened >= 0) text = text.slice(opened + 1, text.indexOf(">", opened));
  const link = text.match(/^ *mailto:([^?]*)/);
  if (link) text = link[1] ?? "";
  const at = text.lastIndexOf("@");
  if (at < 0) return undefined;
  const [local, domain] = [localPart(trim(text.slice(0, at))), domainPart(trim(text.slice(at + 1)))];
  if (local === undefined || domain === undefined) return undefined;
  const key = `${local}@${domain}`;
  return bytes(key) <= 320 ? key : undefined;
}

/** The length of a text in UTF-8. */
function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** The text without the spaces around it. `String.trim` would take more. */
function trim(text: string): string {
  let [start, end] = [0, text.length];
  while (text[start] === " ") start++;
  while (end > start && text[end - 1] === " ") end--;
  return text.slice(start, end);
}

/** What comes before the @, in quotes only if it needs them. */
function localPart(written: string): string | undefined {
  const quoted = written.length > 1 && written.startsWith('"') && written.endsWith('"');
  if (NO_TEXT.test(written) || (!quoted && QUOTED_ONLY.test(written))) return undefined;
  const bare = (quoted ? written.slice(1, -1) : written).replace(/[\\\u200C\u200D]/g, "").replaceAll("ς", "σ").normalize("NFKC");
  return (QUOTED_ONLY.test(bare) ? `"${bare}"` : bare) || undefined;
}

/** What comes after the @, in the form that the DNS has. */
function domainPart(written: string): string | undefined {
  if (NO_TEXT.test(written) || NOT_IN_DOMAINS.test(written)) return undefined;
  let end = written.length;
  while (end > 0 && ".\u200C\u200D".includes(written.charAt(end - 1))) end--;
  const domain = written.slice(0, end);
  const labels = domain.split(".");
  if (labels.includes("")) return undefined;
  if (domain.startsWith("[") && domain.endsWith("]")) return domain;
  const encoded = labels.map(encode);
  return encoded.every((label) => ASCII_LABEL.test(label) || !ASCII.test(label)) ? encoded.join(".") : undefined;
}

/** A label in ASCII, by its raw Punycode (RFC 3492). `URL` and `domainToASCII` would refuse some labels, and change others. */
function encode(written: string): string {
  const label = written.normalize("NFKC");
  return ASCII.test(label) || label.startsWith("xn--") ? label : "xn--" + punycode.encode(label);
}
