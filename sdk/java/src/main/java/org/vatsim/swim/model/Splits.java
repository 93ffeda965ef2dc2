package org.vatsim.swim.model;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * {@code splits.*}: how a centre's sectors are split between controllers.
 * <p>Made by server/tools/client_models.py from the types of the protocol; not to be edited. A field that the server did not send, or as null, is null.
 */
public final class Splits {
    /** An integer where the source has one. */
    public final String configId;
    /** The centre: ZNY. */
    public final String artcc;
    /** The name that the centre gave it. */
    public final String configName;
    /** As the source names it: ACTIVE. */
    public final String status;
    /** Where the configuration was made. */
    public final String source;
    /** How many positions it has. */
    public final Long positionCount;
    /** Who changed it. */
    public final String triggeredBy;

    private Splits(JsonNode data) {
        configId = Json.identifier(data, "config_id");
        artcc = Json.text(data, "artcc");
        configName = Json.text(data, "config_name");
        status = Json.text(data, "status");
        source = Json.text(data, "source");
        positionCount = Json.integer(data, "position_count");
        triggeredBy = Json.identifier(data, "triggered_by");
    }

    /** Read the data of an event; never fails, whatever it holds. */
    public static Splits from(JsonNode data) {
        return new Splits(data);
    }
}
