package org.vatsim.swim;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/** One WebSocket. Its listener is told in the network's thread, and of the end exactly once. */
final class Connection {
    /** What the session does with what comes. */
    interface Receiver {
        void opened();

        void received(String text);

        void ended(Ending ending);
    }

    private static final int MAX_MESSAGE_CHARACTERS = 16 * 1024 * 1024;
    private static final long CLOSING_MS = 1_000;
    private static final int AHEAD = 256;
    private static final int SEVERAL = 64;

    private final Executor network;
    private final Timers timers;
    private final Receiver receiver;
    private final CompletableFuture<Void> closed = new CompletableFuture<>();
    private Future<?> timeout;
    private CompletableFuture<WebSocket> opening;
    private CompletableFuture<?> sending = CompletableFuture.completedFuture(null);
    private WebSocket socket;
    private boolean hasEnded;
    private final Queue<String> texts = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean isReading = new AtomicBoolean();
    private boolean isPaused;
    private int taken;

    Connection(Executor network, Timers timers, Receiver receiver) {
        this.network = network;
        this.timers = timers;
        this.receiver = receiver;
    }

    /** Begin to connect. */
    void open(HttpClient http, URI address, String key, long timeoutMs) {
        timeout = timers.set(() -> abandon("no answer within " + timeoutMs + " ms"), timeoutMs);
        WebSocket.Builder builder = http.newWebSocketBuilder().connectTimeout(Duration.ofMillis(timeoutMs));
        if (key != null) {
            builder.header("X-SWIM-API-Key", key);
        }
        opening = builder.buildAsync(address, new Listener());
        opening.whenCompleteAsync(this::opened, network);
    }

    private void opened(WebSocket made, Throwable failure) {
        if (failure != null) {
            end(failed(failure instanceof CompletionException ? failure.getCause() : failure));
        } else if (hasEnded) {
            made.abort();
            closed.complete(null);
        } else {
            timers.clear(timeout);
            socket = made;
            receiver.opened();
            // The JDK reads, and hears of the end of a line, only while there is demand: some always stands.
            made.request(AHEAD);
        }
    }

    private static Ending failed(Throwable failure) {
        if (failure instanceof WebSocketHandshakeException) {
            HttpResponse<?> response = ((WebSocketHandshakeException) failure).getResponse();
            String told = response.headers().firstValue("Retry-After").orElse("");
            Long seconds = told.matches("[0-9]{1,9}") ? Long.valueOf(told) : null;
            String reason = "the server answered HTTP " + response.statusCode();
            return new Ending(null, reason, false, response.statusCode(), seconds);
        }
        return new Ending(null, String.valueOf(failure.getMessage()), false);
    }

    /** Send a text message, after those before it. */
    void send(String text) {
        WebSocket open = socket;
        if (open != null && !hasEnded) {
            sending = sending.handle((sent, error) -> null).thenCompose(before -> open.sendText(text, true));
            sending.whenComplete(this::sent);
        }
    }

    /** Let the server know that this side is there, while nothing is read. */
    void pong() {
        if (socket != null && !hasEnded) {
            sending = sending.handle((sent, error) -> null)
                    .thenCompose(before -> socket.sendPong(ByteBuffer.allocate(0)));
            sending.whenComplete(this::sent);
        }
    }

    /** The JDK does not always tell that the line broke; sending fails then. */
    private void sent(Object done, Throwable failure) {
        if (failure != null) {
            try {
                network.execute(() -> abandon(String.valueOf(failure.getMessage())));
            } catch (RejectedExecutionException over) {
                closed.complete(null); // the client has ended
            }
        }
    }

    /** Read no further message until {@code resume}. */
    void pause() {
        isPaused = true;
    }

    void resume() {
        isPaused = false;
        demand();
    }

    /** Ask for as many messages as were taken, several at once. */
    private void demand() {
        if (!isPaused && socket != null && taken >= SEVERAL) {
            socket.request(taken);
            taken = 0;
        }
    }

    /** Take what has come, in the network's thread. */
    private void read() {
        String text;
        do {
            while ((text = texts.poll()) != null) {
                taken += 1;
                if (!hasEnded) {
                    receiver.received(text);
                }
                demand();
            }
            isReading.set(false);
        } while (!texts.isEmpty() && isReading.compareAndSet(false, true));
    }

    boolean isPaused() {
        return isPaused;
    }

    /** Close in good order. The end is told at once; {@code closed} follows when the handshake is over. */
    void close(String reason) {
        WebSocket open = socket;
        if (open == null) {
            abandon(reason);
            return;
        }
        isPaused = false;
        open.request(1_000); // the server's close stands behind what it has sent
        sending.handle((sent, error) -> null)
                .thenCompose(before -> open.sendClose(WebSocket.NORMAL_CLOSURE, reason))
                .whenComplete((sent, error) -> {
                    if (error != null) {
                        closed.complete(null);
                    }
                });
        // Not of this connection's timers, which end with it.
        CompletableFuture.delayedExecutor(CLOSING_MS, TimeUnit.MILLISECONDS, Runnable::run)
                .execute(() -> closed.complete(null));
        closed.thenRun(open::abort);
        end(new Ending(WebSocket.NORMAL_CLOSURE, reason, false));
    }

    /** Take the connection for lost. */
    void abandon(String reason) {
        if (socket != null) {
            socket.abort();
        }
        if (opening != null) {
            opening.cancel(true);
        }
        closed.complete(null);
        end(new Ending(null, reason, false));
    }

    /** Done when the line is down, too. */
    CompletableFuture<Void> closed() {
        return closed;
    }

    private void end(Ending ending) {
        if (!hasEnded) {
            hasEnded = true;
            timers.clear(timeout);
            if (socket == null) {
                closed.complete(null);
            }
            receiver.ended(ending);
        }
    }

    private final class Listener implements WebSocket.Listener {
        private StringBuilder message = new StringBuilder();

        @Override
        public void onOpen(WebSocket made) {
            // The first demand comes when the session is ready.
        }

        @Override
        public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
            message.append(data);
            if (message.length() > MAX_MESSAGE_CHARACTERS) {
                network.execute(() -> abandon("a message of more than " + MAX_MESSAGE_CHARACTERS + " characters"));
                return null;
            }
            if (!last) {
                from.request(1);
                return null;
            }
            String text = message.toString();
            message.setLength(0);
            if (message.capacity() > 1 << 20) {
                message = new StringBuilder();
            }
            texts.add(text);
            if (isReading.compareAndSet(false, true)) {
                try {
                    network.execute(Connection.this::read);
                } catch (RejectedExecutionException over) {
                    texts.clear(); // the client has ended
                }
            }
            return null;
        }

        @Override
        public CompletionStage<?> onBinary(WebSocket from, ByteBuffer data, boolean last) {
            from.request(1); // the protocol has none: ignored
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
            boolean isCode = code != 1005 && code != 1006;
            network.execute(() -> {
                closed.complete(null);
                end(new Ending(isCode ? Integer.valueOf(code) : code == 1005 ? 1005 : null, reason, isCode));
            });
            return null;
        }

        @Override
        public void onError(WebSocket from, Throwable error) {
            network.execute(() -> {
                closed.complete(null);
                end(new Ending(null, String.valueOf(error.getMessage()), false));
            });
        }
    }

    /** Make an HTTP client; it follows no redirect with the key. */
    static HttpClient http(Executor executor) {
        return HttpClient.newBuilder().executor(executor).followRedirects(HttpClient.Redirect.NEVER).build();
    }
}
