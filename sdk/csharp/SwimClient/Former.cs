using System;
using System.Collections.Generic;
using System.Text.Json;

namespace VatSim.Swim
{
    /// <summary>The types of the most used messages.</summary>
    public static class SwimEventTypes
    {
        public const string Connected = "connected";
        public const string FlightCreated = "flight.created";
        public const string FlightUpdated = "flight.updated";
        public const string FlightDeparted = "flight.departed";
        public const string FlightArrived = "flight.arrived";
        public const string FlightDeleted = "flight.deleted";
        public const string FlightPositions = "flight.positions";
        public const string TmiIssued = "tmi.issued";
        public const string TmiModified = "tmi.modified";
        public const string TmiReleased = "tmi.released";
        public const string SystemHeartbeat = "system.heartbeat";
        public const string Error = "error";
    }

    /// <summary>The data of a flight event, as the former SDK named it; VatSim.Swim.Models has all fields.</summary>
    public sealed class FlightEventData
    {
        public string Callsign { get; set; } = string.Empty;
        public long FlightUid { get; set; }
        public string Dep { get; set; }
        public string Arr { get; set; }
        public string OffUtc { get; set; }
        public string InUtc { get; set; }

        internal static FlightEventData From(JsonElement data)
        {
            return new FlightEventData
            {
                Callsign = Json.Text(data, "callsign") ?? string.Empty,
                FlightUid = Json.Integer(data, "flight_uid") ?? 0,
                Dep = Json.Text(data, "dep"),
                Arr = Json.Text(data, "arr"),
                OffUtc = Json.Text(data, "off_utc"),
                InUtc = Json.Text(data, "in_utc"),
            };
        }
    }

    /// <summary>One position of a batch; 0 where the server doesn't know.</summary>
    public sealed class PositionData
    {
        public string Callsign { get; set; } = string.Empty;
        public long FlightUid { get; set; }
        public double Latitude { get; set; }
        public double Longitude { get; set; }
        public int AltitudeFt { get; set; }
        public int GroundspeedKts { get; set; }
        public int HeadingDeg { get; set; }
        public string Dep { get; set; }
        public string Arr { get; set; }

        internal static PositionData From(JsonElement data)
        {
            return new PositionData
            {
                Callsign = Json.Text(data, "callsign") ?? string.Empty,
                FlightUid = Json.Integer(data, "flight_uid") ?? 0,
                Latitude = Json.Number(data, "latitude") ?? 0,
                Longitude = Json.Number(data, "longitude") ?? 0,
                AltitudeFt = (int)(Json.Integer(data, "altitude_ft") ?? 0),
                GroundspeedKts = (int)(Json.Integer(data, "groundspeed_kts") ?? 0),
                HeadingDeg = (int)(Json.Integer(data, "heading_deg") ?? 0),
                Dep = Json.Text(data, "dep"),
                Arr = Json.Text(data, "arr"),
            };
        }
    }

    /// <summary>The data of <c>flight.positions</c>.</summary>
    public sealed class PositionsBatchData
    {
        public int Count { get; set; }
        public List<PositionData> Positions { get; set; } = new List<PositionData>();

        internal static PositionsBatchData From(JsonElement data)
        {
            var positions = new List<PositionData>(Json.List(data, "positions", PositionData.From));
            return new PositionsBatchData { Count = (int)(Json.Integer(data, "count") ?? positions.Count), Positions = positions };
        }
    }

    /// <summary>The data of <c>tmi.issued</c>, <c>modified</c> and <c>released</c>.</summary>
    public sealed class TmiEventData
    {
        public string ProgramId { get; set; } = string.Empty;
        public string ProgramType { get; set; } = string.Empty;
        public string Airport { get; set; } = string.Empty;
        public string StartTime { get; set; }
        public string EndTime { get; set; }
        public string Reason { get; set; }
        public string Status { get; set; }

        internal static TmiEventData From(JsonElement data)
        {
            return new TmiEventData
            {
                ProgramId = Json.Identifier(data, "program_id") ?? string.Empty,
                ProgramType = Json.Text(data, "program_type") ?? string.Empty,
                Airport = Json.Text(data, "airport") ?? string.Empty,
                StartTime = Json.Text(data, "start_time"),
                EndTime = Json.Text(data, "end_time"),
                Reason = Json.Text(data, "reason"),
                Status = Json.Text(data, "status"),
            };
        }
    }

    /// <summary>The data of <c>system.heartbeat</c>.</summary>
    public sealed class HeartbeatData
    {
        public int ConnectedClients { get; set; }
        public long UptimeSeconds { get; set; }
        public string LastEventId { get; set; }

        internal static HeartbeatData From(JsonElement data)
        {
            return new HeartbeatData
            {
                ConnectedClients = (int)(Json.Integer(data, "connected_clients") ?? 0),
                UptimeSeconds = Json.Integer(data, "uptime_seconds") ?? 0,
                LastEventId = Json.Text(data, "last_event_id"),
            };
        }
    }

    /// <summary>What the server says when it admits a client.</summary>
    public sealed class ConnectionInfo
    {
        public string ClientId { get; set; } = string.Empty;
        public string ServerTime { get; set; }
        public string Version { get; set; }
        public string Tier { get; set; }
        public bool Resume { get; set; }

        internal static ConnectionInfo From(JsonElement data)
        {
            return new ConnectionInfo
            {
                ClientId = Json.Text(data, "client_id") ?? string.Empty,
                ServerTime = Json.Text(data, "server_time"),
                Version = Json.Text(data, "version"),
                Tier = Json.Text(data, "tier"),
                Resume = Json.Bool(data, "resume") == true,
            };
        }
    }

    /// <summary>Kinds are combined with AND, the values of one kind with OR; they hold for the whole connection.</summary>
    public sealed class SubscriptionFilters
    {
        public List<string> Airports { get; set; }
        public List<string> Artccs { get; set; }
        public List<string> Firs { get; set; }
        public List<string> CallsignPrefix { get; set; }
        public List<string> Phase { get; set; }
        public DateTimeOffset? DepWindowStart { get; set; }
        public DateTimeOffset? DepWindowEnd { get; set; }
        public BoundingBox Bbox { get; set; }

        internal Dictionary<string, string> ToJson()
        {
            var kinds = new Dictionary<string, string>();
            Add(kinds, "airports", Airports);
            Add(kinds, "artccs", Artccs);
            Add(kinds, "firs", Firs);
            Add(kinds, "callsign_prefix", CallsignPrefix);
            Add(kinds, "phase", Phase);
            if (DepWindowStart.HasValue) kinds["dep_window_start"] = JsonSerializer.Serialize(DepWindowStart.Value.UtcDateTime);
            if (DepWindowEnd.HasValue) kinds["dep_window_end"] = JsonSerializer.Serialize(DepWindowEnd.Value.UtcDateTime);
            if (Bbox != null) kinds["bbox"] = Json.Object(Bbox.WriteTo);
            return kinds;
        }

        private static void Add(IDictionary<string, string> kinds, string kind, List<string> values)
        {
            if (values != null) kinds[kind] = JsonSerializer.Serialize(values);
        }
    }

    /// <summary>Degrees; east below west crosses the antimeridian.</summary>
    public sealed class BoundingBox
    {
        public double North { get; set; }
        public double South { get; set; }
        public double East { get; set; }
        public double West { get; set; }

        internal void WriteTo(Utf8JsonWriter writer)
        {
            writer.WriteNumber("north", North);
            writer.WriteNumber("south", South);
            writer.WriteNumber("east", East);
            writer.WriteNumber("west", West);
        }
    }

    /// <summary>What a handler of an event gets.</summary>
    public sealed class SwimEventArgs<T> : EventArgs
    {
        public SwimEventArgs(T data, string timestamp)
        {
            Data = data;
            Timestamp = timestamp;
        }

        public T Data { get; }
        public string Timestamp { get; }
    }

    /// <summary>The server refused something.</summary>
    public sealed class SwimErrorEventArgs : EventArgs
    {
        public SwimErrorEventArgs(string code, string message, string timestamp)
        {
            Code = code;
            Message = message;
            Timestamp = timestamp;
        }

        public string Code { get; }
        public string Message { get; }
        public string Timestamp { get; }
    }

    /// <summary>A connection ended.</summary>
    public sealed class SwimDisconnectedEventArgs : EventArgs
    {
        internal SwimDisconnectedEventArgs(int code, string reason, TimeSpan? retryIn)
        {
            Code = code;
            Reason = reason;
            RetryIn = retryIn;
        }

        /// <summary>The close code; 1006 where there was none.</summary>
        public int Code { get; }

        /// <summary>The server's own words.</summary>
        public string Reason { get; }

        /// <summary>When the client connects again; null: it does not.</summary>
        public TimeSpan? RetryIn { get; }
    }

    /// <summary>Events may be missing between <c>After</c> and what comes next.</summary>
    public sealed class SwimGapEventArgs : EventArgs
    {
        internal SwimGapEventArgs(string after, string reason)
        {
            After = after;
            Reason = reason;
        }

        public string After { get; }
        public string Reason { get; }
    }

    /// <summary>One message, of whatever type.</summary>
    public sealed class SwimEvent
    {
        internal SwimEvent(string type, string id, string timestamp, JsonElement data)
        {
            Type = type;
            Id = id;
            Timestamp = timestamp;
            Data = data;
        }

        public string Type { get; }

        /// <summary>Its place in the order of all events; null from a server that gives no ids.</summary>
        public string Id { get; }

        public string Timestamp { get; }

        /// <summary>Its data, always an object.</summary>
        public JsonElement Data { get; }

        /// <summary>Reads its data as a type of VatSim.Swim.Models: <c>event.As(FlightDeparted.From)</c>.</summary>
        public T As<T>(Func<JsonElement, T> read)
        {
            return read(Data);
        }
    }
}
