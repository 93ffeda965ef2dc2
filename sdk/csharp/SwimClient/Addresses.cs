using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.RegularExpressions;

namespace VatSim.Swim
{
    /// <summary>
    /// The addresses of a service, any of which will do: which one to try next, and when. Their order is shuffled once, so
    /// that the clients of a node that fails spread over all others. The backoff's waits come only between rounds, when
    /// every address has failed. Pure: chance comes in as an argument.
    /// </summary>
    internal sealed class Addresses
    {
        private static readonly Regex Between = new Regex("\\s*,\\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)", RegexOptions.CultureInvariant);
        private readonly Uri[] _all;
        private volatile int _at;
        private int _failures;

        internal Addresses(IEnumerable<Uri> addresses, Random random)
        {
            _all = addresses.ToArray();
            for (int last = _all.Length - 1; last > 0; last -= 1)
            {
                int other = random.Next(last + 1);
                Uri moved = _all[last];
                _all[last] = _all[other];
                _all[other] = moved;
            }
        }

        /// <summary>Reads addresses with commas between them; each once.</summary>
        internal static IEnumerable<string> Split(string urls)
        {
            string text = urls.Trim();
            return Between.Split(text.EndsWith(",", StringComparison.Ordinal) ? text.Substring(0, text.Length - 1) : text).Distinct();
        }

        /// <summary>The address in use, or the next one to be tried.</summary>
        internal Uri Current
        {
            get { return _all[_at]; }
        }

        /// <summary>Whether no other address is left in this round should the current one fail.</summary>
        internal bool IsLast
        {
            get { return _failures + 1 >= _all.Length; }
        }

        /// <summary>
        /// Notes the end of a connection that was admitted. Asked back: the server said when to return, so it will be
        /// there: the clients of nodes that are restarted one after the other move once each.
        /// </summary>
        internal void Ended(bool isAskedBack)
        {
            _failures = 0;
            if (!isAskedBack) Turn();
        }

        /// <summary>Notes a failed attempt, turns to the next address, and says how long to wait before it is tried.</summary>
        internal long Failed(Backoff backoff, long leastMs)
        {
            bool isRoundOver = IsLast;
            _failures = isRoundOver ? 0 : _failures + 1;
            Turn();
            return isRoundOver ? Math.Max(backoff.WaitMs(), leastMs) : 0;
        }

        private void Turn()
        {
            _at = (_at + 1) % _all.Length;
        }
    }
}
