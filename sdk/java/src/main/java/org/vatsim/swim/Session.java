package org.vatsim.swim;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import org.vatsim.swim.Requests.Answer;
import org.vatsim.swim.Subscriptions.PendingSubscription;

/** One connection from its opening to its end, in the network's thread: greeting, subscribe, requests, resuming. */
final class Session {
    /** What the session needs of its client. */
    interface Program {
        /** Hand something to the handlers. */
        void put(String kind, JsonNode message);

        /** Done when the handlers have returned from all that was put. */
        CompletableFuture<Void> idle();

        /** What waits to be published. */
        Collection<Publication> publications();
    }

    /** One event that the program puts in. */
    static final class Publication {
        final ObjectNode message;
        final CompletableFuture<JsonNode> answer = new CompletableFuture<>();

        Publication(ObjectNode message) {
            this.message = message;
        }
    }

    static final ObjectMapper JSON = new ObjectMapper();
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    private static final Set<String> ANSWERS = Set.of("subscribed", "unsubscribed", "pong", "status", "publish_ack");
    private static final Set<String> CLOSING = Set.of("AUTH_FAILED", "AUTH_UNAVAILABLE", "CONNECTION_LIMIT");
    private static final long QUIET_MS = 1_000;
    private static final long PONG_MS = 1_000;
    /** So long a silent line is left alone: the JDK may have missed its end, and sending fails then. */
    private static final long PROBE_MS = 5_000;
    private static final long HANDLERS_MS = 5_000;

    /** The server's name for this connection; null before its greeting. */
    volatile String clientId;
    /** The code and text of the error that announced the end. */
    String closingCode;
    String closingText;
    /** When that error asks this client to come back, in milliseconds; null: it did not say. */
    Long adviceMs;
    /** The last refusal of a subscription. */
    SwimException.RequestRefused refused;

    private final Connection connection;
    private final Position position;
    private final Subscriptions subscriptions;
    private final SwimOptions options;
    private final Timers timers;
    private final Program program;
    private final Long lostAt;
    private final Requests requests;
    private CompletableFuture<Void> chain = CompletableFuture.completedFuture(null);
    private Future<?> greetingTimeout;
    private boolean isSubscribed;
    private boolean isProbing;
    private boolean hidesRefusal;
    private boolean isFirstSent;
    private EventId firstAfter;
    private HistoryStart firstHistory;
    private EventId recoveryTarget;
    private EventId recoveryAfter;
    private Integer recovered;
    private long recoverySeenAt;
    private boolean isRecovering;
    private int quietPongs;
    private long heardAt;
    private boolean hasEnded;

    Session(
            Connection connection,
            Position position,
            Subscriptions subscriptions,
            SwimOptions options,
            Timers timers,
            Program program,
            Long lostAt) {
        this.connection = connection;
        this.position = position;
        this.subscriptions = subscriptions;
        this.options = options;
        this.timers = timers;
        this.program = program;
        this.lostAt = lostAt;
        this.requests = new Requests(message -> connection.send(message.toString()), timers);
        this.heardAt = timers.now();
    }

    /** Begin: the upgrade is answered, the greeting is due. */
    void opened() {
        String silent = "the server took the connection and said nothing for " + options.openTimeoutMs + " ms";
        greetingTimeout = timers.set(() -> connection.abandon(silent), options.openTimeoutMs);
        timers.set(this::lookForLife, options.pingMs);
        timers.set(this::probe, Math.min(PROBE_MS, options.pingMs));
    }

    /** Send a pong that nobody asked for into a silent line, as RFC 6455 allows. */
    private void probe() {
        long wait = Math.min(PROBE_MS, options.pingMs);
        if (timers.now() - heardAt >= wait) {
            connection.pong();
        }
        timers.set(this::probe, wait);
    }

    /** End: whoever waits for an answer gets none. */
    void ended() {
        hasEnded = true;
        endRecovery();
        requests.close();
        timers.end();
    }

    // What the program asks for.

    void subscribeTo(PendingSubscription one) {
        if (clientId != null) {
            then(() -> tell(one));
        }
    }

    void unsubscribe(List<String> channels) {
        if (clientId == null) {
            return;
        }
        then(() -> {
            if (!isSubscribed) {
                return done();
            }
            if (subscriptions.isEmpty()) {
                position.unsubscribedFromAll();
                isSubscribed = false;
            }
            ObjectNode message = action("unsubscribe");
            if (!channels.isEmpty()) {
                message.set("channels", texts(channels));
            }
            return requests.ask(message, "unsubscribed").thenAccept(answer -> {});
        });
    }

    CompletableFuture<Answer> ask(String action, String answerType) {
        CompletableFuture<Answer> answer = new CompletableFuture<>();
        then(() -> requests.ask(action(action), answerType).thenAccept(answer::complete))
                .whenComplete((over, error) -> answer.complete(Answer.NONE));
        return answer;
    }

    void publish(Publication publication) {
        if (clientId == null) {
            return;
        }
        then(() -> {
            if (!program.publications().contains(publication)) {
                return done();
            }
            return requests.ask(publication.message, "publish_ack").thenAccept(answer -> {
                if (answer == Answer.NONE) {
                    if (!hasEnded) {
                        publish(publication);
                    }
                    return;
                }
                program.publications().remove(publication);
                if (answer.refused != null) {
                    publication.answer.completeExceptionally(answer.refused);
                } else {
                    publication.answer.complete(answer.message);
                }
            });
        });
    }

    private CompletableFuture<Void> then(Supplier<CompletableFuture<Void>> work) {
        chain = chain.handle((before, error) -> (Void) null).thenCompose(before -> hasEnded ? done() : work.get());
        return chain;
    }

    private static CompletableFuture<Void> done() {
        return CompletableFuture.completedFuture(null);
    }

    // What the server says.

    void receive(String text) {
        heardAt = timers.now();
        JsonNode message;
        try {
            message = JSON.readTree(text);
        } catch (JsonProcessingException noJson) {
            return;
        }
        JsonNode type = message == null ? null : message.get("type");
        if (type == null || !type.isTextual()) {
            return;
        }
        String kind = type.asText();
        if (kind.equals("connected")) {
            greeted(message);
        } else if (kind.equals("error")) {
            error(message);
        } else if (ANSWERS.contains(kind)) {
            answered(kind, message);
        } else if (kind.equals("state") || kind.startsWith("state.")) {
            state(kind, message);
        } else {
            event(kind, message);
        }
    }

    private void greeted(JsonNode message) {
        JsonNode data = message.path("data");
        if (clientId != null) {
            return;
        }
        clientId = data.path("client_id").asText("");
        timers.clear(greetingTimeout);
        position.connected(data);
        program.put("connected", message);
        EventId newest = id(data.get("last_event_id"));
        then(() -> handlersOfGreeting().thenCompose(over -> subscribeToAll(newest)).thenRun(() -> {
            if (refused != null && subscriptions.isEmpty() && !hasEnded) {
                connection.close(shortened(refused.getMessage()));
            }
        }));
        for (Publication publication : List.copyOf(program.publications())) {
            publish(publication);
        }
    }

    /** Give the handlers of the first greeting time to subscribe, so that all of it goes out in one message. */
    private CompletableFuture<Void> handlersOfGreeting() {
        return lostAt != null ? done() : CompletableFuture.anyOf(program.idle(), timers.sleep(HANDLERS_MS)).thenAccept(any -> {});
    }

    private static String shortened(String reason) {
        return reason.length() <= 40 ? reason : reason.substring(0, 40); // a close reason has 123 bytes
    }

    private void error(JsonNode message) {
        JsonNode data = message.path("data");
        String code = errorText(message, "code");
        String text = errorText(message, "message");
        if (code.equals("RESTARTING")) {
            JsonNode told = data.path("retry_ms");
            adviceMs = told.isIntegralNumber() && told.asLong() >= 0 ? Long.valueOf(told.asLong()) : null;
            closingCode = code;
            closingText = text;
            return;
        }
        if (code.equals("HISTORY_UNAVAILABLE")) {
            tellGap(position.historyUnavailable());
        } else if (CLOSING.contains(code)) {
            closingCode = code;
            closingText = text;
        } else {
            boolean hides = hidesRefusal || code.equals("RATE_LIMITED");
            if (requests.refused(new SwimException.RequestRefused(code + ": " + text, code)) && hides) {
                return;
            }
        }
        program.put("error", message);
    }

    /** Code and text stand at the top or in {@code data}. */
    static String errorText(JsonNode message, String name) {
        JsonNode top = message.path(name);
        return top.isTextual() ? top.asText() : message.path("data").path(name).asText("");
    }

    private void answered(String kind, JsonNode message) {
        if (kind.equals("pong") && quietPongs > 0) {
            quietPongs -= 1;
            return;
        }
        if (!isProbing) {
            boolean isFirst = kind.equals("subscribed") && isFirstSent;
            String gap = null;
            if (isFirst) {
                isFirstSent = false;
                gap = position.subscribed(message, firstAfter, firstHistory, timers.now());
            }
            program.put(kind, message);
            tellGap(gap);
            if (isFirst && lostAt != null) {
                beginRecovery(id(message.get("last_event_id")), firstAfter);
            }
        }
        requests.answered(kind, message);
    }

    /** A part of the state, or what came into or left the filters: in its place among the events. */
    private void state(String kind, JsonNode message) {
        if (isProbing) {
            return;
        }
        program.put(kind, message);
        if (message.path("is_last").asBoolean(false)) {
            position.hasState = true;
        }
    }

    private void event(String kind, JsonNode message) {
        if (isProbing) {
            return;
        }
        long now = timers.now();
        EventId id = id(message.get("id"));
        if (kind.equals("system.heartbeat")) {
            position.heartbeat(id(message.path("data").get("last_event_id")), now);
        }
        if (isRecovering && EventId.isAfter(id, recoveryTarget)) {
            endRecovery();
        }
        if (!position.received(id, now)) {
            return;
        }
        program.put(kind, message);
        if (isRecovering && id != null) {
            recoverySeenAt = now;
            recovered += 1;
            if (id.equals(recoveryTarget)) {
                endRecovery();
            }
        }
    }

    private static EventId id(JsonNode value) {
        return value == null || !value.isTextual() ? null : EventId.parse(value.asText());
    }

    private void tellGap(String reason) {
        if (reason != null) {
            ObjectNode data = NODES.objectNode();
            data.put("after", position.asked == null ? null : position.asked.toString());
            data.put("reason", reason);
            program.put("gap", notice("gap", data));
        }
    }

    static ObjectNode notice(String kind, JsonNode data) {
        ObjectNode message = NODES.objectNode();
        message.put("type", kind);
        message.set("data", data);
        return message;
    }

    // Subscribing.

    private CompletableFuture<Void> subscribeToAll(EventId newest) {
        List<PendingSubscription> wanted = subscriptions.wanted();
        if (wanted.isEmpty() || hasEnded) {
            return done();
        }
        boolean areSeveral = wanted.size() > 1;
        hidesRefusal = areSeveral;
        return requests.ask(firstMessage(wanted, newest), "subscribed").thenCompose(answer -> {
            hidesRefusal = false;
            if (answer == Answer.NONE) {
                return done();
            }
            if (answer.refused == null) {
                isSubscribed = true;
                granted(wanted, answer.message);
                return askForState(answer.message);
            }
            isFirstSent = false;
            if (areSeveral) {
                return findRefused(wanted, newest);
            }
            settle(wanted.get(0), answer);
            return done();
        });
    }

    /** One is refused, and all with it: try each alone, then begin again with those that are granted. */
    private CompletableFuture<Void> findRefused(List<PendingSubscription> wanted, EventId newest) {
        isProbing = true;
        boolean[] isAnyGranted = new boolean[1];
        CompletableFuture<Void> trial = done();
        for (PendingSubscription one : wanted) {
            trial = trial.thenCompose(before -> requests.ask(message(List.of(one)), "subscribed"))
                    .thenAccept(answer -> {
                        if (answer.refused != null) {
                            settle(one, answer);
                        } else {
                            isAnyGranted[0] |= answer != Answer.NONE;
                        }
                    });
        }
        return trial.thenCompose(before -> isAnyGranted[0]
                        ? requests.ask(action("unsubscribe"), "unsubscribed").thenAccept(answer -> {})
                        : done())
                .thenCompose(before -> {
                    isProbing = false;
                    return isAnyGranted[0] ? subscribeToAll(newest) : done();
                });
    }

    private CompletableFuture<Void> tell(PendingSubscription one) {
        if (one.isConfirmed || one.channels.isEmpty() || !subscriptions.holds(one)) {
            return done();
        }
        if (!isSubscribed) {
            return subscribeToAll(null);
        }
        if (subscriptions.covers(one)) {
            granted(List.of(one), NODES.nullNode());
            return done();
        }
        ObjectNode message = message(List.of(one));
        if (one.wantsState || subscriptions.wantsState(true)) {
            message.put("state", true); // other filters, or other channels, have another state
        }
        return requests.ask(message, "subscribed").thenAccept(answer -> {
            if (answer != Answer.NONE) {
                settle(one, answer);
            }
        });
    }

    /** Ask for the state where it could not be asked for together with history, or what came of it is not right. */
    private CompletableFuture<Void> askForState(JsonNode answer) {
        boolean isThere = answer.has("state_as_of") || position.hasState;
        if (isThere || !position.serverResumes || !subscriptions.wantsState(true)) {
            return done();
        }
        return requests.ask(message(subscriptions.wanted()).put("state", true), "subscribed").thenAccept(got -> {});
    }

    private void settle(PendingSubscription one, Answer answer) {
        if (answer.refused == null) {
            granted(List.of(one), answer.message);
            return;
        }
        subscriptions.refuse(one);
        refused = answer.refused;
        if (one.answer != null) {
            one.answer.completeExceptionally(answer.refused);
        }
    }

    private void granted(List<PendingSubscription> several, JsonNode answer) {
        for (PendingSubscription one : several) {
            if (one.answer != null) {
                one.answer.complete(answer);
            }
        }
        subscriptions.confirm(several);
    }

    private ObjectNode message(List<PendingSubscription> several) {
        PendingSubscription whole = Subscriptions.merge(several);
        ObjectNode message = action("subscribe");
        message.set("channels", texts(whole.channels));
        if (!whole.filters.isEmpty()) {
            whole.filters.forEach(message.putObject("filters")::set);
        }
        return message;
    }

    private ObjectNode firstMessage(List<PendingSubscription> wanted, EventId newest) {
        ObjectNode message = message(wanted);
        message.put("notices", true);
        if (options.maxMessageBytes > 0) {
            message.put("max_message_bytes", options.maxMessageBytes);
        }
        HistoryStart history = Subscriptions.merge(wanted).history;
        if (history != null && history.afterId() != null) {
            position.beginsAfter(history.afterId());
            history = null;
        }
        position.asked = position.point;
        tellGap(position.noHistory());
        EventId asked = position.after();
        if (asked != null) {
            message.put("after", asked.toString());
            if (position.epoch != null) {
                message.put("epoch", position.epoch);
            }
            if (subscriptions.wantsState(false)) {
                message.put("state", "on_gap");
            }
            history = null;
        } else if (position.canResume && history != null) {
            history.putInto(message);
        } else {
            history = null;
            position.awaitsFrom(newest);
            if (position.serverResumes && subscriptions.wantsState(false)) {
                message.put("state", true);
            }
        }
        isFirstSent = true;
        firstAfter = asked;
        firstHistory = history;
        return message;
    }

    static ObjectNode action(String action) {
        return NODES.objectNode().put("action", action);
    }

    private static ArrayNode texts(Collection<String> texts) {
        ArrayNode array = NODES.arrayNode();
        texts.forEach(array::add);
        return array;
    }

    // After a break: how much came from history.

    private void beginRecovery(EventId target, EventId after) {
        recoveryTarget = target;
        recoveryAfter = after;
        recovered = target != null && after != null ? Integer.valueOf(0) : null;
        recoverySeenAt = timers.now();
        isRecovering = true;
        if (recovered == null || !EventId.isAfter(target, after)) {
            endRecovery();
        } else {
            timers.set(this::lookAfterRecovery, QUIET_MS);
        }
    }

    private void lookAfterRecovery() {
        if (!isRecovering) {
            return;
        }
        long quiet = timers.now() - recoverySeenAt;
        if (quiet >= QUIET_MS && !connection.isPaused()) {
            endRecovery();
        } else {
            timers.set(this::lookAfterRecovery, Math.max(QUIET_MS - quiet, 100));
        }
    }

    private void endRecovery() {
        if (!isRecovering) {
            return;
        }
        isRecovering = false;
        ObjectNode data = NODES.objectNode();
        data.put("recovered", recovered);
        data.put("after", recoveryAfter == null ? null : recoveryAfter.toString());
        data.put("disconnected_seconds", (timers.now() - lostAt) / 1_000.0);
        program.put("reconnected", notice("reconnected", data));
    }

    // Signs of life.

    private void lookForLife() {
        if (connection.isPaused()) {
            connection.pong(); // its pings aren't read just now
            timers.set(this::lookForLife, options.pingMs);
            return;
        }
        long left = heardAt + options.pingMs - timers.now();
        if (left > 0) {
            timers.set(this::lookForLife, left);
            return;
        }
        long before = heardAt;
        if (clientId != null) {
            quietPongs += 1;
            requests.sendNow(action("ping"));
            timers.set(connection::pong, Math.min(PONG_MS, options.pingTimeoutMs / 2)); // fails where the line is down
        }
        timers.set(
                () -> {
                    if (heardAt == before && !connection.isPaused()) {
                        connection.abandon("nothing heard for " + options.pingTimeoutMs + " ms after a ping");
                    } else {
                        timers.set(this::lookForLife, options.pingMs);
                    }
                },
                options.pingTimeoutMs);
    }
}
