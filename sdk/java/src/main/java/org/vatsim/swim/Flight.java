package org.vatsim.swim;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** A flight as it is at one moment; null where it is not known. Altitudes in feet, speeds in knots, degrees true. */
public final class Flight {
    private final ObjectNode data;

    Flight(ObjectNode data) {
        this.data = data;
    }

    /** All that is known, under the names of the protocol. A copy. */
    public JsonNode data() {
        return data.deepCopy();
    }

    public String callsign() {
        return text("callsign");
    }

    /** Stable for the life of the flight. */
    public Long flightUid() {
        JsonNode value = data.path("flight_uid");
        return value.isIntegralNumber() ? value.asLong() : null;
    }

    /** Departure aerodrome, ICAO code. */
    public String dep() {
        return text("dep");
    }

    /** Arrival aerodrome, ICAO code. */
    public String arr() {
        return text("arr");
    }

    public String equipment() {
        return text("equipment");
    }

    public String route() {
        return text("route");
    }

    /** Decimal degrees, north positive. */
    public Double latitude() {
        return number("latitude");
    }

    /** Decimal degrees, east positive. */
    public Double longitude() {
        return number("longitude");
    }

    public Double altitudeFt() {
        return number("altitude_ft");
    }

    public Double groundspeedKts() {
        return number("groundspeed_kts");
    }

    public Double headingDeg() {
        return number("heading_deg");
    }

    public Double verticalRateFpm() {
        return number("vertical_rate_fpm");
    }

    public String currentArtcc() {
        return text("current_artcc");
    }

    public String currentFir() {
        return text("current_fir");
    }

    public String currentSector() {
        return text("current_sector");
    }

    public String phase() {
        return text("phase");
    }

    /** When it took off, RFC 3339. */
    public String offUtc() {
        return text("off_utc");
    }

    /** When it arrived at the gate, RFC 3339. */
    public String inUtc() {
        return text("in_utc");
    }

    public String firstSeenAt() {
        return text("first_seen_at");
    }

    public String updatedAt() {
        return text("updated_at");
    }

    private String text(String name) {
        JsonNode value = data.path(name);
        return value.isTextual() ? value.asText() : null;
    }

    private Double number(String name) {
        JsonNode value = data.path(name);
        return value.isNumber() ? value.asDouble() : null;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Flight && ((Flight) other).data.equals(data);
    }

    @Override
    public int hashCode() {
        return data.hashCode();
    }

    @Override
    public String toString() {
        return data.toString();
    }
}
