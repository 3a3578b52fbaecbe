"""Does the interop suite's jobs with kafka-python."""

import kafka
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor

import job

ASSIGNORS = {"range": RangePartitionAssignor, "cooperative": CooperativeStickyAssignor}


def produce(task):
    """Writes each load with its codec and tells the offsets."""
    for load in task["loads"]:
        codec = None if load["codec"] == "none" else load["codec"]
        producer = kafka.KafkaProducer(
            bootstrap_servers=task["bootstrap"], compression_type=codec, linger_ms=5
        )
        sent = [
            producer.send(
                load["topic"],
                key=job.decode(record["key"]),
                value=job.decode(record["value"]),
                headers=job.decode_headers(record),
                partition=record["partition"],
            )
            for record in load["records"]
        ]
        producer.flush()
        job.emit({"topic": load["topic"], "offsets": [one.get(10).offset for one in sent]})
        producer.close()


def stream(task):
    """Writes numbered records with an idempotent producer, whatever the broker goes through."""
    producer = kafka.KafkaProducer(
        bootstrap_servers=task["bootstrap"],
        enable_idempotence=True,
        reconnect_backoff_max_ms=200,
        linger_ms=1,
    )
    sent = []
    for number in range(task["count"]):
        sent.append(producer.send(task["topic"], value=str(number).encode(), partition=0))
        if number % 100 == 99:
            for one in sent:
                one.get(60)
            sent = []
            job.acked(number + 1)
    producer.close()


def tell(record):
    job.consumed(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )


def reader(task, **more):
    return kafka.KafkaConsumer(
        bootstrap_servers=task["bootstrap"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        **more,
    )


def poll(consumer, most=500):
    return [one for batch in consumer.poll(200, max_records=most).values() for one in batch]


def consume(task):
    """Reads committed records from the beginning until it has so many."""
    consumer = reader(task)
    positions = []
    for topic in task["topics"]:
        for number in consumer.partitions_for_topic(topic):
            positions.append(kafka.TopicPartition(topic, number))
    consumer.assign(positions)
    left = task["count"]
    while left > 0:
        for record in poll(consumer):
            tell(record)
            left -= 1
    consumer.close()


class Owned(kafka.ConsumerRebalanceListener):
    """Tells what its member has."""

    def __init__(self):
        self.partitions = set()

    def on_partitions_assigned(self, assigned):
        self.partitions.update((one.topic, one.partition) for one in assigned)
        job.assigned(self.partitions)

    def on_partitions_revoked(self, revoked):
        self.partitions.difference_update((one.topic, one.partition) for one in revoked)
        job.assigned(self.partitions)


def member(task):
    """Consumes in a group, committing what it has told of, until it is told to end."""
    consumer = reader(
        task,
        group_id=task["group"],
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        partition_assignment_strategy=(ASSIGNORS[task["assignor"]],),
    )
    consumer.subscribe([task["topic"]], listener=Owned())
    ended = job.told_to_end()
    while not ended.is_set():
        records = poll(consumer)
        for record in records:
            tell(record)
        if records:
            consumer.commit()
    consumer.close()


def transact(task):
    """Copies a topic in transactions with its offsets, each third of them aborted; then it is
    fenced by a second producer."""
    producer = transactional(task)
    consumer = reader(task, group_id=task["group"])
    consumer.subscribe([task["topic"]])
    committed = aborted = number = 0
    while committed < task["count"]:
        batch = poll(consumer, 50)
        if not batch:
            continue
        while number % 3 == 0:
            copy(producer, consumer, task, batch)
            producer.abort_transaction()
            aborted += len(batch)
            number += 1
        copy(producer, consumer, task, batch)
        producer.commit_transaction()
        committed += len(batch)
        number += 1
    consumer.close()
    fenced = fence(producer, task)
    job.emit({"committed": committed, "aborted": aborted, "fenced": fenced})


def transactional(task):
    producer = kafka.KafkaProducer(
        bootstrap_servers=task["bootstrap"], transactional_id=task["transactionalId"], linger_ms=5
    )
    producer.init_transactions()
    return producer


def copy(producer, consumer, task, batch):
    producer.begin_transaction()
    for record in batch:
        producer.send(
            task["output"], key=record.key, value=record.value, partition=record.partition
        )
    offsets = {
        position: kafka.OffsetAndMetadata(consumer.position(position), "", -1)
        for position in consumer.assignment()
    }
    producer.send_offsets_to_transaction(offsets, consumer.group_metadata())


def fence(first, task):
    """The error that a producer gets whose transactional id another one has taken."""
    first.begin_transaction()
    first.send(task["output"], value=b"of a producer that is fenced", partition=0).get(10)
    second = transactional(task)
    try:
        first.commit_transaction()
    except errors.KafkaError as error:
        return type(error).__name__
    finally:
        second.close()
        first.close(1)
    return ""


def admin(task):
    """Goes through a topic's and a group's life, and tells what it saw."""
    client = kafka.KafkaAdminClient(bootstrap_servers=task["bootstrap"])
    topic, group = task["topic"], task["group"]
    position = kafka.TopicPartition(topic, 0)
    seen = {"brokers": len(client.describe_cluster()["brokers"])}

    options = {
        "num_partitions": 3,
        "replication_factor": 1,
        "configs": {"retention.ms": "60000"},
    }
    client.create_topics({topic: options})
    try:
        client.create_topics({topic: options})
    except errors.TopicAlreadyExistsError as error:
        seen["createdAgain"] = error.message

    def partition_count():
        return len(client.describe_topics([topic])[0]["partitions"])

    def retention():
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": None})
        return client.describe_configs([resource])["topic"][topic]["retention.ms"]["value"]

    seen["partitions"] = partition_count()
    seen["retentionMs"] = retention()
    client.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "120000"})]
    )
    seen["retentionMsChanged"] = retention()
    client.create_partitions({topic: 5})
    seen["partitionsGrown"] = partition_count()

    def bounds():
        found = []
        for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST):
            found.append(client.list_partition_offsets({position: spec})[position].offset)
        return found

    producer = kafka.KafkaProducer(bootstrap_servers=task["bootstrap"])
    for number in range(10):
        producer.send(topic, value=str(number).encode(), partition=0)
    producer.close()
    seen["offsets"] = bounds()
    client.delete_records({position: 4})
    seen["offsetsTrimmed"] = bounds()

    client.alter_group_offsets(group, {position: kafka.OffsetAndMetadata(7, "", -1)})
    seen["groupOffset"] = client.list_group_offsets({group: None})[group][position].offset

    def is_listed():
        return group in [one["group_id"] for one in client.list_groups()]

    seen["groupListed"] = is_listed()
    seen["groupState"] = client.describe_groups([group])[group]["group_state"]
    client.delete_groups([group])
    seen["groupGone"] = not is_listed()
    client.delete_topics([topic])
    seen["topicGone"] = topic not in client.list_topics()
    client.close()
    job.emit(seen)


job.run(
    {
        "produce": produce,
        "stream": stream,
        "consume": consume,
        "member": member,
        "transact": transact,
        "admin": admin,
    }
)
