#!/usr/bin/env python3
"""Checks scripts/deploy.py on moto: what it asks, what it says, and what becomes of tables that stayed. `sam` is only noted; `cargo lambda
deploy` is the real one. `make lint` runs it.

    pip install 'moto[server]' aws-sam-cli cargo-lambda
"""

import contextlib
import io
import json
import logging
import os
import pathlib
import shutil
import sys
import tempfile
import unittest
import urllib.request
import zipfile
from unittest import mock

os.environ.update(
    AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="eu-west-1", NO_PROXY="*", REBOUND_DEPLOY_PAUSE="0")
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "PARAMETERS", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)

import boto3
import moto.backends
import moto.cloudformation.models
from moto import mock_aws
from moto.server import ThreadedMotoServer

sys.dont_write_bytecode = True
logging.getLogger("werkzeug").setLevel(logging.ERROR)
import deploy

apply = moto.cloudformation.models.ChangeSet.apply


def apply_or_import(change_set):
    """moto would make what is to be imported, which is there."""
    if change_set.change_set_type != "IMPORT":
        apply(change_set)


moto.cloudformation.models.ChangeSet.apply = apply_or_import


class Case(unittest.TestCase):
    def setUp(self):
        for started in [mock_aws(), mock.patch.object(deploy, "run", self.run_noted)]:
            started.start()
            self.addCleanup(started.stop)
        self.ran, self.overrides = [], []
        self.dynamodb, self.cloudformation = boto3.client("dynamodb"), boto3.client("cloudformation")

    def run_noted(self, *command, check=True):
        self.ran.append(list(command))
        if "--parameter-overrides" in command:
            file = command[command.index("--parameter-overrides") + 1]
            self.overrides.append(json.loads(pathlib.Path(file.removeprefix("file://")).read_text()))
        return 0

    def says(self, *arguments, answers=None, parameters=None):
        """Runs the script. `answers` are what somebody types, who is not there where it is None."""
        typed = iter(answers or [])
        arguments = [*arguments, "--yes"] if answers is None else arguments
        variables = {"PARAMETERS": parameters} if parameters is not None else {}
        asked = io.StringIO()

        def answer(question=""):
            asked.write(question)
            return next(typed)

        with mock.patch.object(sys, "argv", ["deploy.py", *arguments]), mock.patch.dict(os.environ, variables), \
                mock.patch.object(deploy, "is_somebody_there", lambda: answers is not None), mock.patch("builtins.input", answer), \
                contextlib.redirect_stdout(asked):
            try:
                deploy.main()
            except SystemExit as stopped:
                asked.write(f"STOPPED {stopped}")
        self.assertIsNone(next(typed, None), "everything was asked")
        return asked.getvalue()

    def make_table(self, name, keys):
        self.dynamodb.create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys])

    def make_stack(self, name="rebound", parameters=(), outputs=()):
        body = {
            "Parameters": {key: {"Type": "String"} for key, _ in parameters},
            "Resources": {"AlertsTopic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {"AlertsTopicArn": {"Value": {"Ref": "AlertsTopic"}}, **{key: {"Value": value} for key, value in outputs}},
        }
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters]
        self.cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(body), Parameters=given)

    def commands(self):
        return [" ".join(command[:2]) for command in self.ran]


class Deploying(Case):
    def test_cargo_shows_what_it_builds_before_sam_builds_and_deploys(self):
        said = self.says("deploy")
        self.assertEqual(self.commands(), ["cargo lambda", "sam build", "sam deploy"])
        self.assertEqual(self.ran[0][2:], ["build", "--release", "--arm64", "--bin", "receive", "--bin", "protect", "--bin", "engage", "--bin", "consent", "--bin", "act"])
        self.assertIn("takes minutes", said)
        self.assertEqual(self.ran[2][2:4], ["--stack-name", "rebound"])
        self.assertIn("eu-west-1", self.ran[2])

    def test_whoever_can_be_asked_is_asked_who_gets_the_alerts(self):
        said = self.says("deploy", answers=["ann at example", "ann@example.com"])
        self.assertIn("ann at example is no e-mail address", said)
        self.assertEqual(self.overrides, [{"AlertEmail": "ann@example.com"}] * 2)

    def test_nobody_is_asked_twice(self):
        for parameters in ["AlertEmail=ann@example.com", "AlertEmail="]:
            self.assertNotIn("Who gets the alerts", self.says("deploy", answers=[], parameters=parameters))
        self.make_stack(parameters=[("AlertEmail", "ann@example.com")])
        self.assertNotIn("Who gets the alerts", self.says("deploy", answers=[]))
        self.assertNotIn("AlertEmail", self.overrides[-1], "it stays as it is")

    def test_a_topic_that_somebody_has_subscribed_to_needs_no_email(self):
        self.make_stack()
        self.assertIn("Who gets the alerts", self.says("deploy", answers=[""]))
        topic = self.cloudformation.describe_stacks(StackName="rebound")["Stacks"][0]["Outputs"][0]["OutputValue"]
        # moto counts none as confirmed.
        moto.backends.get_backend("sns")["123456789012"]["eu-west-1"].topics[topic].subscriptions_confimed = 1
        self.assertNotIn("Who gets the alerts", self.says("deploy", answers=[]))

    def test_where_nobody_can_be_asked_it_says_that_nobody_gets_the_alerts_and_goes_on(self):
        said = self.says("deploy")
        self.assertIn("Nobody gets the alerts", said)
        self.assertIn("make deploy PARAMETERS=AlertEmail=", said)
        self.assertEqual(self.commands()[-1], "sam deploy")
        self.assertIn("--no-confirm-changeset", self.ran[-1])

    def test_where_nobody_can_answer_sam_it_says_so_before_it_builds(self):
        with mock.patch.object(sys, "argv", ["deploy.py", "deploy"]), mock.patch.object(deploy, "is_somebody_there", lambda: False):
            with self.assertRaises(SystemExit) as stopped:
                deploy.main()
        self.assertIn("make deploy YES=1", str(stopped.exception))
        self.assertEqual(self.ran, [])

    def test_what_the_stack_runs_on_is_what_is_built(self):
        self.make_stack(parameters=[("Architecture", "x86_64")])
        self.says("deploy")
        self.assertNotIn("--arm64", self.ran[0])
        self.assertEqual(self.overrides[0]["Architecture"], "x86_64")
        self.says("deploy", parameters="Architecture=arm64")
        self.assertIn("--arm64", self.ran[3])

    def test_values_reach_sam_as_they_are(self):
        from samcli.cli.types import CfnParameterOverridesType

        values = {"DecisionGuide": 'We "sell" tea: a=b & more\n– ü', "Policy": '{"brake": {"least_volume": 0.1}}', "AlertEmail": ""}
        argument = deploy.parameters_for_sam(values)[1]
        self.assertEqual(CfnParameterOverridesType().convert([argument], None, None), values)

    def test_it_says_what_is_next(self):
        self.make_stack("staging", outputs=[("WebhookUrl", "https://x"), ("Version", "0.1.0")])
        said = self.says("deploy", "--stack", "staging", parameters="AlertEmail=ann@example.com")
        self.assertIn("Rebound 0.1.0 is there. Next: rebound connect --stack staging", said)
        self.assertIn("AWS has mailed to ann@example.com", said)

    def test_mistakes_are_told_before_anything_is_built(self):
        for arguments, parameters, text in [
            ([], "AlertMail=ann@example.com", "did you mean AlertEmail?"),
            ([], "nonsense", "not a valid format"),
            ([], "Followups=send", "needs Consent=on"),
            (["--stack", "a_b"], "", "can't be a stack's name"),
            (["--stack", "x" * 57], "", "56 at most"),
        ]:
            self.assertIn(text, self.says("deploy", *arguments, parameters=parameters))
        self.make_stack(parameters=[("Followups", "send"), ("Consent", "on")])
        self.assertIn("needs Consent=on", self.says("deploy", parameters="Consent=off"))
        with mock.patch.object(deploy.Aws, "stack", return_value={"StackStatus": "ROLLBACK_COMPLETE"}):
            self.assertIn("make delete STACK=rebound", self.says("deploy"))
        self.assertEqual(self.ran, [])


class TablesThatStayed(Case):
    def setUp(self):
        super().setUp()
        self.make_table("rebound-suppressions", [("recipient", "HASH")])
        self.make_table("rebound-events", [("email_id", "HASH"), ("event", "RANGE")])
        self.dynamodb.put_item(TableName="rebound-suppressions", Item={"recipient": {"S": "ann@example.com"}})

    def test_they_are_taken_in_with_what_is_in_them_and_then_all_is_deployed(self):
        requests = []
        create = moto.cloudformation.models.CloudFormationBackend.create_change_set

        def noted(backend, *arguments, **named):
            requests.append(named)
            return create(backend, *arguments, **named)

        with mock.patch.object(moto.cloudformation.models.CloudFormationBackend, "create_change_set", noted):
            said = self.says("deploy", answers=["", ""])
        self.assertIn("tables of one that was deleted: rebound-events, rebound-suppressions", said)
        [request] = requests
        self.assertEqual((request["change_set_type"], request["stack_name"]), ("IMPORT", "rebound"))
        tables = json.loads(request["template"])["Resources"]
        self.assertEqual(sorted(tables), ["EventsTable", "SuppressionsTable"], "only those that are there")
        for table in tables.values():
            # CloudFormation imports only what would stay (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources.html).
            self.assertEqual((table["DeletionPolicy"], table["UpdateReplacePolicy"]), ("Retain", "Retain"))
            self.assertNotIn("Fn::", json.dumps(table), "no parameter and no condition goes with it")
        self.assertEqual(tables["SuppressionsTable"]["Properties"]["TableName"], "rebound-suppressions")
        self.assertEqual(tables["SuppressionsTable"]["Properties"]["TimeToLiveSpecification"]["AttributeName"], "expires_at")
        self.assertEqual(self.dynamodb.scan(TableName="rebound-suppressions")["Count"], 1)
        self.assertEqual(self.cloudformation.describe_stacks(StackName="rebound")["Stacks"][0]["StackStatus"], "IMPORT_COMPLETE")
        self.assertEqual(self.commands(), ["cargo lambda", "sam build", "sam deploy"])
        self.assertNotIn("taken", self.says("deploy"), "the stack is there now")

    def test_cloudformation_is_told_which_table_is_which(self):
        client = mock.Mock()
        client.describe_change_set.return_value = {"Status": "FAILED", "StatusReason": "it belongs to the stack shop"}
        aws = mock.Mock(client=lambda service: client)
        tables = deploy.tables_that_stayed(deploy.Aws("deploy"), "rebound", deploy.template())
        with self.assertRaises(SystemExit) as stopped:
            deploy.take_in(aws, "rebound", tables)
        self.assertIn("it belongs to the stack shop", str(stopped.exception))
        client.execute_change_set.assert_not_called()
        asked = client.create_change_set.call_args.kwargs
        # What is sent is what Amazon's own model of the call allows.
        from botocore.validate import ParamValidator

        shape = self.cloudformation.meta.service_model.operation_model("CreateChangeSet").input_shape
        self.assertFalse(ParamValidator().validate(asked, shape).has_errors())
        self.assertIn(
            {"ResourceType": "AWS::DynamoDB::Table", "LogicalResourceId": "EventsTable", "ResourceIdentifier": {"TableName": "rebound-events"}},
            asked["ResourcesToImport"])

    def test_whoever_does_not_want_them_is_told_what_to_do_and_nothing_is_changed(self):
        said = self.says("deploy", answers=["n"])
        self.assertIn("nothing was changed", said)
        self.assertIn("make deploy STACK=NAME", said)
        self.assertEqual(self.ran, [])
        self.assertEqual(self.cloudformation.describe_stacks()["Stacks"], [])

    def test_a_table_of_somebody_else_stops_it(self):
        self.make_table("rebound-campaigns", [("id", "HASH")])
        said = self.says("deploy")
        self.assertIn("the table rebound-campaigns is there, and is not Rebound's", said)
        self.assertEqual(self.ran, [])

    def test_another_stack_has_its_own(self):
        self.assertNotIn("deleted", self.says("deploy", "--stack", "staging"))


class Packaging(Case):
    def test_it_needs_no_account(self):
        with mock.patch.dict(os.environ):
            for name in list(os.environ):
                if name.startswith("AWS_"):
                    del os.environ[name]
            self.says("package", parameters="Architecture=x86_64")
        self.assertEqual(self.commands(), ["cargo lambda", "sam build"])
        self.assertNotIn("--arm64", self.ran[0])
        self.assertEqual(self.overrides, [{"Architecture": "x86_64"}])


class Updating(unittest.TestCase):
    """With the real `cargo lambda deploy`, on moto's server. What Cargo would build is some program."""

    SAME = ["Role", "MemorySize", "Timeout", "Environment", "Architectures", "Runtime", "Handler", "Description", "TracingConfig"]

    def setUp(self):
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        self.addCleanup(server.stop)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        host, port = server.get_host_and_port()
        # All servers of moto in a process have one state.
        urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", b"").close()
        tools = str(deploy.ROOT / ".tools" / "venv" / "bin")
        variables = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "CARGO_TARGET_DIR": folder.name, "PATH": f"{tools}:{os.environ['PATH']}"}
        patched = mock.patch.dict(os.environ, variables)
        patched.start()
        self.addCleanup(patched.stop)
        self.client, self.built = boto3.client("lambda"), pathlib.Path(folder.name) / "lambda" / "receive" / "bootstrap"
        boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("bootstrap", "old")
        self.client.create_function(
            FunctionName="rebound-receive", Runtime="provided.al2023", Handler="bootstrap", Role="arn:aws:iam::123456789012:role/r",
            Code={"ZipFile": code.getvalue()}, MemorySize=256, Timeout=10, Architectures=["arm64"], Description="as it is",
            Environment={"Variables": {"EVENTS_TABLE": "rebound-events"}})
        self.url = self.client.create_function_url_config(FunctionName="rebound-receive", AuthType="NONE")["FunctionUrl"]

    def update(self, *arguments):
        run, self.ran = deploy.run, []

        def run_but_build(*command, check=True):
            self.ran.append(list(command))
            if command[:3] != ("cargo", "lambda", "build"):
                return run(*command, check=check)
            self.built.parent.mkdir(parents=True)
            shutil.copy(sys.executable, self.built)
            return 0

        with mock.patch.object(sys, "argv", ["deploy.py", "update", *arguments]), mock.patch.object(deploy, "run", run_but_build), \
                contextlib.redirect_stdout(io.StringIO()):
            deploy.main()

    def test_one_function_gets_the_new_code_and_nothing_else_of_it_changes(self):
        before = self.client.get_function_configuration(FunctionName="rebound-receive")
        self.update("receive")
        self.assertEqual(self.ran[0], ["cargo", "lambda", "build", "--release", "--arm64", "--bin", "receive"], "for the function's processor")
        after = self.client.get_function_configuration(FunctionName="rebound-receive")
        self.assertNotEqual(after["CodeSha256"], before["CodeSha256"])
        for name in self.SAME:
            self.assertEqual(after[name], before[name], name)
        self.assertEqual(self.client.get_function_url_config(FunctionName="rebound-receive")["FunctionUrl"], self.url)

    def test_a_function_that_is_not_there_is_not_made(self):
        for arguments, text in [
            (["receive", "--stack", "staging"], "there is no function staging-receive in eu-west-1"),
            (["recieve"], "FUNCTION=receive"),
            ([], "FUNCTION=receive|protect|engage|consent|act"),
        ]:
            with self.assertRaises(SystemExit) as stopped:
                self.update(*arguments)
            self.assertIn(text, str(stopped.exception))
            self.assertEqual(self.ran, [])
        self.assertEqual(len(self.client.list_functions()["Functions"]), 1)


if __name__ == "__main__":
    unittest.main()
