package org.vatsim.swim;

import java.time.Duration;

/** How a client behaves; all of it has defaults. */
public final class SwimOptions {
    volatile boolean reconnect = true;
    volatile long reconnectMs = 1_000;
    long maxReconnectMs = 60_000;
    long pingMs = 20_000;
    long pingTimeoutMs = 20_000;
    long openTimeoutMs = 15_000;
    boolean resume = true;
    int maxMessageBytes;
    int maxQueuedEvents = 50_000;
    PositionStore store;

    /** Whether to connect again after a connection's end; default true. */
    public SwimOptions reconnect(boolean enabled) {
        reconnect = enabled;
        return this;
    }

    /** The first pause is a random part of this; default 1 s. */
    public SwimOptions reconnectInterval(Duration first) {
        reconnectMs = first.toMillis();
        return this;
    }

    /** No pause is longer; default 60 s. */
    public SwimOptions maxReconnectInterval(Duration longest) {
        maxReconnectMs = longest.toMillis();
        return this;
    }

    /** After so long without a message the server is asked for a sign, default 20 s, which may take {@code timeout}, default 20 s. */
    public SwimOptions ping(Duration interval, Duration timeout) {
        pingMs = interval.toMillis();
        pingTimeoutMs = timeout.toMillis();
        return this;
    }

    /** How long the upgrade may take, and again the greeting; default 15 s. */
    public SwimOptions openTimeout(Duration timeout) {
        openTimeoutMs = timeout.toMillis();
        return this;
    }

    /** false: after a break, go on with what happens then; default true. */
    public SwimOptions resume(boolean enabled) {
        resume = enabled;
        return this;
    }

    /** No message to this client is longer; 4,096 or more. */
    public SwimOptions maxMessageBytes(int bytes) {
        if (bytes < 4_096) {
            throw new IllegalArgumentException("maxMessageBytes: must be 4096 or more, got " + bytes);
        }
        maxMessageBytes = bytes;
        return this;
    }

    /** So many events may wait for slow handlers; then reading pauses. Default 50,000. */
    public SwimOptions maxQueuedEvents(int count) {
        maxQueuedEvents = count;
        return this;
    }

    /** Keep the position here, so that the program's next run goes on from there. */
    public SwimOptions keepPosition(PositionStore store) {
        this.store = store;
        return this;
    }
}
