package org.vatsim.swim;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.http.HttpClient;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * One run of a client, from connect to its end, and its threads: the network's, in which all decisions are made; the
 * handlers'; and those of the HTTP client. None of them is left afterwards.
 */
final class ClientRun implements Session.Program {
    private static final System.Logger LOG = System.getLogger("org.vatsim.swim");
    private static final Set<String> LAST_WORDS = Set.of("disconnected", "error");
    private static final Set<Integer> OUR_FAULT = Set.of(1007, 1009, 4003);
    private static final long SAVE_NANOS = 1_000_000_000L;

    private final SwimWebSocketClient client;
    private final String key;
    private final Addresses addresses;
    private final SwimOptions options;
    private final Delivery delivery;
    private final Subscriptions subscriptions;
    private final Backoff backoff;
    private final ScheduledThreadPoolExecutor network;
    private final ThreadPoolExecutor handlers;
    private final ExecutorService httpThreads;
    private final Timers pauses;
    private final Queue<Runnable> items = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean isHanding = new AtomicBoolean();
    private final AtomicInteger waiting = new AtomicInteger();
    private final LinkedHashSet<Session.Publication> publications = new LinkedHashSet<>();
    private final CompletableFuture<Void> admitted = new CompletableFuture<>();
    private final CompletableFuture<Void> closed = new CompletableFuture<>();
    private final CompletableFuture<Void> finished = new CompletableFuture<>();
    private final Position position;
    private HttpClient http;
    private volatile Session session;
    private Connection connection;
    private long openedAt;
    private Long lostAt;
    private volatile boolean isStopping;
    private boolean isOver;
    private volatile Thread handlerThread;
    private volatile Thread networkThread;
    private long savedAt = System.nanoTime();
    private SwimWebSocketClient.Handled saved;

    ClientRun(
            SwimWebSocketClient client,
            String key,
            Addresses addresses,
            SwimOptions options,
            Delivery delivery,
            Subscriptions subscriptions,
            Backoff backoff) {
        this.client = client;
        this.key = key;
        this.addresses = addresses;
        this.options = options;
        this.delivery = delivery;
        this.subscriptions = subscriptions;
        this.backoff = backoff;
        network = new ScheduledThreadPoolExecutor(1, work -> networkThread = thread(work, "swim-network")) {
            @Override
            protected void afterExecute(Runnable work, Throwable thrown) {
                logFailure(work, thrown);
            }
        };
        network.setRemoveOnCancelPolicy(true);
        network.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
        handlers = new ThreadPoolExecutor(
                1, 1, 0, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), work -> handlerThread = thread(work, "swim-handlers"));
        httpThreads = new ThreadPoolExecutor(
                0, Integer.MAX_VALUE, 5, TimeUnit.SECONDS, new SynchronousQueue<>(), work -> thread(work, "swim-http"));
        http = Connection.http(httpThreads);
        pauses = new Timers(network);
        load();
        position = new Position(client.handled().id, client.handled().epoch, options.resume);
        saved = client.handled();
    }

    private static Thread thread(Runnable work, String name) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(false);
        return thread;
    }

    /** What goes wrong in the network's thread is this package's fault, and must not be silent. */
    private static void logFailure(Runnable work, Throwable thrown) {
        Throwable failure = thrown;
        if (failure == null && work instanceof Future && ((Future<?>) work).isDone()) {
            try {
                ((Future<?>) work).get();
            } catch (CancellationException cancelled) {
                return;
            } catch (ExecutionException failed) {
                failure = failed.getCause();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }
        if (failure != null) {
            LOG.log(System.Logger.Level.ERROR, "the network's thread failed", failure);
        }
    }

    void start() {
        network.execute(this::attempt);
    }

    /** Run something in the network's thread; false: it is gone. */
    boolean inNetwork(Runnable work) {
        try {
            network.execute(work);
            return true;
        } catch (RejectedExecutionException over) {
            return false;
        }
    }

    void withSession(Consumer<Session> work) {
        Session current = session;
        if (current != null) {
            work.accept(current);
        }
    }

    boolean isAdmitted() {
        return clientId() != null;
    }

    String clientId() {
        Session current = session;
        return current == null ? null : current.clientId;
    }

    boolean isStopping() {
        return isStopping;
    }

    CompletableFuture<Void> admitted() {
        return admitted;
    }

    CompletableFuture<Void> finished() {
        return finished;
    }

    void publish(Session.Publication publication) {
        publications.add(publication);
        withSession(current -> current.publish(publication));
    }

    /** Close for good. Waits for the end of the connection, unless in one of this client's own threads. */
    void stop() {
        isStopping = true;
        inNetwork(() -> {
            if (connection != null) {
                connection.close("stopped by this program");
            } else {
                end(null);
            }
        });
        if (Thread.currentThread() != handlerThread && Thread.currentThread() != networkThread) {
            closed.handle((over, error) -> null).join();
        }
    }

    // One attempt after the other, in the network's thread.

    private void attempt() {
        if (isStopping || isOver) {
            end(null);
            return;
        }
        Timers timers = new Timers(network);
        openedAt = -1;
        Session[] made = new Session[1];
        connection = new Connection(network, timers, new Connection.Receiver() {
            @Override
            public void opened() {
                openedAt = timers.now();
                made[0].opened();
            }

            @Override
            public void received(String text) {
                made[0].receive(text);
            }

            @Override
            public void ended(Ending ending) {
                ClientRun.this.ended(made[0], ending);
            }
        });
        made[0] = new Session(connection, position, subscriptions, options, timers, this, lostAt);
        session = made[0];
        connection.open(http, addresses.current(), key, options.openTimeoutMs);
    }

    private void ended(Session over, Ending ending) {
        over.ended();
        Connection line = connection;
        session = null;
        connection = null;
        boolean wasOpen = openedAt >= 0;
        boolean wasAdmitted = over.clientId != null;
        if (wasOpen) {
            backoff.ended(pauses.now() - openedAt);
        }
        if (wasAdmitted) {
            lostAt = pauses.now();
        }
        SwimException error = finalError(over, ending, wasAdmitted);
        Long waitMs = error != null || isStopping ? null : Long.valueOf(waitMs(over, ending, wasAdmitted));
        if (wasOpen) {
            boolean isLost = !ending.isServers || ending.reason.isEmpty();
            boolean isAnnounced = isLost && !isStopping && "RESTARTING".equals(over.closingCode);
            String reason = Delivery.redact(isAnnounced ? over.closingText : ending.reason, key);
            put("disconnected", SwimWebSocketClient.disconnection(ending.code == null ? 1006 : ending.code, reason, waitMs));
        }
        if (waitMs == null) {
            line.closed().thenRunAsync(() -> end(error), network);
            return;
        }
        LOG.log(System.Logger.Level.DEBUG, "{0}; connecting again in {1} ms", Delivery.redact(ending.reason, key), waitMs);
        pauses.set(this::attempt, waitMs);
    }

    private SwimException finalError(Session over, Ending ending, boolean wasAdmitted) {
        if (over.refused != null && subscriptions.isEmpty()) {
            return over.refused;
        }
        String told = Delivery.redact(over.closingText != null ? over.closingText : ending.reason, key);
        boolean isRefused = Integer.valueOf(4001).equals(ending.code) || "AUTH_FAILED".equals(over.closingCode);
        if (isRefused || ending.httpStatus == 401) {
            String reason = told.isEmpty() ? "the server gave no reason" : told;
            return new SwimException.Authentication("the key was refused: " + reason, isRefused ? "4001" : "401");
        }
        if (ending.code != null && OUR_FAULT.contains(ending.code) && ending.isServers) {
            String reason = told.isEmpty() ? "no reason given" : told;
            return new SwimException.Protocol(
                    "the server gave up on this client's messages: " + reason, String.valueOf(ending.code));
        }
        if (options.reconnect || isStopping || !wasAdmitted && !addresses.isLast(pauses.now())) {
            return null;
        }
        return new SwimException.ConnectionLost(
                told.isEmpty() ? "the connection ended" : told, ending.code == null ? null : String.valueOf(ending.code));
    }

    private long waitMs(Session over, Ending ending, boolean wasAdmitted) {
        Long told = Backoff.retryMs(ending.reason);
        if (told == null) {
            told = over.adviceMs;
        }
        if (wasAdmitted) {
            addresses.ended(told != null);
            return told != null ? told : backoff.waitAfterSessionMs();
        }
        return addresses.failed(backoff, pauses.now(), ending.retryAfterSeconds, told == null ? 0 : told);
    }

    private void end(SwimException error) {
        if (isOver) {
            return;
        }
        isOver = true;
        pauses.end();
        SwimException lost = error != null ? error : new SwimException.ConnectionLost("the client was stopped", null);
        for (Session.Publication publication : List.copyOf(publications)) {
            publication.answer.completeExceptionally(lost);
        }
        publications.clear();
        admitted.completeExceptionally(lost);
        http = null; // its own thread ends when nobody holds it any more
        hand(() -> finish(error));
        handlers.shutdown();
        httpThreads.shutdown();
        network.shutdown();
        closed.complete(null);
    }

    /** The last work of the handlers' thread. */
    private void finish(SwimException error) {
        save();
        client.over(this);
        if (error == null) {
            finished.complete(null);
        } else {
            finished.completeExceptionally(error);
        }
    }

    // Handing over, in the handlers' thread.

    @Override
    public void put(String kind, JsonNode message) {
        if (kind.equals("connected")) {
            admitted.complete(null);
        }
        EventId point = kind.equals("disconnected") ? null : position.point;
        String epoch = position.epoch;
        if (waiting.incrementAndGet() >= options.maxQueuedEvents && connection != null) {
            connection.pause();
        }
        if (!hand(() -> handOver(kind, message, point, epoch))) {
            waiting.decrementAndGet();
        }
    }

    /** Let the handlers' thread do something, after all that was handed to it before; false: it is gone. */
    private boolean hand(Runnable item) {
        items.add(item);
        if (isHanding.compareAndSet(false, true)) {
            try {
                handlers.execute(this::handAll);
            } catch (RejectedExecutionException over) {
                items.clear();
                return false;
            }
        }
        return true;
    }

    private void handAll() {
        do {
            Runnable item;
            while ((item = items.poll()) != null) {
                try {
                    item.run();
                } catch (RuntimeException failure) {
                    LOG.log(System.Logger.Level.ERROR, "the handlers' thread failed", failure);
                }
            }
            isHanding.set(false);
        } while (!items.isEmpty() && isHanding.compareAndSet(false, true));
    }

    private void handOver(String kind, JsonNode message, EventId point, String epoch) {
        try {
            if (isStopping && !LAST_WORDS.contains(kind)) {
                return; // not handled: it comes again
            }
            if (!client.flights().take(kind, message)) {
                delivery.handOver(kind, message, key);
            }
            SwimWebSocketClient.Handled before = client.handled();
            if (point != null && point != before.id) {
                client.handled(new SwimWebSocketClient.Handled(point, epoch));
                if (options.store != null && System.nanoTime() - savedAt > SAVE_NANOS) {
                    save();
                }
            }
        } finally {
            if (waiting.decrementAndGet() == options.maxQueuedEvents / 2) {
                inNetwork(() -> {
                    if (connection != null) {
                        connection.resume();
                    }
                });
            }
        }
    }

    @Override
    public CompletableFuture<Void> idle() {
        CompletableFuture<Void> idle = new CompletableFuture<>();
        if (!hand(() -> inNetwork(() -> idle.complete(null)))) {
            idle.complete(null);
        }
        return idle;
    }

    @Override
    public Collection<Session.Publication> publications() {
        return publications;
    }

    // Keeping the position outside.

    private void load() {
        if (options.store == null) {
            return;
        }
        try {
            String text = options.store.load();
            JsonNode kept = text == null ? null : Session.JSON.readTree(text);
            EventId id = kept == null ? null : EventId.parse(kept.path("id").asText(null));
            if (id != null) {
                client.handled(new SwimWebSocketClient.Handled(id, kept.path("epoch").asText(null)));
            }
        } catch (IOException problem) {
            LOG.log(System.Logger.Level.ERROR, "the position that was kept can't be read: " + problem.getMessage());
        }
    }

    private void save() {
        SwimWebSocketClient.Handled now = client.handled();
        savedAt = System.nanoTime();
        if (options.store == null || now.id == null || now == saved) {
            return;
        }
        ObjectNode kept = JsonNodeFactory.instance.objectNode();
        kept.put("id", now.id.toString());
        kept.put("epoch", now.epoch);
        try {
            options.store.save(kept.toString());
            saved = now;
        } catch (IOException problem) {
            LOG.log(System.Logger.Level.ERROR, "the position can't be kept: " + problem.getMessage());
        }
    }
}
