package org.vatsim.swim;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/**
 * Where a subscription begins: after an event, since a time, with the last few events (the first subscription alone), or
 * with the state as it is now.
 */
public final class HistoryStart {
    private final String field;
    private final Object value;

    private HistoryStart(String field, Object value) {
        this.field = field;
        this.value = value;
    }

    /** Begin after the event of this id. */
    public static HistoryStart after(String eventId) {
        if (EventId.parse(eventId) == null) {
            throw new IllegalArgumentException("after: " + eventId + " is no event id; one looks like 1768573815123-0");
        }
        return new HistoryStart("after", eventId);
    }

    /** Begin with the events since this time. */
    public static HistoryStart since(Instant time) {
        return new HistoryStart("since", time.truncatedTo(ChronoUnit.MILLIS).toString());
    }

    /** Begin with the events since so long ago. */
    public static HistoryStart since(Duration ago) {
        return since(Instant.now().minus(ago));
    }

    /** Begin with the last so many events. */
    public static HistoryStart last(int count) {
        return new HistoryStart("last", count);
    }

    /** Begin with the world as it is now, and keep {@link SwimWebSocketClient#flights} up to date from then on. */
    public static HistoryStart state() {
        return new HistoryStart("state", true);
    }

    boolean isState() {
        return field.equals("state");
    }

    boolean isLast() {
        return field.equals("last");
    }

    /** The id to begin after; null for the other kinds. */
    EventId afterId() {
        return field.equals("after") ? EventId.parse((String) value) : null;
    }

    void putInto(ObjectNode message) {
        if (value instanceof Integer) {
            message.put(field, (Integer) value);
        } else {
            message.put(field, (String) value);
        }
    }
}
