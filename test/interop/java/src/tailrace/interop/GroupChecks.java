package tailrace.interop;

import static tailrace.interop.Checks.equal;
import static tailrace.interop.Checks.fails;
import static tailrace.interop.Checks.isTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;

/** Consumers in groups of the classic protocol. */
final class GroupChecks {
    private static final String ASSIGNORS = "org.apache.kafka.clients.consumer.";
    private static final int PARTITIONS = 6;

    private final Cluster cluster;

    GroupChecks(Cluster cluster) {
        this.cluster = cluster;
    }

    void runAll(Checks checks) throws Exception {
        for (String assignor : List.of("Range", "RoundRobin", "Sticky", "CooperativeSticky")) {
            checks.check("members come, leave and vanish, and every record is read: " + assignor,
                () -> comeAndGo(assignor + "Assignor"));
        }
        checks.check("a static member comes back to its partitions and disturbs nobody", this::staticMember);
        checks.check("of two static members with one name the older is fenced", this::fencedMember);
        checks.check("a static member is removed by an administrator", this::removedMember);
        checks.check("committed offsets are where the next member begins", this::committed);
        checks.check("a subscription by pattern finds new topics", this::pattern);
        checks.check("who is no member of a living group may not commit", this::foreignCommit);
    }

    private void write(String topic, int first, int count) throws Exception {
        try (var producer = cluster.textProducer(Map.of())) {
            for (int number = first; number < first + count; number++) {
                producer.send(new ProducerRecord<>(topic, number % PARTITIONS, null, "" + number));
            }
        }
    }

    /** Waits until all partitions are given out, each once, and every member has some. */
    private static void untilShared(Member... members) throws Exception {
        Checks.until("the partitions are shared", () -> {
            Set<TopicPartition> all = new HashSet<>();
            int count = 0;
            for (Member member : members) {
                if (member.error != null) throw member.error;
                if (member.assigned.isEmpty()) return false;
                all.addAll(member.assigned);
                count += member.assigned.size();
            }
            return all.size() == PARTITIONS && count == PARTITIONS;
        });
    }

    private static void untilRead(ConcurrentLinkedQueue<String> read, int count) throws Exception {
        Checks.until(count + " records are read", () -> new HashSet<>(read).size() >= count);
    }

    private void comeAndGo(String assignor) throws Exception {
        String topic = cluster.topic("groups", PARTITIONS);
        String group = cluster.name("group");
        Map<String, String> configs = Map.of(
            "partition.assignment.strategy", ASSIGNORS + assignor, "session.timeout.ms", "2000");
        ConcurrentLinkedQueue<String> read = new ConcurrentLinkedQueue<>();
        try (Member first = new Member(cluster, group, topic, configs, read)) {
            write(topic, 0, 200);
            untilRead(read, 200);
            untilShared(first);
            try (Member second = new Member(cluster, group, topic, configs, read)) {
                Member third = new Member(cluster, group, topic, configs, read);
                write(topic, 200, 200);
                untilShared(first, second, third);
                equal(third.assigned.size(), 2, "a fair share");
                untilRead(read, 400);
                third.vanish();
                write(topic, 400, 200);
                untilShared(first, second);
                untilRead(read, 600);
            }
            write(topic, 600, 200);
            untilShared(first);
            untilRead(read, 800);
            isTrue(first.revocations.get() > 0, "partitions were taken from the first");
        }
        equal(new HashSet<>(read).size(), 800, "how many different records were read");
        long sum = 0;
        var offsets = cluster.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        for (OffsetAndMetadata offset : offsets.values()) sum += offset.offset();
        equal(sum, 800L, "what is committed");
    }

    private static Map<String, String> instance(String name) {
        return Map.of("group.instance.id", name);
    }

    private void staticMember() throws Exception {
        String topic = cluster.topic("static", PARTITIONS);
        String group = cluster.name("group");
        ConcurrentLinkedQueue<String> read = new ConcurrentLinkedQueue<>();
        try (Member stays = new Member(cluster, group, topic, instance("stays"), read)) {
            Member goes = new Member(cluster, group, topic, instance("goes"), read);
            untilShared(stays, goes);
            Set<TopicPartition> had = goes.assigned;
            int rebalances = stays.assignments.get();
            goes.close();
            write(topic, 0, 100);
            try (Member back = new Member(cluster, group, topic, instance("goes"), read)) {
                untilShared(stays, back);
                equal(back.assigned, had, "the same partitions as before");
                untilRead(read, 100);
                equal(stays.assignments.get(), rebalances, "rebalances that the other saw");
                var told = cluster.admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
                Set<String> names = new HashSet<>();
                told.members().forEach(one -> names.add(one.groupInstanceId().orElse("none")));
                equal(names, Set.of("stays", "goes"), "who is described");
            }
        }
    }

    private void fencedMember() throws Exception {
        String topic = cluster.topic("fenced-member", PARTITIONS);
        String group = cluster.name("group");
        ConcurrentLinkedQueue<String> read = new ConcurrentLinkedQueue<>();
        Member older = new Member(cluster, group, topic, instance("only"), read);
        untilShared(older);
        try (Member younger = new Member(cluster, group, topic, instance("only"), read)) {
            Checks.until("the older is fenced", () -> older.error instanceof FencedInstanceIdException);
            untilShared(younger);
        }
        older.close();
    }

    private void removedMember() throws Exception {
        String topic = cluster.topic("removed-member", PARTITIONS);
        String group = cluster.name("group");
        ConcurrentLinkedQueue<String> read = new ConcurrentLinkedQueue<>();
        try (Member stays = new Member(cluster, group, topic, instance("stays"), read)) {
            Member goes = new Member(cluster, group, topic, instance("goes"), read);
            untilShared(stays, goes);
            goes.close();
            var options = new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("goes")));
            cluster.admin.removeMembersFromConsumerGroup(group, options).all().get();
            untilShared(stays);
        }
    }

    private void committed() throws Exception {
        String topic = cluster.topic("committed", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = cluster.textProducer(Map.of())) {
            for (int number = 0; number < 20; number++) producer.send(new ProducerRecord<>(topic, "" + number));
        }
        Map<String, String> configs = Map.of("group.id", cluster.name("group"), "max.poll.records", "8");
        try (var consumer = cluster.textConsumer(configs)) {
            consumer.subscribe(List.of(topic));
            Checks.until("some are read", () -> !consumer.poll(Cluster.MOMENT).isEmpty());
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(8, "eight")));
        }
        List<String> values = new ArrayList<>();
        try (var consumer = cluster.textConsumer(configs)) {
            consumer.subscribe(List.of(topic));
            Checks.until("the others are read", () -> {
                consumer.poll(Cluster.MOMENT).forEach(record -> values.add(record.value()));
                return values.size() >= 12;
            });
            equal(consumer.committed(Set.of(partition)).get(partition).metadata(), "eight", "the metadata");
            boolean[] hasCommitted = {false};
            consumer.commitAsync((offsets, error) -> hasCommitted[0] = error == null);
            Checks.until("the commit is answered", () -> {
                consumer.poll(Cluster.MOMENT);
                return hasCommitted[0];
            });
        }
        equal(values.get(0), "8", "the first");
        equal(values.size(), 12, "how many");
    }

    private void pattern() throws Exception {
        String prefix = cluster.name("pattern");
        Map<String, String> configs = Map.of(
            "group.id", cluster.name("group"), "metadata.max.age.ms", "200");
        Set<String> seen = new HashSet<>();
        try (var consumer = cluster.textConsumer(configs)) {
            consumer.subscribe(Pattern.compile(prefix + "-.*"));
            consumer.poll(Cluster.MOMENT);
            for (String topic : List.of(prefix + "-one", prefix + "-two")) {
                try (var producer = cluster.textProducer(Map.of())) {
                    producer.send(new ProducerRecord<>(topic, "key", topic)).get();
                }
                Checks.until(topic + " is found", () -> {
                    consumer.poll(Cluster.MOMENT).forEach(record -> seen.add(record.value()));
                    return seen.contains(topic);
                });
            }
        }
    }

    private void foreignCommit() throws Exception {
        String topic = cluster.topic("foreign", PARTITIONS);
        String group = cluster.name("group");
        TopicPartition partition = new TopicPartition(topic, 0);
        var offsets = Map.of(partition, new OffsetAndMetadata(1));
        ConcurrentLinkedQueue<String> read = new ConcurrentLinkedQueue<>();
        try (Member member = new Member(cluster, group, topic, Map.of(), read)) {
            untilShared(member);
            try (var foreign = cluster.textConsumer(Map.of("group.id", group))) {
                foreign.assign(List.of(partition));
                fails(() -> foreign.commitSync(offsets), CommitFailedException.class);
                ConsumerGroupMetadata metadata = foreign.groupMetadata();
                equal(metadata.generationId(), -1, "the generation of who is no member");
            }
            fails(() -> cluster.admin.deleteConsumerGroups(List.of(group)).all().get(),
                org.apache.kafka.common.errors.GroupNotEmptyException.class);
        }
        Checks.until("the group is empty", () -> cluster.admin.describeConsumerGroups(List.of(group))
            .describedGroups().get(group).get().groupState() == GroupState.EMPTY);
        try (var foreign = cluster.textConsumer(Map.of("group.id", group))) {
            foreign.assign(List.of(partition));
            foreign.commitSync(offsets);
        }
    }
}
