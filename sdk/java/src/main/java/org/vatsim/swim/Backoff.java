package org.vatsim.swim;

import java.util.function.DoubleSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Exponential backoff with full jitter, in milliseconds. Pure: chance comes in as an argument. */
final class Backoff {
    private static final long STABLE_MS = 60_000;
    static final long LONGEST_ADVICE_MS = 3_600_000;
    private static final Pattern RETRY_MS = Pattern.compile("\\bretry_ms=([0-9]{1,9})\\b");

    private final SwimOptions options;
    private final DoubleSupplier random;
    private int failures;

    Backoff(SwimOptions options, DoubleSupplier random) {
        this.options = options;
        this.random = random;
    }

    /** Note a connection's end: only one that lasted a minute lets the waits begin from the start again. */
    void ended(long lastedMs) {
        if (lastedMs >= STABLE_MS) {
            failures = 0;
        }
    }

    /** How long to wait after an attempt that failed. */
    long waitMs() {
        double ceiling = Math.min(options.maxReconnectMs, options.reconnectMs * Math.pow(2, Math.min(failures, 30)));
        failures += 1;
        return (long) (random.getAsDouble() * ceiling);
    }

    /** How long to wait after a connection that was admitted: the server is there. Counts as a failure all the same. */
    long waitAfterSessionMs() {
        failures += 1;
        return (long) (random.getAsDouble() * Math.min(options.reconnectMs, options.maxReconnectMs));
    }

    /** How long to wait when an HTTP answer said Retry-After: a little more. */
    long waitAsToldMs(long toldMs) {
        return toldMs + (long) (random.getAsDouble() * options.reconnectMs);
    }

    /** Read {@code retry_ms=…} in a close reason; null: there is none. */
    static Long retryMs(String reason) {
        Matcher match = RETRY_MS.matcher(reason == null ? "" : reason);
        return match.find() ? Long.valueOf(Math.min(Long.parseLong(match.group(1)), LONGEST_ADVICE_MS)) : null;
    }
}
