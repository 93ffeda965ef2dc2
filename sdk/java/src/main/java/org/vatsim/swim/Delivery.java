package org.vatsim.swim;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** The program's handlers, by type: which of them get a message, and in what form. Any thread may change them. */
final class Delivery {
    private static final System.Logger LOG = System.getLogger("org.vatsim.swim");
    private static final Set<String> WHOLE = Set.of("error", "subscribed", "unsubscribed", "pong", "publish_ack");

    private final Map<String, List<Consumer<SwimEvent>>> handlers = new ConcurrentHashMap<>();
    private final Map<String, List<Consumer<SwimEvent>>> matching = new ConcurrentHashMap<>();

    void add(String type, Consumer<SwimEvent> handler) {
        handlers.computeIfAbsent(type, none -> new CopyOnWriteArrayList<>()).add(handler);
        matching.clear();
    }

    void remove(String type) {
        handlers.remove(type);
        matching.clear();
    }

    /** Call the handlers of a message, one after the other. What they throw is logged. */
    void handOver(String kind, JsonNode message, String key) {
        List<Consumer<SwimEvent>> found = matching.computeIfAbsent(kind, this::find);
        if (found.isEmpty()) {
            return;
        }
        String timestamp = message.path("timestamp").isTextual() ? message.get("timestamp").asText() : "";
        String id = message.path("id").isTextual() ? message.get("id").asText() : null;
        SwimEvent event = new SwimEvent(kind, id, timestamp, content(kind, message, key));
        for (Consumer<SwimEvent> handler : found) {
            try {
                handler.accept(event);
            } catch (RuntimeException | Error failure) {
                LOG.log(System.Logger.Level.ERROR, "a handler of " + kind + " failed", failure);
            }
        }
    }

    private List<Consumer<SwimEvent>> find(String kind) {
        List<Consumer<SwimEvent>> found = new ArrayList<>(handlers.getOrDefault(kind, List.of()));
        if (kind.indexOf('.') >= 0) {
            handlers.forEach((pattern, several) -> {
                boolean isFamily = pattern.endsWith(".*") && kind.startsWith(pattern.substring(0, pattern.length() - 1));
                if (isFamily || pattern.equals("*")) {
                    found.addAll(several);
                }
            });
        }
        return found;
    }

    private static JsonNode content(String kind, JsonNode message, String key) {
        if (kind.equals("error")) {
            ObjectNode content = message.deepCopy();
            content.put("code", Session.errorText(message, "code"));
            content.put("message", redact(Session.errorText(message, "message"), key));
            return content;
        }
        JsonNode content = WHOLE.contains(kind) ? message : message.path("data");
        return content.isObject() ? content : JsonNodeFactory.instance.objectNode();
    }

    /** Take the key out of a text that comes from elsewhere. */
    static String redact(String text, String key) {
        return key == null ? text : text.replace(key, "[key]");
    }
}
