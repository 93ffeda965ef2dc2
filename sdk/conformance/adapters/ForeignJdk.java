import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;

/** The JDK's own WebSocket as its documentation uses it: one connection, its messages, and that is all. */
public final class ForeignJdk implements WebSocket.Listener {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private final String name;
    private final String url;
    private final String key;
    private final List<JsonNode> rules = new CopyOnWriteArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private volatile WebSocket socket;
    private volatile String subscription;
    private boolean isRunning;
    private boolean isStopped;

    private ForeignJdk(String name, JsonNode command) {
        this.name = name;
        this.url = command.get("url").asText();
        this.key = command.get("key").asText();
    }

    // What the JDK's documentation shows.

    private void connect() {
        HTTP.newWebSocketBuilder().header("X-SWIM-API-Key", key).buildAsync(URI.create(url), this)
                .whenComplete((made, failure) -> {
                    if (failure != null) {
                        end("lost");
                    }
                });
    }

    @Override
    public void onOpen(WebSocket made) {
        socket = made;
        if (subscription != null) {
            made.sendText(subscription, true);
        }
        WebSocket.Listener.super.onOpen(made);
    }

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
        text.append(data);
        if (last) {
            take(text.toString());
            text.setLength(0);
        }
        return WebSocket.Listener.super.onText(from, data, last);
    }

    @Override
    public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
        report(JSON.createObjectNode().put("code", code).put("reason", reason), "disconnected");
        end("lost");
        return null;
    }

    @Override
    public void onError(WebSocket from, Throwable error) {
        report(JSON.createObjectNode().putNull("code").put("reason", String.valueOf(error.getMessage())), "disconnected");
        end("lost");
    }

    // What the suite needs.

    private synchronized void end(String why) {
        if (isRunning) {
            isRunning = false;
            report(JSON.createObjectNode().put("why", isStopped ? "stopped" : why), "ended");
        }
    }

    private void take(String message) {
        JsonNode read;
        try {
            read = JSON.readTree(message);
        } catch (java.io.IOException noJson) {
            return;
        }
        String type = read.path("type").asText();
        boolean isEvent = type.contains(".");
        ObjectNode report = JSON.createObjectNode();
        if (isEvent) {
            report.put("type", type).put("id", read.path("id").asText(null)).set("data", read.path("data"));
        } else {
            report.setAll((ObjectNode) read);
            read.path("data").fields().forEachRemaining(field -> report.set(field.getKey(), field.getValue()));
        }
        report(report, isEvent ? "event" : type);
        for (JsonNode rule : rules) {
            boolean isMeant = rule.get("on").asText().equals(isEvent ? "event" : type)
                    && (!rule.has("n") || rule.get("n").equals(read.path("data").get("n")));
            if (isMeant && rule.get("then").asText().equals("disconnect")) {
                disconnect();
            }
        }
    }

    private synchronized void disconnect() {
        isStopped = true;
        WebSocket open = socket;
        if (open != null) {
            open.sendClose(WebSocket.NORMAL_CLOSURE, "").whenComplete((sent, error) -> end("stopped"));
        } else {
            isRunning = true;
            end("stopped");
        }
    }

    private void obey(String what, ObjectNode command) {
        switch (what) {
            case "connect":
                synchronized (this) {
                    if (isRunning) {
                        return;
                    }
                    isRunning = true;
                    isStopped = false;
                }
                connect();
                break;
            case "disconnect":
                disconnect();
                break;
            case "when":
                rules.add(command);
                break;
            case "subscribe":
            case "unsubscribe":
            case "ping":
            case "status":
                command.remove(List.of("client", "do"));
                String message = command.put("action", what).toString();
                if (what.equals("subscribe") && subscription == null) {
                    subscription = message;
                }
                if (socket != null) {
                    socket.sendText(message, true);
                }
                break;
            default:
                break;
        }
    }

    private void report(ObjectNode report, String saw) {
        write(report.put("saw", saw).put("client", name));
    }

    private static synchronized void write(ObjectNode report) {
        System.out.println(report);
        System.out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        ObjectNode ready = JSON.createObjectNode().put("saw", "ready").put("name", "jdk");
        ready.put("version", System.getProperty("java.version")).putArray("can").add("close_1012");
        write(ready);
        Map<String, ForeignJdk> subjects = new HashMap<>();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            ObjectNode command = (ObjectNode) JSON.readTree(line);
            String client = command.get("client").asText();
            String what = command.get("do").asText();
            if (what.equals("create")) {
                subjects.put(client, new ForeignJdk(client, command));
            } else {
                subjects.get(client).obey(what, command);
            }
        }
        System.exit(0);
    }
}
