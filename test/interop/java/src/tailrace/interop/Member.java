package tailrace.interop;

import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.WakeupException;

/** A member of a group in a thread of its own, which commits what it has read after every poll. */
final class Member implements AutoCloseable {
    final AtomicInteger revocations = new AtomicInteger();
    final AtomicInteger assignments = new AtomicInteger();
    volatile Set<TopicPartition> assigned = Set.of();
    volatile RuntimeException error;

    private final KafkaConsumer<String, String> consumer;
    private final Thread thread;
    private volatile boolean isLeaving = true;

    /** What it reads goes into a queue that the members share: {@code partition offset value}. */
    Member(Cluster cluster, String group, String topic, Map<String, String> configs,
            ConcurrentLinkedQueue<String> read) {
        Map<String, String> all = new HashMap<>(Map.of(
            "group.id", group, "heartbeat.interval.ms", "200", "session.timeout.ms", "10000"));
        all.putAll(configs);
        consumer = cluster.textConsumer(all);
        thread = new Thread(() -> run(topic, read));
        thread.start();
    }

    private void run(String topic, ConcurrentLinkedQueue<String> read) {
        try {
            consumer.subscribe(List.of(topic), new Listener());
            while (true) {
                consumer.poll(Duration.ofMillis(100)).forEach(
                    one -> read.add(one.partition() + " " + one.offset() + " " + one.value()));
                commit();
                assigned = Set.copyOf(consumer.assignment());
            }
        } catch (WakeupException ended) {
            assigned = Set.of();
        } catch (RuntimeException thrown) {
            error = thrown;
        } finally {
            var operation = isLeaving
                ? CloseOptions.GroupMembershipOperation.DEFAULT
                : CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP;
            consumer.close(CloseOptions.groupMembershipOperation(operation));
        }
    }

    /** Partitions that have moved on are read again where they are; that is seen as a repetition. */
    private void commit() {
        try {
            consumer.commitSync();
        } catch (RebalanceInProgressException | CommitFailedException moved) {
            assigned = Set.of();
        }
    }

    private final class Listener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (!partitions.isEmpty()) revocations.incrementAndGet();
            commit();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            assignments.incrementAndGet();
        }
    }

    /** Ends without telling the group. */
    void vanish() throws InterruptedException {
        isLeaving = false;
        close();
    }

    @Override
    public void close() throws InterruptedException {
        consumer.wakeup();
        thread.join();
    }
}
