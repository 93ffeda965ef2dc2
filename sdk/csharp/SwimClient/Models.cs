// Made by server/tools/client_models.py from the types of the protocol; not to be edited.
using System.Collections.Generic;
using System.Text.Json;

namespace VatSim.Swim.Models
{
    /// <summary><c>flight.created</c>: a flight plan or a pilot was seen for the first time.</summary>
    public sealed class FlightCreated
    {
        /// <summary>As filed: DAL123.</summary>
        public string Callsign { get; private set; }
        /// <summary>Stable for the life of the flight; a JSON integer below 2^53.</summary>
        public long? FlightUid { get; private set; }
        /// <summary>Departure aerodrome, ICAO code.</summary>
        public string Dep { get; private set; }
        /// <summary>Arrival aerodrome, ICAO code.</summary>
        public string Arr { get; private set; }
        /// <summary>Decimal degrees, north positive.</summary>
        public double? Latitude { get; private set; }
        /// <summary>Decimal degrees, east positive.</summary>
        public double? Longitude { get; private set; }
        /// <summary>Feet.</summary>
        public long? AltitudeFt { get; private set; }
        /// <summary>Knots.</summary>
        public long? GroundspeedKts { get; private set; }
        /// <summary>Degrees true, 0 to 359.</summary>
        public long? HeadingDeg { get; private set; }
        /// <summary>The centre whose airspace it is in: ZNY; outside the United States its FIR.</summary>
        public string CurrentArtcc { get; private set; }
        /// <summary>The FIR that it is in: KZNY.</summary>
        public string CurrentFir { get; private set; }
        /// <summary>PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne.</summary>
        public string Phase { get; private set; }
        /// <summary>The sector of that FIR, if it has a boundary of its own: EGTL.</summary>
        public string CurrentSector { get; private set; }
        /// <summary>Aircraft type and equipment as filed.</summary>
        public string Equipment { get; private set; }
        /// <summary>The route as filed.</summary>
        public string Route { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static FlightCreated From(JsonElement data)
        {
            return new FlightCreated
            {
                Callsign = Json.Text(data, "callsign"),
                FlightUid = Json.Integer(data, "flight_uid"),
                Dep = Json.Text(data, "dep"),
                Arr = Json.Text(data, "arr"),
                Latitude = Json.Number(data, "latitude"),
                Longitude = Json.Number(data, "longitude"),
                AltitudeFt = Json.Integer(data, "altitude_ft"),
                GroundspeedKts = Json.Integer(data, "groundspeed_kts"),
                HeadingDeg = Json.Integer(data, "heading_deg"),
                CurrentArtcc = Json.Text(data, "current_artcc"),
                CurrentFir = Json.Text(data, "current_fir"),
                Phase = Json.Text(data, "phase"),
                CurrentSector = Json.Text(data, "current_sector"),
                Equipment = Json.Text(data, "equipment"),
                Route = Json.Text(data, "route"),
            };
        }
    }

    /// <summary><c>flight.updated</c>: the plan was edited, or its pilot connected.</summary>
    public sealed class FlightUpdated
    {
        /// <summary>As filed: DAL123.</summary>
        public string Callsign { get; private set; }
        /// <summary>Stable for the life of the flight; a JSON integer below 2^53.</summary>
        public long? FlightUid { get; private set; }
        /// <summary>Departure aerodrome, ICAO code.</summary>
        public string Dep { get; private set; }
        /// <summary>Arrival aerodrome, ICAO code.</summary>
        public string Arr { get; private set; }
        /// <summary>Decimal degrees, north positive.</summary>
        public double? Latitude { get; private set; }
        /// <summary>Decimal degrees, east positive.</summary>
        public double? Longitude { get; private set; }
        /// <summary>Feet.</summary>
        public long? AltitudeFt { get; private set; }
        /// <summary>Knots.</summary>
        public long? GroundspeedKts { get; private set; }
        /// <summary>Degrees true, 0 to 359.</summary>
        public long? HeadingDeg { get; private set; }
        /// <summary>The centre whose airspace it is in: ZNY; outside the United States its FIR.</summary>
        public string CurrentArtcc { get; private set; }
        /// <summary>The FIR that it is in: KZNY.</summary>
        public string CurrentFir { get; private set; }
        /// <summary>PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne.</summary>
        public string Phase { get; private set; }
        /// <summary>The sector of that FIR, if it has a boundary of its own: EGTL.</summary>
        public string CurrentSector { get; private set; }
        /// <summary>Aircraft type and equipment as filed.</summary>
        public string Equipment { get; private set; }
        /// <summary>The route as filed.</summary>
        public string Route { get; private set; }
        /// <summary>Names of the fields that changed.</summary>
        public IReadOnlyList<string> Changed { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static FlightUpdated From(JsonElement data)
        {
            return new FlightUpdated
            {
                Callsign = Json.Text(data, "callsign"),
                FlightUid = Json.Integer(data, "flight_uid"),
                Dep = Json.Text(data, "dep"),
                Arr = Json.Text(data, "arr"),
                Latitude = Json.Number(data, "latitude"),
                Longitude = Json.Number(data, "longitude"),
                AltitudeFt = Json.Integer(data, "altitude_ft"),
                GroundspeedKts = Json.Integer(data, "groundspeed_kts"),
                HeadingDeg = Json.Integer(data, "heading_deg"),
                CurrentArtcc = Json.Text(data, "current_artcc"),
                CurrentFir = Json.Text(data, "current_fir"),
                Phase = Json.Text(data, "phase"),
                CurrentSector = Json.Text(data, "current_sector"),
                Equipment = Json.Text(data, "equipment"),
                Route = Json.Text(data, "route"),
                Changed = Json.Texts(data, "changed"),
            };
        }
    }

    /// <summary><c>flight.departed</c>: the flight was known on the ground and is now airborne.</summary>
    public sealed class FlightDeparted
    {
        /// <summary>As filed: DAL123.</summary>
        public string Callsign { get; private set; }
        /// <summary>Stable for the life of the flight; a JSON integer below 2^53.</summary>
        public long? FlightUid { get; private set; }
        /// <summary>Departure aerodrome, ICAO code.</summary>
        public string Dep { get; private set; }
        /// <summary>Arrival aerodrome, ICAO code.</summary>
        public string Arr { get; private set; }
        /// <summary>Decimal degrees, north positive.</summary>
        public double? Latitude { get; private set; }
        /// <summary>Decimal degrees, east positive.</summary>
        public double? Longitude { get; private set; }
        /// <summary>Feet.</summary>
        public long? AltitudeFt { get; private set; }
        /// <summary>Knots.</summary>
        public long? GroundspeedKts { get; private set; }
        /// <summary>Degrees true, 0 to 359.</summary>
        public long? HeadingDeg { get; private set; }
        /// <summary>The centre whose airspace it is in: ZNY; outside the United States its FIR.</summary>
        public string CurrentArtcc { get; private set; }
        /// <summary>The FIR that it is in: KZNY.</summary>
        public string CurrentFir { get; private set; }
        /// <summary>PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne.</summary>
        public string Phase { get; private set; }
        /// <summary>The sector of that FIR, if it has a boundary of its own: EGTL.</summary>
        public string CurrentSector { get; private set; }
        /// <summary>When it left the ground, RFC 3339.</summary>
        public string OffUtc { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static FlightDeparted From(JsonElement data)
        {
            return new FlightDeparted
            {
                Callsign = Json.Text(data, "callsign"),
                FlightUid = Json.Integer(data, "flight_uid"),
                Dep = Json.Text(data, "dep"),
                Arr = Json.Text(data, "arr"),
                Latitude = Json.Number(data, "latitude"),
                Longitude = Json.Number(data, "longitude"),
                AltitudeFt = Json.Integer(data, "altitude_ft"),
                GroundspeedKts = Json.Integer(data, "groundspeed_kts"),
                HeadingDeg = Json.Integer(data, "heading_deg"),
                CurrentArtcc = Json.Text(data, "current_artcc"),
                CurrentFir = Json.Text(data, "current_fir"),
                Phase = Json.Text(data, "phase"),
                CurrentSector = Json.Text(data, "current_sector"),
                OffUtc = Json.Text(data, "off_utc"),
            };
        }
    }

    /// <summary><c>flight.arrived</c>: the flight was known airborne and is now on the ground, at its destination or elsewhere.</summary>
    public sealed class FlightArrived
    {
        /// <summary>As filed: DAL123.</summary>
        public string Callsign { get; private set; }
        /// <summary>Stable for the life of the flight; a JSON integer below 2^53.</summary>
        public long? FlightUid { get; private set; }
        /// <summary>Departure aerodrome, ICAO code.</summary>
        public string Dep { get; private set; }
        /// <summary>Arrival aerodrome, ICAO code.</summary>
        public string Arr { get; private set; }
        /// <summary>Decimal degrees, north positive.</summary>
        public double? Latitude { get; private set; }
        /// <summary>Decimal degrees, east positive.</summary>
        public double? Longitude { get; private set; }
        /// <summary>Feet.</summary>
        public long? AltitudeFt { get; private set; }
        /// <summary>Knots.</summary>
        public long? GroundspeedKts { get; private set; }
        /// <summary>Degrees true, 0 to 359.</summary>
        public long? HeadingDeg { get; private set; }
        /// <summary>The centre whose airspace it is in: ZNY; outside the United States its FIR.</summary>
        public string CurrentArtcc { get; private set; }
        /// <summary>The FIR that it is in: KZNY.</summary>
        public string CurrentFir { get; private set; }
        /// <summary>PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne.</summary>
        public string Phase { get; private set; }
        /// <summary>The sector of that FIR, if it has a boundary of its own: EGTL.</summary>
        public string CurrentSector { get; private set; }
        /// <summary>When it was on the ground, RFC 3339.</summary>
        public string InUtc { get; private set; }
        /// <summary>The field where it landed, ICAO code; null at an unlisted place, and if the source doesn't know.</summary>
        public string ArrivedAt { get; private set; }
        /// <summary>Whether it landed elsewhere than filed; arr stays as filed. Null if that is not known.</summary>
        public bool? Diverted { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static FlightArrived From(JsonElement data)
        {
            return new FlightArrived
            {
                Callsign = Json.Text(data, "callsign"),
                FlightUid = Json.Integer(data, "flight_uid"),
                Dep = Json.Text(data, "dep"),
                Arr = Json.Text(data, "arr"),
                Latitude = Json.Number(data, "latitude"),
                Longitude = Json.Number(data, "longitude"),
                AltitudeFt = Json.Integer(data, "altitude_ft"),
                GroundspeedKts = Json.Integer(data, "groundspeed_kts"),
                HeadingDeg = Json.Integer(data, "heading_deg"),
                CurrentArtcc = Json.Text(data, "current_artcc"),
                CurrentFir = Json.Text(data, "current_fir"),
                Phase = Json.Text(data, "phase"),
                CurrentSector = Json.Text(data, "current_sector"),
                InUtc = Json.Text(data, "in_utc"),
                ArrivedAt = Json.Text(data, "arrived_at"),
                Diverted = Json.Bool(data, "diverted"),
            };
        }
    }

    /// <summary><c>flight.deleted</c>: the flight is gone; position and centre are the last known.</summary>
    public sealed class FlightDeleted
    {
        /// <summary>As filed: DAL123.</summary>
        public string Callsign { get; private set; }
        /// <summary>Stable for the life of the flight; a JSON integer below 2^53.</summary>
        public long? FlightUid { get; private set; }
        /// <summary>Departure aerodrome, ICAO code.</summary>
        public string Dep { get; private set; }
        /// <summary>Arrival aerodrome, ICAO code.</summary>
        public string Arr { get; private set; }
        /// <summary>Decimal degrees, north positive.</summary>
        public double? Latitude { get; private set; }
        /// <summary>Decimal degrees, east positive.</summary>
        public double? Longitude { get; private set; }
        /// <summary>Feet.</summary>
        public long? AltitudeFt { get; private set; }
        /// <summary>Knots.</summary>
        public long? GroundspeedKts { get; private set; }
        /// <summary>Degrees true, 0 to 359.</summary>
        public long? HeadingDeg { get; private set; }
        /// <summary>The centre whose airspace it is in: ZNY; outside the United States its FIR.</summary>
        public string CurrentArtcc { get; private set; }
        /// <summary>The FIR that it is in: KZNY.</summary>
        public string CurrentFir { get; private set; }
        /// <summary>PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne.</summary>
        public string Phase { get; private set; }
        /// <summary>The sector of that FIR, if it has a boundary of its own: EGTL.</summary>
        public string CurrentSector { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static FlightDeleted From(JsonElement data)
        {
            return new FlightDeleted
            {
                Callsign = Json.Text(data, "callsign"),
                FlightUid = Json.Integer(data, "flight_uid"),
                Dep = Json.Text(data, "dep"),
                Arr = Json.Text(data, "arr"),
                Latitude = Json.Number(data, "latitude"),
                Longitude = Json.Number(data, "longitude"),
                AltitudeFt = Json.Integer(data, "altitude_ft"),
                GroundspeedKts = Json.Integer(data, "groundspeed_kts"),
                HeadingDeg = Json.Integer(data, "heading_deg"),
                CurrentArtcc = Json.Text(data, "current_artcc"),
                CurrentFir = Json.Text(data, "current_fir"),
                Phase = Json.Text(data, "phase"),
                CurrentSector = Json.Text(data, "current_sector"),
            };
        }
    }

    /// <summary><c>flight.position</c>, and each position of a batch.</summary>
    public sealed class Position
    {
        /// <summary>As filed: DAL123.</summary>
        public string Callsign { get; private set; }
        /// <summary>Stable for the life of the flight; a JSON integer below 2^53.</summary>
        public long? FlightUid { get; private set; }
        /// <summary>Departure aerodrome, ICAO code.</summary>
        public string Dep { get; private set; }
        /// <summary>Arrival aerodrome, ICAO code.</summary>
        public string Arr { get; private set; }
        /// <summary>Decimal degrees, north positive.</summary>
        public double? Latitude { get; private set; }
        /// <summary>Decimal degrees, east positive.</summary>
        public double? Longitude { get; private set; }
        /// <summary>Feet.</summary>
        public long? AltitudeFt { get; private set; }
        /// <summary>Knots.</summary>
        public long? GroundspeedKts { get; private set; }
        /// <summary>Degrees true, 0 to 359.</summary>
        public long? HeadingDeg { get; private set; }
        /// <summary>The centre whose airspace it is in: ZNY; outside the United States its FIR.</summary>
        public string CurrentArtcc { get; private set; }
        /// <summary>The FIR that it is in: KZNY.</summary>
        public string CurrentFir { get; private set; }
        /// <summary>PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne.</summary>
        public string Phase { get; private set; }
        /// <summary>Feet per minute, climbing positive.</summary>
        public long? VerticalRateFpm { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static Position From(JsonElement data)
        {
            return new Position
            {
                Callsign = Json.Text(data, "callsign"),
                FlightUid = Json.Integer(data, "flight_uid"),
                Dep = Json.Text(data, "dep"),
                Arr = Json.Text(data, "arr"),
                Latitude = Json.Number(data, "latitude"),
                Longitude = Json.Number(data, "longitude"),
                AltitudeFt = Json.Integer(data, "altitude_ft"),
                GroundspeedKts = Json.Integer(data, "groundspeed_kts"),
                HeadingDeg = Json.Integer(data, "heading_deg"),
                CurrentArtcc = Json.Text(data, "current_artcc"),
                CurrentFir = Json.Text(data, "current_fir"),
                Phase = Json.Text(data, "phase"),
                VerticalRateFpm = Json.Integer(data, "vertical_rate_fpm"),
            };
        }
    }

    /// <summary><c>flight.positions</c>: at most 280 positions per message, in under 65,536 bytes.</summary>
    public sealed class FlightPositions
    {
        /// <summary>Each with its own flight.</summary>
        public IReadOnlyList<Position> Positions { get; private set; }
        /// <summary>Number of positions in this message.</summary>
        public long? Count { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static FlightPositions From(JsonElement data)
        {
            return new FlightPositions
            {
                Positions = Json.List(data, "positions", Position.From),
                Count = Json.Integer(data, "count"),
            };
        }
    }

    /// <summary><c>tmi.issued</c> and <c>tmi.modified</c>: a traffic management initiative is in force, or its terms have changed.</summary>
    public sealed class Tmi
    {
        /// <summary>An integer where the source has one.</summary>
        public string ProgramId { get; private set; }
        /// <summary>For instance GS (ground stop) or GDP (ground delay programme).</summary>
        public string ProgramType { get; private set; }
        /// <summary>The aerodrome it applies to, ICAO code.</summary>
        public string Airport { get; private set; }
        /// <summary>As the source names it: ACTIVE.</summary>
        public string Status { get; private set; }
        /// <summary>RFC 3339.</summary>
        public string EndTime { get; private set; }
        /// <summary>RFC 3339.</summary>
        public string StartTime { get; private set; }
        /// <summary>Why, in the words of whoever issued it.</summary>
        public string Reason { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static Tmi From(JsonElement data)
        {
            return new Tmi
            {
                ProgramId = Json.Identifier(data, "program_id"),
                ProgramType = Json.Text(data, "program_type"),
                Airport = Json.Text(data, "airport"),
                Status = Json.Text(data, "status"),
                EndTime = Json.Text(data, "end_time"),
                StartTime = Json.Text(data, "start_time"),
                Reason = Json.Text(data, "reason"),
            };
        }
    }

    /// <summary><c>tmi.released</c>: a traffic management initiative has ended.</summary>
    public sealed class TmiReleased
    {
        /// <summary>An integer where the source has one.</summary>
        public string ProgramId { get; private set; }
        /// <summary>For instance GS (ground stop) or GDP (ground delay programme).</summary>
        public string ProgramType { get; private set; }
        /// <summary>The aerodrome it applies to, ICAO code.</summary>
        public string Airport { get; private set; }
        /// <summary>As the source names it: ACTIVE.</summary>
        public string Status { get; private set; }
        /// <summary>RFC 3339.</summary>
        public string EndTime { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static TmiReleased From(JsonElement data)
        {
            return new TmiReleased
            {
                ProgramId = Json.Identifier(data, "program_id"),
                ProgramType = Json.Text(data, "program_type"),
                Airport = Json.Text(data, "airport"),
                Status = Json.Text(data, "status"),
                EndTime = Json.Text(data, "end_time"),
            };
        }
    }

    /// <summary><c>splits.*</c>: how a centre's sectors are split between controllers.</summary>
    public sealed class Splits
    {
        /// <summary>An integer where the source has one.</summary>
        public string ConfigId { get; private set; }
        /// <summary>The centre: ZNY.</summary>
        public string Artcc { get; private set; }
        /// <summary>The name that the centre gave it.</summary>
        public string ConfigName { get; private set; }
        /// <summary>As the source names it: ACTIVE.</summary>
        public string Status { get; private set; }
        /// <summary>Where the configuration was made.</summary>
        public string Source { get; private set; }
        /// <summary>How many positions it has.</summary>
        public long? PositionCount { get; private set; }
        /// <summary>Who changed it.</summary>
        public string TriggeredBy { get; private set; }

        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>
        public static Splits From(JsonElement data)
        {
            return new Splits
            {
                ConfigId = Json.Identifier(data, "config_id"),
                Artcc = Json.Text(data, "artcc"),
                ConfigName = Json.Text(data, "config_name"),
                Status = Json.Text(data, "status"),
                Source = Json.Text(data, "source"),
                PositionCount = Json.Integer(data, "position_count"),
                TriggeredBy = Json.Identifier(data, "triggered_by"),
            };
        }
    }
}
