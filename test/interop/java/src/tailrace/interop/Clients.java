package tailrace.interop;

import java.util.Arrays;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Apache Kafka's Java clients against a broker: {@code BOOTSTRAP KEYS PART}, where the keys are those
 * of the APIs that the broker announces, and a part is {@code producers}, {@code transactions},
 * {@code groups} or {@code admin}. Prints a line of JSON for each check.
 */
public final class Clients {
    public static void main(String[] args) throws Exception {
        Set<Integer> keys = Arrays.stream(args[1].split(",")).map(Integer::valueOf).collect(Collectors.toSet());
        Checks checks = new Checks(keys);
        try (Cluster cluster = new Cluster(args[0])) {
            switch (args[2]) {
                case "producers" -> new ProducerChecks(cluster).runAll(checks);
                case "transactions" -> new TransactionChecks(cluster).runAll(checks);
                case "groups" -> new GroupChecks(cluster).runAll(checks);
                case "admin" -> {
                    new AdminTopicChecks(cluster).runAll(checks);
                    new AdminClusterChecks(cluster).runAll(checks);
                }
                default -> throw new IllegalArgumentException("no such part: " + args[2]);
            }
        }
    }
}
