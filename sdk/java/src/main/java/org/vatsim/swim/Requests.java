package org.vatsim.swim;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.function.Consumer;

/** The requests of one connection, one at a time, so that an error belongs to the one that waits. */
final class Requests {
    /** How a request went: the message, a refusal, or neither, when no answer came. */
    static final class Answer {
        static final Answer NONE = new Answer(null, null);
        final JsonNode message;
        final SwimException.RequestRefused refused;

        Answer(JsonNode message, SwimException.RequestRefused refused) {
            this.message = message;
            this.refused = refused;
        }
    }

    private static final int PER_SECOND = 8;
    private static final long ANSWER_MS = 30_000;
    private static final long RATE_LIMITED_MS = 1_100;

    private final Consumer<JsonNode> send;
    private final Timers timers;
    private final Deque<Long> sent = new ArrayDeque<>();
    private final Set<CompletableFuture<Answer>> pending = new HashSet<>();
    private CompletableFuture<Answer> tail = CompletableFuture.completedFuture(Answer.NONE);
    private CompletableFuture<Answer> waiting;
    private String awaited;
    private Future<?> timeout;
    private boolean isClosed;

    Requests(Consumer<JsonNode> send, Timers timers) {
        this.send = send;
        this.timers = timers;
    }

    /** Send one request and wait for its answer. */
    CompletableFuture<Answer> ask(JsonNode message, String answerType) {
        CompletableFuture<Answer> result = new CompletableFuture<>();
        if (isClosed) {
            result.complete(Answer.NONE);
            return result;
        }
        pending.add(result);
        result.whenComplete((answer, error) -> pending.remove(result));
        tail.thenCompose(before -> once(message, answerType)).thenAccept(result::complete);
        tail = result;
        return result;
    }

    private CompletableFuture<Answer> once(JsonNode message, String answerType) {
        long waitMs = turnMs();
        if (waitMs > 0) {
            return timers.sleep(waitMs).thenCompose(over -> once(message, answerType));
        }
        if (isClosed) {
            return CompletableFuture.completedFuture(Answer.NONE);
        }
        sendNow(message);
        CompletableFuture<Answer> answer = new CompletableFuture<>();
        waiting = answer;
        awaited = answerType;
        timeout = timers.set(() -> settle(Answer.NONE), ANSWER_MS);
        return answer.thenCompose(got -> got.refused != null && "RATE_LIMITED".equals(got.refused.getCode())
                ? timers.sleep(RATE_LIMITED_MS).thenCompose(over -> once(message, answerType))
                : CompletableFuture.completedFuture(got));
    }

    private long turnMs() {
        long now = timers.now();
        while (!sent.isEmpty() && now - sent.peekFirst() >= 1_000) {
            sent.removeFirst();
        }
        return sent.size() < PER_SECOND ? 0 : sent.peekFirst() + 1_000 - now;
    }

    /** Send without waiting for an answer. */
    void sendNow(JsonNode message) {
        sent.addLast(timers.now());
        send.accept(message);
    }

    /** Take an answer. */
    void answered(String type, JsonNode message) {
        if (waiting != null && type.equals(awaited)) {
            settle(new Answer(message, null));
        }
    }

    /** Take an error. Returns whether it belongs to a request that waits. */
    boolean refused(SwimException.RequestRefused error) {
        if (waiting == null) {
            return false;
        }
        settle(new Answer(null, error));
        return true;
    }

    private void settle(Answer answer) {
        CompletableFuture<Answer> one = waiting;
        waiting = null;
        timers.clear(timeout);
        if (one != null) {
            one.complete(answer);
        }
    }

    /** End: whoever waits gets no answer. */
    void close() {
        isClosed = true;
        waiting = null;
        for (CompletableFuture<Answer> one : new HashSet<>(pending)) {
            one.complete(Answer.NONE);
        }
    }
}
