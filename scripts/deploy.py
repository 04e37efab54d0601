#!/usr/bin/env python3
"""Builds and deploys the stack, or one function of it; asks what sam does not, and shows what sam hides.

    scripts/deploy.py package|deploy|update [FUNCTION] [--stack NAME] [--yes]

`make package`, `make deploy` and `make update` call it, with sam and cargo-lambda in the path. What `samconfig.toml` says counts here too;
the environment variable PARAMETERS ("AlertEmail=you@example.com Architecture=x86_64") goes before it.

- Cargo is run before `sam build`, which keeps to itself what Cargo says: minutes of silence. It finds all of it built.
- Where nobody gets the alerts, `deploy` asks who should; where nobody can be asked, it says so, and goes on.
- Tables stay when a stack is deleted. A new stack of the same name takes them in (CloudFormation imports them), with all that is in them.
- `update` puts new code into one function and changes nothing else of it, as `cargo lambda deploy` does with a function that exists.
"""

import argparse
import difflib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTIONS = ["receive", "protect", "engage", "consent", "act"]
TABLE = "AWS::DynamoDB::Table"
# Lambda allows a function's name 64 characters, and the longest end is "-receive".
LONGEST_STACK = 64 - len("-receive")
# Seconds between two questions to CloudFormation.
PAUSE = float(os.environ.get("REBOUND_DEPLOY_PAUSE", "3"))


def stop(why):
    sys.exit(f"deploy: {why}")


def is_somebody_there():
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def settings(command):
    """What samconfig.toml says for a command of sam."""
    import tomlkit

    file = ROOT / "samconfig.toml"
    try:
        default = tomlkit.parse(file.read_text()).unwrap().get("default", {}) if file.exists() else {}
    except tomlkit.exceptions.ParseError as error:
        stop(f"{file}: {error}")
    of = lambda name: default.get(name, {}).get("parameters", {})
    return {**of("global"), **of(command)}


def template():
    from samcli.yamlhelper import yaml_parse

    return yaml_parse((ROOT / "template.yaml").read_text())


def overrides(command, known):
    """The parameters that somebody has set: by samconfig.toml, then by PARAMETERS."""
    import click
    from samcli.cli.types import CfnParameterOverridesType

    found = {}
    for where, text in [("samconfig.toml", settings(command).get("parameter_overrides")), ("PARAMETERS", os.environ.get("PARAMETERS"))]:
        try:
            of_here = CfnParameterOverridesType().convert(text or "", None, None)
        except click.ClickException as error:
            stop(f"{where}: {error.format_message()}")
        for name in of_here:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1, 0.5)
                there_are = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                stop(f"{where}: the stack has no parameter {name}; {there_are}")
        found.update(of_here)
    return found


class Aws:
    """The account and region that sam would take."""

    def __init__(self, command):
        import boto3
        from botocore.exceptions import BotoCoreError

        self.profile, self.region = (settings(command).get(name) for name in ("profile", "region"))
        try:
            self.session = boto3.Session(profile_name=self.profile, region_name=self.region)
        except BotoCoreError as error:
            stop(f"{error}; `aws configure list-profiles` says which there are")
        self.region = self.session.region_name or stop("no region: set AWS_REGION, or `region` in samconfig.toml")
        if self.session.get_credentials() is None:
            stop("no credentials for AWS: log in (`aws sso login`), or name a profile: AWS_PROFILE=NAME")

    def client(self, service):
        return self.session.client(service)

    def arguments(self):
        return ["--region", self.region] + (["--profile", self.profile] if self.profile else [])

    def stack(self, name):
        """The stack. None if there is none, or nothing but a change set that nobody has executed."""
        from botocore.exceptions import ClientError

        try:
            stack = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if stack["StackStatus"] == "REVIEW_IN_PROGRESS" else stack


def outputs(stack):
    return {output["OutputKey"]: output["OutputValue"] for output in (stack or {}).get("Outputs", [])}


def run(*command, check=True):
    """Runs a program, whose output is to be seen."""
    print("$", " ".join(map(str, command)), flush=True)
    status = subprocess.run(list(map(str, command)), cwd=ROOT).returncode
    if check and status:
        stop(f"`{command[0]} {command[1]}` failed; what it said is above")
    return status


def parameters_for_sam(parameters):
    """Arguments of sam. In a file, a value needs no quotes, whatever is in it."""
    if not parameters:
        return []
    file = ROOT / ".aws-sam" / "parameters.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(parameters, indent=2, ensure_ascii=False))
    return ["--parameter-overrides", f"file://{file}"]


def build(parameters, architecture):
    # As sam calls it, which then finds everything built.
    flags = ["--arm64"] if architecture == "arm64" else []
    print(f"Building {', '.join(FUNCTIONS)} for {architecture}. The first time takes minutes.", flush=True)
    run("cargo", "lambda", "build", "--release", *flags, *(word for name in FUNCTIONS for word in ("--bin", name)))
    run("sam", "build", *parameters_for_sam(parameters))


def ask_for_alert_email(aws, stack, parameters, is_asked):
    """Sees to it that somebody gets the alerts, or that it is known that nobody does. True if somebody is new."""
    from botocore.exceptions import ClientError

    if "AlertEmail" in parameters:
        return bool(parameters["AlertEmail"]) and current(stack, "AlertEmail") != parameters["AlertEmail"]
    if current(stack, "AlertEmail"):
        return False
    topic = outputs(stack).get("AlertsTopicArn")
    try:
        attributes = aws.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"] if topic else {}
    except ClientError:
        attributes = {}
    if int(attributes.get("SubscriptionsConfirmed", 0)):
        return False
    if not is_asked:
        print("Nobody gets the alerts: complaints, brakes, alarms. Whom to tell: make deploy PARAMETERS=AlertEmail=you@example.com")
        return False
    while True:
        address = input("Who gets the alerts, by e-mail (complaints, brakes, alarms)? Empty for nobody yet: ").strip()
        if not address:
            print("Then nobody gets them. `rebound doctor` says so until somebody does.")
            return False
        if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
            parameters["AlertEmail"] = address
            return True
        print(f"{address} is no e-mail address.")


def current(stack, parameter):
    return next((p["ParameterValue"] for p in (stack or {}).get("Parameters", []) if p["ParameterKey"] == parameter), "")


def tables_that_stayed(aws, stack_name, template):
    """The tables that the stack would make, and that are there already: logical id and resource, with the name written out."""
    from botocore.exceptions import ClientError

    found = {}
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] != TABLE:
            continue
        properties = resource["Properties"]
        name = properties["TableName"]["Fn::Sub"].replace("${AWS::StackName}", stack_name)
        try:
            table = aws.client("dynamodb").describe_table(TableName=name)["Table"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                continue
            raise
        if table["KeySchema"] != properties["KeySchema"]:
            stop(f"the table {name} is there, and is not Rebound's: its keys are others. Name the stack otherwise: make deploy STACK=NAME")
        # What depends on a parameter is left to the deployment that follows.
        plain = {key: value for key, value in properties.items() if "Fn::" not in json.dumps(value)}
        kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
        found[logical_id] = {"Type": TABLE, **kept, "Properties": {**plain, "TableName": name}}
    return found


def agree_to_take_in(tables, stack_name, is_asked):
    names = ", ".join(table["Properties"]["TableName"] for table in tables.values())
    print(f"There is no stack {stack_name}, but tables of one that was deleted: {names}.")
    print("They hold the suppression list. The new stack takes them in, with all that is in them.")
    if is_asked and input("Take them in? [Y/n] ").strip().lower() not in ("", "y", "yes"):
        stop(f"nothing was changed. To begin with empty tables, delete these first (what is in them is gone then): {names};"
             " or name the stack otherwise: make deploy STACK=NAME")


def take_in(aws, stack_name, tables):
    """Makes the stack, with these tables and nothing else. Nothing in them is touched."""
    client, change_set = aws.client("cloudformation"), f"rebound-tables-{int(time.time())}"
    identified = [
        {"ResourceType": TABLE, "LogicalResourceId": logical_id, "ResourceIdentifier": {"TableName": table["Properties"]["TableName"]}}
        for logical_id, table in tables.items()
    ]
    body = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Description": "Rebound", "Resources": tables})
    client.create_change_set(
        StackName=stack_name, ChangeSetName=change_set, ChangeSetType="IMPORT", TemplateBody=body, ResourcesToImport=identified)
    print("Taking the tables in …", flush=True)
    while (made := client.describe_change_set(StackName=stack_name, ChangeSetName=change_set))["Status"] not in ("CREATE_COMPLETE", "FAILED"):
        time.sleep(PAUSE)
    if made["Status"] == "FAILED":
        client.delete_change_set(StackName=stack_name, ChangeSetName=change_set)
        stop(f"CloudFormation can't take them in: {made.get('StatusReason')}. Nothing was changed")
    client.execute_change_set(StackName=stack_name, ChangeSetName=change_set)
    while (status := client.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"]).endswith("IN_PROGRESS"):
        time.sleep(PAUSE)
    if status != "IMPORT_COMPLETE":
        stop(f"the tables were not taken in ({status}), and are as they were: look at the events of the stack {stack_name} in CloudFormation")


def architecture_of(stack, parameters, template):
    default = template["Parameters"]["Architecture"]["Default"]
    return parameters.get("Architecture") or current(stack, "Architecture") or default


def name_of_stack(arguments, command):
    name = arguments.stack or settings(command).get("stack_name") or "rebound"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name) or len(name) > LONGEST_STACK:
        stop(f"{name} can't be a stack's name: letters, digits and hyphens, a letter first, {LONGEST_STACK} at most (the functions' names begin with it)")
    return name


def check_rule(stack, parameters, template):
    """Says what CloudFormation would say after the build: without unsubscribe links nothing is sent."""
    after = lambda name: parameters.get(name) or current(stack, name) or template["Parameters"][name]["Default"]
    if after("Followups") == "send" and after("Consent") != "on":
        stop(template["Rules"]["SendingNeedsUnsubscribeLinks"]["Assertions"][0]["AssertDescription"])


def package(arguments):
    whole = template()
    parameters = overrides("build", list(whole["Parameters"]))
    build(parameters, architecture_of(None, parameters, whole))


def deploy(arguments):
    whole, name, aws = template(), name_of_stack(arguments, "deploy"), Aws("deploy")
    parameters = {**overrides("build", list(whole["Parameters"])), **overrides("deploy", list(whole["Parameters"]))}
    is_asked = is_somebody_there() and not arguments.yes
    if not is_asked and not arguments.yes and settings("deploy").get("confirm_changeset"):
        stop("sam shows what it will change, and asks; nobody is here to answer. To deploy without being asked: make deploy YES=1")
    stack = aws.stack(name)
    if stack and stack["StackStatus"] == "ROLLBACK_COMPLETE":
        stop(f"the stack {name} could not be created the last time; its events in CloudFormation say why. Remove it, and deploy again: make delete STACK={name}")
    check_rule(stack, parameters, whole)
    tables = {} if stack else tables_that_stayed(aws, name, whole)
    if tables:
        agree_to_take_in(tables, name, is_asked)
    is_new = ask_for_alert_email(aws, stack, parameters, is_asked)
    architecture = architecture_of(stack, parameters, whole)
    if stack:
        # What is built must be what the stack runs.
        parameters.setdefault("Architecture", architecture)
    build(parameters, architecture)
    if tables:
        take_in(aws, name, tables)
    unasked = ["--no-confirm-changeset"] if arguments.yes else []
    status = run("sam", "deploy", "--stack-name", name, *unasked, *aws.arguments(), *parameters_for_sam(parameters), check=False)
    if status:
        sys.exit(status)
    after = outputs(aws.stack(name))
    if "WebhookUrl" not in after:
        return
    of = "" if name == "rebound" else f" --stack {name}"
    print(f"\nRebound {after.get('Version', '')} is there. Next: rebound connect{of}, and then rebound doctor{of}.")
    if is_new:
        print(f"AWS has mailed to {parameters['AlertEmail']}: nothing else comes until the link in that mail is followed.")


def update(arguments):
    from botocore.exceptions import ClientError

    if arguments.function not in FUNCTIONS:
        near = difflib.get_close_matches(arguments.function or "", FUNCTIONS, 1, 0.5)
        stop(f"which function? FUNCTION={near[0] if near else '|'.join(FUNCTIONS)}")
    name, aws = f"{name_of_stack(arguments, 'deploy')}-{arguments.function}", Aws("deploy")
    # `cargo lambda deploy` would make a function that is not there, with a role of its own; and it does not look for which processor
    # the function is.
    try:
        function = aws.client("lambda").get_function_configuration(FunctionName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            stop(f"there is no function {name} in {aws.region}: `make deploy` makes it; or name the stack: make update FUNCTION={arguments.function} STACK=NAME")
        raise
    architecture = function.get("Architectures", ["x86_64"])[0]
    flag = "--arm64" if architecture == "arm64" else "--x86-64"
    print(f"Building {arguments.function} for {architecture}.", flush=True)
    run("cargo", "lambda", "build", "--release", flag, "--bin", arguments.function)
    run("cargo", "lambda", "deploy", name, "--binary-name", arguments.function, *aws.arguments())
    print(f"{name} has the new code. The next `make deploy` deploys what is here then.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["package", "deploy", "update"])
    parser.add_argument("function", nargs="?")
    parser.add_argument("--stack")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    arguments = parser.parse_args()
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        {"package": package, "deploy": deploy, "update": update}[arguments.command](arguments)
    except (BotoCoreError, ClientError) as error:
        stop(f"AWS: {error}")
    except (KeyboardInterrupt, EOFError):
        stop("stopped")


if __name__ == "__main__":
    main()
