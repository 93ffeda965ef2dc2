package org.vatsim.swim.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;

/** Reads fields of any data; what is missing or of another kind is null. Numbers may come as text. */
final class Json {
    private Json() {}

    static String text(JsonNode data, String name) {
        JsonNode value = data.get(name);
        return value == null || value.isNull() || value.isContainerNode() ? null : value.asText();
    }

    static String identifier(JsonNode data, String name) {
        return text(data, name);
    }

    static Double number(JsonNode data, String name) {
        JsonNode value = data.get(name);
        if (value == null || !(value.isNumber() || value.isTextual())) {
            return null;
        }
        double number = value.isNumber() ? value.asDouble() : parsed(value.asText());
        return Double.isNaN(number) || Double.isInfinite(number) ? null : number;
    }

    private static double parsed(String text) {
        try {
            return Double.parseDouble(text.trim());
        } catch (NumberFormatException noNumber) {
            return Double.NaN;
        }
    }

    static Long integer(JsonNode data, String name) {
        JsonNode value = data.get(name);
        if (value != null && value.canConvertToLong() && value.isIntegralNumber()) {
            return value.asLong();
        }
        Double number = number(data, name);
        return number == null ? null : Long.valueOf(number.longValue());
    }

    static Boolean bool(JsonNode data, String name) {
        JsonNode value = data.get(name);
        return value == null || !value.isBoolean() ? null : Boolean.valueOf(value.asBoolean());
    }

    static List<String> texts(JsonNode data, String name) {
        return list(data, name, JsonNode::asText);
    }

    static <T> List<T> list(JsonNode data, String name, Function<JsonNode, T> read) {
        JsonNode value = data.get(name);
        if (value == null || !value.isArray()) {
            return Collections.emptyList();
        }
        List<T> items = new ArrayList<>(value.size());
        for (JsonNode item : value) {
            items.add(read.apply(item));
        }
        return Collections.unmodifiableList(items);
    }
}
