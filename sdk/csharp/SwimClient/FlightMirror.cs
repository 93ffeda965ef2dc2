using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;

namespace VatSim.Swim
{
    /// <summary>What happened to a flight of the mirror.</summary>
    public enum FlightChange
    {
        Added,
        Changed,
        Removed,
    }

    /// <summary>One change of the mirror.</summary>
    public sealed class FlightChangedEventArgs : EventArgs
    {
        internal FlightChangedEventArgs(FlightChange change, Flight flight)
        {
            Change = change;
            Flight = flight;
        }

        public FlightChange Change { get; }
        public Flight Flight { get; }
    }

    /// <summary>
    /// The flights that there are now: the state that the server sends, kept up to date by the events that follow. By uid
    /// (by callsign where the server knows no uid). Any thread may read. Right across reconnects, restarts and gaps: after
    /// a break the server says what was missed, or sends the state anew.
    /// </summary>
    public sealed class FlightMirror
    {
        private const int MaxFields = 64;
        private static readonly string[] Fields =
        {
            "callsign", "flight_uid", "dep", "arr", "equipment", "route", "latitude", "longitude", "altitude_ft",
            "groundspeed_kts", "heading_deg", "vertical_rate_fpm", "current_artcc", "current_fir", "current_sector",
            "phase", "off_utc", "in_utc", "first_seen_at", "updated_at",
        };
        private static readonly HashSet<string> NotOfAFlight =
            new HashSet<string> { "changed", "count", "positions", "first_seen_at" };
        private static readonly string[] LegEnded = { "in_utc", "arrived_at", "diverted" };
        private readonly Func<bool> _hasFilters;
        private readonly object _lock = new object();
        private Dictionary<object, Dictionary<string, object>> _flights = new Dictionary<object, Dictionary<string, object>>();
        private Dictionary<object, Dictionary<string, object>> _staged = new Dictionary<object, Dictionary<string, object>>();
        private Dictionary<string, HashSet<object>> _byCallsign = new Dictionary<string, HashSet<object>>();
        private EventId _stateAsOf;
        private EventId _last;
        private bool _isComplete;
        private TaskCompletionSource<bool> _complete = NewSource();

        internal FlightMirror(Func<bool> hasFilters)
        {
            _hasFilters = hasFilters;
        }

        /// <summary>
        /// A flight was added, changed or removed. Raised in the handlers' thread, before the handlers of the event.
        /// </summary>
        public event EventHandler<FlightChangedEventArgs> OnChange;

        private static TaskCompletionSource<bool> NewSource()
        {
            return new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        // Reading.

        /// <summary>How many flights there are.</summary>
        public int Count
        {
            get
            {
                lock (_lock) return _flights.Count;
            }
        }

        /// <summary>The last event that is part of it; null before the first state has come.</summary>
        public string AsOf
        {
            get
            {
                lock (_lock) return _last == null ? null : _last.ToString();
            }
        }

        /// <summary>Whether a whole state has come, and all that followed it.</summary>
        public bool IsComplete
        {
            get
            {
                lock (_lock) return _isComplete;
            }
        }

        /// <summary>Done when a whole state has come.</summary>
        public Task Complete
        {
            get
            {
                lock (_lock) return _complete.Task;
            }
        }

        /// <summary>The flight of this uid; null: there is none.</summary>
        public Flight Get(long flightUid)
        {
            return Find(flightUid);
        }

        /// <summary>The flight that the server knows by its callsign alone; null: there is none.</summary>
        public Flight Get(string key)
        {
            return Find(key);
        }

        private Flight Find(object key)
        {
            Dictionary<string, object> found;
            lock (_lock) return _flights.TryGetValue(key, out found) ? new Flight(found) : null;
        }

        /// <summary>Finds a flight; of several with one callsign, the one that was updated last. null: there is none.</summary>
        public Flight ByCallsign(string callsign)
        {
            HashSet<object> keys;
            lock (_lock)
            {
                if (!_byCallsign.TryGetValue(Normal(callsign), out keys)) return null;
                return keys.Select(key => new Flight(_flights[key]))
                    .OrderBy(flight => flight.UpdatedAt, StringComparer.Ordinal).LastOrDefault();
            }
        }

        /// <summary>Lists the flights that this lets pass.</summary>
        public IReadOnlyList<Flight> Where(Func<Flight, bool> passes)
        {
            return Snapshot().Value.Where(passes).ToList();
        }

        /// <summary>The last event that is part of it, and all flights, of one moment.</summary>
        public KeyValuePair<string, IReadOnlyList<Flight>> Snapshot()
        {
            lock (_lock)
            {
                List<Flight> all = _flights.Values.Select(one => new Flight(one)).ToList();
                return new KeyValuePair<string, IReadOnlyList<Flight>>(_last == null ? null : _last.ToString(), all);
            }
        }

        // What comes, in the order of the messages, in the handlers' thread.

        /// <summary>Takes a message in. Returns whether it was about the state alone, and no event.</summary>
        internal bool Take(string kind, JsonElement message)
        {
            if (kind == "state" || kind.StartsWith("state.", StringComparison.Ordinal))
            {
                if (Json.String(message, "kind") == "flights") TakeState(kind, message);
                if (kind == "state" && Json.Bool(message, "is_last") == true) Replace(EventId.Parse(Json.String(message, "as_of")));
                return true;
            }
            if (kind == "subscribed") _staged = new Dictionary<object, Dictionary<string, object>>(); // its end never came
            else if (kind == "gap") Incomplete(); // what is held is old until a state comes
            EventId id = EventId.Parse(Json.String(message, "id"));
            if (id == null || !_isComplete || (_stateAsOf != null && !EventId.IsAfter(id, _stateAsOf))) return false;
            lock (_lock) _last = id;
            if (kind.StartsWith("flight.", StringComparison.Ordinal)) Fold(kind, message);
            return false;
        }

        private void Incomplete()
        {
            lock (_lock)
            {
                if (!_isComplete) return;
                _isComplete = false;
                _complete = NewSource();
            }
        }

        private void TakeState(string kind, JsonElement message)
        {
            JsonElement data;
            if (!Json.TryGet(message, "data", out data)) data = Json.Empty;
            if (kind == "state")
            {
                foreach (JsonElement row in Json.List(data, "flights", one => one))
                {
                    object key = Key(row);
                    if (key != null) _staged[key] = Read(row);
                }
            }
            else if (kind == "state.entered" && Key(data) != null)
            {
                Put(Key(data), Read(data));
            }
            else if (kind == "state.left" && Key(message) != null)
            {
                Drop(Key(message));
            }
        }

        private void Replace(EventId asOf)
        {
            Dictionary<object, Dictionary<string, object>> before;
            TaskCompletionSource<bool> done;
            lock (_lock)
            {
                before = _flights;
                _flights = _staged;
                _staged = new Dictionary<object, Dictionary<string, object>>();
                _byCallsign = new Dictionary<string, HashSet<object>>();
                foreach (KeyValuePair<object, Dictionary<string, object>> one in _flights) Index(one.Key, one.Value);
                _stateAsOf = _last = asOf;
                _isComplete = true;
                done = _complete;
            }
            done.TrySetResult(true);
            if (OnChange == null) return;
            foreach (KeyValuePair<object, Dictionary<string, object>> one in before)
            {
                if (!_flights.ContainsKey(one.Key)) Tell(FlightChange.Removed, one.Value);
            }
            foreach (KeyValuePair<object, Dictionary<string, object>> one in _flights.ToList())
            {
                Dictionary<string, object> old;
                before.TryGetValue(one.Key, out old);
                if (old == null || !AreSame(old, one.Value)) Tell(old == null ? FlightChange.Added : FlightChange.Changed, one.Value);
            }
        }

        private void Fold(string kind, JsonElement message)
        {
            JsonElement data;
            if (!Json.TryGet(message, "data", out data)) return;
            string timestamp = Json.String(message, "timestamp");
            bool mayOpen = !_hasFilters();
            foreach (JsonElement row in kind == "flight.positions" ? Json.List(data, "positions", one => one) : new[] { data })
            {
                object key = Key(row);
                if (key == null) continue;
                Dictionary<string, object> known;
                _flights.TryGetValue(key, out known);
                if (kind == "flight.deleted") Drop(key);
                else if (mayOpen || known != null) Put(key, Folded(known, kind, row, timestamp));
            }
        }

        private void Put(object key, Dictionary<string, object> flight)
        {
            Dictionary<string, object> before;
            lock (_lock)
            {
                if (_flights.TryGetValue(key, out before)) Unindex(key, before);
                _flights[key] = flight;
                Index(key, flight);
            }
            if (OnChange == null) return;
            if (before == null || !AreSame(before, flight)) Tell(before == null ? FlightChange.Added : FlightChange.Changed, flight);
        }

        private void Drop(object key)
        {
            Dictionary<string, object> before;
            lock (_lock)
            {
                if (!_flights.TryGetValue(key, out before)) return;
                _flights.Remove(key);
                Unindex(key, before);
            }
            Tell(FlightChange.Removed, before);
        }

        private void Index(object key, Dictionary<string, object> flight)
        {
            HashSet<object> keys;
            string callsign = CallsignOf(flight);
            if (!_byCallsign.TryGetValue(callsign, out keys)) _byCallsign[callsign] = keys = new HashSet<object>();
            keys.Add(key);
        }

        private void Unindex(object key, Dictionary<string, object> flight)
        {
            HashSet<object> keys;
            string callsign = CallsignOf(flight);
            if (!_byCallsign.TryGetValue(callsign, out keys)) return;
            keys.Remove(key);
            if (keys.Count == 0) _byCallsign.Remove(callsign);
        }

        private void Tell(FlightChange change, Dictionary<string, object> flight)
        {
            EventHandler<FlightChangedEventArgs> handlers = OnChange;
            if (handlers == null) return;
            try
            {
                handlers(this, new FlightChangedEventArgs(change, new Flight(flight)));
            }
            catch (Exception failure)
            {
                // The program's own fault, and the mirror goes on.
                Trace.TraceError("swim-client: a handler of changed flights failed: " + failure);
            }
        }

        /// <summary>Changes a flight as the server does: what an event names replaces what was known, also by null.</summary>
        private static Dictionary<string, object> Folded(
            Dictionary<string, object> flight, string kind, JsonElement row, string timestamp)
        {
            var found = flight == null ? Fields.ToDictionary(name => name, name => (object)null) : new Dictionary<string, object>(flight);
            if (flight == null) found["first_seen_at"] = timestamp;
            if (kind == "flight.departed")
            {
                foreach (string name in LegEnded.Where(found.ContainsKey)) found[name] = null;
            }
            foreach (JsonProperty field in row.EnumerateObject())
            {
                string name = field.Name == "lat" ? "latitude" : field.Name == "lon" ? "longitude" : field.Name;
                bool hasRoom = found.ContainsKey(name) || found.Count < MaxFields;
                if (hasRoom && !NotOfAFlight.Contains(field.Name)) found[name] = Value(field.Value);
            }
            found["updated_at"] = timestamp;
            return found;
        }

        private static Dictionary<string, object> Read(JsonElement row)
        {
            var found = new Dictionary<string, object>();
            foreach (JsonProperty field in row.EnumerateObject()) found[field.Name] = Value(field.Value);
            return found;
        }

        /// <summary>Takes a value out of its message, whose memory is not to be kept for it.</summary>
        private static object Value(JsonElement value)
        {
            long whole;
            switch (value.ValueKind)
            {
                case JsonValueKind.Null: return null;
                case JsonValueKind.String: return value.GetString();
                case JsonValueKind.True: return true;
                case JsonValueKind.False: return false;
                case JsonValueKind.Number: return value.TryGetInt64(out whole) ? (object)whole : value.GetDouble();
                default: return value.Clone();
            }
        }

        private static bool AreSame(Dictionary<string, object> one, Dictionary<string, object> other)
        {
            object value;
            return one.Count == other.Count
                && one.All(field => other.TryGetValue(field.Key, out value) && IsSame(field.Value, value));
        }

        private static bool IsSame(object one, object other)
        {
            if (one is JsonElement && other is JsonElement) return ((JsonElement)one).GetRawText() == ((JsonElement)other).GetRawText();
            return Equals(one, other);
        }

        private static object Key(JsonElement row)
        {
            JsonElement uid;
            long number;
            if (Json.TryGet(row, "flight_uid", out uid) && uid.ValueKind == JsonValueKind.Number && uid.TryGetInt64(out number)) return number;
            string callsign = Json.String(row, "callsign");
            return string.IsNullOrEmpty(callsign) ? null : callsign;
        }

        private static string CallsignOf(Dictionary<string, object> flight)
        {
            object callsign;
            return flight.TryGetValue("callsign", out callsign) ? Normal(callsign as string) : "";
        }

        private static string Normal(string callsign)
        {
            return (callsign ?? "").Trim().ToUpperInvariant();
        }
    }
}
