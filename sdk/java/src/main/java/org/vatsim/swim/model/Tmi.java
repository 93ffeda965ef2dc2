package org.vatsim.swim.model;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * {@code tmi.issued} and {@code tmi.modified}: a traffic management initiative is in force, or its terms have
 * changed.
 * <p>Made by server/tools/client_models.py from the types of the protocol; not to be edited. A field that the server did not send, or as null, is null.
 */
public final class Tmi {
    /** An integer where the source has one. */
    public final String programId;
    /** For instance GS (ground stop) or GDP (ground delay programme). */
    public final String programType;
    /** The aerodrome it applies to, ICAO code. */
    public final String airport;
    /** As the source names it: ACTIVE. */
    public final String status;
    /** RFC 3339. */
    public final String endTime;
    /** RFC 3339. */
    public final String startTime;
    /** Why, in the words of whoever issued it. */
    public final String reason;

    private Tmi(JsonNode data) {
        programId = Json.identifier(data, "program_id");
        programType = Json.text(data, "program_type");
        airport = Json.text(data, "airport");
        status = Json.text(data, "status");
        endTime = Json.text(data, "end_time");
        startTime = Json.text(data, "start_time");
        reason = Json.text(data, "reason");
    }

    /** Read the data of an event; never fails, whatever it holds. */
    public static Tmi from(JsonNode data) {
        return new Tmi(data);
    }
}
