package tailrace.interop;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.util.Collection;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

/**
 * What Apache Kafka takes for a field that a version does not have or a tag that does not come, by
 * name in lower case: a value, or where the field is an array of structs the defaults of its elements.
 */
final class Defaults {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Defaults() {}

    static ObjectNode of(MessageKind kind) throws ReflectiveOperationException {
        ObjectNode defaults = JSON.createObjectNode();
        for (int version = kind.firstVersion; version <= kind.lastVersion; version++) {
            add(defaults, kind.newMessage(), kind.schemas[version]);
        }
        return defaults;
    }

    private static void add(ObjectNode defaults, Message fresh, Schema schema)
            throws ReflectiveOperationException {
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                for (Field one : tagged.fields().values()) add(defaults, fresh, one);
            } else {
                add(defaults, fresh, field.def);
            }
        }
    }

    private static void add(ObjectNode defaults, Message fresh, Field field)
            throws ReflectiveOperationException {
        String name = field.name.replace("_", "");
        Class<?> owner = fresh.getClass();
        Object value = FieldMethods.getterOf(owner, field.name).invoke(fresh);
        Type type = field.type.arrayElementType().orElse(field.type);
        if (type instanceof Schema schema) {
            var setter = FieldMethods.setterOf(owner, field.name);
            boolean isArray = field.type.isArray();
            Class<?> inner = isArray ? FieldMethods.elementType(setter) : setter.getParameterTypes()[0];
            ObjectNode struct = JSON.createObjectNode();
            struct.put("isNull", value == null);
            ObjectNode fields = defaults.has(name)
                ? (ObjectNode) defaults.get(name).get("fields")
                : JSON.createObjectNode();
            add(fields, (Message) inner.getConstructor().newInstance(), schema);
            defaults.set(name, struct.set("fields", fields));
        } else {
            defaults.set(name, JSON.valueToTree(plain(value)));
        }
    }

    private static Object plain(Object value) {
        if (value instanceof Uuid uuid) return uuid.toString();
        if (value instanceof ByteBuffer buffer) return buffer.remaining() == 0 ? "" : buffer.toString();
        if (value instanceof Collection<?> elements && !elements.isEmpty()) {
            throw new IllegalStateException("a default with elements: " + elements);
        }
        return value;
    }
}
