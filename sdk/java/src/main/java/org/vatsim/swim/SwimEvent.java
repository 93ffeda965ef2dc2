package org.vatsim.swim;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.function.Function;

/** One event, or one of the client's own news such as {@code connected}. */
public final class SwimEvent {
    private final String type;
    private final String id;
    private final String timestamp;
    private final JsonNode data;

    SwimEvent(String type, String id, String timestamp, JsonNode data) {
        this.type = type;
        this.id = id;
        this.timestamp = timestamp;
        this.data = data;
    }

    /** Such as {@code flight.departed}. */
    public String type() {
        return type;
    }

    /** Its place in the order of all events; null from a server that gives no ids. */
    public String id() {
        return id;
    }

    /** When it happened, RFC 3339, UTC; an empty text where the server did not say. */
    public String timestamp() {
        return timestamp;
    }

    /** Its data, always an object. */
    public JsonNode data() {
        return data;
    }

    /** Read its data as a type of {@code org.vatsim.swim.model}: {@code event.as(FlightDeparted::from)}. */
    public <T> T as(Function<JsonNode, T> read) {
        return read.apply(data);
    }
}
