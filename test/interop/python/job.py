"""What the Python programs of the interop suite share: a job comes in as JSON on the first line of
standard input, and what happened goes out as one JSON object a line. A program that its client
fails ends with a traceback and 1. The other side is test/interop/foreign/driver.ts."""

import base64
import json
import sys
import threading

_output = threading.Lock()


def emit(value):
    """Writes one line of output; several threads may call it."""
    with _output:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


def encode(value):
    return None if value is None else base64.b64encode(value).decode()


def decode(value):
    return None if value is None else base64.b64decode(value)


def decode_headers(record):
    return [(one["key"], decode(one["value"])) for one in record["headers"]]


def consumed(topic, partition, offset, timestamp, key, value, headers):
    """Tells of a record."""
    record = {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": encode(key),
        "value": encode(value),
        "headers": [{"key": name, "value": encode(content)} for name, content in headers or []],
    }
    emit({"event": "record", "record": record})


def assigned(partitions):
    """Tells which partitions, pairs of topic and number, a member has, all in all."""
    positions = [{"topic": topic, "partition": number} for topic, number in sorted(partitions)]
    emit({"event": "assigned", "partitions": positions})


def acked(count):
    """Tells how many records of a stream have been acknowledged."""
    emit({"event": "acked", "count": count})


def told_to_end():
    """An event that is set when standard input ends: a member is to leave its group."""
    ended = threading.Event()

    def wait():
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def run(commands):
    """Does the job of the command that the program was started with."""
    commands[sys.argv[1]](json.loads(sys.stdin.readline()))
