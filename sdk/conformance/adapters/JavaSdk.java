import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import org.vatsim.swim.FlightMirror;
import org.vatsim.swim.HistoryStart;
import org.vatsim.swim.PositionStore;
import org.vatsim.swim.SwimEvent;
import org.vatsim.swim.SwimException;
import org.vatsim.swim.SwimOptions;
import org.vatsim.swim.SwimWebSocketClient;

/** The Java SDK as the conformance runner tells it: commands in, reports out, no expectations. */
public final class JavaSdk {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    private static final List<String> NOTICES = List.of(
            "connected", "disconnected", "reconnected", "gap", "error", "subscribed", "unsubscribed", "pong", "status");
    private static final List<String> CAN = List.of(
            "block", "raise", "resume_file", "publish", "http_status", "history", "status", "recovered",
            "max_message_bytes", "close_1012", "state", "addresses");

    private final String name;
    private final SwimWebSocketClient client;
    private final List<JsonNode> rules = new CopyOnWriteArrayList<>();

    private JavaSdk(String name, JsonNode command) {
        this.name = name;
        JsonNode given = command.get("options");
        SwimOptions options = new SwimOptions();
        if (given.has("reconnect_ms")) {
            options.reconnectInterval(Duration.ofMillis(given.get("reconnect_ms").asLong()));
        }
        if (given.has("max_reconnect_ms")) {
            options.maxReconnectInterval(Duration.ofMillis(given.get("max_reconnect_ms").asLong()));
        }
        if (given.has("open_timeout_ms")) {
            options.openTimeout(Duration.ofMillis(given.get("open_timeout_ms").asLong()));
        }
        if (given.has("ping_ms")) {
            options.ping(
                    Duration.ofMillis(given.get("ping_ms").asLong()),
                    Duration.ofMillis(given.path("ping_timeout_ms").asLong(20_000)));
        }
        if (given.has("max_message_bytes")) {
            options.maxMessageBytes(given.get("max_message_bytes").asInt());
        }
        if (given.has("resume_file")) {
            options.keepPosition(PositionStore.file(Path.of(given.get("resume_file").asText())));
        }
        options.resume(given.path("resume").asBoolean(true));
        client = new SwimWebSocketClient(command.get("key").asText(), command.get("url").asText(), options);
        client.onEvent("*", event -> take("event", event));
        client.flights().onChange((what, flight) ->
                report(JSON.createObjectNode().put("what", what).put("callsign", flight.callsign()), "flight"));
        for (String notice : NOTICES) {
            client.onEvent(notice, event -> take(notice, event));
        }
    }

    private void take(String kind, SwimEvent event) {
        ObjectNode report = kind.equals("event") ? JSON.createObjectNode() : event.data().deepCopy();
        if (kind.equals("event")) {
            report.put("type", event.type()).put("id", event.id()).set("data", event.data());
        }
        report(report, kind);
        for (JsonNode rule : new ArrayList<>(rules)) {
            boolean isMeant = rule.get("on").asText().equals(kind)
                    && (!rule.has("n") || rule.get("n").equals(event.data().get("n")));
            if (isMeant) {
                if (!rule.path("every").asBoolean(false)) {
                    rules.remove(rule);
                }
                obey(rule.get("then").asText(), rule);
            }
        }
    }

    private void obey(String what, JsonNode command) {
        switch (what) {
            case "connect":
                CompletableFuture<Void> admitted = client.connectAsync();
                if (!command.has("on")) {
                    watch(admitted);
                }
                break;
            case "disconnect":
                client.disconnect();
                break;
            case "subscribe":
                Map<String, Object> filters = new HashMap<>();
                command.path("filters").fields().forEachRemaining(one -> filters.put(one.getKey(), one.getValue()));
                answer("subscribe", client.subscribe(texts(command.get("channels")), filters, history(command)));
                break;
            case "unsubscribe":
                client.unsubscribe(texts(command.get("channels")));
                break;
            case "ping":
                answer("ping", client.ping());
                break;
            case "status":
                answer("status", client.status());
                break;
            case "publish":
                answer("publish", client.publish(command.get("channel").asText(), command.get("data")));
                break;
            case "flights":
                FlightMirror.Snapshot now = client.flights().snapshot();
                ObjectNode told = JSON.createObjectNode().put("as_of", now.asOf());
                told.put("is_complete", client.flights().isComplete());
                now.flights().stream()
                        .sorted(Comparator.comparing(flight -> String.valueOf(flight.callsign())))
                        .forEach(flight -> told.withArray("flights").add(flight.data()));
                if (!told.has("flights")) {
                    told.putArray("flights");
                }
                report(told, "flights");
                break;
            case "when":
                rules.add(command);
                break;
            case "block":
                try {
                    Thread.sleep(command.get("ms").asLong());
                } catch (InterruptedException over) {
                    Thread.currentThread().interrupt();
                }
                report(JSON.createObjectNode(), "unblocked");
                break;
            case "raise":
                throw new IllegalStateException("raised by the handler, as it was told");
            default:
                throw new IllegalArgumentException("unknown command " + what);
        }
    }

    private void watch(CompletableFuture<Void> admitted) {
        client.finished().whenComplete((over, error) -> {
            Throwable cause = error instanceof CompletionException ? error.getCause() : error;
            String why = cause == null ? "stopped"
                    : cause instanceof SwimException.Authentication ? "auth"
                    : cause instanceof SwimException.Protocol ? "protocol"
                    : cause instanceof SwimException.RequestRefused ? "refused" : "lost";
            report(JSON.createObjectNode().put("why", why).put("message", cause == null ? "" : cause.getMessage()), "ended");
        });
    }

    private void answer(String to, CompletableFuture<JsonNode> answer) {
        answer.whenComplete((message, error) -> {
            ObjectNode report = JSON.createObjectNode().put("to", to).put("ok", error == null);
            report.put("code", error instanceof SwimException ? ((SwimException) error).getCode() : null);
            report(report, "answer");
        });
    }

    private static HistoryStart history(JsonNode command) {
        if (command.has("after")) {
            return HistoryStart.after(command.get("after").asText());
        }
        if (command.has("since")) {
            return HistoryStart.since(Instant.parse(command.get("since").asText()));
        }
        if (command.path("state").asBoolean(false)) {
            return HistoryStart.state();
        }
        return command.has("last") ? HistoryStart.last(command.get("last").asInt()) : null;
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        if (array != null) {
            array.forEach(text -> texts.add(text.asText()));
        }
        return texts;
    }

    private void report(ObjectNode report, String saw) {
        write(report.put("saw", saw).put("client", name));
    }

    private static void write(ObjectNode report) {
        synchronized (OUT) {
            OUT.print(report.toString() + "\n");
            OUT.flush();
        }
    }

    public static void main(String[] arguments) throws Exception {
        ObjectNode ready = JSON.createObjectNode().put("saw", "ready").put("name", "java");
        ready.put("version", System.getProperty("java.version")).set("can", JSON.valueToTree(CAN));
        write(ready);
        Map<String, JavaSdk> subjects = new HashMap<>();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            JsonNode command = JSON.readTree(line);
            String client = command.get("client").asText();
            String what = command.get("do").asText();
            if (what.equals("create")) {
                subjects.put(client, new JavaSdk(client, command));
            } else {
                subjects.get(client).obey(what, command);
            }
        }
        System.exit(0);
    }
}
