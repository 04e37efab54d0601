#!/usr/bin/env python3
"""Holds the vocabulary: one word for each concept, in names and in prose. It refuses

- a type or a file with a name that was given up: `OLD_TYPES` and `OLD_FILES`;
- a phrase that was given up, in documentation, comments, docstrings and string literals: `PHRASES`;
- a docstring that begins with What, How or Whether: a noun or a verb in the third person comes first;
- an "# Errors" section that another docstring has word for word: the common ones are described once, on the error's type.

Without arguments it reads the whole repository; with arguments, these folders and files. It tests itself first."""

import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EVERYTHING = ["src", "crates", "benches", "tests", "fuzz", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "template.yaml", "Makefile"]
PROSE = {".md", ".yaml", ""}

OLD_TYPES = set("""
    About Addressees Answer AsOf Asked AtOnce BatchAnswer Behaviour Bounds Braked By Calls Carrier Change Checked Claim Controls Count
    Counts Cutter Decidable Decided Delayed Delivered Delivery Done Engaged Engagement Entry Fact Facts Failure Fate Figures Findings
    ForgottenKey Grounds Group HangUp Happened Happening Interaction ItemFailure Judged Judgement Key KeyPlace Keys Kind Known
    LocalControl Look Looking Made Mail Memory Merged Message Mode NeverDecided NotSet NotUnderstood Note Notice Numbers Occasion Once
    Options Outcome Pace Patience Place PlaceArguments PlaceError Proof Protection Question Queued Read ReadError Received Record Refusal
    Refused Repeated Report Reserved Ruled Said SecretError SecretPlace Seen Sending Sent Silence SoftBounced Spent Stage Stamp Standing
    Stored Story Suppressed Tables Taken Tally Teller TextFault Ticked Ticking Token Told Trouble Unreadable Unstorable View Wait Wanted
    Watch Watched What Who WhyError Work Written
""".split())

OLD_FILES = """
    */told.rs */tell.rs */store/calls.rs */store/calls/* */store/failure.rs */store/patience.rs */store/facts.rs
    */store/counters/memory.rs */store/operator.rs */protect/entry.rs */engage/look.rs */engage/rule.rs */engage/advise.rs
    */operate/place.rs */doctor/front.rs */doctor/outside.rs */doctor/work.rs */forget/cut.rs */forget/fate.rs */simulate/story.rs
    */simulate/story/* */simulate/bodies.rs */policy/numbers.rs */policy/numbers/* */followup/decidable.rs */answer/fold.rs
    */answer/hidden.rs */verdict/agent.rs */verdict/agent/* */running.rs */local/control.rs
""".split()

# Each phrase that was given up, and what to write.
PHRASES = [
    (r"\bWhat is no ", "say what is invalid, and what follows"),
    (r"\binterest is told\b", "the engagement is recorded and published"),
    (r"\bwho knows whom\b", "unsure, or: the recipient is unknown"),
    (r"\bmust be dead\b", "its lease has expired"),
    (r"\bthe very same\b", "the same, with the same id"),
    (r"\bbe written to\b", "is suppressed, or: can receive email"),
    (r"\bcan't be asked\b", "the request failed"),
    (r"\bbec[ao]mes? of\b", "the result of"),
    (r"\bhears\b", "is called, or: receives"),
    (r"\bmakes? no sense\b", "is invalid"),
    (r"\b(is|are) at it\b", "holds the claim"),
    (r"\bis otherwise\b", "is incorrect"),
    (r" as [a-z]+ must\b", "is correct, or: is configured correctly"),
    (r"(?:^|[./] )Answers (?!are |that |to |of |which |from )", "Returns"),
    (r" news\b(?![.\-/_@])", "say what follows: an alert is sent, or: it is normal"),
    (r"\bwork(s|ed|ing)? off\b", "process, or: empty the queue"),
    (r"\bso many\b", "the number of"),
    (r"\bstand-ins?\b", "stub, or emulator"),
    (r"\bwritten rules\b", "built-in rules"),
]
PHRASES = [(re.compile(pattern), instead) for pattern, instead in PHRASES]

# Where a phrase may stand all the same: the file, the phrase's pattern or a part of it, and the reason.
EXCEPTIONS = []

BAD_BEGINNING = re.compile(r"(What|How|Whether)\b")
DEFINES = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:struct|enum|trait|type|union)\s+([A-Za-z_]\w*)", re.M)
ALIASES = re.compile(r"\buse\s[^;]*?\bas\s+([A-Z]\w*)")
TOKEN = re.compile(
    r'(?P<comment>//[^\n]*)|/\*.*?\*/|(?P<raw>b?r(?P<hashes>#*)".*?"(?P=hashes))|(?P<string>b?"(?:[^"\\]|\\.)*")|b?\'(?:\\[^\n]*?|[^\'\\\n])\'',
    re.S,
)


def tokens(text):
    for found in TOKEN.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["comment"]:
            yield "comment", line, found["comment"]
        elif found["raw"] or found["string"]:
            yield "string", line, found["raw"] or found["string"]


def blocks(text):
    """The comments of a Rust file, those of following lines as one: (line, mark, text)."""
    lines = text.split("\n")
    own = {line for kind, line, body in tokens(text) if kind == "comment" and lines[line - 1].strip() == body}
    mark, first, parts = None, 0, []
    for number in range(1, len(lines) + 2):
        found = re.match(r"\s*(//[/!]?)(.*)", lines[number - 1]) if number in own else None
        if found and found[1] == mark:
            parts.append(found[2])
            continue
        if parts:
            yield first, mark, parts
        mark, first, parts = (found[1], number, [found[2]]) if found else (None, 0, [])
    for kind, line, body in tokens(text):
        if kind == "comment" and line not in own:
            yield line, "//", [body[2:]]


def prose(path, text):
    """What people read in a file: (line, text), what is wrapped as one."""
    if path.suffix == ".rs":
        for line, _, parts in blocks(text):
            yield line, " ".join(part.strip() for part in parts)
        for kind, line, body in tokens(text):
            if kind == "string":
                yield line, re.sub(r"\s+", " ", re.sub(r"\\\n|\\n", " ", body.strip('br#"')))
    elif path.suffix in PROSE:
        paragraph, first = [], 1
        for number, line in enumerate(text.split("\n") + [""], 1):
            bare = line.strip().lstrip("#>-* ")
            if bare and not line.strip().startswith("|"):
                first = first if paragraph else number
                paragraph.append(bare)
                continue
            if paragraph:
                yield first, " ".join(paragraph)
            paragraph = []
            if bare:
                yield number, line.strip()


def errors_sections(text):
    """The "# Errors" sections of the docstrings of a Rust file: (line, text)."""
    for line, mark, parts in blocks(text):
        if mark == "//":
            continue
        body = [part.strip() for part in parts]
        for index, part in enumerate(body):
            if part == "# Errors":
                rest = body[index + 1 :]
                end = next((at for at, other in enumerate(rest) if other.startswith(("# ", "```"))), len(rest))
                yield line + index, " ".join(" ".join(rest[:end]).split())


def problems(files):
    """Every problem in these files, a list of (path relative to the root, text): (path, line, problem)."""
    sections = {}
    for name, text in files:
        path = pathlib.PurePosixPath(name)
        if path.suffix == ".rs":
            for pattern in OLD_FILES:
                if fnmatch.fnmatch("/" + name, pattern):
                    yield name, 1, f"the file's name was given up ({pattern})"
            code = TOKEN.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
            for found in [*DEFINES.finditer(code), *ALIASES.finditer(code)]:
                if found[1] in OLD_TYPES:
                    yield name, code.count("\n", 0, found.start(1)) + 1, f"the type name {found[1]} was given up"
            for line, mark, parts in blocks(text):
                if mark != "//" and BAD_BEGINNING.match(parts[0].strip()):
                    yield name, line, f"a docstring begins with a noun or a verb: {parts[0].strip()[:60]}"
            for line, section in errors_sections(text):
                sections.setdefault(section, []).append((name, line))
        for line, words in prose(path, text):
            for phrase, instead in PHRASES:
                found = phrase.search(words)
                if found and not is_excepted(name, phrase.pattern):
                    begin = max(0, found.start() - 30)
                    yield name, line, f"“…{words[begin : found.end() + 20]}…”: write {instead}"
    for section, places in sections.items():
        if len(places) > 1:
            for name, line in places:
                yield name, line, f"this # Errors section stands {len(places)} times: {section[:60]}"


def is_excepted(name, pattern):
    return any(fnmatch.fnmatch(name, where) and part in pattern for where, part, _ in EXCEPTIONS)


def test_itself():
    """Shows each rule refuse what it is for, and let pass what it must."""
    refused = [
        ("src/a.rs", "pub struct Trouble;\n", "Trouble"),
        ("src/a.rs", "use crate::x::{Change as Kind};\n", "Kind"),
        ("src/engage/told.rs", "\n", "file's name"),
        ("crates/x/src/store/calls/read.rs", "\n", "file's name"),
        ("src/a.rs", "/// What it is.\nfn a() {}\n", "begins with"),
        ("src/a.rs", "    //! Whether\n    //! it rains.\n", "begins with"),
        ("src/a.rs", "// A row may be written\n// to by two.\n", "be written to"),
        ("src/a.rs", 'const A: &str = "it must be \\\n    dead";\n', "must be dead"),
        ("src/a.rs", "/// Does it. Answers the number.\n", "Returns"),
        ("docs/a.md", "DynamoDB can't\nbe asked.\n", "can't be asked"),
        ("docs/a.md", "| a | this makes no sense |\n", "no sense"),
        ("src/a.rs", "/// A.\n///\n/// # Errors\n/// It broke.\nfn a() {}\n\n/// B.\n///\n/// # Errors\n/// It\n/// broke.\nfn b() {}\n", "2 times"),
    ]
    for name, text, expected in refused:
        found = [problem for _, _, problem in problems([(name, text)])]
        assert any(expected in problem for problem in found), (name, text, found)
    for pattern, sample in zip(PHRASES, SAMPLES, strict=True):
        assert pattern[0].search(sample), (pattern[0].pattern, sample)
    allowed = [
        ("src/a.rs", "pub struct Alert;\nlet change = Change::new();\n"),
        ("src/engage/timeline.rs", "/// Returns what is left. How it is made: below.\nfn what() {}\n"),
        ("src/a.rs", 'let a = "a newsletter from news.example";\n// What follows is a comment.\n'),
        ("src/a.rs", "/// A.\n///\n/// # Errors\n/// It broke.\nfn a() {}\n\n/// B.\n///\n/// # Errors\n/// It melted.\nfn b() {}\n"),
    ]
    for name, text in allowed:
        assert not list(problems([(name, text)])), (name, text, list(problems([(name, text)])))


# One sentence for each of PHRASES, in their order.
SAMPLES = [
    "What is no address is a no.", "the interest is told", "an open by who knows whom", "unless that must be dead", "the very same", "must not be written to",
    "SNS can't be asked", "what became of it", "`done` hears of each", "it makes no sense", "another is at it", "something is otherwise", "it is as it must be",
    "Reads it. Answers the text.", "so silence is no news", "has not worked off the queue", "so many webhooks", "the stand-ins", "the written rules decide",
]


def read(arguments):
    for argument in arguments or [name for name in EVERYTHING if (ROOT / name).exists()]:
        top = pathlib.Path(argument).resolve()
        if not top.exists():
            sys.exit(f"{argument} is not there")
        found = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in found:
            relative = path.relative_to(ROOT)
            if "target" in relative.parts or path.suffix not in {".rs", *PROSE} or not path.is_file():
                continue
            if path.suffix == "" and path.name != "Makefile":
                continue
            yield relative.as_posix(), path.read_text(encoding="utf-8")


def main():
    test_itself()
    found = sorted(problems(list(read(sys.argv[1:]))))
    for name, line, problem in found:
        print(f"{name}:{line}: {problem}")
    if found:
        sys.exit(f"{len(found)} places; scripts/words.py says why each is refused")


if __name__ == "__main__":
    main()
