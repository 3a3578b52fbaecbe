package tailrace.interop;

import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;

/** Fills messages with random values: the fields that a version has, by its schema. */
final class RandomMessage {
    /** Characters of every length that UTF-8 has. */
    private static final String[] LETTERS = {"a", "Z", "9", ".", "\u00e9", "\u20ac", "\ud83e\udd80"};
    /** Tailrace takes what is beyond for the next number, the last that is exact in JavaScript. */
    private static final long MOST_LONG = (1L << 53) - 2;
    /** Kafka's own tags count from 0, Tailrace's from 10 000. */
    private static final int FIRST_UNKNOWN_TAG = 1000;

    private final Random random;

    RandomMessage(Random random) {
        this.random = random;
    }

    /** Sets the fields of a message that a schema has. */
    void fill(Message message, Schema schema) throws ReflectiveOperationException {
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                for (Field one : tagged.fields().values()) {
                    if (oneIn(3)) continue;
                    set(message, one);
                }
            } else {
                set(message, field.def);
            }
        }
    }

    /** Adds tagged fields that nobody knows, at every level, where the version has tags. */
    void addUnknownTags(Message message, Schema schema) throws ReflectiveOperationException {
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                for (int tag = FIRST_UNKNOWN_TAG; !oneIn(3); tag += 1 + random.nextInt(500)) {
                    message.unknownTaggedFields().add(new RawTaggedField(tag, bytes(20)));
                }
                for (Field one : tagged.fields().values()) addInside(message, one);
            } else {
                addInside(message, field.def);
            }
        }
    }

    private void addInside(Message message, Field field) throws ReflectiveOperationException {
        Type type = field.type.arrayElementType().orElse(field.type);
        if (!(type instanceof Schema schema)) return;
        Object value = FieldMethods.getterOf(message.getClass(), field.name).invoke(message);
        if (value instanceof Message inner) addUnknownTags(inner, schema);
        if (!(value instanceof Collection<?> elements)) return;
        for (Object element : elements) addUnknownTags((Message) element, schema);
    }

    private void set(Message message, Field field) throws ReflectiveOperationException {
        Method setter = FieldMethods.setterOf(message.getClass(), field.name);
        Class<?> type = setter.getParameterTypes()[0];
        boolean isNull = field.type.isNullable() && oneIn(4);
        setter.invoke(message, isNull ? null : value(field.type, type, setter));
    }

    private Object value(Type type, Class<?> javaType, Method setter) throws ReflectiveOperationException {
        if (type.isArray()) return elements(type.arrayElementType().orElseThrow(), javaType, setter);
        if (type instanceof Schema schema) {
            Message inner = (Message) javaType.getConstructor().newInstance();
            fill(inner, schema);
            return inner;
        }
        if (type == Type.UINT16) return number(0, 0xffff).intValue();
        if (type == Type.UNSIGNED_INT32) return number(0, 0xffff_ffffL);
        return primitive(javaType);
    }

    private Object primitive(Class<?> type) {
        if (type == boolean.class) return random.nextBoolean();
        if (type == byte.class || type == Byte.class) {
            return number(Byte.MIN_VALUE, Byte.MAX_VALUE).byteValue();
        }
        if (type == short.class || type == Short.class) {
            return number(Short.MIN_VALUE, Short.MAX_VALUE).shortValue();
        }
        if (type == int.class || type == Integer.class) {
            return number(Integer.MIN_VALUE, Integer.MAX_VALUE).intValue();
        }
        if (type == long.class || type == Long.class) return number(-MOST_LONG, MOST_LONG);
        if (type == double.class) return random.nextGaussian() * 1e6;
        if (type == String.class) return text();
        if (type == Uuid.class) return new Uuid(random.nextLong(), random.nextLong());
        if (type == byte[].class) return bytes(40);
        if (type == ByteBuffer.class) return ByteBuffer.wrap(bytes(40));
        if (type == BaseRecords.class) return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes(80)));
        throw new IllegalStateException("no random values of " + type);
    }

    private Object elements(Type type, Class<?> javaType, Method setter) throws ReflectiveOperationException {
        Collection<Object> elements = new ArrayList<>();
        if (javaType != List.class) elements = newCollection(javaType);
        Class<?> elementType = FieldMethods.elementType(setter);
        for (int left = random.nextInt(3); left > 0; left--) {
            elements.add(value(type, elementType, setter));
        }
        return elements;
    }

    @SuppressWarnings("unchecked") // what is added is of the class that its type parameter names
    private static Collection<Object> newCollection(Class<?> type) throws ReflectiveOperationException {
        return (Collection<Object>) type.getConstructor().newInstance();
    }

    private boolean oneIn(int count) {
        return random.nextInt(count) == 0;
    }

    /** Often a small number or a bound. */
    private Long number(long least, long most) {
        return switch (random.nextInt(6)) {
            case 0 -> least;
            case 1 -> most;
            case 2 -> random.nextLong(least, most);
            default -> random.nextLong(Math.max(least, -1), 100);
        };
    }

    private String text() {
        StringBuilder text = new StringBuilder();
        for (int left = random.nextInt(8); left > 0; left--) {
            text.append(LETTERS[random.nextInt(LETTERS.length)]);
        }
        return text.toString();
    }

    private byte[] bytes(int most) {
        byte[] bytes = new byte[random.nextInt(most)];
        random.nextBytes(bytes);
        return bytes;
    }
}
