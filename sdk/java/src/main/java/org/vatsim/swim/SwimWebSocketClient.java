package org.vatsim.swim;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.net.URI;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/**
 * Listens to SWIM; stays connected, resumes where it was, and hands each event over once and in order.
 *
 * <p>Every method may be called from any thread and from handlers. Handlers run one after the other in a thread of
 * their own, and may take their time.
 *
 * <pre>{@code
 * SwimWebSocketClient client = new SwimWebSocketClient("your-key");
 * client.on("flight.departed", (data, timestamp) -> System.out.println(data.get("callsign").asText()));
 * client.subscribe(List.of("flight.departed"));
 * client.connect();
 * }</pre>
 */
public final class SwimWebSocketClient implements AutoCloseable {
    /** Where a server on this machine listens. */
    public static final String DEFAULT_URL = "ws://127.0.0.1:8090/api/swim/v1/ws";

    private final String key;
    private final Addresses addresses;
    private final SwimOptions options;
    private final Delivery delivery = new Delivery();
    private final Subscriptions subscriptions = new Subscriptions();
    private final FlightMirror flights = new FlightMirror(subscriptions::hasFilters);
    private final Backoff backoff;
    private final Object lock = new Object();
    private volatile ClientRun run;
    private volatile Handled handled = new Handled(null, null);
    private volatile boolean hasSubscribed;

    /** Up to where everything has been handled. */
    static final class Handled {
        final EventId id;
        final String epoch;

        Handled(EventId id, String epoch) {
            this.id = id;
            this.epoch = epoch;
        }
    }

    /** Prepare a client of the server that {@code SWIM_URL} names, else of this machine's. */
    public SwimWebSocketClient(String apiKey) {
        this(apiKey, null);
    }

    /** Prepare a client. Nothing is connected yet. */
    public SwimWebSocketClient(String apiKey, String wsUrl) {
        this(apiKey, wsUrl, new SwimOptions());
    }

    /**
     * Prepare a client.
     *
     * @param apiKey the key; null: that of {@code SWIM_API_KEY}
     * @param wsUrl the address, or several of one service with commas between them: where one fails, the client resumes
     *     at another; null: that of {@code SWIM_URL}, else {@link #DEFAULT_URL}
     * @throws IllegalArgumentException for a missing key or a wrong address
     */
    public SwimWebSocketClient(String apiKey, String wsUrl, SwimOptions options) {
        String given = apiKey != null ? apiKey : System.getenv("SWIM_API_KEY");
        if (given == null || given.isBlank()) {
            throw new IllegalArgumentException("no API key: pass one, or set SWIM_API_KEY");
        }
        this.key = given.trim();
        String urls = wsUrl != null ? wsUrl : Objects.requireNonNullElse(System.getenv("SWIM_URL"), DEFAULT_URL);
        List<URI> all = new ArrayList<>();
        for (String url : Addresses.split(urls)) {
            if (!url.startsWith("ws://") && !url.startsWith("wss://")) {
                throw new IllegalArgumentException(
                        "wsUrl: must begin with ws:// or wss://, got " + Delivery.redact(url, key));
            }
            all.add(URI.create(url));
        }
        this.addresses = new Addresses(all, new Random());
        this.options = options;
        this.backoff = new Backoff(options, Math::random);
    }

    // Handlers.

    /**
     * Register a handler for a type, {@code family.*}, {@code *} (every event), or one of connected, disconnected,
     * reconnected, gap, error, subscribed, unsubscribed, pong and status.
     */
    public SwimWebSocketClient on(String eventType, BiConsumer<JsonNode, String> handler) {
        delivery.add(eventType, event -> handler.accept(event.data(), event.timestamp()));
        return this;
    }

    /** Register a handler that also gets the type and the id, and may read the data as one of the model's types. */
    public SwimWebSocketClient onEvent(String eventType, Consumer<SwimEvent> handler) {
        delivery.add(eventType, handler);
        return this;
    }

    /** Take the handlers of this type away. */
    public void off(String eventType) {
        delivery.remove(eventType);
    }

    // What to hear of.

    /** Add channels, now and over every reconnect. */
    public CompletableFuture<JsonNode> subscribe(List<String> channels) {
        return subscribe(channels, Collections.emptyMap());
    }

    /** Add channels and filters, which hold for the whole connection. */
    public CompletableFuture<JsonNode> subscribe(List<String> channels, Map<String, ?> filters) {
        return subscribe(channels, filters, null);
    }

    /**
     * Add channels and filters, and begin with history, which only the first subscription may, or with the state.
     *
     * @return the server's answer; it need not be looked at, and fails with {@link SwimException.RequestRefused}
     */
    public CompletableFuture<JsonNode> subscribe(List<String> channels, Map<String, ?> filters, HistoryStart history) {
        if (channels.isEmpty()) {
            throw new IllegalArgumentException("subscribe to at least one channel, such as flight.departed");
        }
        if (history != null && !history.isState() && (handled.id != null || (isConnected() && hasSubscribed))) {
            throw new IllegalStateException("history can be asked for only with the first subscription");
        }
        hasSubscribed = true;
        Map<String, JsonNode> read = new LinkedHashMap<>();
        if (filters != null) {
            filters.forEach((kind, value) -> read.put(kind, Session.JSON.valueToTree(value)));
        }
        CompletableFuture<JsonNode> answer = new CompletableFuture<>();
        Subscriptions.PendingSubscription one =
                new Subscriptions.PendingSubscription(channels, read, history, answer);
        change(() -> subscriptions.add(one), session -> session.subscribeTo(one));
        return answer;
    }

    /** Subscribe with the state. Done when it has come; {@link #flights} is kept up to date from then on. */
    public CompletableFuture<List<Flight>> snapshot(List<String> channels, Map<String, ?> filters) {
        ClientRun current = run;
        if (current == null) {
            return CompletableFuture.failedFuture(
                    new SwimException.ConnectionLost("snapshot: the client is not running", null));
        }
        return subscribe(channels, filters, HistoryStart.state())
                .thenCompose(granted -> CompletableFuture.anyOf(flights.complete(), current.finished()))
                .thenCompose(over -> flights.isComplete()
                        ? CompletableFuture.completedFuture(flights.snapshot().flights())
                        : CompletableFuture.failedFuture(
                                new SwimException.ConnectionLost("snapshot: the client was stopped", null)));
    }

    /** The flights that there are now, where the program has subscribed with {@link HistoryStart#state}. */
    public FlightMirror flights() {
        return flights;
    }

    /** Take channels away; null or none: all of them, and the filters. */
    public void unsubscribe(List<String> channels) {
        List<String> names = channels == null ? List.of() : List.copyOf(channels);
        change(() -> subscriptions.remove(names), session -> session.unsubscribe(names));
    }

    private void change(Runnable change, Consumer<Session> tell) {
        synchronized (lock) { // held for moments only: nothing in it waits
            ClientRun current = run;
            if (current == null || !current.inNetwork(() -> {
                change.run();
                current.withSession(tell);
            })) {
                change.run();
            }
        }
    }

    // Requests.

    /** Ask for a pong. */
    public CompletableFuture<JsonNode> ping() {
        return ask("ping", "pong");
    }

    /** Ask what the server knows of this connection. */
    public CompletableFuture<JsonNode> status() {
        return ask("status", "status");
    }

    /**
     * Put an event in; needs a key of the system tier. The answer means: stored. It is sent again, under the same
     * event id, until it is answered.
     */
    public CompletableFuture<JsonNode> publish(String channel, JsonNode data) {
        ObjectNode message = Session.action("publish").put("channel", channel);
        message.set("data", data);
        message.put("event_id", UUID.randomUUID().toString().replace("-", ""));
        Session.Publication publication = new Session.Publication(message);
        ClientRun current = run;
        if (current == null || !current.inNetwork(() -> current.publish(publication))) {
            publication.answer.completeExceptionally(
                    new SwimException.ConnectionLost("the client is not running: publish while it runs", null));
        }
        return publication.answer;
    }

    private CompletableFuture<JsonNode> ask(String action, String answerType) {
        CompletableFuture<JsonNode> result = new CompletableFuture<>();
        SwimException lost = new SwimException.ConnectionLost(action + ": there is no connection", null);
        ClientRun current = run;
        boolean isAsked = current != null && current.inNetwork(() -> {
            if (!current.isAdmitted()) {
                result.completeExceptionally(lost);
                return;
            }
            current.withSession(session -> session.ask(action, answerType).thenAccept(answer -> {
                if (answer.message != null) {
                    result.complete(answer.message);
                } else {
                    result.completeExceptionally(answer.refused != null ? answer.refused : lost);
                }
            }));
        });
        if (!isAsked) {
            result.completeExceptionally(lost);
        }
        return result;
    }

    // State.

    /** Whether there is a connection that the server has greeted. */
    public boolean isConnected() {
        return getClientId() != null;
    }

    /** The server's name for the connection at hand; null while there is none. */
    public String getClientId() {
        ClientRun current = run;
        return current == null ? null : current.clientId();
    }

    /** The address in use, or the next one to be tried. */
    public String getUrl() {
        return addresses.current().toString();
    }

    /** Everything up to this id has been handled; null: nothing yet. */
    public String getLastEventId() {
        EventId id = handled.id;
        return id == null ? null : id.toString();
    }

    /** Whether to connect again after a connection's end. */
    public void setAutoReconnect(boolean enabled) {
        options.reconnect(enabled);
    }

    /** The first pause is a random part of this. */
    public void setReconnectDelay(int delayMs) {
        options.reconnectMs = delayMs;
    }

    // Life.

    /**
     * Connect, and wait until the server has greeted this client. It stays connected until {@link #disconnect}.
     *
     * @throws SwimException what ended the client before: the key was refused, the client was stopped
     */
    public void connect() throws SwimException, InterruptedException {
        await(connectAsync());
    }

    /** Connect. Done when the server has greeted this client. Calling it while the client runs changes nothing. */
    public CompletableFuture<Void> connectAsync() {
        synchronized (lock) {
            ClientRun current = run;
            if (current != null && current.isStopping()) {
                CompletableFuture<Void> ended = current.finished().handle((over, error) -> null);
                return ended.thenCompose(over -> connectAsync());
            }
            if (current == null) {
                current = run = new ClientRun(this, key, addresses, options, delivery, subscriptions, backoff);
                current.start();
            }
            return current.admitted();
        }
    }

    /**
     * Close for good, whatever the state; events that wait are not handled. Returns at once inside a handler,
     * elsewhere when the connection is closed.
     */
    public void disconnect() {
        ClientRun current = run;
        if (current != null) {
            current.stop();
        }
    }

    /** The same as {@link #disconnect}. */
    @Override
    public void close() {
        disconnect();
    }

    /** Done when the client was stopped and its handlers have returned; fails with the SwimException that ended it. */
    public CompletableFuture<Void> finished() {
        ClientRun current = run;
        return current == null ? CompletableFuture.completedFuture(null) : current.finished();
    }

    /** Wait until the client ends. Throws the SwimException that ended it. */
    public void awaitEnd() throws SwimException, InterruptedException {
        await(finished());
    }

    private static void await(CompletableFuture<Void> future) throws SwimException, InterruptedException {
        try {
            future.get();
        } catch (ExecutionException failure) {
            if (failure.getCause() instanceof SwimException) {
                throw (SwimException) failure.getCause();
            }
            throw new IllegalStateException(failure.getCause());
        }
    }

    Handled handled() {
        return handled;
    }

    void handled(Handled now) {
        handled = now;
    }

    /** A run is over: the next one may begin. */
    void over(ClientRun ended) {
        synchronized (lock) {
            if (run == ended) {
                run = null;
            }
        }
    }

    @Override
    public String toString() {
        return "SwimWebSocketClient(" + addresses.current().getHost() + (isConnected() ? ", connected)" : ", not connected)");
    }

    static ObjectNode disconnection(int code, String reason, Long retryMs) {
        ObjectNode data = JsonNodeFactory.instance.objectNode();
        data.put("code", code);
        data.put("reason", reason);
        data.put("will_reconnect", retryMs != null);
        data.put("retry_in_seconds", retryMs == null ? null : retryMs / 1_000.0);
        return Session.notice("disconnected", data);
    }
}
