package org.vatsim.swim;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** What the program wants to hear of, over every connection. Used by the network's thread alone. */
final class Subscriptions {
    /** One subscribe of the program. */
    static final class PendingSubscription {
        LinkedHashSet<String> channels;
        final Map<String, JsonNode> filters;
        final HistoryStart history;
        /** The program wants the state first. */
        boolean wantsState;
        final CompletableFuture<JsonNode> answer;
        boolean isConfirmed;

        PendingSubscription(
                Collection<String> channels,
                Map<String, JsonNode> filters,
                HistoryStart history,
                CompletableFuture<JsonNode> answer) {
            this.channels = new LinkedHashSet<>(channels);
            this.filters = new LinkedHashMap<>(filters);
            this.wantsState = history != null && history.isState();
            this.history = wantsState ? null : history;
            this.answer = answer;
        }
    }

    private List<PendingSubscription> pending = new ArrayList<>();
    private volatile boolean hasFilters;

    boolean isEmpty() {
        return pending.isEmpty();
    }

    void add(PendingSubscription one) {
        pending.add(one);
        look();
    }

    private void look() {
        hasFilters = merge(pending).filters.values().stream().anyMatch(Subscriptions::isFilter);
    }

    private static boolean isFilter(JsonNode value) {
        return !value.isNull() && !(value.isContainerNode() && value.isEmpty());
    }

    /** Tell whether some events are filtered out. Any thread may ask. */
    boolean hasFilters() {
        return hasFilters;
    }

    /** Tell whether any, or any that was granted, is to begin with the state. */
    boolean wantsState(boolean isGranted) {
        return pending.stream().anyMatch(one -> one.wantsState && (one.isConfirmed || !isGranted));
    }

    boolean holds(PendingSubscription one) {
        return pending.contains(one);
    }

    /** Those that ask for any channel. */
    List<PendingSubscription> wanted() {
        List<PendingSubscription> found = new ArrayList<>();
        for (PendingSubscription one : pending) {
            if (!one.channels.isEmpty()) {
                found.add(one);
            }
        }
        return found;
    }

    /** Take channels away, none named: all. When none is left, the filters go too. */
    void remove(Collection<String> channels) {
        for (PendingSubscription one : pending) {
            if (channels.isEmpty()) {
                one.channels.clear();
            } else {
                one.channels.removeAll(channels);
            }
        }
        if (wanted().isEmpty()) {
            pending.clear();
        }
        look();
    }

    /** Forget what the server refused. */
    void refuse(PendingSubscription one) {
        pending.remove(one);
        look();
    }

    /** Merge what the server granted into one. */
    void confirm(List<PendingSubscription> granted) {
        granted.forEach(one -> one.isConfirmed = true);
        List<PendingSubscription> confirmed = new ArrayList<>();
        List<PendingSubscription> others = new ArrayList<>();
        for (PendingSubscription one : pending) {
            (one.isConfirmed ? confirmed : others).add(one);
        }
        if (!confirmed.isEmpty()) {
            PendingSubscription whole = merge(confirmed);
            PendingSubscription kept = new PendingSubscription(whole.channels, whole.filters, null, null);
            kept.isConfirmed = true;
            kept.wantsState = whole.wantsState;
            others.add(0, kept);
            pending = others;
        }
    }

    /** Tell whether what was granted already includes this. */
    boolean covers(PendingSubscription one) {
        List<PendingSubscription> confirmed = new ArrayList<>();
        for (PendingSubscription each : pending) {
            if (each.isConfirmed) {
                confirmed.add(each);
            }
        }
        PendingSubscription whole = merge(confirmed);
        return (whole.wantsState || !one.wantsState)
                && whole.channels.containsAll(one.channels)
                && whole.filters.entrySet().containsAll(one.filters.entrySet());
    }

    /** Make one of several: channels add up, filters merge by kind, the first history asked for counts. */
    static PendingSubscription merge(List<PendingSubscription> several) {
        LinkedHashSet<String> channels = new LinkedHashSet<>();
        Map<String, JsonNode> filters = new LinkedHashMap<>();
        HistoryStart history = null;
        boolean wantsState = false;
        for (PendingSubscription one : several) {
            channels.addAll(one.channels);
            filters.putAll(one.filters);
            history = history != null ? history : one.history;
            wantsState |= one.wantsState;
        }
        PendingSubscription whole = new PendingSubscription(channels, filters, history, null);
        whole.wantsState = wantsState;
        return whole;
    }
}
