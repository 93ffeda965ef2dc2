using System;
using System.Globalization;
using System.IO;
using System.Text.Json;

namespace VatSim.Swim
{
    /// <summary>How a client behaves; all of it has defaults.</summary>
    public sealed class SwimOptions
    {
        /// <summary>The first pause is a random part of this.</summary>
        public TimeSpan ReconnectInterval { get; set; } = TimeSpan.FromSeconds(1);

        /// <summary>No pause is longer.</summary>
        public TimeSpan MaxReconnectInterval { get; set; } = TimeSpan.FromSeconds(60);

        /// <summary>Whether to connect again after a connection's end.</summary>
        public bool AutoReconnect { get; set; } = true;

        /// <summary>After so long without a message the server is asked for a sign.</summary>
        public TimeSpan PingInterval { get; set; } = TimeSpan.FromSeconds(20);

        /// <summary>How long that sign may take.</summary>
        public TimeSpan PingTimeout { get; set; } = TimeSpan.FromSeconds(20);

        /// <summary>How long the upgrade may take, and again the greeting.</summary>
        public TimeSpan OpenTimeout { get; set; } = TimeSpan.FromSeconds(15);

        /// <summary>False: after a break, go on with what happens then.</summary>
        public bool Resume { get; set; } = true;

        /// <summary>No message to this client is longer; 4,096 or more. 0: whatever the server sends.</summary>
        public int MaxMessageBytes { get; set; }

        /// <summary>So many events may wait for slow handlers; then reading pauses.</summary>
        public int MaxQueuedEvents { get; set; } = 50000;

        /// <summary>Keeps the position outside the process, so that the program's next run goes on from there.</summary>
        public IPositionStore PositionStore { get; set; }
    }

    /// <summary>Keeps the position outside the process.</summary>
    public interface IPositionStore
    {
        /// <summary>Returns what was saved last; null: nothing yet.</summary>
        string Load();

        /// <summary>Keeps this text, as a whole or not at all.</summary>
        void Save(string text);
    }

    /// <summary>Keeps the position in a file, which is replaced as a whole.</summary>
    public sealed class PositionFile : IPositionStore
    {
        private readonly string _path;

        /// <summary>Names the file; its folder must exist.</summary>
        public PositionFile(string path)
        {
            _path = path;
        }

        /// <inheritdoc />
        public string Load()
        {
            return File.Exists(_path) ? File.ReadAllText(_path) : null;
        }

        /// <inheritdoc />
        public void Save(string text)
        {
            string written = _path + ".new";
            File.WriteAllText(written, text);
            if (File.Exists(_path)) File.Replace(written, _path, null);
            else File.Move(written, _path);
        }
    }

    /// <summary>
    /// Where a subscription begins: after an event, since a time, with the last few events (the first subscription alone),
    /// or with the state as it is now.
    /// </summary>
    public sealed class HistoryStart
    {
        private readonly string _field;
        private readonly string _text;
        private readonly int _count;

        private HistoryStart(string field, string text, int count)
        {
            _field = field;
            _text = text;
            _count = count;
        }

        /// <summary>Begins with the world as it is now, and keeps the client's Flights up to date from then on.</summary>
        public static readonly HistoryStart State = new HistoryStart("state", null, 0);

        internal bool IsLast
        {
            get { return _field == "last"; }
        }

        internal EventId AfterId
        {
            get { return _field == "after" ? EventId.Parse(_text) : null; }
        }

        /// <summary>Begins after the event of this id.</summary>
        public static HistoryStart After(string eventId)
        {
            if (EventId.Parse(eventId) == null)
            {
                throw new ArgumentException("after: " + eventId + " is no event id; one looks like 1768573815123-0");
            }
            return new HistoryStart("after", eventId, 0);
        }

        /// <summary>Begins with the events since this time.</summary>
        public static HistoryStart Since(DateTimeOffset time)
        {
            string text = time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
            return new HistoryStart("since", text, 0);
        }

        /// <summary>Begins with the events since so long ago.</summary>
        public static HistoryStart Since(TimeSpan ago)
        {
            return Since(DateTimeOffset.UtcNow - ago);
        }

        /// <summary>Begins with the last so many events.</summary>
        public static HistoryStart Last(int count)
        {
            return new HistoryStart("last", null, count);
        }

        internal void WriteTo(Utf8JsonWriter writer)
        {
            if (_text == null) writer.WriteNumber(_field, _count);
            else writer.WriteString(_field, _text);
        }
    }
}
