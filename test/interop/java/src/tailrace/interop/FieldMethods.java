package tailrace.interop;

import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.List;

/** The methods of generated classes by the names of fields as schemas tell them. */
final class FieldMethods {
    private FieldMethods() {}

    static Method getterOf(Class<?> type, String field) {
        return methodOf(type, field.replace("_", ""));
    }

    static Method setterOf(Class<?> type, String field) {
        return methodOf(type, "set" + field.replace("_", ""));
    }

    /** Schemas do not tell the capital letters. */
    private static Method methodOf(Class<?> type, String name) {
        for (Method method : type.getMethods()) {
            if (method.getName().equalsIgnoreCase(name)) return method;
        }
        throw new IllegalStateException(type + " has no " + name);
    }

    /** What is in the list, or in the collection of Kafka's own, that a setter takes. */
    static Class<?> elementType(Method setter) {
        Class<?> taken = setter.getParameterTypes()[0];
        Type generic = taken == List.class
            ? setter.getGenericParameterTypes()[0]
            : taken.getGenericSuperclass();
        return (Class<?>) ((ParameterizedType) generic).getActualTypeArguments()[0];
    }
}
