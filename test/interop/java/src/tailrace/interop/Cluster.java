package tailrace.interop;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The broker that is asked: clients of it, topics and names that nothing else has. */
final class Cluster implements AutoCloseable {
    /** A record as it is compared: key, value and headers as text. */
    record Line(String key, String value, List<String> headers) {
        static Line of(ConsumerRecord<byte[], byte[]> record) {
            List<String> headers = new ArrayList<>();
            record.headers().forEach(one -> headers.add(one.key() + "=" + text(one.value())));
            return new Line(text(record.key()), text(record.value()), headers);
        }

        private static String text(byte[] bytes) {
            return bytes == null ? null : new String(bytes, StandardCharsets.ISO_8859_1);
        }
    }

    static final Duration MOMENT = Duration.ofMillis(100);

    final String bootstrap;
    final Admin admin;
    private final AtomicInteger names = new AtomicInteger();

    Cluster(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    @Override
    public void close() {
        admin.close();
    }

    String name(String what) {
        return "java-" + what + "-" + names.incrementAndGet();
    }

    /** Makes a topic and waits until all of its partitions are led. */
    String topic(String what, int partitions, Map<String, String> configs) throws Exception {
        String topic = name(what);
        NewTopic request = new NewTopic(topic, partitions, (short) 1).configs(configs);
        admin.createTopics(List.of(request)).all().get();
        Checks.until(topic + " is led", () -> isLed(topic, partitions));
        return topic;
    }

    String topic(String what, int partitions) throws Exception {
        return topic(what, partitions, Map.of());
    }

    /** Apache Kafka answers CreateTopics before its metadata has the topic. */
    private boolean isLed(String topic, int partitions) throws Exception {
        if (!admin.listTopics().names().get().contains(topic)) return false;
        var told = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        return told.partitions().size() == partitions
            && told.partitions().stream().allMatch(one -> one.leader() != null);
    }

    KafkaProducer<byte[], byte[]> producer(Map<String, ?> configs) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap));
        all.putAll(configs);
        return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaProducer<String, String> textProducer(Map<String, ?> configs) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap));
        all.putAll(configs);
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    KafkaConsumer<String, String> textConsumer(Map<String, ?> configs) {
        Map<String, Object> all = consumerConfigs(configs);
        return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
    }

    private Map<String, Object> consumerConfigs(Map<String, ?> configs) {
        Map<String, Object> all = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap,
            "auto.offset.reset", "earliest",
            "enable.auto.commit", "false",
            "fetch.max.wait.ms", "100"));
        all.putAll(configs);
        return all;
    }

    static List<TopicPartition> partitions(String topic, int count) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (int partition = 0; partition < count; partition++) {
            partitions.add(new TopicPartition(topic, partition));
        }
        return partitions;
    }

    /** All records of a topic, in the order of their partitions, read to the end that a reader sees. */
    List<ConsumerRecord<byte[], byte[]>> records(String topic, String isolation) throws Exception {
        int count = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
        Collection<TopicPartition> partitions = partitions(topic, count);
        Map<String, Object> configs = consumerConfigs(Map.of("isolation.level", isolation));
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(configs, bytes, bytes)) {
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Map<Integer, List<ConsumerRecord<byte[], byte[]>>> read = new HashMap<>();
            Checks.until(topic + " is read", () -> {
                for (var record : consumer.poll(MOMENT)) {
                    read.computeIfAbsent(record.partition(), any -> new ArrayList<>()).add(record);
                }
                return ends.entrySet().stream()
                    .allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
            });
            List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
            for (int partition = 0; partition < count; partition++) {
                all.addAll(read.getOrDefault(partition, List.of()));
            }
            return all;
        }
    }

    long endOffset(TopicPartition partition) throws Exception {
        return admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition).get().offset();
    }

    List<Line> lines(String topic, String isolation) throws Exception {
        return records(topic, isolation).stream().map(Line::of).toList();
    }

    List<String> values(String topic, String isolation) throws Exception {
        return lines(topic, isolation).stream().map(Line::value).toList();
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.ISO_8859_1);
    }

    static List<String> words(String... words) {
        return Arrays.asList(words);
    }
}
