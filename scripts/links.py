#!/usr/bin/env python3
"""Checks all pages (`*.md`): links, anchors, files, commands, log lines, names of the template, line lengths, README's size.

Links to other sites are not fetched. `scripts/test_links.py` has a test for each refusal."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
README_LINES = 250
LINE_LENGTH = 120

# Folders that commands make, or that hold what others wrote.
MADE = (".aws-sam", ".git", ".local", ".tools", "node_modules", "target")
# Endings of the project's own files. Lists of addresses (`.csv`) are examples.
OWN_FILE = re.compile(r"[\w.-]+\.(?:go|lock|md|mjs|py|rs|toml|ts|yaml)")

CODE_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
HEADING = re.compile(r"#{1,6} +(.+?) *#*$")
MAKE = re.compile(r"\bmake((?: +(?:--\w[\w-]*|[A-Z_]+=(?:\"[^\"]*\"|\S+)))*) +([a-z][a-z-]*)((?: +[A-Z_]+=(?:\"[^\"]*\"|\S+))*)")
VARIABLE = re.compile(r"([A-Z_]+)=")
REBOUND = re.compile(r"(?<![\w/:.-])rebound((?: +[^\s`|#;&]+)*)")
QUOTED = re.compile(r"^- \*\*`([^`]+)`\*\*", re.MULTILINE)


class Page:
    """A page: its headings, its prose without blocks of code, and the blocks."""

    def __init__(self, path):
        self.path = path
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.anchors, self.prose, self.blocks = set(), [], []
        language = None
        for line in self.lines:
            if line.startswith("```"):
                language = None if language is not None else line[3:].strip()
                self.prose.append("")
                continue
            if language is not None:
                self.blocks.append((language, line))
                self.prose.append("")
                continue
            self.prose.append(line)
            if heading := HEADING.match(line):
                self.add_anchor(heading.group(1))

    def add_anchor(self, heading):
        """Adds the anchor that GitHub makes of a heading: a second one of the same text gets a number."""
        text = LINK.sub(r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        name, number = anchor, 0
        while name in self.anchors:
            number += 1
            name = f"{anchor}-{number}"
        self.anchors.add(name)

    def spans(self):
        """The code in the prose, each with its line's number."""
        for number, line in enumerate(self.prose, 1):
            for span in CODE_SPAN.findall(line):
                yield number, span

    def code(self):
        """The code in the prose, and the lines of shell blocks."""
        yield from (span for _, span in self.spans())
        yield from (re.sub(r"(^|\s)#.*", "", line) for language, line in self.blocks if language == "sh")


def kebab(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", "-", name).lower()


class Known:
    """The commands that there are, read from the Makefile and from the sources of `rebound`."""

    def __init__(self, root):
        makefile = (root / "Makefile").read_text(encoding="utf-8")
        self.targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
        self.variables = set(re.findall(r"\$[({]\$?([A-Z_]+)\b", makefile))
        self.variables |= set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
        # A script may read one that make hands on: then the help of its target names it.
        self.variables |= {name for line in re.findall(r"## (.*)", makefile) for name in re.findall(r"\b([A-Z_]+)=", line)}
        sources = [
            path.read_text(encoding="utf-8")
            for folder in ("crates/rebound-cli/src", "crates/rebound-dev/src/commands")
            for path in sorted((root / folder).rglob("*.rs"))
        ]
        self.commands = self.variants((root / "crates/rebound-cli/src/main.rs").read_text(encoding="utf-8"))
        inner = root / "crates/rebound-cli/src/commands/suppressions/mod.rs"
        self.inner = {"suppressions": self.variants(inner.read_text(encoding="utf-8"))}
        self.flags = {"help", "version"}
        for source in sources:
            for attribute, field in re.findall(r"#\[arg\(([^\]]*\blong\b(?:[^\]]|\](?!\s))*)\]\s*(?:pub(?:\([^)]*\))? )?(?:r#)?(\w+):", source):
                renamed = re.search(r'\blong = "([^"]+)"', attribute)
                self.flags.add(renamed.group(1) if renamed else kebab(field))
                self.flags |= set(re.findall(r'alias = "([^"]+)"', attribute))

    @staticmethod
    def variants(source):
        """The commands of the enum `Command`. A variant may have attributes and documentation."""
        body = re.search(r"enum Command \{(.*?)^\}", source, re.MULTILINE | re.DOTALL).group(1)
        body = re.sub(r"^\s*(//.*|#\[.*\])$", "", body, flags=re.MULTILINE)
        return {kebab(name) for name in re.findall(r"^\s*(\w+)\s*(?:\(|\{|,)", body, re.MULTILINE)}


def pages_of(root):
    paths = sorted(path for path in root.rglob("*.md") if not set(path.relative_to(root).parts) & set(MADE))
    return {path: Page(path) for path in paths}


def wrong_links(page, pages, root):
    """Refuses links to files, pages and headings that do not exist. Code is no link."""
    text = "\n".join(CODE_SPAN.sub(lambda span: re.sub(r"[^\n]", "x", span.group(0)), line) for line in page.prose)
    for _, target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.path.parent / file).resolve() if file else page.path
        if not path.exists():
            yield f"links to {target}, which does not exist"
        elif root not in path.parents and path != root:
            yield f"links to {target}, which is outside the project"
        elif anchor and path not in pages:
            yield f"links to {target}, and only pages have anchors"
        elif anchor and anchor not in pages[path].anchors:
            yield f"links to {target}, and that page has no such heading"


def links_to(page, pages):
    """The pages that a page links to."""
    for _, target in LINK.findall("\n".join(page.prose)):
        path = (page.path.parent / target.partition("#")[0]).resolve()
        if path in pages:
            yield path


def wrong_files(page, root):
    """Refuses names of files and folders that do not exist: with a folder of the project in front, or of its own kinds."""
    for number, span in page.spans():
        first, slash, _ = span.partition("/")
        if re.search(r"[\s…=:(),{}]", span) or first in MADE:
            continue
        # `events/<type>.json` names a folder, and any file in it.
        exact = span.split("<")[0].rpartition("/")[0] if "<" in span else span.rstrip("/")
        if slash and (root / first).is_dir():
            found = any(root.glob(exact))
        elif OWN_FILE.fullmatch(span):
            found = (root / span).exists() or (page.path.parent / span).exists()
        else:
            continue
        if not found:
            yield f"names `{span}` in line {number}, which does not exist"


def wrong_commands(page, known):
    """Refuses `make` and `rebound` with targets, variables, commands and flags that do not exist."""
    for code in page.code():
        for before, target, after in MAKE.findall(code):
            if target not in known.targets:
                yield f"has `make {target}`, and the Makefile has no such target"
            for variable in VARIABLE.findall(re.sub(r'"[^"]*"', "", before + after)):
                if variable not in known.variables:
                    yield f"has `make {target} {variable}=`, and the Makefile does not read that variable"
        for arguments in REBOUND.findall(re.sub(r'"[^"]*"', "TEXT", code)):
            words = arguments.split()
            if not words or not re.match(r"[a-z-]", words[0]):
                continue
            name = words[0]
            if not name.startswith("-") and name not in known.commands:
                yield f"has `rebound {name}`, and there is no such command"
                continue
            inner = known.inner.get(name)
            if inner and len(words) > 1 and not words[1].startswith("-") and words[1] not in inner:
                yield f"has `rebound {name} {words[1]}`, and there is no such command"
            for word in words:
                flag = re.match(r"--([a-z][a-z-]*)", word)
                if flag and flag.group(1) not in known.flags:
                    yield f"has `rebound {name} --{flag.group(1)}`, and no command has that flag"


def wrong_quotes(page, root):
    """Refuses log lines, at the beginning of an item of the list, that no source has. `…` stands for anything."""
    text = "\n".join(page.prose)
    section = re.search(r"^## What to do about a log line.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not section:
        return
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "src").rglob("*.rs")))
    for quoted in QUOTED.findall(section.group(0)):
        # What a log line ends with may be a number, such as a status.
        parts = [re.escape(part.strip()) for part in re.sub(r" \d+$", " …", quoted).split("…") if part.strip()]
        if not re.search(".{0,40}?".join(parts), sources):
            yield f"quotes the log line `{quoted}`, and no source has it"


# Which section of which page has all names of which part of the template, and their type, if it has several.
SECTIONS = [
    ("docs/operations.md", "What to do about an alarm", "Resources", r"\n    Type: AWS::CloudWatch::(?:Composite)?Alarm$"),
    ("docs/reference.md", "Parameters of the stack", "Parameters", "$"),
    ("docs/reference.md", "Outputs of the stack", "Outputs", "$"),
]


def wrong_template_names(page, root):
    """Refuses a section without a name that the template has, or with one that it has not."""
    template = (root / "template.yaml").read_text(encoding="utf-8")
    text = "\n".join(page.prose)
    for name, heading, part, kind in SECTIONS:
        if page.path != root / name:
            continue
        section = re.search(rf"^##+ {heading}$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        if not section:
            yield f"has no section {heading}"
            continue
        named = set(re.findall(r"`((?:[A-Z][a-z]+){2,}|Architecture|Consent|Policy|Followups|Dashboard|Version)`", section.group(1)))
        block = re.search(rf"^{part}:$(.*?)(?=^\w|\Z)", template, re.MULTILINE | re.DOTALL).group(1)
        for missing in sorted(set(re.findall(rf"^  (\w+):{kind}", block, re.MULTILINE)) - named):
            yield f"says nothing of {missing} under {heading}, and the template has it"
        for strange in sorted(named - set(re.findall(r"^  (\w+):$", template, re.MULTILINE))):
            yield f"names `{strange}` under {heading}, and the template has no such name"


def wrong_size(page, root):
    for number, line in enumerate(page.lines, 1):
        if len(line) > LINE_LENGTH:
            yield f"line {number} has {len(line)} characters; {LINE_LENGTH} are allowed"
    if page.path == root / "README.md" and len(page.lines) > README_LINES:
        yield f"has {len(page.lines)} lines; {README_LINES} are allowed"


def unreachable(pages, root):
    """The pages that no path of links leads to from README. A package's own page needs none."""
    seen, left = set(), [root / "README.md"]
    while left:
        path = left.pop()
        if path in seen or path not in pages:
            continue
        seen.add(path)
        left += links_to(pages[path], pages)
    return [path for path in pages if path not in seen]


def faults(root):
    """All faults, as `page: fault`."""
    root = root.resolve()
    pages, known = pages_of(root), Known(root)
    found = []
    for path, page in pages.items():
        name = path.relative_to(root).as_posix()
        checks = [wrong_links(page, pages, root), wrong_commands(page, known)]
        checks += [check(page, root) for check in (wrong_files, wrong_quotes, wrong_template_names, wrong_size)]
        for check in checks:
            found += [f"{name}: {fault}" for fault in dict.fromkeys(check)]
    found += [f"{path.relative_to(root).as_posix()}: no page links to it" for path in unreachable(pages, root)]
    return found


def main():
    found = faults(pathlib.Path(sys.argv[1]) if sys.argv[1:] else ROOT)
    for fault in found:
        print(fault)
    if found:
        sys.exit(f"{len(found)} faults in the pages; scripts/links.py says what is checked")


if __name__ == "__main__":
    main()
