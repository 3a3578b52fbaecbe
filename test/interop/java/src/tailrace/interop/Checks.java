package tailrace.interop;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.protocol.ApiKeys;

/** Runs checks one after the other and tells of each a line of JSON: its name, and what was wrong. */
final class Checks {
    /** May throw whatever a client throws. */
    interface Body {
        void run() throws Exception;
    }

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long LIMIT_MS = 60_000;

    private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private final Set<Integer> servedKeys;

    /** Which APIs the broker announces. */
    Checks(Set<Integer> servedKeys) {
        this.servedKeys = servedKeys;
    }

    /** Runs a check where the broker serves what it needs; says that it does not otherwise. */
    void served(ApiKeys key, String name, Body body) throws Exception {
        if (servedKeys.contains((int) key.id)) check(name, body);
        else out.println(JSON.writeValueAsString(Map.of("name", name, "unserved", key.name)));
    }

    void check(String name, Body body) throws Exception {
        ObjectNode line = JSON.createObjectNode().put("name", name);
        long began = System.nanoTime();
        try {
            body.run();
        } catch (Exception | AssertionError error) {
            StringWriter text = new StringWriter();
            error.printStackTrace(new PrintWriter(text));
            line.put("error", text.toString());
        }
        line.put("millis", (System.nanoTime() - began) / 1_000_000);
        out.println(JSON.writeValueAsString(line));
    }

    static void equal(Object found, Object wanted, String what) {
        if (Objects.equals(found, wanted)) return;
        throw new AssertionError(what + ": found " + shorten(found) + ", wanted " + shorten(wanted));
    }

    static void isTrue(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    /** Runs what must fail with one of some errors, thrown as they are or by a future. */
    @SafeVarargs
    static Throwable fails(Body body, Class<? extends Throwable>... errors) {
        try {
            body.run();
        } catch (Throwable thrown) {
            Throwable cause = thrown instanceof ExecutionException ? thrown.getCause() : thrown;
            if (Arrays.stream(errors).anyMatch(error -> error.isInstance(cause))) return cause;
            throw new AssertionError("another error than " + Arrays.toString(errors), cause);
        }
        throw new AssertionError("no error, wanted " + Arrays.toString(errors));
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    /** Asks until something holds. */
    static void until(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + LIMIT_MS * 1_000_000;
        while (!condition.holds()) {
            if (System.nanoTime() > deadline) throw new AssertionError("never: " + what);
            Thread.sleep(20);
        }
    }

    private static String shorten(Object value) {
        String text = String.valueOf(value);
        return text.length() < 2000 ? text : text.substring(0, 2000) + "...";
    }
}
