package org.vatsim.swim.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;

/**
 * {@code flight.updated}: the plan was edited, or its pilot connected.
 * <p>Made by server/tools/client_models.py from the types of the protocol; not to be edited. A field that the server did not send, or as null, is null.
 */
public final class FlightUpdated {
    /** As filed: DAL123. */
    public final String callsign;
    /** Stable for the life of the flight; a JSON integer below 2^53. */
    public final Long flightUid;
    /** Departure aerodrome, ICAO code. */
    public final String dep;
    /** Arrival aerodrome, ICAO code. */
    public final String arr;
    /** Decimal degrees, north positive. */
    public final Double latitude;
    /** Decimal degrees, east positive. */
    public final Double longitude;
    /** Feet. */
    public final Long altitudeFt;
    /** Knots. */
    public final Long groundspeedKts;
    /** Degrees true, 0 to 359. */
    public final Long headingDeg;
    /** The centre whose airspace it is in: ZNY; outside the United States its FIR. */
    public final String currentArtcc;
    /** The FIR that it is in: KZNY. */
    public final String currentFir;
    /** PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne. */
    public final String phase;
    /** The sector of that FIR, if it has a boundary of its own: EGTL. */
    public final String currentSector;
    /** Aircraft type and equipment as filed. */
    public final String equipment;
    /** The route as filed. */
    public final String route;
    /** Names of the fields that changed. */
    public final List<String> changed;

    private FlightUpdated(JsonNode data) {
        callsign = Json.text(data, "callsign");
        flightUid = Json.integer(data, "flight_uid");
        dep = Json.text(data, "dep");
        arr = Json.text(data, "arr");
        latitude = Json.number(data, "latitude");
        longitude = Json.number(data, "longitude");
        altitudeFt = Json.integer(data, "altitude_ft");
        groundspeedKts = Json.integer(data, "groundspeed_kts");
        headingDeg = Json.integer(data, "heading_deg");
        currentArtcc = Json.text(data, "current_artcc");
        currentFir = Json.text(data, "current_fir");
        phase = Json.text(data, "phase");
        currentSector = Json.text(data, "current_sector");
        equipment = Json.text(data, "equipment");
        route = Json.text(data, "route");
        changed = Json.texts(data, "changed");
    }

    /** Read the data of an event; never fails, whatever it holds. */
    public static FlightUpdated from(JsonNode data) {
        return new FlightUpdated(data);
    }
}
