"""Does the interop suite's jobs with confluent-kafka, the Python binding of librdkafka."""

import confluent_kafka as ck
from confluent_kafka import admin as ck_admin

import job

OFFSET_BEGINNING = ck.OFFSET_BEGINNING


def check(error):
    if error is not None:
        raise ck.KafkaException(error)


def produce(task):
    """Writes each load with its codec and tells the offsets."""
    for load in task["loads"]:
        producer = ck.Producer(
            {"bootstrap.servers": task["bootstrap"], "compression.type": load["codec"]}
        )
        offsets = []

        def delivered(error, message):
            check(error)
            offsets.append(message.offset())

        for record in load["records"]:
            producer.produce(
                load["topic"],
                key=job.decode(record["key"]),
                value=job.decode(record["value"]),
                headers=job.decode_headers(record),
                partition=record["partition"],
                on_delivery=delivered,
            )
        producer.flush()
        job.emit({"topic": load["topic"], "offsets": offsets})


def stream(task):
    """Writes numbered records with an idempotent producer, whatever the broker goes through."""
    producer = ck.Producer(
        {"bootstrap.servers": task["bootstrap"], "enable.idempotence": True, "linger.ms": 1}
    )
    done = 0

    def delivered(error, _message):
        nonlocal done
        check(error)
        done += 1
        if done % 100 == 0:
            job.acked(done)

    for number in range(task["count"]):
        producer.produce(
            task["topic"], value=str(number), partition=0, on_delivery=delivered
        )
        if number % 200 == 199:
            producer.flush()
    producer.flush()


def tell(message):
    _, timestamp = message.timestamp()
    job.consumed(
        message.topic(),
        message.partition(),
        message.offset(),
        timestamp,
        message.key(),
        message.value(),
        message.headers(),
    )


def reader(task, **more):
    return ck.Consumer(
        {
            "bootstrap.servers": task["bootstrap"],
            "group.id": task.get("group", "none"),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            **more,
        }
    )


def consume(task):
    """Reads committed records from the beginning until it has so many."""
    consumer = reader(task)
    positions = []
    for topic in task["topics"]:
        for number in consumer.list_topics(topic).topics[topic].partitions:
            positions.append(ck.TopicPartition(topic, number, OFFSET_BEGINNING))
    consumer.assign(positions)
    left = task["count"]
    while left > 0:
        for message in consumer.consume(500, timeout=0.2):
            check(message.error())
            tell(message)
            left -= 1
    consumer.close()


def member(task):
    """Consumes in a group, committing what it has told of, until it is told to end."""
    assignor = {"range": "range", "cooperative": "cooperative-sticky"}[task["assignor"]]
    consumer = reader(
        task,
        **{
            "partition.assignment.strategy": assignor,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 500,
        },
    )
    owned = set()

    def gained(_consumer, partitions):
        owned.update((one.topic, one.partition) for one in partitions)
        job.assigned(owned)

    def lost(_consumer, partitions):
        owned.difference_update((one.topic, one.partition) for one in partitions)
        job.assigned(owned)

    consumer.subscribe([task["topic"]], on_assign=gained, on_revoke=lost, on_lost=lost)
    ended = job.told_to_end()
    is_owed = False
    while not ended.is_set():
        messages = consumer.consume(500, timeout=0.1)
        for message in messages:
            check(message.error())
            tell(message)
        if messages or is_owed:
            is_owed = not commits(consumer)
    consumer.close()


def commits(consumer):
    """Whether the positions are committed; the group may have moved on, and it is to be done again."""
    try:
        consumer.commit(asynchronous=False)
    except ck.KafkaException as error:
        code = error.args[0].code()
        if code in (ck.KafkaError.ILLEGAL_GENERATION, ck.KafkaError.REBALANCE_IN_PROGRESS):
            return False
        if code != ck.KafkaError._NO_OFFSET:
            raise
    return True


def transact(task):
    """Copies a topic in transactions with its offsets, each third of them aborted; then it is
    fenced by a second producer."""
    producer = transactional(task)
    consumer = reader(task)
    consumer.subscribe([task["topic"]])
    committed = aborted = number = 0
    while committed < task["count"]:
        batch = [message for message in consumer.consume(50, timeout=0.2)]
        if not batch:
            continue
        for message in batch:
            check(message.error())
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
    producer = ck.Producer(
        {"bootstrap.servers": task["bootstrap"], "transactional.id": task["transactionalId"]}
    )
    producer.init_transactions()
    return producer


def copy(producer, consumer, task, batch):
    producer.begin_transaction()
    for message in batch:
        producer.produce(
            task["output"],
            key=message.key(),
            value=message.value(),
            partition=message.partition(),
            on_delivery=lambda error, _message: None,
        )
    producer.send_offsets_to_transaction(
        consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
    )


def fence(first, task):
    """The error that a producer gets whose transactional id another one has taken."""
    first.begin_transaction()
    first.produce(task["output"], value="of a producer that is fenced", partition=0)
    first.flush()
    second = transactional(task)
    try:
        first.commit_transaction()
    except ck.KafkaException as error:
        return error.args[0].name()
    finally:
        del second
    return ""


def admin(task):
    """Goes through a topic's and a group's life, and tells what it saw."""
    client = ck_admin.AdminClient({"bootstrap.servers": task["bootstrap"]})
    topic, group = task["topic"], task["group"]
    position = ck.TopicPartition(topic, 0)
    seen = {"brokers": len(client.describe_cluster().result().nodes)}

    new_topic = ck_admin.NewTopic(topic, 3, 1, config={"retention.ms": "60000"})
    client.create_topics([new_topic])[topic].result()
    try:
        client.create_topics([new_topic])[topic].result()
    except ck.KafkaException as error:
        seen["createdAgain"] = error.args[0].name()

    def partition_count():
        return len(client.list_topics(topic).topics[topic].partitions)

    def retention():
        resource = ck_admin.ConfigResource(ck_admin.ResourceType.TOPIC, topic)
        return client.describe_configs([resource])[resource].result()["retention.ms"].value

    seen["partitions"] = partition_count()
    seen["retentionMs"] = retention()
    entry = ck_admin.ConfigEntry(
        "retention.ms", "120000", incremental_operation=ck_admin.AlterConfigOpType.SET
    )
    changed = ck_admin.ConfigResource(
        ck_admin.ResourceType.TOPIC, topic, incremental_configs=[entry]
    )
    client.incremental_alter_configs([changed])[changed].result()
    seen["retentionMsChanged"] = retention()
    client.create_partitions([ck_admin.NewPartitions(topic, 5)])[topic].result()
    seen["partitionsGrown"] = partition_count()

    def bounds():
        found = []
        for spec in (ck_admin.OffsetSpec.earliest(), ck_admin.OffsetSpec.latest()):
            found.append(client.list_offsets({position: spec})[position].result().offset)
        return found

    producer = ck.Producer({"bootstrap.servers": task["bootstrap"]})
    for number in range(10):
        producer.produce(topic, value=str(number), partition=0)
    producer.flush()
    seen["offsets"] = bounds()
    before = ck.TopicPartition(topic, 0, 4)
    client.delete_records([before])[before].result()
    seen["offsetsTrimmed"] = bounds()

    at = ck.TopicPartition(topic, 0, 7)
    moved = ck.ConsumerGroupTopicPartitions(group, [at])
    client.alter_consumer_group_offsets([moved])[group].result()
    asked = ck.ConsumerGroupTopicPartitions(group)
    fetched = client.list_consumer_group_offsets([asked])[group].result()
    seen["groupOffset"] = fetched.topic_partitions[0].offset

    def is_listed():
        valid = client.list_consumer_groups().result().valid
        return group in [one.group_id for one in valid]

    seen["groupListed"] = is_listed()
    state = client.describe_consumer_groups([group])[group].result().state
    seen["groupState"] = state.name.capitalize()
    client.delete_consumer_groups([group])[group].result()
    seen["groupGone"] = not is_listed()
    client.delete_topics([topic])[topic].result()
    seen["topicGone"] = topic not in client.list_topics().topics
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
