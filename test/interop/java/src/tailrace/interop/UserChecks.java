package tailrace.interop;

import static tailrace.interop.Checks.equal;
import static tailrace.interop.Checks.fails;

import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.errors.LogDirNotFoundException;
import org.apache.kafka.common.errors.ResourceNotFoundException;

/** Users with passwords, and replicas that would move from disk to disk. */
final class UserChecks {
    private final Cluster cluster;

    UserChecks(Cluster cluster) {
        this.cluster = cluster;
    }

    void users() throws Exception {
        String user = cluster.name("user");
        var info = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096);
        cluster.admin.alterUserScramCredentials(
            List.of(new UserScramCredentialUpsertion(user, info, "secret"))).all().get();
        Checks.until("the user is there", () -> cluster.admin.describeUserScramCredentials().users().get().contains(user));
        var told = cluster.admin.describeUserScramCredentials(List.of(user)).description(user).get();
        equal(told.credentialInfos(), List.of(info), "its credentials");
        var deletion = new UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256);
        cluster.admin.alterUserScramCredentials(List.of(deletion)).all().get();
        Checks.until("the user is gone", () -> !cluster.admin.describeUserScramCredentials().users().get().contains(user));
        fails(() -> cluster.admin.alterUserScramCredentials(List.of(deletion)).all().get(), ResourceNotFoundException.class);
    }

    void replicaLogDirs() throws Exception {
        String topic = cluster.topic("replica", 1);
        int id = cluster.admin.describeCluster().nodes().get().iterator().next().id();
        var replica = new TopicPartitionReplica(topic, 0, id);
        String dir = cluster.admin.describeReplicaLogDirs(List.of(replica)).all().get().get(replica)
            .getCurrentReplicaLogDir();
        cluster.admin.alterReplicaLogDirs(Map.of(replica, dir)).all().get();
        fails(() -> cluster.admin.alterReplicaLogDirs(Map.of(replica, "/no/such/directory")).all().get(),
            LogDirNotFoundException.class);
    }
}
