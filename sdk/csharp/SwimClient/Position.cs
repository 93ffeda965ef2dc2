using System.Text.Json;

namespace VatSim.Swim
{
    /// <summary>
    /// Where a client stands in the order of all events. Pure: messages and times in, decisions out. The baseline is the
    /// last event taken in: nothing at or before it is handed over again. The point is where to resume: the last event's
    /// id or, on a quiet subscription, a later one that a heartbeat named.
    /// </summary>
    internal sealed class Position
    {
        private const long SettledMs = 600000;
        private readonly bool _isEnabled;
        private EventId _baseline;
        private EventId _target;
        private EventId _heartbeat;
        private EventId _begunAt;
        private string _epochNow;
        private bool _isSubscribed;
        private bool _isLive;
        private bool _isGapTold;
        private long _lastEventAt;

        internal Position(EventId after, string epoch, bool isEnabled)
        {
            _baseline = after;
            Point = after;
            Epoch = epoch;
            _isEnabled = isEnabled;
        }

        internal EventId Point { get; private set; }
        internal EventId Asked { get; set; }
        internal bool CanResume { get; private set; }

        /// <summary>Whether the server at hand keeps history, and state, for its clients; the former one doesn't.</summary>
        internal bool ServerResumes { get; private set; }

        /// <summary>A whole state has come, and nothing that would have changed it was missed since.</summary>
        internal bool HasState { get; set; }

        internal string Epoch { get; private set; }

        /// <summary>What to send as <c>after</c>; null: nothing was seen, or this server can't resume.</summary>
        internal EventId After
        {
            get { return CanResume ? Point ?? _begunAt : null; }
        }

        /// <summary>Begins a connection with the data of its greeting.</summary>
        internal void Connected(JsonElement data)
        {
            ServerResumes = Json.Bool(data, "resume") == true;
            CanResume = _isEnabled && ServerResumes;
            _isSubscribed = _isLive = _isGapTold = false;
            _target = _heartbeat = null;
            _epochNow = Json.String(data, "epoch");
            if (Point == null) Epoch = _epochNow;
        }

        /// <summary>Begins after an event that the program knows; what was seen since counts more.</summary>
        internal void BeginsAfter(EventId id)
        {
            if (Point == null && id != null) _baseline = Point = id;
        }

        /// <summary>Owes the program what comes after this id, if nothing older is owed.</summary>
        internal void AwaitsFrom(EventId id)
        {
            if (Point == null && CanResume) Point = id;
        }

        /// <summary>Takes in the answer to the first subscribe. Returns why there is a gap, or null.</summary>
        internal string Subscribed(JsonElement answer, EventId asked, HistoryStart history, long now)
        {
            _isSubscribed = true;
            _lastEventAt = now;
            EventId newest = EventId.Parse(Json.String(answer, "last_event_id"));
            string former = Epoch;
            Epoch = _epochNow;
            if (asked != null && former != null && Epoch != null && former != Epoch)
            {
                _target = newest;
                BeginAnew(newest);
                return TellOnce("the server has another history than before");
            }
            if (asked != null)
            {
                _target = newest;
                _isLive = newest != null && !EventId.IsAfter(newest, asked);
                return TellOnce(Gap(answer, asked, newest));
            }
            if (history != null)
            {
                _target = newest;
                if (history.IsLast) _begunAt = newest;
                return TellOnce(Json.Bool(answer, "gap") == true ? "history does not reach back so far" : null);
            }
            _isLive = true;
            if (newest != null && CanResume) Point = newest;
            return null;
        }

        private string Gap(JsonElement answer, EventId asked, EventId newest)
        {
            if (Json.Bool(answer, "gap") == true)
            {
                // Another history, or an older one that was restored: its ids may be below ours, and are new.
                if (newest == null || EventId.IsAfter(asked, newest)) BeginAnew(newest);
                return "history no longer reaches back";
            }
            if (Json.Bool(answer, "resumed") == false && EventId.IsAfter(newest, asked))
            {
                BeginAnew(newest);
                return "the server did not resume";
            }
            return null;
        }

        private void BeginAnew(EventId newest)
        {
            _baseline = null;
            Point = newest ?? Point;
        }

        private string TellOnce(string reason)
        {
            if (reason == null || _isGapTold) return null;
            _isGapTold = true;
            HasState = false;
            return reason;
        }

        /// <summary>Takes in HISTORY_UNAVAILABLE: live events follow. Returns why there is a gap; null if that was told.</summary>
        internal string HistoryUnavailable()
        {
            _baseline = null;
            HasState = false;
            return TellOnce("history does not hold the last event that this client saw");
        }

        /// <summary>Notes that the server can't resume. Returns why there is a gap, or null when nothing was owed.</summary>
        internal string NoHistory()
        {
            if (!_isEnabled || Point == null || CanResume) return null;
            Point = null;
            return TellOnce("this server can't send what was missed");
        }

        /// <summary>Takes in an event's id. Returns whether the event is new; one without an id always is.</summary>
        internal bool Received(EventId id, long now)
        {
            if (id == null) return true;
            if (_baseline != null && !EventId.IsAfter(id, _baseline)) return false;
            _baseline = id;
            if (Point == null || EventId.IsAfter(id, Point)) Point = id;
            if (!_isLive && EventId.IsAfter(id, _target)) _isLive = true;
            _lastEventAt = now;
            return true;
        }

        /// <summary>Takes in a heartbeat's newest id. The one before it counts: what was stored up to then had time to come.</summary>
        internal void Heartbeat(EventId id, long now)
        {
            if (!_isSubscribed || !CanResume) return;
            if (!_isLive && now - _lastEventAt >= SettledMs) _isLive = true;
            if (!_isLive) return;
            if (_heartbeat != null && (Point == null || EventId.IsAfter(_heartbeat, Point))) Point = _heartbeat;
            _heartbeat = id;
        }

        /// <summary>Owes nothing any more: a later subscription begins with the live stream.</summary>
        internal void UnsubscribedFromAll()
        {
            _isSubscribed = _isLive = false;
            Point = null;
        }
    }
}
