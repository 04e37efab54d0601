#!/usr/bin/env python3
"""Drives the local SNS, SQS, Secrets Manager and DynamoDB with boto3, whose models of AWS are Amazon's own: what it reads of each answer
must be what AWS would answer, and each refusal must be the exception that AWS has for it.

    scripts/drive_aws.py

The endpoints, the region and the credentials are the environment's; so are the names of the tables, the queue, the topic and the secret.

    pip install boto3
"""

import json
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# One try for each call: a refusal is to be seen.
CONFIG = Config(retries={"total_max_attempts": 1, "mode": "standard"})


def client(service, endpoint=None):
    return boto3.client(service, config=CONFIG, region_name=os.environ["AWS_REGION"], endpoint_url=endpoint)


def refused(call, code, **arguments):
    """Calls what must be refused with this code. Returns the exception."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["Error"]["Message"], error
        return error
    raise AssertionError(f"not refused with {code}, but answered {answer}")


def fits(answer, *fields):
    """The answer, if it has exactly these fields that the model of AWS knows."""
    found = set(answer) - {"ResponseMetadata"}
    assert found == set(fields), f"{sorted(found)} and not {sorted(fields)}"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    return answer


def sns():
    topics, arn = client("sns"), os.environ["ALERTS_TOPIC_ARN"]
    attributes = {"kind": {"DataType": "String", "StringValue": "paused"}}
    message = json.dumps({"default": "{}", "email": "Ä & <b>"})
    whole = {"TopicArn": arn, "Message": message, "MessageStructure": "json", "Subject": "5 % & more", "MessageAttributes": attributes}
    assert fits(topics.publish(**whole), "MessageId")["MessageId"]
    entries = [{"Id": "a", "Message": "one"}, {"Id": "b", "Message": "x" * (256 * 1024 + 1)}, {"Id": "c", "Message": ""}]
    refused(topics.publish_batch, "BatchRequestTooLong", TopicArn=arn, PublishBatchRequestEntries=entries)
    batch = fits(topics.publish_batch(TopicArn=arn, PublishBatchRequestEntries=[entries[0], entries[2]]), "Successful", "Failed")
    assert [entry["Id"] for entry in batch["Successful"]] == ["a"]
    assert [(entry["Id"], entry["Code"], entry["SenderFault"]) for entry in batch["Failed"]] == [("c", "InvalidParameter", True)]
    refused(topics.publish, "InvalidParameter", TopicArn=arn, Message="")
    refused(topics.publish, "InvalidParameter", TopicArn=arn, Message="m", Subject="s" * 200)
    for protocol, endpoint, answered in [("email", "ann@example.com", "pending confirmation"), ("sqs", "arn:aws:sqs:eu-west-1:000000000000:q", arn)]:
        assert fits(topics.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint), "SubscriptionArn")["SubscriptionArn"].startswith(answered)
    attributes = fits(topics.get_topic_attributes(TopicArn=arn), "Attributes")["Attributes"]
    assert (attributes["SubscriptionsConfirmed"], attributes["SubscriptionsPending"]) == ("1", "1"), attributes
    refused(topics.subscribe, "InvalidParameter", TopicArn=arn, Protocol="pigeon", Endpoint="roof")
    refused(topics.get_topic_attributes, "NotFound", TopicArn="arn:other")


def sqs():
    queues, name = client("sqs"), "driven-by-boto3"
    url = fits(queues.get_queue_url(QueueName=name), "QueueUrl")["QueueUrl"]
    sent = fits(queues.send_message(QueueUrl=url, MessageBody="Ä", DelaySeconds=0), "MessageId", "MD5OfMessageBody")
    # boto3 compares the body's hash with what it has sent, and with what it receives, and raises where they differ.
    entries = [{"Id": str(n), "MessageBody": f"m{n}", "DelaySeconds": 0} for n in range(3)]
    batch = queues.send_message_batch(QueueUrl=url, Entries=entries)
    assert {entry["Id"] for entry in batch["Successful"]} == {"0", "1", "2"} and not batch.get("Failed")
    too_many = entries * 4
    refused(queues.send_message_batch, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", QueueUrl=url, Entries=too_many)
    messages = []
    while len(messages) < 4:
        received = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2, MessageSystemAttributeNames=["All"])
        messages += received["Messages"]
    first = next(message for message in messages if message["MessageId"] == sent["MessageId"])
    assert (first["Body"], first["Attributes"]["ApproximateReceiveCount"]) == ("Ä", "1")
    handle = first["ReceiptHandle"]
    fits(queues.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=60))
    fits(queues.delete_message(QueueUrl=url, ReceiptHandle=handle))
    rest = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages) if message is not first]
    assert len(queues.delete_message_batch(QueueUrl=url, Entries=rest)["Successful"]) == 3
    fits(queues.receive_message(QueueUrl=url))
    attributes = fits(queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]), "Attributes")["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "0" and attributes["QueueArn"].endswith(f":{name}")
    refused(queues.delete_message, "ReceiptHandleIsInvalid", QueueUrl=url, ReceiptHandle="no handle")
    refused(queues.send_message, "InvalidMessageContents", QueueUrl=url, MessageBody="\u0000")
    refused(queues.receive_message, "InvalidParameterValue", QueueUrl=url, MaxNumberOfMessages=11)


def secrets_manager():
    secrets, name = client("secretsmanager"), os.environ["WEBHOOK_SECRET_ARN"]
    text = json.dumps({"RESEND_WEBHOOK_SECRET": "whsec_ä"})
    put = fits(secrets.put_secret_value(SecretId=name, SecretString=text), "ARN", "Name", "VersionId", "VersionStages")
    got = fits(secrets.get_secret_value(SecretId=name), "ARN", "Name", "VersionId", "SecretString", "VersionStages", "CreatedDate")
    assert (got["SecretString"], got["VersionId"], got["VersionStages"]) == (text, put["VersionId"], ["AWSCURRENT"])
    error = refused(secrets.get_secret_value, "ResourceNotFoundException", SecretId="unknown")
    assert isinstance(error, secrets.exceptions.ResourceNotFoundException)
    refused(secrets.put_secret_value, "ResourceNotFoundException", SecretId="unknown", SecretString="{}")


def dynamodb():
    tables = client("dynamodb")
    events, suppressions = os.environ["EVENTS_TABLE"], os.environ["SUPPRESSIONS_TABLE"]
    row = {"email_id": {"S": "e1"}, "event": {"S": "email.sent#msg_1"}, "payload": {"B": b"\x00\xff"}, "n": {"N": "0.1"}}
    once = {"TableName": events, "Item": row, "ConditionExpression": "attribute_not_exists(email_id)"}
    fits(tables.put_item(**once))
    error = refused(tables.put_item, "ConditionalCheckFailedException", ReturnValuesOnConditionCheckFailure="ALL_OLD", **once)
    assert error.response["Item"] == row
    key = {name: row[name] for name in ("email_id", "event")}
    assert fits(tables.get_item(TableName=events, Key=key, ConsistentRead=True), "Item")["Item"] == row
    fits(tables.get_item(TableName=events, Key={**key, "event": {"S": "other"}}))
    item = {"recipient": {"S": "ann@example.com"}, "reasons": {"SS": ["complaint"]}, "version": {"N": "1"}}
    second = {**row, "event": {"S": "email.complained#msg_2"}}
    condition = "attribute_not_exists(email_id)"
    transaction = [
        {"Put": {"TableName": events, "Item": second, "ConditionExpression": condition}},
        {"Put": {"TableName": suppressions, "Item": item, "ConditionExpression": "attribute_not_exists(recipient)"}},
    ]
    fits(tables.transact_write_items(TransactItems=transaction))
    error = refused(tables.transact_write_items, "TransactionCanceledException", TransactItems=transaction)
    assert [reason["Code"] for reason in error.response["CancellationReasons"]] == ["ConditionalCheckFailed"] * 2
    rows = tables.query(TableName=events, KeyConditionExpression="email_id = :e", ExpressionAttributeValues={":e": {"S": "e1"}})
    assert (rows["Count"], [row["event"]["S"] for row in rows["Items"]]) == (2, ["email.complained#msg_2", "email.sent#msg_1"])
    got = tables.batch_get_item(RequestItems={suppressions: {"Keys": [{"recipient": item["recipient"]}, {"recipient": {"S": "bob"}}]}})
    assert got["Responses"][suppressions] == [item] and got["UnprocessedKeys"] == {}
    refused(tables.get_item, "ResourceNotFoundException", TableName="unknown", Key=key)
    refused(tables.put_item, "ValidationException", TableName=events, Item={"email_id": {"S": "e1"}})
    table = tables.describe_table(TableName=events)["Table"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}, table["StreamSpecification"]
    streams = client("dynamodbstreams", os.environ["AWS_ENDPOINT_URL_DYNAMODB"])
    stream = streams.describe_stream(StreamArn=table["LatestStreamArn"])["StreamDescription"]
    where = {"StreamArn": stream["StreamArn"], "ShardId": stream["Shards"][0]["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    records = streams.get_records(ShardIterator=streams.get_shard_iterator(**where)["ShardIterator"])["Records"]
    assert [record["dynamodb"]["NewImage"] for record in records] == [row, second], records


if __name__ == "__main__":
    sns()
    sqs()
    secrets_manager()
    dynamodb()
    print("ok")
