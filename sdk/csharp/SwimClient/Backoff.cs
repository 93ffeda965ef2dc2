using System;
using System.Globalization;
using System.Text.RegularExpressions;

namespace VatSim.Swim
{
    /// <summary>Exponential backoff with full jitter, in milliseconds. Pure: chance comes in as an argument.</summary>
    internal sealed class Backoff
    {
        private const long StableMs = 60000;
        private const long LongestAdviceMs = 3600000;
        private static readonly Regex RetryMsForm = new Regex("\\bretry_ms=([0-9]{1,9})\\b", RegexOptions.CultureInvariant);
        private readonly SwimOptions _options;
        private readonly Func<double> _random;
        private int _failures;

        internal Backoff(SwimOptions options, Func<double> random)
        {
            _options = options;
            _random = random;
        }

        /// <summary>Notes a connection's end: only one that lasted a minute lets the waits begin from the start again.</summary>
        internal void Ended(long lastedMs)
        {
            if (lastedMs >= StableMs) _failures = 0;
        }

        /// <summary>How long to wait after an attempt that failed.</summary>
        internal long WaitMs()
        {
            double ceiling = Math.Min(
                _options.MaxReconnectInterval.TotalMilliseconds,
                _options.ReconnectInterval.TotalMilliseconds * Math.Pow(2, Math.Min(_failures, 30)));
            _failures += 1;
            return (long)(_random() * ceiling);
        }

        /// <summary>How long to wait after a connection that was admitted: the server is there. Counts as a failure all the same.</summary>
        internal long WaitAfterSessionMs()
        {
            _failures += 1;
            return (long)(_random() * Math.Min(
                _options.ReconnectInterval.TotalMilliseconds, _options.MaxReconnectInterval.TotalMilliseconds));
        }

        /// <summary>Reads <c>retry_ms=…</c> in a close reason; null: there is none.</summary>
        internal static long? RetryMs(string reason)
        {
            Match match = RetryMsForm.Match(reason ?? "");
            return match.Success
                ? Math.Min(long.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), LongestAdviceMs)
                : (long?)null;
        }
    }
}
