package org.vatsim.swim;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;

/**
 * The flights that there are now: the state that the server sends, kept up to date by the events that follow. By uid (by
 * callsign where the server knows no uid). Any thread may read; nobody changes what is handed out.
 *
 * <p>Right across reconnects, restarts and gaps: after a break the server says what was missed, or sends the state anew.
 */
public final class FlightMirror {
    private static final System.Logger LOG = System.getLogger("org.vatsim.swim");
    private static final List<String> FIELDS = List.of(
            "callsign", "flight_uid", "dep", "arr", "equipment", "route", "latitude", "longitude", "altitude_ft",
            "groundspeed_kts", "heading_deg", "vertical_rate_fpm", "current_artcc", "current_fir", "current_sector",
            "phase", "off_utc", "in_utc", "first_seen_at", "updated_at");
    private static final int MAX_FIELDS = 64;
    private static final Set<String> NOT_OF_A_FLIGHT = Set.of("changed", "count", "positions", "first_seen_at");
    private static final Map<String, String> ALIASES = Map.of("lat", "latitude", "lon", "longitude");
    private static final List<String> LEG_ENDED = List.of("in_utc", "arrived_at", "diverted");

    private final BooleanSupplier hasFilters;
    private final Object lock = new Object();
    private final List<BiConsumer<String, Flight>> changes = new CopyOnWriteArrayList<>();
    private Map<Object, ObjectNode> flights = new LinkedHashMap<>();
    private Map<String, Set<Object>> byCallsign = new HashMap<>();
    private Map<Object, ObjectNode> staged = new LinkedHashMap<>();
    private EventId stateAsOf;
    private EventId last;
    private boolean isComplete;
    private CompletableFuture<Void> complete = new CompletableFuture<>();

    FlightMirror(BooleanSupplier hasFilters) {
        this.hasFilters = hasFilters;
    }

    // Reading.

    /** How many flights there are. */
    public int size() {
        synchronized (lock) {
            return flights.size();
        }
    }

    /** The flight of this uid; null: there is none. */
    public Flight get(long flightUid) {
        return find(flightUid);
    }

    /** The flight that the server knows by its callsign alone; null: there is none. */
    public Flight get(String key) {
        return find(key);
    }

    private Flight find(Object key) {
        synchronized (lock) {
            ObjectNode found = flights.get(key);
            return found == null ? null : new Flight(found);
        }
    }

    /** Find a flight; of several with one callsign, the one that was updated last. null: there is none. */
    public Flight byCallsign(String callsign) {
        synchronized (lock) {
            ObjectNode found = null;
            for (Object key : byCallsign.getOrDefault(normal(callsign), Collections.emptySet())) {
                ObjectNode flight = flights.get(key);
                if (found == null || updated(flight).compareTo(updated(found)) > 0) {
                    found = flight;
                }
            }
            return found == null ? null : new Flight(found);
        }
    }

    private static String updated(ObjectNode flight) {
        return flight.path("updated_at").asText("");
    }

    /** List the flights that this lets pass. */
    public List<Flight> where(Predicate<Flight> passes) {
        List<Flight> found = new ArrayList<>();
        for (Flight flight : snapshot().flights()) {
            if (passes.test(flight)) {
                found.add(flight);
            }
        }
        return found;
    }

    /** All flights, and the last event that is part of them, of one moment. */
    public Snapshot snapshot() {
        synchronized (lock) {
            List<Flight> all = new ArrayList<>(flights.size());
            flights.values().forEach(flight -> all.add(new Flight(flight)));
            return new Snapshot(last == null ? null : last.toString(), all);
        }
    }

    /** The last event that is part of it; null before the first state has come. */
    public String asOf() {
        synchronized (lock) {
            return last == null ? null : last.toString();
        }
    }

    /** Whether a whole state has come, and all that followed it. */
    public boolean isComplete() {
        synchronized (lock) {
            return isComplete;
        }
    }

    /** Done when a whole state has come. */
    public CompletableFuture<Void> complete() {
        synchronized (lock) {
            return complete.copy();
        }
    }

    /**
     * Call a handler with {@code added}, {@code changed} or {@code removed} and the flight, for each change: in the
     * handlers' thread, before the handlers of the event.
     */
    public void onChange(BiConsumer<String, Flight> handler) {
        changes.add(handler);
    }

    /** Take a handler of changes away. */
    public void offChange(BiConsumer<String, Flight> handler) {
        changes.remove(handler);
    }

    /** All flights of one moment. */
    public static final class Snapshot {
        private final String asOf;
        private final List<Flight> flights;

        Snapshot(String asOf, List<Flight> flights) {
            this.asOf = asOf;
            this.flights = flights;
        }

        /** The last event that is part of it. */
        public String asOf() {
            return asOf;
        }

        /** The flights. */
        public List<Flight> flights() {
            return flights;
        }
    }

    // What comes, in the order of the messages, in the handlers' thread.

    /** Take a message in. Returns whether it was about the state alone, and no event. */
    boolean take(String kind, JsonNode message) {
        if (kind.equals("state") || kind.startsWith("state.")) {
            if (message.path("kind").asText().equals("flights")) {
                takeState(kind, message);
            }
            if (kind.equals("state") && message.path("is_last").asBoolean(false)) {
                replace(EventId.parse(message.path("as_of").asText(null)));
            }
            return true;
        }
        if (kind.equals("subscribed")) {
            staged = new LinkedHashMap<>(); // of a state whose end never came
        } else if (kind.equals("gap")) {
            incomplete(); // what is held is old until a state comes
        }
        if (!isComplete) {
            return false;
        }
        EventId id = message.path("id").isTextual() ? EventId.parse(message.get("id").asText()) : null;
        if (id != null && (stateAsOf == null || EventId.isAfter(id, stateAsOf))) {
            synchronized (lock) {
                last = id;
            }
            if (kind.startsWith("flight.")) {
                fold(kind, message);
            }
        }
        return false;
    }

    private void incomplete() {
        synchronized (lock) {
            if (isComplete) {
                isComplete = false;
                complete = new CompletableFuture<>();
            }
        }
    }

    private void takeState(String kind, JsonNode message) {
        JsonNode data = message.path("data");
        if (kind.equals("state")) {
            for (JsonNode row : data.path("flights")) {
                Object key = key(row);
                if (key != null) {
                    staged.put(key, (ObjectNode) row);
                }
            }
        } else if (kind.equals("state.entered") && key(data) != null) {
            put(key(data), data.deepCopy());
        } else if (kind.equals("state.left") && key(message) != null) {
            drop(key(message));
        }
    }

    private void replace(EventId asOf) {
        Map<Object, ObjectNode> before;
        CompletableFuture<Void> done;
        synchronized (lock) {
            before = flights;
            flights = staged;
            staged = new LinkedHashMap<>();
            byCallsign = new HashMap<>();
            flights.forEach(this::index);
            stateAsOf = last = asOf;
            isComplete = true;
            done = complete;
        }
        done.complete(null);
        before.forEach((key, flight) -> {
            if (!flights.containsKey(key)) {
                tell("removed", flight);
            }
        });
        new ArrayList<>(flights.entrySet()).forEach(one -> {
            ObjectNode old = before.get(one.getKey());
            if (!one.getValue().equals(old)) {
                tell(old == null ? "added" : "changed", one.getValue());
            }
        });
    }

    private void fold(String kind, JsonNode message) {
        JsonNode data = message.path("data");
        String timestamp = message.path("timestamp").asText(null);
        boolean mayOpen = !hasFilters.getAsBoolean();
        for (JsonNode row : kind.equals("flight.positions") ? data.path("positions") : List.of(data)) {
            Object key = key(row);
            if (key == null) {
                continue;
            }
            ObjectNode known = flights.get(key);
            if (kind.equals("flight.deleted")) {
                drop(key);
            } else if (mayOpen || known != null) {
                put(key, folded(known, kind, row, timestamp));
            }
        }
    }

    private void put(Object key, ObjectNode flight) {
        ObjectNode before;
        synchronized (lock) {
            before = flights.get(key);
            if (before != null) {
                unindex(key, before);
            }
            flights.put(key, flight);
            index(key, flight);
        }
        if (!changes.isEmpty() && !flight.equals(before)) {
            tell(before == null ? "added" : "changed", flight);
        }
    }

    private void drop(Object key) {
        ObjectNode before;
        synchronized (lock) {
            before = flights.remove(key);
            if (before != null) {
                unindex(key, before);
            }
        }
        if (before != null) {
            tell("removed", before);
        }
    }

    private void index(Object key, ObjectNode flight) {
        byCallsign.computeIfAbsent(normal(flight.path("callsign").asText("")), name -> new LinkedHashSet<>(2)).add(key);
    }

    private void unindex(Object key, ObjectNode flight) {
        byCallsign.computeIfPresent(normal(flight.path("callsign").asText("")), (name, keys) -> {
            keys.remove(key);
            return keys.isEmpty() ? null : keys;
        });
    }

    private void tell(String what, ObjectNode flight) {
        for (BiConsumer<String, Flight> handler : changes) {
            try {
                handler.accept(what, new Flight(flight));
            } catch (RuntimeException failure) { // the program's own fault, and the mirror goes on
                LOG.log(System.Logger.Level.ERROR, "a handler of changed flights failed", failure);
            }
        }
    }

    /** Change a flight as the server does: what an event names replaces what was known, also by null. */
    private static ObjectNode folded(ObjectNode flight, String kind, JsonNode row, String timestamp) {
        ObjectNode found = JsonNodeFactory.instance.objectNode();
        if (flight != null) {
            found.setAll(flight); // its values are never changed
        } else {
            FIELDS.forEach(found::putNull);
            found.put("first_seen_at", timestamp);
        }
        if (kind.equals("flight.departed")) {
            LEG_ENDED.stream().filter(found::has).forEach(found::putNull);
        }
        for (Iterator<Map.Entry<String, JsonNode>> fields = row.fields(); fields.hasNext(); ) {
            Map.Entry<String, JsonNode> field = fields.next();
            String name = ALIASES.getOrDefault(field.getKey(), field.getKey());
            if (!NOT_OF_A_FLIGHT.contains(field.getKey()) && (found.has(name) || found.size() < MAX_FIELDS)) {
                found.set(name, field.getValue());
            }
        }
        found.put("updated_at", timestamp);
        return found;
    }

    private static Object key(JsonNode row) {
        if (!row.isObject()) {
            return null;
        }
        JsonNode uid = row.path("flight_uid");
        if (uid.isIntegralNumber()) {
            return uid.asLong();
        }
        String callsign = row.path("callsign").isTextual() ? row.get("callsign").asText() : "";
        return callsign.isEmpty() ? null : callsign;
    }

    private static String normal(String callsign) {
        return callsign.trim().toUpperCase(Locale.ROOT);
    }
}
