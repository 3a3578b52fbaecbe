package tailrace.interop;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.types.Schema;

/**
 * Bytes of Apache Kafka's own message classes, line by line in JSON.
 *
 * <p>{@code write SEED COUNT} prints so many random messages of every kind and version:
 * {@code name}, {@code version}, {@code bytes} in base64, the same with unknown tagged fields as
 * {@code tagged} where the version has tags, and what they hold as {@code value}. Before them comes of every kind what its fields are by default,
 * {@code defaults}.
 *
 * <p>{@code read} reads {@code name}, {@code version} and {@code bytes} from its input and prints of
 * each what they hold as {@code value} and, written again, their {@code bytes}.
 */
public final class Vectors {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        Map<String, MessageKind> kinds = MessageKind.all();
        if (args[0].equals("write")) {
            write(kinds, new Random(Long.parseLong(args[1])), Integer.parseInt(args[2]), out);
        } else {
            read(kinds, out);
        }
        out.flush();
    }

    private static void write(Map<String, MessageKind> kinds, Random random, int count, PrintStream out)
            throws Exception {
        RandomMessage filler = new RandomMessage(random);
        for (MessageKind kind : kinds.values()) {
            ObjectNode defaults = JSON.createObjectNode().put("name", kind.name);
            out.println(JSON.writeValueAsString(defaults.set("defaults", Defaults.of(kind))));
            for (int version = kind.firstVersion; version <= kind.lastVersion; version++) {
                Schema schema = kind.schemas[version];
                for (int number = 0; number < count; number++) {
                    Message message = kind.newMessage();
                    filler.fill(message, schema);
                    ObjectNode line = line(kind, message, (short) version);
                    filler.addUnknownTags(message, schema);
                    if (!message.unknownTaggedFields().isEmpty()) {
                        line.put("tagged", base64(MessageKind.write(message, (short) version)));
                    }
                    out.println(JSON.writeValueAsString(line));
                }
            }
        }
    }

    private static void read(Map<String, MessageKind> kinds, PrintStream out) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String text = in.readLine(); text != null; text = in.readLine()) {
            var given = JSON.readTree(text);
            MessageKind kind = kinds.get(given.get("name").textValue());
            short version = given.get("version").shortValue();
            try {
                Message message = kind.read(given.get("bytes").binaryValue(), version);
                out.println(JSON.writeValueAsString(line(kind, message, version)));
            } catch (RuntimeException error) {
                throw new IllegalStateException("cannot read " + text, error);
            }
        }
    }

    private static ObjectNode line(MessageKind kind, Message message, short version) throws Exception {
        ObjectNode line = JSON.createObjectNode();
        line.put("name", kind.name).put("version", version);
        line.put("bytes", base64(MessageKind.write(message, version)));
        line.set("value", kind.toJson(message, version));
        return line;
    }

    private static String base64(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }
}
