#!/usr/bin/env python3
"""Serves moto's DynamoDB, and its streams, on a free port of 127.0.0.1. The port is in the line "Running on" of standard error.

An engine that has no part in Rebound: it keeps tables apart by region, which the embedded one does not. Of what `moto_server` does, two
things are done otherwise, because DynamoDB does neither:

- One request at a time. A transaction that moto refuses puts every table back to how it was before, and so undoes what other requests
  wrote meanwhile.
- A stream is read of the table as it is now. After such a refusal moto has a new table, and an iterator still reads the old one.

    pip install 'moto[server]'
"""

from moto.dynamodbstreams.models import ShardIterator
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

read = ShardIterator.get


def read_the_table_as_it_is_now(iterator, limit=1000):
    table = iterator.streams_backend.dynamodb.get_table(iterator.stream_shard.table.name)
    iterator.stream_shard = table.stream_shard
    return read(iterator, limit)


ShardIterator.get = read_the_table_as_it_is_now

if __name__ == "__main__":
    run_simple("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
