package tailrace.interop;

import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Kafka Streams counts words, exactly once: {@code BOOTSTRAP APPLICATION FROM TO FOLDER}. Each word
 * of a line goes through a repartition topic to its count, which is kept in RocksDB and in a
 * changelog; each new count goes to the topic TO under its word. Runs until it is ended.
 */
public final class WordCount {
    public static void main(String[] args) throws Exception {
        Properties configs = new Properties();
        configs.putAll(Map.of(
            "bootstrap.servers", args[0],
            "application.id", args[1],
            "state.dir", args[4],
            "processing.guarantee", "exactly_once_v2",
            "commit.interval.ms", "100",
            // Every count is to be seen, not only the last of an interval.
            "statestore.cache.max.bytes", "0",
            "replication.factor", "1",
            // Who was killed is given up soon.
            "session.timeout.ms", "2000",
            "heartbeat.interval.ms", "500",
            "auto.offset.reset", "earliest"));
        var text = Serdes.String();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(args[2], Consumed.with(text, text))
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with(text, text))
            .count(Materialized.as("counts"))
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to(args[3], Produced.with(text, text));
        KafkaStreams streams = new KafkaStreams(builder.build(), configs);
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
