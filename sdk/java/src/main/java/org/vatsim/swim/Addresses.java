package org.vatsim.swim;

import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The addresses of a service, any of which will do: which one to try next, and when. Their order is shuffled once, so
 * that the clients of a node that fails spread over all others. The backoff's waits come only between rounds, when every
 * address has failed. Pure: time and chance come in as arguments.
 */
final class Addresses {
    private static final Pattern BETWEEN = Pattern.compile("\\s*,\\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)");

    private final List<URI> all;
    private final long[] barredUntilMs;
    private final Set<Integer> tried = new HashSet<>();
    private volatile int at;

    Addresses(List<URI> addresses, Random random) {
        all = new ArrayList<>(addresses);
        Collections.shuffle(all, random);
        barredUntilMs = new long[all.size()];
        Arrays.fill(barredUntilMs, Long.MIN_VALUE);
    }

    /** Read addresses with commas between them; each once. */
    static List<String> split(String urls) {
        String text = urls.trim();
        String one = text.endsWith(",") ? text.substring(0, text.length() - 1) : text;
        return new ArrayList<>(new LinkedHashSet<>(List.of(BETWEEN.split(one))));
    }

    /** The address in use, or the next one to be tried. */
    URI current() {
        return all.get(at);
    }

    /** Whether no other address can be tried at once should the current one fail. */
    boolean isLast(long nowMs) {
        Set<Integer> then = new HashSet<>(tried);
        then.add(at);
        return untried(then, nowMs).isEmpty();
    }

    /**
     * Note the end of a connection that was admitted.
     *
     * @param isAskedBack the server said when to return, so it will be there: the clients of nodes that are restarted
     *     one after the other move once each
     */
    void ended(boolean isAskedBack) {
        tried.clear();
        if (!isAskedBack) {
            at = inTurn().get(0);
        }
    }

    /**
     * Note a failed attempt, turn to the next address, and say how long to wait before it is tried.
     *
     * @param toldSeconds how long this address asks to be left alone; null: it did not say
     * @param leastMs no wait between rounds is shorter
     */
    long failed(Backoff backoff, long nowMs, Long toldSeconds, long leastMs) {
        if (toldSeconds != null) {
            barredUntilMs[at] = nowMs + Math.min(toldSeconds, Backoff.LONGEST_ADVICE_MS / 1_000) * 1_000;
        }
        tried.add(at);
        List<Integer> untried = untried(tried, nowMs);
        if (!untried.isEmpty()) {
            at = untried.get(0);
            return 0;
        }
        tried.clear();
        List<Integer> free = untried(tried, nowMs);
        if (!free.isEmpty()) {
            at = free.get(0);
            return Math.max(backoff.waitMs(), leastMs);
        }
        at = Collections.min(inTurn(), Comparator.comparing(number -> barredUntilMs[number]));
        return backoff.waitAsToldMs(barredUntilMs[at] - nowMs);
    }

    /** The numbers of all addresses, the current one last. */
    private List<Integer> inTurn() {
        List<Integer> numbers = new ArrayList<>();
        for (int step = 1; step <= all.size(); step += 1) {
            numbers.add((at + step) % all.size());
        }
        return numbers;
    }

    private List<Integer> untried(Set<Integer> but, long nowMs) {
        List<Integer> numbers = inTurn();
        numbers.removeIf(number -> but.contains(number) || barredUntilMs[number] >= nowMs);
        return numbers;
    }
}
