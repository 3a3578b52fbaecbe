package tailrace.interop;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.Schema;

/** One of the message classes that Apache Kafka generates: requests, responses, stored records. */
final class MessageKind {
    /** Where the generated classes are. */
    private static final Pattern CLASS_FILE = Pattern.compile(
        "(org/apache/kafka/(common/message|common/metadata|coordinator/\\w+/generated)/\\w+)\\.class");

    final String name;
    final Class<? extends Message> type;
    private final Class<?> converter;
    /** By version; null where there is none. */
    final Schema[] schemas;
    final int firstVersion;
    final int lastVersion;

    private MessageKind(String name, Class<? extends Message> type, int first, int last)
            throws ReflectiveOperationException {
        this.name = name;
        this.type = type;
        this.converter = Class.forName(type.getName() + "JsonConverter");
        this.schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        this.firstVersion = first;
        this.lastVersion = last;
    }

    /** All that a broker may get, send or store, by name. */
    static Map<String, MessageKind> all() throws IOException, ReflectiveOperationException {
        Map<String, MessageKind> kinds = new TreeMap<>();
        for (ApiMessageType api : ApiMessageType.values()) {
            if (!api.listeners().contains(ApiMessageType.ListenerType.BROKER)) continue;
            int first = api.lowestSupportedVersion();
            int last = api.highestSupportedVersion(true);
            for (Message message : List.of(api.newRequest(), api.newResponse())) {
                String name = message.getClass().getSimpleName().replaceFirst("Data$", "");
                kinds.put(name, new MessageKind(name, message.getClass(), first, last));
            }
        }
        for (Class<? extends Message> type : generatedClasses()) {
            String name = type.getSimpleName();
            if (name.endsWith("RequestData") || name.endsWith("ResponseData")) continue;
            Message empty = type.getConstructor().newInstance();
            int first = empty.lowestSupportedVersion();
            kinds.put(name, new MessageKind(name, type, first, empty.highestSupportedVersion()));
        }
        return kinds;
    }

    private static List<Class<? extends Message>> generatedClasses()
            throws IOException, ReflectiveOperationException {
        List<Class<? extends Message>> types = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(":")) {
            if (!Path.of(entry).getFileName().toString().startsWith("kafka-")) continue;
            try (JarFile jar = new JarFile(entry)) {
                for (String file : jar.stream().map(Object::toString).toList()) {
                    Matcher matcher = CLASS_FILE.matcher(file);
                    if (!matcher.matches()) continue;
                    Class<?> type = Class.forName(matcher.group(1).replace('/', '.'));
                    if (Message.class.isAssignableFrom(type)) types.add(type.asSubclass(Message.class));
                }
            }
        }
        types.sort(Comparator.comparing(Class::getName));
        return types;
    }

    Message newMessage() throws ReflectiveOperationException {
        return type.getConstructor().newInstance();
    }

    /** The bytes of a message in a version. */
    static byte[] write(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) throw new IllegalStateException(message + " is shorter than it says");
        return buffer.array();
    }

    /** A message out of its bytes, all of which must be its. */
    Message read(byte[] bytes, short version) throws ReflectiveOperationException {
        Message message = newMessage();
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException(name + " leaves " + buffer.remaining() + " bytes");
        }
        return message;
    }

    /** A message as Apache Kafka tells it in JSON. */
    JsonNode toJson(Message message, short version) throws ReflectiveOperationException {
        try {
            return (JsonNode) converter.getMethod("write", type, short.class).invoke(null, message, version);
        } catch (InvocationTargetException error) {
            throw new IllegalStateException(name + " " + version + ": " + message, error.getCause());
        }
    }
}
