using System.Collections.Generic;
using System.Globalization;

namespace VatSim.Swim
{
    /// <summary>
    /// A flight as it is at one moment; null where it is not known. Altitudes in feet, speeds in knots, degrees true.
    /// </summary>
    public sealed class Flight
    {
        private readonly IReadOnlyDictionary<string, object> _data;

        internal Flight(IReadOnlyDictionary<string, object> data)
        {
            _data = data;
        }

        /// <summary>
        /// All that is known, under the names of the protocol: strings, long, double, bool, null; JsonElement for the rest.
        /// </summary>
        public IReadOnlyDictionary<string, object> Data
        {
            get { return _data; }
        }

        public string Callsign
        {
            get { return Text("callsign"); }
        }

        /// <summary>Stable for the life of the flight.</summary>
        public long? FlightUid
        {
            get { return Value("flight_uid") as long?; }
        }

        /// <summary>Departure aerodrome, ICAO code.</summary>
        public string Dep
        {
            get { return Text("dep"); }
        }

        /// <summary>Arrival aerodrome, ICAO code.</summary>
        public string Arr
        {
            get { return Text("arr"); }
        }

        public string Equipment
        {
            get { return Text("equipment"); }
        }

        public string Route
        {
            get { return Text("route"); }
        }

        /// <summary>Decimal degrees, north positive.</summary>
        public double? Latitude
        {
            get { return Number("latitude"); }
        }

        /// <summary>Decimal degrees, east positive.</summary>
        public double? Longitude
        {
            get { return Number("longitude"); }
        }

        public double? AltitudeFt
        {
            get { return Number("altitude_ft"); }
        }

        public double? GroundspeedKts
        {
            get { return Number("groundspeed_kts"); }
        }

        public double? HeadingDeg
        {
            get { return Number("heading_deg"); }
        }

        public double? VerticalRateFpm
        {
            get { return Number("vertical_rate_fpm"); }
        }

        public string CurrentArtcc
        {
            get { return Text("current_artcc"); }
        }

        public string CurrentFir
        {
            get { return Text("current_fir"); }
        }

        public string CurrentSector
        {
            get { return Text("current_sector"); }
        }

        public string Phase
        {
            get { return Text("phase"); }
        }

        /// <summary>When it took off, RFC 3339.</summary>
        public string OffUtc
        {
            get { return Text("off_utc"); }
        }

        /// <summary>When it arrived at the gate, RFC 3339.</summary>
        public string InUtc
        {
            get { return Text("in_utc"); }
        }

        public string FirstSeenAt
        {
            get { return Text("first_seen_at"); }
        }

        public string UpdatedAt
        {
            get { return Text("updated_at"); }
        }

        private object Value(string name)
        {
            object value;
            return _data.TryGetValue(name, out value) ? value : null;
        }

        private string Text(string name)
        {
            return Value(name) as string;
        }

        private double? Number(string name)
        {
            object value = Value(name);
            return value is long || value is double
                ? System.Convert.ToDouble(value, CultureInfo.InvariantCulture) : (double?)null;
        }
    }
}
