using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

namespace VatSim.Swim
{
    /// <summary>One subscribe of the program.</summary>
    internal sealed class PendingSubscription
    {
        internal PendingSubscription(IEnumerable<string> channels, IDictionary<string, string> filters, HistoryStart history)
        {
            Channels = channels.Distinct().ToList();
            Filters = new Dictionary<string, string>(filters);
            WantsState = history == HistoryStart.State;
            History = WantsState ? null : history;
        }

        internal List<string> Channels { get; private set; }

        /// <summary>Kind to value, as JSON.</summary>
        internal Dictionary<string, string> Filters { get; private set; }

        internal HistoryStart History { get; private set; }

        /// <summary>The program wants the state first.</summary>
        internal bool WantsState { get; set; }

        internal bool IsConfirmed { get; set; }

        /// <summary>Done when the server has granted it.</summary>
        internal TaskCompletionSource<bool> Answer { get; } =
            new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>What the program wants to hear of, over every connection. Used by the network's thread alone.</summary>
    internal sealed class Subscriptions
    {
        private List<PendingSubscription> _pending = new List<PendingSubscription>();
        private volatile bool _hasFilters;

        internal bool IsEmpty
        {
            get { return _pending.Count == 0; }
        }

        /// <summary>Those that ask for any channel.</summary>
        internal List<PendingSubscription> Wanted
        {
            get { return _pending.Where(one => one.Channels.Count > 0).ToList(); }
        }

        internal void Add(PendingSubscription one)
        {
            _pending.Add(one);
            Look();
        }

        private void Look()
        {
            _hasFilters = Merge(_pending).Filters.Values.Any(value => value != "[]" && value != "{}" && value != "null");
        }

        /// <summary>Whether some events are filtered out. Any thread may ask.</summary>
        internal bool HasFilters
        {
            get { return _hasFilters; }
        }

        /// <summary>Tells whether any, or any that was granted, is to begin with the state.</summary>
        internal bool WantsState(bool isGranted)
        {
            return _pending.Any(one => one.WantsState && (one.IsConfirmed || !isGranted));
        }

        internal bool Holds(PendingSubscription one)
        {
            return _pending.Contains(one);
        }

        /// <summary>Takes channels away, none named: all. When none is left, the filters go too.</summary>
        internal void Remove(ICollection<string> channels)
        {
            foreach (PendingSubscription one in _pending)
            {
                one.Channels.RemoveAll(channel => channels.Count == 0 || channels.Contains(channel));
            }
            if (Wanted.Count == 0) _pending.Clear();
            Look();
        }

        /// <summary>Forgets what the server refused.</summary>
        internal void Refuse(PendingSubscription one)
        {
            _pending.Remove(one);
            Look();
        }

        /// <summary>Merges what the server granted into one.</summary>
        internal void Confirm(IEnumerable<PendingSubscription> granted)
        {
            foreach (PendingSubscription one in granted) one.IsConfirmed = true;
            List<PendingSubscription> confirmed = _pending.Where(one => one.IsConfirmed).ToList();
            if (confirmed.Count == 0) return;
            PendingSubscription merged = Merge(confirmed);
            var whole = new PendingSubscription(merged.Channels, merged.Filters, null)
            {
                IsConfirmed = true,
                WantsState = merged.WantsState,
            };
            _pending = new[] { whole }.Concat(_pending.Where(one => !one.IsConfirmed)).ToList();
        }

        /// <summary>Tells whether what was granted already includes this.</summary>
        internal bool Covers(PendingSubscription wish)
        {
            PendingSubscription whole = Merge(_pending.Where(one => one.IsConfirmed));
            string value;
            return (whole.WantsState || !wish.WantsState)
                && wish.Channels.All(whole.Channels.Contains)
                && wish.Filters.All(filter => whole.Filters.TryGetValue(filter.Key, out value) && value == filter.Value);
        }

        /// <summary>Makes one of several: channels add up, filters merge by kind, the first history asked for counts.</summary>
        internal static PendingSubscription Merge(IEnumerable<PendingSubscription> several)
        {
            var channels = new List<string>();
            var filters = new Dictionary<string, string>();
            HistoryStart history = null;
            bool wantsState = false;
            foreach (PendingSubscription one in several)
            {
                channels.AddRange(one.Channels);
                foreach (KeyValuePair<string, string> filter in one.Filters) filters[filter.Key] = filter.Value;
                history = history ?? one.History;
                wantsState |= one.WantsState;
            }
            return new PendingSubscription(channels, filters, history) { WantsState = wantsState };
        }
    }
}
