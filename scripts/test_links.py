#!/usr/bin/env python3
"""Tests of `scripts/links.py`: each refusal on a small project that has one fault, and none on the project without it."""

import pathlib
import tempfile
import unittest

import links

MAIN = """enum Command {
    Check(check::Arguments),
    /// What comes in.
    #[command(name = "tail")]
    Tail(tail::Arguments),
    Suppressions(suppressions::Arguments),
}
"""
INNER = """#[derive(clap::Subcommand)]
enum Command {
    List(ListArguments),
}
"""
FLAGS = """struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[arg(long = "type", value_name = "TYPE", value_parser = ["hour", "day"])]
    kind: String,
    #[arg(long, visible_alias = "crashes")]
    pub(crate) dry_run: bool,
}
"""
TEMPLATE = """Parameters:
  SilenceHours:
    Type: Number
Resources:
  NoWebhooks:
    Type: AWS::CloudWatch::CompositeAlarm
  AlertsTopic:
    Type: AWS::SNS::Topic
Outputs:
  WebhookUrl:
    Value: x
"""
README = """# Project

[The pages](docs/operations.md#what-to-do-about-an-alarm), [again](docs/reference.md#project-1), [here](#project),
[elsewhere](https://example.com/#nothing). `[no link](nowhere.md)`.

`rebound check --json`, `rebound tail --crashes --type x`, `rebound suppressions list`, `make demo`.
The stack `rebound` and a folder's `src/*.rs`, `src/<name>.rs`, `Makefile`, `.local/dev.env`, `list.csv`.

```sh
make demo EVENT=x STACK=y    # `make nothing` is a comment
rebound check ann@example.com --dry-run
```
"""
OPERATIONS = """# Operations

## What to do about a log line or status

- **`Claude answered 401`**: look.
- **`today's budget of … is spent`**: wait.

## What to do about an alarm

- **`NoWebhooks`**: look at `AlertsTopic`.
"""
REFERENCE = """# Project
## Project
### Parameters of the stack
`SilenceHours`
### Outputs of the stack
`WebhookUrl`
"""
FILES = {
    "README.md": README,
    "docs/operations.md": OPERATIONS,
    "docs/reference.md": REFERENCE,
    "Makefile": "EVENT ?= none\ndemo: ## a demo: STACK=x names it\n\t@run $(EVENT)\n",
    "template.yaml": TEMPLATE,
    "src/log.rs": 'format!("Claude answered {code}"); format!("today\'s budget of {} US dollars is spent")',
    "crates/rebound-cli/src/main.rs": MAIN,
    "crates/rebound-cli/src/commands/check.rs": FLAGS,
    "crates/rebound-cli/src/commands/suppressions/mod.rs": INNER,
}


class Links(unittest.TestCase):
    def faults(self, **changed):
        """The faults of the project in which these files, named without their dots and slashes, are changed by a function."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in FILES.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                change = changed.pop(name.split("/")[-1].split(".")[0].lower(), lambda text: text)
                path.write_text(change(text), encoding="utf-8")
            for name, text in changed.items():
                (root / "docs" / f"{name}.md").write_text(text, encoding="utf-8")
            return links.faults(root)

    def refused(self, fault, **changed):
        self.assertEqual(self.faults(**changed), [fault])

    def readme(self, more, fault):
        self.refused(f"README.md: {fault}", readme=lambda text: f"{text}\n{more}\n")

    def test_a_project_without_faults_passes(self):
        self.assertEqual(self.faults(), [])

    def test_this_project_has_commands_and_flags_that_are_found(self):
        known = links.Known(links.ROOT)
        self.assertLessEqual({"demo", "test", "lint", "dev", "deploy"}, known.targets)
        self.assertLessEqual({"check", "timeline", "suppressions", "demo"}, known.commands)
        self.assertLessEqual({"list", "import", "restore"}, known.inner["suppressions"])
        self.assertLessEqual({"json", "local", "dry-run", "from-resend", "type"}, known.flags)
        self.assertLessEqual({"EVENT", "JSON", "TIME"}, known.variables)

    def test_a_link_to_a_file_that_does_not_exist_is_refused(self):
        self.readme("[x](docs/nothing.md)", "links to docs/nothing.md, which does not exist")

    def test_a_link_whose_text_is_on_two_lines_is_refused_too(self):
        self.readme("[an\nx](nothing.md)", "links to nothing.md, which does not exist")

    def test_a_link_out_of_the_project_is_refused(self):
        self.readme("[x](../)", "links to ../, which is outside the project")

    def test_an_anchor_without_heading_is_refused(self):
        self.readme("[x](docs/reference.md#project-2)", "links to docs/reference.md#project-2, and that page has no such heading")
        self.readme("[x](#nothing)", "links to #nothing, and that page has no such heading")

    def test_an_anchor_in_a_file_that_is_not_a_page_is_refused(self):
        self.readme("[x](src/log.rs#L1)", "links to src/log.rs#L1, and only pages have anchors")

    def test_a_heading_within_code_is_no_heading(self):
        self.readme("```sh\n# Nothing\n```\n[x](#nothing)", "links to #nothing, and that page has no such heading")

    def test_a_file_that_does_not_exist_is_refused(self):
        self.readme("`src/nothing.rs`", "names `src/nothing.rs` in line 14, which does not exist")
        self.readme("`docs/nothing/`", "names `docs/nothing/` in line 14, which does not exist")
        self.readme("`src/nothing/<name>.rs`", "names `src/nothing/<name>.rs` in line 14, which does not exist")
        self.readme("`nothing.toml`", "names `nothing.toml` in line 14, which does not exist")

    def test_a_target_that_the_makefile_does_not_have_is_refused(self):
        self.readme("`make nothing`", "has `make nothing`, and the Makefile has no such target")
        self.readme("```sh\nmake nothing\n```", "has `make nothing`, and the Makefile has no such target")
        self.readme("`make --silent nothing`", "has `make nothing`, and the Makefile has no such target")

    def test_a_variable_that_the_makefile_does_not_read_is_refused(self):
        fault = "has `make demo NOTHING=`, and the Makefile does not read that variable"
        self.readme("`make demo NOTHING=1`", fault)
        self.readme("`make NOTHING=\"EVENT=1\" demo`", fault)

    def test_a_command_that_does_not_exist_is_refused(self):
        self.readme("`rebound nothing`", "has `rebound nothing`, and there is no such command")
        self.readme("```sh\nKEY=1 rebound nothing x\n```", "has `rebound nothing`, and there is no such command")
        self.readme("`rebound suppressions nothing`", "has `rebound suppressions nothing`, and there is no such command")

    def test_a_flag_that_no_command_has_is_refused(self):
        self.readme("`rebound check --nothing`", "has `rebound check --nothing`, and no command has that flag")
        self.readme("`rebound --nothing`", "has `rebound --nothing --nothing`, and no command has that flag")

    def test_a_log_line_that_no_source_has_is_refused(self):
        fault = "docs/operations.md: quotes the log line `today's budget of … is spent`, and no source has it"
        self.refused(fault, log=lambda text: text.replace("is spent", "is gone"))

    def test_an_alarm_that_no_page_explains_is_refused(self):
        fault = "docs/operations.md: says nothing of ReceiveFails under What to do about an alarm, and the template has it"
        more = "Resources:\n  ReceiveFails:\n    Type: AWS::CloudWatch::Alarm\n"
        self.refused(fault, template=lambda text: text.replace("Resources:\n", more))

    def test_a_parameter_or_output_that_no_page_names_is_refused(self):
        fault = "docs/reference.md: says nothing of LogDays under Parameters of the stack, and the template has it"
        self.refused(fault, template=lambda text: text.replace("Parameters:\n", "Parameters:\n  LogDays:\n    Type: Number\n"))
        fault = "docs/reference.md: says nothing of Version under Outputs of the stack, and the template has it"
        self.refused(fault, template=lambda text: f"{text}  Version:\n    Value: x\n")

    def test_a_name_that_the_template_does_not_have_is_refused(self):
        fault = "docs/reference.md: names `FunctionPrefix` under Parameters of the stack, and the template has no such name"
        self.refused(fault, reference=lambda text: text.replace("`SilenceHours`", "`SilenceHours`, `FunctionPrefix`"))

    def test_a_section_that_is_gone_is_refused(self):
        fault = "docs/reference.md: has no section Outputs of the stack"
        self.refused(fault, reference=lambda text: text.replace("### Outputs of the stack", "### Outputs"))

    def test_a_line_that_is_too_long_is_refused(self):
        self.readme("é" * 121, "line 14 has 121 characters; 120 are allowed")
        self.assertEqual(self.faults(readme=lambda text: text + "é" * 120), [])

    def test_a_readme_that_is_too_long_is_refused(self):
        self.readme("\n" * (links.README_LINES - 13), f"has {links.README_LINES + 1} lines; {links.README_LINES} are allowed")

    def test_a_page_that_no_page_links_to_is_refused(self):
        self.refused("docs/lonely.md: no page links to it", lonely="# Lonely\n")


if __name__ == "__main__":
    unittest.main()
