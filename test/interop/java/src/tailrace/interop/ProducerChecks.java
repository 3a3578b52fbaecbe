package tailrace.interop;

import static tailrace.interop.Checks.equal;
import static tailrace.interop.Checks.fails;
import static tailrace.interop.Checks.isTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.record.TimestampType;

/** Producers of all kinds, and readers that look at every record. */
final class ProducerChecks {
    private static final int RECORDS = 300;
    private static final long FIRST_TIMESTAMP = 1_700_000_000_000L;

    private final Cluster cluster;

    ProducerChecks(Cluster cluster) {
        this.cluster = cluster;
    }

    void runAll(Checks checks) throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (String acks : List.of("all", "1", "0")) {
                checks.check("records written with " + codec + " and acks=" + acks + " are read as they were",
                    () -> everyRecord(codec, acks, Map.of()));
            }
        }
        checks.check("a topic that compresses anew keeps every record",
            () -> everyRecord("gzip", "all", Map.of("compression.type", "zstd")));
        checks.check("several producers at once keep the order of each", this::severalAtOnce);
        checks.check("a record of the largest size is taken, a larger one refused", this::largeRecords);
        checks.check("a compacted topic refuses a record without a key", this::compacted);
        checks.check("the broker's time is on records where the topic says so", this::appendTime);
        checks.check("offsets are found by time, at the beginning and at the end", this::offsetsByTime);
        checks.check("seek reads from there, and out of range is told", this::seek);
        checks.check("a partition that is not there is refused", this::unknownPartition);
        checks.check("a topic is made by the first record", this::autoCreation);
    }

    private ProducerRecord<byte[], byte[]> record(String topic, int number, Random random) {
        byte[] noise = new byte[random.nextInt(400)];
        random.nextBytes(noise);
        byte[] key = number % 3 == 0 ? null : Cluster.bytes("key " + number);
        byte[] value = number % 7 == 0 ? null : noise;
        var record = new ProducerRecord<>(topic, null, FIRST_TIMESTAMP + number, key, value);
        if (number % 5 == 0) record.headers().add("number", Cluster.bytes("" + number)).add("none", null);
        if (number % 10 == 0) record.headers().add("number", new byte[0]);
        return record;
    }

    private void everyRecord(String codec, String acks, Map<String, String> topicConfigs) throws Exception {
        String topic = cluster.topic("codec-" + codec, 1, topicConfigs);
        Map<String, String> configs = new HashMap<>(Map.of(
            "compression.type", codec, "acks", acks, "linger.ms", "5", "batch.size", "8192",
            "enable.idempotence", String.valueOf(acks.equals("all"))));
        List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();
        List<Future<RecordMetadata>> answers = new ArrayList<>();
        Random random = new Random(codec.hashCode());
        try (var producer = cluster.producer(configs)) {
            for (int number = 0; number < RECORDS; number++) {
                sent.add(record(topic, number, random));
                answers.add(producer.send(sent.get(number)));
            }
            producer.flush();
        }
        for (int number = 0; number < RECORDS; number++) {
            long offset = answers.get(number).get().offset();
            equal(offset, acks.equals("0") ? -1L : (long) number, "the offset of " + number);
        }
        // With acks=0 nothing says when they have come.
        TopicPartition partition = new TopicPartition(topic, 0);
        Checks.until("all have come", () -> cluster.endOffset(partition) >= RECORDS);
        var found = cluster.records(topic, "read_uncommitted");
        equal(found.size(), RECORDS, "how many there are");
        for (int number = 0; number < RECORDS; number++) same(found.get(number), sent.get(number), number);
    }

    private void same(ConsumerRecord<byte[], byte[]> found, ProducerRecord<byte[], byte[]> sent, int number) {
        equal(found.offset(), (long) number, "an offset");
        equal(found.timestamp(), sent.timestamp(), "the time of " + number);
        equal(found.timestampType(), TimestampType.CREATE_TIME, "the kind of time");
        ConsumerRecord<byte[], byte[]> wanted = new ConsumerRecord<>(
            sent.topic(), 0, number, found.timestamp(), found.timestampType(), 0, 0,
            sent.key(), sent.value(), sent.headers(), found.leaderEpoch());
        equal(Cluster.Line.of(found), Cluster.Line.of(wanted), "record " + number);
    }

    private void severalAtOnce() throws Exception {
        String topic = cluster.topic("at-once", 3);
        List<Thread> threads = new ArrayList<>();
        List<Throwable> errors = java.util.Collections.synchronizedList(new ArrayList<>());
        for (int writer = 0; writer < 4; writer++) {
            int id = writer;
            threads.add(new Thread(() -> {
                try (var producer = cluster.textProducer(Map.of("max.in.flight.requests.per.connection", "5"))) {
                    for (int number = 0; number < 500; number++) {
                        producer.send(new ProducerRecord<>(topic, number % 3, "writer " + id, "" + number));
                    }
                    producer.flush();
                } catch (RuntimeException error) {
                    errors.add(error);
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        equal(errors, List.of(), "errors");
        Map<String, Integer> last = new HashMap<>();
        var found = cluster.records(topic, "read_committed");
        equal(found.size(), 2000, "how many there are");
        for (var record : found) {
            String source = new String(record.key()) + " of " + record.partition();
            int number = Integer.parseInt(new String(record.value()));
            isTrue(number > last.getOrDefault(source, -1), source + " in order");
            last.put(source, number);
        }
    }

    private void largeRecords() throws Exception {
        String topic = cluster.topic("large", 1, Map.of("max.message.bytes", "200000"));
        try (var producer = cluster.producer(Map.of("max.request.size", "3000000"))) {
            byte[] value = new byte[199_000];
            new Random(1).nextBytes(value);
            equal(producer.send(new ProducerRecord<>(topic, value)).get().offset(), 0L, "the offset");
            fails(() -> producer.send(new ProducerRecord<>(topic, new byte[250_000])).get(),
                RecordTooLargeException.class);
            equal(producer.send(new ProducerRecord<>(topic, value)).get().offset(), 1L, "the next offset");
        }
    }

    private void compacted() throws Exception {
        String topic = cluster.topic("compacted", 1, Map.of("cleanup.policy", "compact"));
        try (var producer = cluster.producer(Map.of())) {
            fails(() -> producer.send(new ProducerRecord<>(topic, Cluster.bytes("no key"))).get(),
                InvalidRecordException.class);
            var record = new ProducerRecord<>(topic, Cluster.bytes("key"), Cluster.bytes("value"));
            equal(producer.send(record).get().offset(), 0L, "the offset");
        }
    }

    private void appendTime() throws Exception {
        String topic = cluster.topic("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        RecordMetadata answer;
        try (var producer = cluster.textProducer(Map.of())) {
            answer = producer.send(new ProducerRecord<>(topic, 0, 17L, "key", "value")).get();
        }
        var found = cluster.records(topic, "read_uncommitted").get(0);
        equal(found.timestampType(), TimestampType.LOG_APPEND_TIME, "the kind of time");
        equal(found.timestamp(), answer.timestamp(), "the time that was answered");
        isTrue(found.timestamp() >= before && found.timestamp() <= System.currentTimeMillis(), "now");
    }

    /** Ten records a second apart, one to a batch. */
    private TopicPartition tenSeconds() throws Exception {
        String topic = cluster.topic("seconds", 1);
        try (var producer = cluster.textProducer(Map.of())) {
            for (int number = 0; number < 10; number++) {
                long timestamp = FIRST_TIMESTAMP + number * 1000L;
                producer.send(new ProducerRecord<>(topic, 0, timestamp, null, "" + number)).get();
            }
        }
        return new TopicPartition(topic, 0);
    }

    private void offsetsByTime() throws Exception {
        TopicPartition partition = tenSeconds();
        try (var consumer = cluster.textConsumer(Map.of())) {
            var found = consumer.offsetsForTimes(Map.of(partition, FIRST_TIMESTAMP + 2500)).get(partition);
            equal(found.offset(), 3L, "the offset at that time");
            equal(found.timestamp(), FIRST_TIMESTAMP + 3000, "its time");
            var none = consumer.offsetsForTimes(Map.of(partition, FIRST_TIMESTAMP + 10_000));
            equal(none.get(partition), null, "the offset behind the last");
            equal(consumer.beginningOffsets(List.of(partition)), Map.of(partition, 0L), "the beginning");
            equal(consumer.endOffsets(List.of(partition)), Map.of(partition, 10L), "the end");
            equal(consumer.partitionsFor(partition.topic()).size(), 1, "partitions");
        }
    }

    private void seek() throws Exception {
        TopicPartition partition = tenSeconds();
        try (var consumer = cluster.textConsumer(Map.of("auto.offset.reset", "none"))) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, 7);
            List<String> values = new ArrayList<>();
            Checks.until("the last three", () -> {
                consumer.poll(Cluster.MOMENT).forEach(record -> values.add(record.value()));
                return values.size() >= 3;
            });
            equal(values, List.of("7", "8", "9"), "what is read");
            consumer.seek(partition, 11);
            fails(() -> Checks.until("an error", () -> !consumer.poll(Cluster.MOMENT).isEmpty()),
                org.apache.kafka.clients.consumer.OffsetOutOfRangeException.class);
        }
        Map<String, String> lost = Map.of("auto.offset.reset", "none", "group.id", cluster.name("none"));
        try (var consumer = cluster.textConsumer(lost)) {
            consumer.assign(List.of(partition));
            fails(() -> Checks.until("an error", () -> !consumer.poll(Cluster.MOMENT).isEmpty()),
                NoOffsetForPartitionException.class);
        }
    }

    private void unknownPartition() throws Exception {
        String topic = cluster.topic("two", 2);
        try (KafkaProducer<String, String> producer = cluster.textProducer(Map.of("max.block.ms", "1000"))) {
            fails(() -> producer.send(new ProducerRecord<>(topic, 2, "key", "value")).get(),
                org.apache.kafka.common.errors.TimeoutException.class,
                UnknownTopicOrPartitionException.class);
        }
    }

    private void autoCreation() throws Exception {
        String topic = cluster.name("auto");
        try (var producer = cluster.textProducer(Map.of())) {
            equal(producer.send(new ProducerRecord<>(topic, "key", "first")).get().offset(), 0L, "the offset");
        }
        equal(cluster.values(topic, "read_uncommitted"), List.of("first"), "what is there");
    }
}
