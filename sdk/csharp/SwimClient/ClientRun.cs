using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace VatSim.Swim
{
    /// <summary>Up to where everything has been handled.</summary>
    internal sealed class Handled
    {
        internal static readonly Handled Nothing = new Handled(null, null);

        internal Handled(EventId id, string epoch)
        {
            Id = id;
            Epoch = epoch;
        }

        internal EventId Id { get; }
        internal string Epoch { get; }
    }

    /// <summary>What a run needs of its client.</summary>
    internal interface IClient
    {
        Handled Handled { get; set; }

        /// <summary>Calls the handlers of a message; never fails.</summary>
        void Deliver(string kind, JsonElement message);

        /// <summary>The run is over: the next one may begin.</summary>
        void Over(ClientRun run);
    }

    /// <summary>
    /// One run of a client, from connect to its end, and its two threads: the network's, in which all decisions are made,
    /// and the handlers'. None is left afterwards.
    /// </summary>
    internal sealed class ClientRun : IProgram
    {
        private const int LostCode = 1006;
        private static readonly HashSet<int> OurFault = new HashSet<int> { 1007, 1009, 4003 };
        private readonly IClient _client;
        private readonly string _key;
        private readonly Addresses _addresses;
        private readonly SwimOptions _options;
        private readonly Subscriptions _subscriptions;
        private readonly Backoff _backoff;
        private readonly NetworkThread _network;
        private readonly Thread _handlers;
        private readonly BlockingCollection<Action> _items = new BlockingCollection<Action>();
        private readonly Timers _pauses = new Timers();
        private readonly Position _position;
        private readonly List<Publication> _publications = new List<Publication>();
        private readonly TaskCompletionSource<bool> _admitted = NewSource();
        private readonly TaskCompletionSource<bool> _closed = NewSource();
        private readonly TaskCompletionSource<bool> _finished = NewSource();
        private volatile Session _session;
        private Connection _connection;
        private long _openedAt;
        private long? _lostAt;
        private int _waiting;
        private volatile bool _isStopping;
        private bool _isOver;
        private Handled _saved;
        private long _savedAt = NetworkThread.Now;

        internal ClientRun(
            IClient client, string key, Addresses addresses, SwimOptions options, Subscriptions subscriptions, Backoff backoff)
        {
            _client = client;
            _key = key;
            _addresses = addresses;
            _options = options;
            _subscriptions = subscriptions;
            _backoff = backoff;
            Load();
            _saved = client.Handled;
            _position = new Position(client.Handled.Id, client.Handled.Epoch, options.Resume);
            _network = new NetworkThread();
            _handlers = new Thread(HandOverAll) { Name = "swim-handlers", IsBackground = false };
            _handlers.Start();
        }

        private static TaskCompletionSource<bool> NewSource()
        {
            var source = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            // Nobody need look at how it ended.
            source.Task.ContinueWith(ended => GC.KeepAlive(ended.Exception), TaskContinuationOptions.OnlyOnFaulted);
            return source;
        }

        public ICollection<Publication> Publications
        {
            get { return _publications; }
        }

        internal Task Admitted
        {
            get { return _admitted.Task; }
        }

        internal Task Closed
        {
            get { return _closed.Task; }
        }

        internal Task Finished
        {
            get { return _finished.Task; }
        }

        internal bool IsStopping
        {
            get { return _isStopping; }
        }

        internal string ClientId
        {
            get
            {
                Session session = _session;
                return session == null ? null : session.ClientId;
            }
        }

        internal void Start()
        {
            _network.TryPost(Attempt);
        }

        /// <summary>Runs something in the network's thread; false: it is gone.</summary>
        internal bool InNetwork(Action<Session> work)
        {
            return _network.TryPost(() => work(_session));
        }

        /// <summary>Closes for good.</summary>
        internal void Stop()
        {
            _isStopping = true;
            _network.TryPost(() =>
            {
                if (_connection != null) _connection.Close("stopped by this program");
                else End(null);
            });
        }

        // One attempt after the other, in the network's thread.

        private void Attempt()
        {
            if (_isStopping || _isOver)
            {
                End(null);
                return;
            }
            var timers = new Timers();
            var connection = _connection = new Connection(timers);
            var session = _session = new Session(connection, _position, _subscriptions, _options, timers, this, _lostAt);
            _openedAt = -1;
            connection.Opened = () =>
            {
                _openedAt = NetworkThread.Now;
                session.Opened();
            };
            connection.Received = session.Receive;
            connection.Ended = ending => Ended(connection, session, ending);
            connection.Run(_addresses.Current, _key, _options.OpenTimeout);
        }

        private async void Ended(Connection connection, Session session, Ending ending)
        {
            session.Ended();
            _session = null;
            _connection = null;
            bool wasOpen = _openedAt >= 0;
            bool wasAdmitted = session.ClientId != null;
            if (wasOpen) _backoff.Ended(NetworkThread.Now - _openedAt);
            if (wasAdmitted) _lostAt = NetworkThread.Now;
            SwimException error = FinalError(session, ending, wasOpen, wasAdmitted);
            long? waitMs = error != null || _isStopping ? (long?)null : WaitMs(session, ending, wasAdmitted);
            if (wasOpen) TellEnd(session, ending, waitMs);
            if (waitMs == null)
            {
                await connection.Closed;
                End(error);
                return;
            }
            await _pauses.Sleep(waitMs.Value);
            Attempt();
        }

        private void TellEnd(Session session, Ending ending, long? waitMs)
        {
            bool isLost = !ending.IsServers || ending.Reason.Length == 0;
            bool isAnnounced = isLost && !_isStopping && session.ClosingCode == "RESTARTING";
            string reason = Redact(isAnnounced ? session.ClosingText : ending.Reason);
            Put("disconnected", Session.Notice("disconnected", writer =>
            {
                writer.WriteNumber("code", ending.Code ?? LostCode);
                writer.WriteString("reason", reason);
                writer.WriteBoolean("will_reconnect", waitMs != null);
                if (waitMs == null) writer.WriteNull("retry_in_seconds");
                else writer.WriteNumber("retry_in_seconds", waitMs.Value / 1000.0);
            }));
        }

        private SwimException FinalError(Session session, Ending ending, bool wasOpen, bool wasAdmitted)
        {
            if (session.Refused != null && _subscriptions.IsEmpty) return session.Refused;
            string told = Redact(session.ClosingText ?? ending.Reason);
            string code = ending.Code.HasValue ? ending.Code.Value.ToString() : null;
            if (ending.Code == 4001 || session.ClosingCode == "AUTH_FAILED")
            {
                string reason = told.Length == 0 ? "the server gave no reason" : told;
                return new SwimAuthenticationException("the key was refused: " + reason, "4001");
            }
            if (ending.Code.HasValue && OurFault.Contains(ending.Code.Value) && ending.IsServers)
            {
                string reason = told.Length == 0 ? "no reason given" : told;
                return new SwimProtocolException("the server gave up on this client's messages: " + reason, code);
            }
            if (_options.AutoReconnect || _isStopping) return null;
            if (!wasAdmitted && !_addresses.IsLast) return null;
            string what = wasOpen ? "the connection ended" : "the connection could not be made";
            return new SwimConnectionLostException(told.Length == 0 ? what : told, code);
        }

        private long WaitMs(Session session, Ending ending, bool wasAdmitted)
        {
            long? told = Backoff.RetryMs(ending.Reason) ?? session.AdviceMs;
            if (!wasAdmitted) return _addresses.Failed(_backoff, told ?? 0);
            _addresses.Ended(told != null);
            return told ?? _backoff.WaitAfterSessionMs();
        }

        private void End(SwimException error)
        {
            if (_isOver) return;
            _isOver = true;
            _isStopping = _isStopping || error == null;
            _pauses.End();
            SwimException lost = error ?? new SwimConnectionLostException("the client was stopped", null);
            foreach (Publication publication in _publications) publication.Answer.TrySetException(lost);
            _publications.Clear();
            _admitted.TrySetException(lost);
            _items.Add(() => Finish(error));
            _items.CompleteAdding();
            _closed.TrySetResult(true);
            _network.End();
        }

        /// <summary>The last work of the handlers' thread.</summary>
        private void Finish(SwimException error)
        {
            Save();
            _client.Over(this);
            if (error == null) _finished.TrySetResult(true);
            else _finished.TrySetException(error);
        }

        // Handing over, in the handlers' thread.

        public void Put(string kind, JsonElement message)
        {
            if (kind == "connected") _admitted.TrySetResult(true);
            EventId point = kind == "disconnected" ? null : _position.Point;
            string epoch = _position.Epoch;
            if (Interlocked.Increment(ref _waiting) >= _options.MaxQueuedEvents && _connection != null) _connection.Pause();
            if (!_isOver) _items.Add(() => HandOver(kind, message, point, epoch));
        }

        public Task Idle()
        {
            var idle = new TaskCompletionSource<bool>();
            _items.Add(() => _network.TryPost(() => idle.TrySetResult(true)));
            return idle.Task;
        }

        private void HandOverAll()
        {
            foreach (Action item in _items.GetConsumingEnumerable()) item();
        }

        private void HandOver(string kind, JsonElement message, EventId point, string epoch)
        {
            bool isLastWord = kind == "disconnected" || kind == "error";
            if (!_isStopping || isLastWord) // what is not handled comes again
            {
                _client.Deliver(kind, message);
                if (point != null && point != _client.Handled.Id)
                {
                    _client.Handled = new Handled(point, epoch);
                    if (_options.PositionStore != null && NetworkThread.Now - _savedAt > 1000) Save();
                }
            }
            if (Interlocked.Decrement(ref _waiting) == _options.MaxQueuedEvents / 2)
            {
                _network.TryPost(() =>
                {
                    if (_connection != null) _connection.Resume();
                });
            }
        }

        internal string Redact(string text)
        {
            return text.Replace(_key, "[key]");
        }

        // Keeping the position outside.

        private void Load()
        {
            if (_options.PositionStore == null) return;
            try
            {
                string text = _options.PositionStore.Load();
                if (text == null) return;
                JsonElement kept = Json.Parse(text);
                EventId id = EventId.Parse(Json.String(kept, "id"));
                if (id != null) _client.Handled = new Handled(id, Json.String(kept, "epoch"));
            }
            catch (Exception problem) when (problem is IOException || problem is JsonException || problem is UnauthorizedAccessException)
            {
                Trace.TraceError("swim-client: the position that was kept can't be read: " + problem.Message);
            }
        }

        private void Save()
        {
            Handled now = _client.Handled;
            _savedAt = NetworkThread.Now;
            if (_options.PositionStore == null || now.Id == null || now == _saved) return;
            try
            {
                _options.PositionStore.Save(Json.Object(writer =>
                {
                    writer.WriteString("id", now.Id.ToString());
                    writer.WriteString("epoch", now.Epoch);
                }));
                _saved = now;
            }
            catch (Exception problem) when (problem is IOException || problem is UnauthorizedAccessException)
            {
                Trace.TraceError("swim-client: the position can't be kept: " + problem.Message);
            }
        }
    }
}
