package tailrace.interop;

import static tailrace.interop.Checks.equal;
import static tailrace.interop.Checks.fails;
import static tailrace.interop.Checks.isTrue;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.NoReassignmentInProgressException;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.errors.UnknownMemberIdException;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** What Admin asks about the cluster, its groups and whom it knows. */
final class AdminClusterChecks {
    private final Cluster cluster;

    AdminClusterChecks(Cluster cluster) {
        this.cluster = cluster;
    }

    void runAll(Checks checks) throws Exception {
        checks.check("the cluster is described", this::describedCluster);
        checks.check("log directories are described, with the sizes of partitions", this::logDirs);
        checks.check("features are described, and one that is not known cannot be set", this::features);
        checks.check("the quorum is described", this::quorum);
        checks.check("leaders are elected where that is needed", this::elections);
        checks.check("partitions stay on the one broker there is", this::reassignments);
        checks.check("groups are listed by state and type, and described", this::groups);
        checks.check("offsets of a group are altered, listed and deleted", this::groupOffsets);
        checks.check("groups are deleted", this::deletedGroups);
        checks.served(ApiKeys.ALTER_CLIENT_QUOTAS, "client quotas are set, described and removed", this::quotas);
        checks.served(ApiKeys.ALTER_USER_SCRAM_CREDENTIALS,
            "users are made, described and removed", new UserChecks(cluster)::users);
        checks.served(ApiKeys.CREATE_ACLS, "ACLs are made, described and removed, or refused", this::acls);
        checks.served(ApiKeys.ALTER_REPLICA_LOG_DIRS, "replicas have no other directory to go to",
            new UserChecks(cluster)::replicaLogDirs);
    }

    private int brokerId() throws Exception {
        return cluster.admin.describeCluster().nodes().get().iterator().next().id();
    }

    private void describedCluster() throws Exception {
        var told = cluster.admin.describeCluster();
        equal(told.nodes().get().size(), 1, "nodes");
        var node = told.nodes().get().iterator().next();
        equal(node.host() + ":" + node.port(), cluster.bootstrap, "its address");
        equal(told.controller().get().id(), node.id(), "the controller");
        equal(told.clusterId().get().length(), 22, "the length of the id");
    }

    private void logDirs() throws Exception {
        String topic = cluster.topic("log-dirs", 1);
        try (var producer = cluster.producer(Map.of())) {
            producer.send(new ProducerRecord<>(topic, new byte[10_000])).get();
        }
        int id = brokerId();
        var dirs = cluster.admin.describeLogDirs(List.of(id)).allDescriptions().get().get(id);
        equal(dirs.size(), 1, "directories");
        var dir = dirs.values().iterator().next();
        equal(dir.error(), null, "its error");
        isTrue(dir.totalBytes().getAsLong() > dir.usableBytes().getAsLong(), "bytes in all and bytes free");
        var replica = dir.replicaInfos().get(new TopicPartition(topic, 0));
        isTrue(replica.size() >= 10_000, "the size of the partition: " + replica.size());
        equal(replica.isFuture(), false, "it is no copy under way");
    }

    private void features() throws Exception {
        var told = cluster.admin.describeFeatures().featureMetadata().get();
        equal(told.finalizedFeatures().get("transaction.version").maxVersionLevel(), (short) 2, "transactions");
        var update = Map.of("no.such.feature", new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE));
        fails(() -> cluster.admin.updateFeatures(update, new UpdateFeaturesOptions()).all().get(),
            org.apache.kafka.common.errors.InvalidUpdateVersionException.class,
            org.apache.kafka.common.errors.FeatureUpdateFailedException.class,
            org.apache.kafka.common.errors.InvalidRequestException.class);
    }

    private void quorum() throws Exception {
        var told = cluster.admin.describeMetadataQuorum().quorumInfo().get();
        equal(told.leaderId(), brokerId(), "the leader");
        equal(told.voters().size(), 1, "voters");
        equal(told.voters().get(0).replicaId(), brokerId(), "the voter");
        isTrue(told.highWatermark() > 0, "its high watermark");
        equal(told.observers(), List.of(), "observers");
    }

    private void elections() throws Exception {
        TopicPartition partition = new TopicPartition(cluster.topic("elected", 1), 0);
        var result = cluster.admin.electLeaders(ElectionType.PREFERRED, Set.of(partition)).partitions().get();
        isTrue(result.get(partition).orElseThrow() instanceof ElectionNotNeededException, "" + result);
        var none = new TopicPartition(cluster.name("none"), 0);
        var unknown = cluster.admin.electLeaders(ElectionType.UNCLEAN, Set.of(none)).partitions().get();
        isTrue(unknown.get(none).orElseThrow()
            instanceof org.apache.kafka.common.errors.UnknownTopicOrPartitionException, "" + unknown);
    }

    private void reassignments() throws Exception {
        TopicPartition partition = new TopicPartition(cluster.topic("reassigned", 1), 0);
        var here = Optional.of(new NewPartitionReassignment(List.of(brokerId())));
        cluster.admin.alterPartitionReassignments(Map.of(partition, here)).all().get();
        var elsewhere = Optional.of(new NewPartitionReassignment(List.of(77)));
        fails(() -> cluster.admin.alterPartitionReassignments(Map.of(partition, elsewhere)).all().get(),
            InvalidReplicaAssignmentException.class);
        fails(() -> cluster.admin.alterPartitionReassignments(Map.of(partition, Optional.empty())).all().get(),
            NoReassignmentInProgressException.class);
        equal(cluster.admin.listPartitionReassignments().reassignments().get(), Map.of(), "what is under way");
    }

    private void groups() throws Exception {
        String topic = cluster.topic("for-groups", 2);
        String group = cluster.name("group");
        var options = org.apache.kafka.clients.admin.ListGroupsOptions.forConsumerGroups();
        try (Member member = new Member(cluster, group, topic, Map.of(), new ConcurrentLinkedQueue<>())) {
            Checks.until("it has its partitions", () -> member.assigned.size() == 2);
            var listed = cluster.admin.listGroups(options.inGroupStates(Set.of(GroupState.STABLE))).all().get()
                .stream().filter(one -> one.groupId().equals(group)).toList();
            equal(listed.size(), 1, "how often it is listed");
            equal(listed.get(0).type(), Optional.of(GroupType.CLASSIC), "its type");
            equal(listed.get(0).protocol(), "consumer", "its protocol");
            var told = cluster.admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
            equal(told.groupState(), GroupState.STABLE, "its state");
            equal(told.partitionAssignor(), "range", "its assignor");
            equal(told.coordinator().id(), brokerId(), "its coordinator");
            equal(told.members().size(), 1, "members");
            var assigned = told.members().iterator().next().assignment().topicPartitions();
            equal(assigned, Set.copyOf(Cluster.partitions(topic, 2)), "what the member has");
            var classic = cluster.admin.describeClassicGroups(List.of(group)).describedGroups().get(group).get();
            equal(classic.protocol(), "consumer", "the protocol of the classic group");
            equal(classic.members().size(), 1, "members of the classic group");
        }
        Checks.until("it is listed as empty", () -> cluster.admin
            .listGroups(options.inGroupStates(Set.of(GroupState.EMPTY))).all().get().stream()
            .anyMatch(one -> one.groupId().equals(group)));
        fails(() -> cluster.admin.describeConsumerGroups(List.of(cluster.name("none"))).all().get(),
            GroupIdNotFoundException.class);
    }

    private void groupOffsets() throws Exception {
        String topic = cluster.topic("group-offsets", 2);
        List<TopicPartition> partitions = Cluster.partitions(topic, 2);
        String group = cluster.name("group");
        var offsets = Map.of(
            partitions.get(0), new OffsetAndMetadata(3, "three"),
            partitions.get(1), new OffsetAndMetadata(4));
        cluster.admin.alterConsumerGroupOffsets(group, offsets).all().get();
        var specs = Map.of(group, new ListConsumerGroupOffsetsSpec().topicPartitions(partitions));
        equal(cluster.admin.listConsumerGroupOffsets(specs).all().get().get(group), offsets, "what was altered");
        var deleted = cluster.admin.deleteConsumerGroupOffsets(group, Set.of(partitions.get(0)));
        deleted.all().get();
        equal(cluster.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(),
            Map.of(partitions.get(1), offsets.get(partitions.get(1))), "what is left");
        try (Member member = new Member(cluster, group, topic, Map.of(), new ConcurrentLinkedQueue<>())) {
            Checks.until("it has its partitions", () -> member.assigned.size() == 2);
            fails(() -> cluster.admin.deleteConsumerGroupOffsets(group, Set.of(partitions.get(1))).all().get(),
                GroupSubscribedToTopicException.class);
            fails(() -> cluster.admin.alterConsumerGroupOffsets(group, offsets).all().get(),
                UnknownMemberIdException.class);
        }
    }

    private void deletedGroups() throws Exception {
        TopicPartition partition = new TopicPartition(cluster.topic("for-deletion", 1), 0);
        String group = cluster.name("group");
        var offsets = Map.of(partition, new OffsetAndMetadata(3));
        cluster.admin.alterConsumerGroupOffsets(group, offsets).all().get();
        cluster.admin.deleteConsumerGroups(List.of(group)).all().get();
        equal(cluster.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(), Map.of(), "offsets");
        fails(() -> cluster.admin.deleteConsumerGroups(List.of(group)).all().get(), GroupIdNotFoundException.class);
    }

    private void quotas() throws Exception {
        var entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, cluster.name("client")));
        var set = new ClientQuotaAlteration(entity, List.of(
            new ClientQuotaAlteration.Op("producer_byte_rate", 1024.5 * 1024),
            new ClientQuotaAlteration.Op("request_percentage", 150.0)));
        cluster.admin.alterClientQuotas(List.of(set)).all().get();
        var filter = ClientQuotaFilter.contains(List.of(ClientQuotaFilterComponent.ofEntity(
            ClientQuotaEntity.CLIENT_ID, entity.entries().get(ClientQuotaEntity.CLIENT_ID))));
        var wanted = Map.of(entity, Map.of("producer_byte_rate", 1024.5 * 1024, "request_percentage", 150.0));
        Checks.until("they are set", () ->
            cluster.admin.describeClientQuotas(filter).entities().get().equals(wanted));
        var unset = new ClientQuotaAlteration(entity, List.of(
            new ClientQuotaAlteration.Op("producer_byte_rate", null),
            new ClientQuotaAlteration.Op("request_percentage", null)));
        cluster.admin.alterClientQuotas(List.of(unset)).all().get();
        Checks.until("they are gone", () -> cluster.admin.describeClientQuotas(filter).entities().get().isEmpty());
    }

    private void acls() throws Exception {
        var pattern = new ResourcePattern(ResourceType.TOPIC, cluster.name("acl"), PatternType.LITERAL);
        var entry = new AccessControlEntry("User:someone", "*", AclOperation.READ, AclPermissionType.ALLOW);
        AclBinding binding = new AclBinding(pattern, entry);
        AclBindingFilter filter = binding.toFilter();
        try {
            cluster.admin.createAcls(List.of(binding)).all().get();
        } catch (java.util.concurrent.ExecutionException error) {
            // A broker without an authorizer says so in all of them.
            isTrue(error.getCause() instanceof SecurityDisabledException, "" + error.getCause());
            fails(() -> cluster.admin.describeAcls(filter).values().get(), SecurityDisabledException.class);
            fails(() -> cluster.admin.deleteAcls(List.of(filter)).all().get(), SecurityDisabledException.class);
            return;
        }
        Checks.until("it is there", () -> List.of(binding).equals(List.copyOf(
            cluster.admin.describeAcls(filter).values().get())));
        equal(List.copyOf(cluster.admin.deleteAcls(List.of(filter)).all().get()), List.of(binding), "what is deleted");
        Checks.until("it is gone", () -> cluster.admin.describeAcls(filter).values().get().isEmpty());
    }
}
