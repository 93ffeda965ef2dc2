package org.vatsim.swim.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;

/**
 * {@code flight.positions}: at most 280 positions per message, in under 65,536 bytes.
 * <p>Made by server/tools/client_models.py from the types of the protocol; not to be edited. A field that the server did not send, or as null, is null.
 */
public final class FlightPositions {
    /** Each with its own flight. */
    public final List<Position> positions;
    /** Number of positions in this message. */
    public final Long count;

    private FlightPositions(JsonNode data) {
        positions = Json.list(data, "positions", Position::from);
        count = Json.integer(data, "count");
    }

    /** Read the data of an event; never fails, whatever it holds. */
    public static FlightPositions from(JsonNode data) {
        return new FlightPositions(data);
    }
}
