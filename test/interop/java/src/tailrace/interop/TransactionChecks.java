package tailrace.interop;

import static tailrace.interop.Checks.equal;
import static tailrace.interop.Checks.fails;
import static tailrace.interop.Checks.isTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Transactional producers, what readers see of them, and the Admin calls about them. */
final class TransactionChecks {
    private static final String COMMITTED = "read_committed";
    private static final String ALL = "read_uncommitted";

    private final Cluster cluster;

    TransactionChecks(Cluster cluster) {
        this.cluster = cluster;
    }

    void runAll(Checks checks) throws Exception {
        checks.check("committed transactions are seen, aborted ones are not", this::commitAndAbort);
        checks.check("an open transaction holds back who reads committed data", this::open);
        checks.check("a second producer of the same id fences the first and aborts its work", this::fencing);
        checks.check("offsets come and go with their transaction", this::offsets);
        checks.check("consume, transform, produce: exactly once over aborts", this::exactlyOnce);
        checks.check("a transaction that takes too long is aborted by the broker", this::timeout);
        checks.check("transactions and producers are described and listed", this::described);
        checks.check("a hanging transaction is aborted by an administrator", this::abortedByAdmin);
        checks.check("producers are fenced by an administrator", this::fencedByAdmin);
    }

    private KafkaProducer<String, String> producer(String id) {
        return cluster.textProducer(Map.of("transactional.id", id, "max.block.ms", "30000"));
    }

    private static void send(KafkaProducer<String, String> producer, String topic, String... values) {
        for (String value : values) producer.send(new ProducerRecord<>(topic, "key", value));
    }

    private void commitAndAbort() throws Exception {
        String topic = cluster.topic("transactions", 1);
        List<String> committed = new ArrayList<>();
        List<String> all = new ArrayList<>();
        try (var producer = producer(cluster.name("writer"))) {
            producer.initTransactions();
            for (int number = 0; number < 20; number++) {
                producer.beginTransaction();
                List<String> values = IntStream.range(0, 5).mapToObj(Integer::toString).toList();
                send(producer, topic, values.toArray(String[]::new));
                all.addAll(values);
                if (number % 3 == 0) {
                    producer.flush();
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                    committed.addAll(values);
                }
            }
        }
        equal(cluster.values(topic, COMMITTED), committed, "what is committed");
        equal(cluster.values(topic, ALL), all, "everything");
    }

    private void open() throws Exception {
        String topic = cluster.topic("open", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = producer(cluster.name("writer")); var plain = cluster.textProducer(Map.of())) {
            producer.initTransactions();
            producer.beginTransaction();
            send(plain, topic, "before");
            plain.flush();
            send(producer, topic, "in it");
            producer.flush();
            plain.send(new ProducerRecord<>(topic, "key", "behind")).get();
            equal(cluster.values(topic, COMMITTED), List.of("before"), "while it is open");
            equal(cluster.values(topic, ALL), List.of("before", "in it", "behind"), "everything");
            try (var consumer = cluster.textConsumer(Map.of("isolation.level", COMMITTED))) {
                equal(consumer.endOffsets(List.of(partition)).get(partition), 1L, "the stable end");
            }
            producer.commitTransaction();
            // A marker may come after the answer.
            Checks.until("all is stable", () -> cluster.values(topic, COMMITTED).size() == 3);
        }
    }

    private void fencing() throws Exception {
        String topic = cluster.topic("fencing", 1);
        String id = cluster.name("writer");
        try (var first = producer(id); var second = producer(id)) {
            first.initTransactions();
            first.beginTransaction();
            send(first, topic, "of the first");
            first.flush();
            second.initTransactions();
            second.beginTransaction();
            send(second, topic, "of the second");
            fails(() -> {
                first.send(new ProducerRecord<>(topic, "key", "too late")).get();
                first.commitTransaction();
            }, ProducerFencedException.class, InvalidProducerEpochException.class);
            second.commitTransaction();
        }
        Checks.until("all is stable", () -> !cluster.values(topic, COMMITTED).isEmpty());
        equal(cluster.values(topic, COMMITTED), List.of("of the second"), "what is committed");
    }

    private Long committedOf(String group, TopicPartition partition) throws Exception {
        var offsets = cluster.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        return offsets.get(partition) == null ? null : offsets.get(partition).offset();
    }

    private void offsets() throws Exception {
        TopicPartition partition = new TopicPartition(cluster.topic("offsets", 1), 0);
        String group = cluster.name("readers");
        Map<String, String> stable = Map.of("isolation.level", COMMITTED, "group.id", group);
        try (var producer = producer(cluster.name("writer")); var consumer = cluster.textConsumer(stable)) {
            ConsumerGroupMetadata metadata = consumer.groupMetadata();
            producer.initTransactions();
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(5, "five")), metadata);
            producer.abortTransaction();
            Checks.until("it is aborted", () -> committedOf(group, partition) == null);
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(7, "seven")), metadata);
            equal(committedOf(group, partition), null, "before it is committed");
            producer.commitTransaction();
            var found = consumer.committed(java.util.Set.of(partition)).get(partition);
            equal(found.offset(), 7L, "what is committed");
            equal(found.metadata(), "seven", "its metadata");
        }
    }

    /** Copies a topic in transactions of a few records, every third of which is aborted and done again. */
    private void exactlyOnce() throws Exception {
        String from = cluster.topic("from", 2);
        String to = cluster.topic("to", 2);
        int count = 300;
        try (var producer = cluster.textProducer(Map.of())) {
            for (int number = 0; number < count; number++) {
                producer.send(new ProducerRecord<>(from, number % 2, "" + number, "" + number));
            }
        }
        String group = cluster.name("copiers");
        Map<String, String> configs = Map.of(
            "group.id", group, "isolation.level", COMMITTED, "max.poll.records", "20");
        try (var producer = producer(cluster.name("copier")); var consumer = cluster.textConsumer(configs)) {
            producer.initTransactions();
            consumer.subscribe(List.of(from));
            int copied = 0;
            int transactions = 0;
            while (copied < count) {
                var records = consumer.poll(Cluster.MOMENT);
                if (records.isEmpty()) continue;
                producer.beginTransaction();
                records.forEach(one -> producer.send(new ProducerRecord<>(to, one.key(), one.value() + " copied")));
                producer.sendOffsetsToTransaction(records.nextOffsets(), consumer.groupMetadata());
                if (transactions++ % 3 == 0) {
                    producer.flush();
                    producer.abortTransaction();
                    rewind(consumer, from);
                } else {
                    producer.commitTransaction();
                    copied += records.count();
                }
            }
        }
        List<String> wanted = IntStream.range(0, count).mapToObj(number -> number + " copied").sorted().toList();
        Checks.until("all is stable", () -> cluster.values(to, COMMITTED).size() >= count);
        equal(cluster.values(to, COMMITTED).stream().sorted().toList(), wanted, "the copies");
        isTrue(cluster.values(to, ALL).size() > count, "some were aborted");
    }

    private static void rewind(KafkaConsumer<String, String> consumer, String topic) {
        var committed = consumer.committed(consumer.assignment());
        for (TopicPartition partition : consumer.assignment()) {
            OffsetAndMetadata offset = committed.get(partition);
            consumer.seek(partition, offset == null ? 0 : offset.offset());
        }
    }

    private void timeout() throws Exception {
        String topic = cluster.topic("timeout", 1);
        Map<String, String> configs =
            Map.of("transactional.id", cluster.name("sleeper"), "transaction.timeout.ms", "1000");
        try (var producer = cluster.textProducer(configs)) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "key", "never committed")).get();
            try (var plain = cluster.textProducer(Map.of())) {
                plain.send(new ProducerRecord<>(topic, "key", "behind")).get();
            }
            Checks.until("it is aborted", () -> cluster.values(topic, COMMITTED).size() == 1);
            equal(cluster.values(topic, COMMITTED), List.of("behind"), "what is committed");
            fails(producer::commitTransaction, KafkaException.class);
        }
    }

    private void described() throws Exception {
        String topic = cluster.topic("described", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        String id = cluster.name("described");
        try (var producer = producer(id)) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "key", "value")).get();
            var told = cluster.admin.describeTransactions(List.of(id)).description(id).get();
            equal(told.state(), TransactionState.ONGOING, "the state");
            equal(told.topicPartitions(), java.util.Set.of(partition), "its partitions");
            isTrue(told.transactionStartTimeMs().isPresent(), "it says since when");
            var listed = cluster.admin.listTransactions().all().get().stream()
                .filter(one -> one.transactionalId().equals(id)).toList();
            equal(listed.size(), 1, "how often it is listed");
            equal(listed.get(0).producerId(), told.producerId(), "its producer");
            var producers = cluster.admin.describeProducers(List.of(partition)).partitionResult(partition)
                .get().activeProducers();
            equal(producers.size(), 1, "active producers");
            equal(producers.get(0).producerId(), told.producerId(), "the active one");
            equal(producers.get(0).currentTransactionStartOffset().getAsLong(), 0L, "where it began");
            producer.commitTransaction();
            Checks.until("it is complete", () -> cluster.admin.describeTransactions(List.of(id))
                .description(id).get().state() == TransactionState.COMPLETE_COMMIT);
        }
    }

    private void abortedByAdmin() throws Exception {
        String topic = cluster.topic("hanging", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = producer(cluster.name("hanging"))) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "key", "hangs")).get();
            var active = cluster.admin.describeProducers(List.of(partition)).partitionResult(partition)
                .get().activeProducers().get(0);
            cluster.admin.abortTransaction(new AbortTransactionSpec(
                partition, active.producerId(), (short) active.producerEpoch(),
                active.coordinatorEpoch().orElse(0))).all().get();
            try (var consumer = cluster.textConsumer(Map.of("isolation.level", COMMITTED))) {
                Checks.until("it holds nobody back",
                    () -> consumer.endOffsets(List.of(partition)).get(partition) == 2L);
            }
            equal(cluster.values(topic, COMMITTED), List.of(), "what is committed");
        }
    }

    private void fencedByAdmin() throws Exception {
        String topic = cluster.topic("fenced", 1);
        String id = cluster.name("fenced");
        try (var producer = producer(id)) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "key", "value")).get();
            var fenced = cluster.admin.fenceProducers(List.of(id));
            fenced.all().get();
            isTrue(fenced.producerId(id).get() >= 0, "which producer it was");
            fails(() -> {
                producer.send(new ProducerRecord<>(topic, "key", "late")).get();
                producer.commitTransaction();
            }, ProducerFencedException.class, InvalidProducerEpochException.class);
        }
        Checks.until("it is aborted", () -> {
            try (var consumer = cluster.textConsumer(Map.of("isolation.level", COMMITTED))) {
                TopicPartition partition = new TopicPartition(topic, 0);
                return consumer.endOffsets(List.of(partition)).get(partition) == 2L;
            }
        });
    }
}
