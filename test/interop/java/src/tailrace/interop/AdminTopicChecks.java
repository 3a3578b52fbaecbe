package tailrace.interop;

import static tailrace.interop.Checks.equal;
import static tailrace.interop.Checks.fails;
import static tailrace.interop.Checks.isTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.Uuid;

/** What Admin asks about topics, their records and configurations. */
final class AdminTopicChecks {
    private final Cluster cluster;

    AdminTopicChecks(Cluster cluster) {
        this.cluster = cluster;
    }

    void runAll(Checks checks) throws Exception {
        checks.check("a topic is made, described by name and id, listed and deleted", this::topicLife);
        checks.check("a topic is only validated where that is asked for", this::validatedOnly);
        checks.check("topics that cannot be are refused", this::refusedTopics);
        checks.check("a topic gets more partitions, and never fewer", this::morePartitions);
        checks.check("internal topics are listed where they are asked for", this::internalTopics);
        checks.check("configurations of a topic are set, appended to and taken back", this::topicConfigs);
        checks.check("configurations of the broker are described, and changed", this::brokerConfigs);
        checks.check("configurations that cannot be are refused", this::refusedConfigs);
        checks.check("offsets of every kind are listed", this::listedOffsets);
        checks.check("records are deleted up to an offset", this::deletedRecords);
        checks.check("resources with configurations of their own are listed", this::configResources);
    }

    private void topicLife() throws Exception {
        String name = cluster.name("life");
        var request = new NewTopic(name, Map.of(0, List.of(brokerId()), 1, List.of(brokerId())))
            .configs(Map.of("retention.ms", "123456", "cleanup.policy", "compact,delete"));
        var made = cluster.admin.createTopics(List.of(request));
        equal(made.numPartitions(name).get(), 2, "partitions");
        equal(made.replicationFactor(name).get(), 1, "replicas");
        equal(made.config(name).get().get("retention.ms").value(), "123456", "its configuration");
        Uuid id = made.topicId(name).get();
        Checks.until("it is listed", () -> cluster.admin.listTopics().names().get().contains(name));
        var options = new DescribeTopicsOptions().includeAuthorizedOperations(true);
        var told = cluster.admin.describeTopics(List.of(name), options).allTopicNames().get().get(name);
        equal(told.topicId(), id, "its id");
        equal(told.partitions().size(), 2, "partitions that are described");
        equal(told.partitions().get(1).leader().id(), brokerId(), "the leader");
        equal(told.partitions().get(1).isr().size(), 1, "replicas in sync");
        isTrue(told.authorizedOperations().contains(AclOperation.READ), "what may be done with it");
        var byId = cluster.admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get();
        equal(byId.get(id).name(), name, "its name by its id");
        fails(() -> cluster.admin.createTopics(List.of(request)).all().get(), TopicExistsException.class);
        cluster.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
        Checks.until("it is gone", () -> !cluster.admin.listTopics().names().get().contains(name));
        fails(() -> cluster.admin.deleteTopics(List.of(name)).all().get(), UnknownTopicOrPartitionException.class);
        fails(() -> cluster.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get(),
            UnknownTopicIdException.class);
        fails(() -> cluster.admin.describeTopics(List.of(name)).allTopicNames().get(),
            UnknownTopicOrPartitionException.class);
    }

    private int brokerId() throws Exception {
        return cluster.admin.describeCluster().nodes().get().iterator().next().id();
    }

    private void validatedOnly() throws Exception {
        String name = cluster.name("validated");
        var options = new CreateTopicsOptions().validateOnly(true);
        var told = cluster.admin.createTopics(List.of(new NewTopic(name, 3, (short) 1)), options);
        equal(told.numPartitions(name).get(), 3, "partitions");
        isTrue(!cluster.admin.listTopics().names().get().contains(name), "it is not there");
        var defaults = new NewTopic(name, Optional.empty(), Optional.empty());
        equal(cluster.admin.createTopics(List.of(defaults), options).numPartitions(name).get(), 1, "by default");
    }

    private void refusedTopics() throws Exception {
        refused(new NewTopic("no/name", 1, (short) 1), InvalidTopicException.class);
        refused(new NewTopic(cluster.name("zero"), 0, (short) 1), InvalidPartitionsException.class);
        refused(new NewTopic(cluster.name("two"), 1, (short) 2), InvalidReplicationFactorException.class);
        var strange = new NewTopic(cluster.name("strange"), 1, (short) 1);
        refused(strange.configs(Map.of("no.such.config", "1")), InvalidConfigurationException.class);
        refused(strange.configs(Map.of("retention.ms", "soon")), InvalidConfigurationException.class);
    }

    private void refused(NewTopic topic, Class<? extends Throwable> error) {
        fails(() -> cluster.admin.createTopics(List.of(topic)).all().get(), error);
    }

    private void morePartitions() throws Exception {
        String topic = cluster.topic("growing", 1);
        cluster.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
        Checks.until("there are four", () -> cluster.admin.describeTopics(List.of(topic)).allTopicNames().get()
            .get(topic).partitions().size() == 4);
        fails(() -> cluster.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get(),
            InvalidPartitionsException.class);
        String none = cluster.name("none");
        fails(() -> cluster.admin.createPartitions(Map.of(none, NewPartitions.increaseTo(2))).all().get(),
            UnknownTopicOrPartitionException.class);
    }

    private void internalTopics() throws Exception {
        try (var consumer = cluster.textConsumer(Map.of("group.id", cluster.name("group")))) {
            TopicPartition partition = new TopicPartition(cluster.topic("for-group", 1), 0);
            consumer.assign(List.of(partition));
            consumer.position(partition);
            consumer.commitSync();
        }
        String offsets = "__consumer_offsets";
        isTrue(!cluster.admin.listTopics().names().get().contains(offsets), "not by itself");
        var all = cluster.admin.listTopics(new ListTopicsOptions().listInternal(true)).namesToListings().get();
        isTrue(all.get(offsets).isInternal(), "it is internal");
    }

    private static ConfigResource topicResource(String topic) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic);
    }

    private ConfigResource brokerResource() throws Exception {
        return new ConfigResource(ConfigResource.Type.BROKER, String.valueOf(brokerId()));
    }

    private Config configOf(ConfigResource resource) throws Exception {
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        return cluster.admin.describeConfigs(List.of(resource), options).all().get().get(resource);
    }

    private void alter(ConfigResource resource, String name, String value, OpType operation) throws Exception {
        var change = new AlterConfigOp(new ConfigEntry(name, value), operation);
        cluster.admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
    }

    private void untilValue(ConfigResource resource, String name, String value) throws Exception {
        Checks.until(name + " is " + value, () -> value.equals(configOf(resource).get(name).value()));
    }

    private void topicConfigs() throws Exception {
        ConfigResource resource = topicResource(cluster.topic("configs", 1, Map.of("segment.ms", "60000")));
        isTrue(configOf(resource).entries().size() >= 37, "as many as Apache Kafka has");
        ConfigEntry set = configOf(resource).get("segment.ms");
        equal(set.value(), "60000", "what it was made with");
        equal(set.source(), ConfigSource.DYNAMIC_TOPIC_CONFIG, "where that comes from");
        equal(set.type(), ConfigEntry.ConfigType.LONG, "its type");
        isTrue(set.documentation().length() > 10, "it is documented");
        equal(set.synonyms().get(0).source(), ConfigSource.DYNAMIC_TOPIC_CONFIG, "the first of its sources");
        equal(configOf(resource).get("max.message.bytes").source(), ConfigSource.DEFAULT_CONFIG, "by default");
        alter(resource, "retention.bytes", "1000000", OpType.SET);
        untilValue(resource, "retention.bytes", "1000000");
        alter(resource, "cleanup.policy", "compact", OpType.APPEND);
        Checks.until("it is appended", () -> Set.of(configOf(resource).get("cleanup.policy").value().split(","))
            .equals(Set.of("delete", "compact")));
        alter(resource, "cleanup.policy", "delete", OpType.SUBTRACT);
        untilValue(resource, "cleanup.policy", "compact");
        alter(resource, "retention.bytes", "", OpType.DELETE);
        untilValue(resource, "retention.bytes", "-1");
        equal(configOf(resource).get("segment.ms").value(), "60000", "what was left alone");
    }

    private void brokerConfigs() throws Exception {
        ConfigResource broker = brokerResource();
        isTrue(configOf(broker).entries().size() > 100, "how many there are");
        ConfigEntry id = configOf(broker).get("node.id");
        equal(id.value(), broker.name(), "its id");
        isTrue(id.isReadOnly(), "which cannot be changed");
        alter(broker, "log.cleaner.backoff.ms", "14000", OpType.SET);
        untilValue(broker, "log.cleaner.backoff.ms", "14000");
        equal(configOf(broker).get("log.cleaner.backoff.ms").source(), ConfigSource.DYNAMIC_BROKER_CONFIG, "source");
        ConfigResource all = new ConfigResource(ConfigResource.Type.BROKER, "");
        alter(all, "log.retention.ms", "700000000", OpType.SET);
        untilValue(broker, "log.retention.ms", "700000000");
        equal(configOf(broker).get("log.retention.ms").source(),
            ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG, "source for all");
        ConfigResource topic = topicResource(cluster.topic("inherits", 1));
        untilValue(topic, "retention.ms", "700000000");
        alter(all, "log.retention.ms", "", OpType.DELETE);
        alter(broker, "log.cleaner.backoff.ms", "", OpType.DELETE);
        untilValue(broker, "log.cleaner.backoff.ms", "15000");
    }

    private void refusedConfigs() throws Exception {
        ConfigResource topic = topicResource(cluster.topic("refused", 1));
        fails(() -> alter(topic, "no.such.config", "1", OpType.SET), InvalidConfigurationException.class);
        fails(() -> alter(topic, "segment.bytes", "none", OpType.SET), InvalidConfigurationException.class);
        fails(() -> alter(topicResource(cluster.name("none")), "segment.ms", "1", OpType.SET),
            UnknownTopicOrPartitionException.class);
        fails(() -> alter(brokerResource(), "node.id", "7", OpType.SET),
            org.apache.kafka.common.errors.InvalidRequestException.class, InvalidConfigurationException.class);
        fails(() -> configOf(topicResource(cluster.name("none"))), UnknownTopicOrPartitionException.class);
    }

    private TopicPartition tenRecords(String what) throws Exception {
        TopicPartition partition = new TopicPartition(cluster.topic(what, 1), 0);
        try (var producer = cluster.textProducer(Map.of())) {
            for (int number = 0; number < 10; number++) {
                // The fifth is the newest.
                long timestamp = 1_700_000_000_000L + (number == 4 ? 1_000_000 : number * 1000L);
                producer.send(new ProducerRecord<>(partition.topic(), 0, timestamp, null, "" + number)).get();
            }
        }
        return partition;
    }

    private void listedOffsets() throws Exception {
        TopicPartition partition = tenRecords("listed");
        Map<OffsetSpec, Long> wanted = new HashMap<>();
        wanted.put(OffsetSpec.earliest(), 0L);
        wanted.put(OffsetSpec.latest(), 10L);
        wanted.put(OffsetSpec.maxTimestamp(), 4L);
        wanted.put(OffsetSpec.earliestLocal(), 0L);
        wanted.put(OffsetSpec.latestTiered(), -1L);
        wanted.put(OffsetSpec.forTimestamp(1_700_000_000_000L + 2000), 2L);
        wanted.put(OffsetSpec.forTimestamp(1_700_000_000_000L + 2_000_000), -1L);
        for (var one : wanted.entrySet()) {
            var found = cluster.admin.listOffsets(Map.of(partition, one.getKey())).partitionResult(partition).get();
            equal(found.offset(), one.getValue(), one.getKey().getClass().getSimpleName());
        }
        var newest = cluster.admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp()));
        equal(newest.partitionResult(partition).get().timestamp(), 1_700_001_000_000L, "the newest time");
    }

    private void deletedRecords() throws Exception {
        TopicPartition partition = tenRecords("deleted");
        var deleted = cluster.admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(6)));
        equal(deleted.lowWatermarks().get(partition).get().lowWatermark(), 6L, "the new start");
        equal(cluster.values(partition.topic(), "read_uncommitted"), List.of("6", "7", "8", "9"), "what is left");
        fails(() -> cluster.admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(11))).all().get(),
            OffsetOutOfRangeException.class);
        cluster.admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(-1))).all().get();
        equal(cluster.values(partition.topic(), "read_uncommitted"), List.of(), "what is left in the end");
        equal(cluster.endOffset(partition), 10L, "the end");
    }

    private void configResources() throws Exception {
        String topic = cluster.topic("resource", 1, Map.of("segment.ms", "60000"));
        Set<ConfigResource.Type> type = Set.of(ConfigResource.Type.TOPIC);
        var listed = cluster.admin.listConfigResources(type,
            new org.apache.kafka.clients.admin.ListConfigResourcesOptions()).all().get();
        isTrue(listed.contains(topicResource(topic)), "the topic is among them");
    }
}
