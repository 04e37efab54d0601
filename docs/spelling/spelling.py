"""One spelling for an address, as Rebound's list has it. A file to copy; it needs Python 3.10 or later, and no package."""

import re
import unicodedata

# Default_Ignorable_Code_Point (https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point) but the two joiners.
INVISIBLE = re.compile(
    "[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF"
    "\uFFA0\uFFF0-\uFFF8\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]"
)
WHITE_SPACE = re.compile("[\t-\r\u0085\u1680\u2028\u2029]")  # what NFKC leaves of it
JOINERS = re.compile("[\u200C\u200D]")
JOINERS_AFTER_ASCII = re.compile("(\\A|[\x00-\x7F])[\u200C\u200D]+")
COMMENT = re.compile(r"\([^()]*\)")
NO_TEXT = re.compile("[\x00-\x1F\x7F-\x9F\uD800-\uDFFF\uFFFD]")
QUOTED_ONLY = re.compile(r'[ ()<>\[\]:;@\\,"]|\A\*\Z')
NOT_IN_DOMAINS = re.compile(r"""[ ()<>;@\\,"']""")
ASCII_LABEL = re.compile("[A-Za-z0-9_-]+")


def spell(address: str) -> str | None:
    """The key of an address, however it is written. None if it is no address: do not send."""
    if len(address.encode("utf-8", "surrogatepass")) > 4096:
        return None
    # What `lower` makes of a capital sigma depends on the letters around it.
    text = nfkc(INVISIBLE.sub("", address)).replace("Σ", "σ").lower().replace("\u3002", ".")
    text = JOINERS_AFTER_ASCII.sub(r"\1", WHITE_SPACE.sub(" ", text))
    while "(" in text and (without := COMMENT.sub(" ", text)) != text:
        text = without
    before, closed, _ = text.rpartition(">")
    if closed and "<" in before:
        text = before.rpartition("<")[2].partition(">")[0]
    if text.lstrip(" ").startswith("mailto:"):
        text = text.lstrip(" ").removeprefix("mailto:").partition("?")[0]
    local, _, domain = text.rpartition("@")
    local, domain = local_part(local.strip(" ")), domain_part(domain.strip(" "))
    if local is None or domain is None:
        return None
    key = f"{local}@{domain}"
    return key if len(key.encode()) <= 320 else None


def nfkc(text: str) -> str:
    """The text in the form that Unicode calls NFKC."""
    return unicodedata.normalize("NFKC", text)


def local_part(written: str) -> str | None:
    """What comes before the @, in quotes only if it needs them."""
    quoted = len(written) > 1 and written[0] == written[-1] == '"'
    if NO_TEXT.search(written) or (not quoted and QUOTED_ONLY.search(written)):
        return None
    bare = written[1:-1] if quoted else written
    bare = nfkc(JOINERS.sub("", bare.replace("\\", "")).replace("ς", "σ"))
    return (f'"{bare}"' if QUOTED_ONLY.search(bare) else bare) or None


def domain_part(written: str) -> str | None:
    """What comes after the @, in the form that the DNS has."""
    if NO_TEXT.search(written) or NOT_IN_DOMAINS.search(written):
        return None
    domain = written.rstrip(".\u200C\u200D")
    labels = domain.split(".")
    if "" in labels:
        return None
    if domain[0] == "[" and domain[-1] == "]":
        return domain
    labels = [encoded(label) for label in labels]
    if any(label.isascii() and not ASCII_LABEL.fullmatch(label) for label in labels):
        return None
    return ".".join(labels)


def encoded(label: str) -> str:
    """A label in ASCII, by its raw Punycode (RFC 3492). The codec `idna` would refuse some, and change others."""
    label = nfkc(label)
    if label.isascii() or label.startswith("xn--"):
        return label
    return "xn--" + label.encode("punycode").decode("ascii")
