using System;
using System.Globalization;
using System.Text.RegularExpressions;

namespace VatSim.Swim
{
    /// <summary>A place in the order of all events, <c>&lt;unix-ms&gt;-&lt;seq&gt;</c>.</summary>
    internal sealed class EventId
    {
        private static readonly Regex Form = new Regex("^([0-9]{1,15})-([0-9]{1,10})$", RegexOptions.CultureInvariant);
        private readonly long _milliseconds;
        private readonly long _sequence;
        private readonly string _text;

        private EventId(long milliseconds, long sequence, string text)
        {
            _milliseconds = milliseconds;
            _sequence = sequence;
            _text = text;
        }

        /// <summary>Reads an id; null for what is none.</summary>
        internal static EventId Parse(string text)
        {
            Match match = text == null ? Match.Empty : Form.Match(text);
            if (!match.Success || text.EndsWith("\n", StringComparison.Ordinal)) return null;
            return new EventId(
                long.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture),
                long.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture),
                text);
        }

        /// <summary>Tells whether one comes after the other; null comes after nothing.</summary>
        internal static bool IsAfter(EventId one, EventId other)
        {
            if (one == null || other == null) return false;
            return one._milliseconds != other._milliseconds
                ? one._milliseconds > other._milliseconds
                : one._sequence > other._sequence;
        }

        internal bool Is(EventId other)
        {
            return other != null && _milliseconds == other._milliseconds && _sequence == other._sequence;
        }

        /// <summary>The id as the server wrote it.</summary>
        public override string ToString()
        {
            return _text;
        }
    }
}
