using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace VatSim.Swim
{
    /// <summary>
    /// Listens to SWIM; stays connected, resumes where it was, and hands each event over once and in order. Every method
    /// may be called from any thread and from handlers. Handlers run one after the other in a thread of their own.
    /// </summary>
    public sealed class SwimWebSocketClient : IAsyncDisposable, IClient
    {
        /// <summary>Where a server on this machine listens.</summary>
        public const string DefaultUrl = "ws://127.0.0.1:8090/api/swim/v1/ws";

        private static readonly HashSet<string> Whole =
            new HashSet<string> { "error", "subscribed", "unsubscribed", "pong", "publish_ack" };
        private readonly string _key;
        private readonly Addresses _addresses;
        private readonly SwimOptions _options;
        private readonly Subscriptions _subscriptions = new Subscriptions();
        private readonly FlightMirror _flights;
        private readonly Backoff _backoff;
        private readonly object _lock = new object();
        private readonly ConcurrentDictionary<string, Action<SwimEvent>[]> _handlers =
            new ConcurrentDictionary<string, Action<SwimEvent>[]>();
        private volatile ClientRun _run;
        private volatile Handled _handled = Handled.Nothing;
        private volatile bool _hasSubscribed;

        /// <summary>Prepares a client; nothing is connected yet.</summary>
        public SwimWebSocketClient(
            string apiKey, string wsUrl = null, TimeSpan? reconnectInterval = null, bool autoReconnect = true)
            : this(apiKey, wsUrl, new SwimOptions
            {
                ReconnectInterval = reconnectInterval ?? TimeSpan.FromSeconds(1),
                AutoReconnect = autoReconnect,
            })
        {
        }

        /// <summary>
        /// Prepares a client. The key is by default that of SWIM_API_KEY, the address that of SWIM_URL or DefaultUrl.
        /// Several addresses of one service stand with commas between them: where one fails, the client resumes at another.
        /// Throws ArgumentException for a missing key or a wrong address.
        /// </summary>
        public SwimWebSocketClient(string apiKey, string wsUrl, SwimOptions options)
        {
            _key = (apiKey ?? Environment.GetEnvironmentVariable("SWIM_API_KEY") ?? "").Trim();
            if (_key.Length == 0) throw new ArgumentException("no API key: pass one, or set SWIM_API_KEY");
            string urls = wsUrl ?? Environment.GetEnvironmentVariable("SWIM_URL") ?? DefaultUrl;
            var all = new List<Uri>();
            foreach (string url in Addresses.Split(urls))
            {
                if (!url.StartsWith("ws://", StringComparison.Ordinal) && !url.StartsWith("wss://", StringComparison.Ordinal))
                {
                    throw new ArgumentException("wsUrl: must begin with ws:// or wss://, got " + url.Replace(_key, "[key]"));
                }
                all.Add(new Uri(url));
            }
            if (options.MaxMessageBytes != 0 && options.MaxMessageBytes < 4096)
            {
                throw new ArgumentException("MaxMessageBytes: must be 4096 or more, got " + options.MaxMessageBytes);
            }
            _flights = new FlightMirror(() => _subscriptions.HasFilters);
            _options = options;
            var random = new Random();
            _addresses = new Addresses(all, random);
            _backoff = new Backoff(options, random.NextDouble);
        }

        public event EventHandler<SwimEventArgs<ConnectionInfo>> OnConnected;
        public event EventHandler<SwimEventArgs<FlightEventData>> OnFlightCreated;
        public event EventHandler<SwimEventArgs<FlightEventData>> OnFlightUpdated;
        public event EventHandler<SwimEventArgs<FlightEventData>> OnFlightDeparted;
        public event EventHandler<SwimEventArgs<FlightEventData>> OnFlightArrived;
        public event EventHandler<SwimEventArgs<FlightEventData>> OnFlightDeleted;
        public event EventHandler<SwimEventArgs<PositionsBatchData>> OnFlightPositions;
        public event EventHandler<SwimEventArgs<TmiEventData>> OnTmiIssued;
        public event EventHandler<SwimEventArgs<TmiEventData>> OnTmiModified;
        public event EventHandler<SwimEventArgs<TmiEventData>> OnTmiReleased;
        public event EventHandler<SwimEventArgs<HeartbeatData>> OnHeartbeat;
        public event EventHandler<SwimErrorEventArgs> OnError;

        /// <summary>A connection ended; the arguments are SwimDisconnectedEventArgs.</summary>
        public event EventHandler OnDisconnected;

        /// <summary>Events may be missing.</summary>
        public event EventHandler<SwimGapEventArgs> OnGap;

        /// <summary>The flights that there are now, where the program has subscribed with HistoryStart.State.</summary>
        public FlightMirror Flights
        {
            get { return _flights; }
        }

        /// <summary>The server's name for the connection at hand; null while there is none.</summary>
        public string ClientId
        {
            get
            {
                ClientRun run = _run;
                return run == null ? null : run.ClientId;
            }
        }

        /// <summary>Whether there is a connection that the server has greeted.</summary>
        public bool IsConnected
        {
            get { return ClientId != null; }
        }

        /// <summary>The address in use, or the next one to be tried.</summary>
        public string Url
        {
            get { return _addresses.Current.ToString(); }
        }

        /// <summary>Everything up to this id has been handled; null: nothing yet.</summary>
        public string LastEventId
        {
            get { return _handled.Id == null ? null : _handled.Id.ToString(); }
        }

        Handled IClient.Handled
        {
            get { return _handled; }
            set { _handled = value; }
        }

        /// <summary>
        /// Registers a handler for a type, <c>family.*</c>, <c>*</c> (every event), or one of connected, disconnected,
        /// reconnected, gap, error, subscribed, unsubscribed, pong and status.
        /// </summary>
        public SwimWebSocketClient On(string type, Action<SwimEvent> handler)
        {
            _handlers.AddOrUpdate(type, new[] { handler }, (key, before) => before.Concat(new[] { handler }).ToArray());
            return this;
        }

        /// <summary>Takes the handlers of this type away that <c>On</c> registered.</summary>
        public void Off(string type)
        {
            Action<SwimEvent>[] gone;
            _handlers.TryRemove(type, out gone);
        }

        // Life.

        /// <summary>
        /// Connects, and waits until the server has greeted this client, which then stays connected until DisconnectAsync.
        /// Calling it while the client runs changes nothing. Throws the SwimException that ends the client before.
        /// </summary>
        public async Task ConnectAsync(CancellationToken cancellationToken = default(CancellationToken))
        {
            ClientRun run = await BeginRun();
            using (cancellationToken.Register(run.Stop))
            {
                await run.Admitted.ConfigureAwait(false);
            }
        }

        private async Task<ClientRun> BeginRun()
        {
            while (true)
            {
                ClientRun ending;
                lock (_lock)
                {
                    ending = _run;
                    if (ending == null)
                    {
                        var run = new ClientRun(this, _key, _addresses, _options, _subscriptions, _backoff);
                        _run = run;
                        run.Start();
                        return run;
                    }
                    if (!ending.IsStopping) return ending;
                }
                await ending.Finished.ContinueWith(over => { }).ConfigureAwait(false);
            }
        }

        /// <summary>
        /// Connects if need be, and runs until the client ends: by DisconnectAsync, by the token, or with the SwimException
        /// that ends it.
        /// </summary>
        public async Task RunAsync(CancellationToken cancellationToken = default(CancellationToken))
        {
            ClientRun run = await BeginRun();
            using (cancellationToken.Register(run.Stop))
            {
                await run.Finished.ConfigureAwait(false);
            }
        }

        /// <summary>Closes for good, whatever the state; events that wait are not handled. Done when the line is closed.</summary>
        public Task DisconnectAsync()
        {
            ClientRun run = _run;
            if (run == null) return Task.FromResult(true);
            run.Stop();
            return run.Closed;
        }

        /// <summary>The same as DisconnectAsync.</summary>
        public ValueTask DisposeAsync()
        {
            return new ValueTask(DisconnectAsync());
        }

        void IClient.Over(ClientRun run)
        {
            lock (_lock)
            {
                if (_run == run) _run = null;
            }
        }

        // What to hear of.

        /// <summary>
        /// Adds channels and filters, now and over every reconnect. Where there is a connection it waits until the server
        /// has granted them; throws SwimRequestRefusedException.
        /// </summary>
        public Task SubscribeAsync(
            IEnumerable<string> channels,
            SubscriptionFilters filters = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            return SubscribeAsync(channels, filters, null, cancellationToken);
        }

        /// <summary>The same, and begins with history, which only the first subscription may, or with the state.</summary>
        public Task SubscribeAsync(
            IEnumerable<string> channels,
            SubscriptionFilters filters,
            HistoryStart history,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            List<string> names = channels.ToList();
            if (names.Count == 0) throw new ArgumentException("subscribe to at least one channel, such as flight.departed");
            if (history != null && history != HistoryStart.State && (_handled.Id != null || (IsConnected && _hasSubscribed)))
            {
                throw new InvalidOperationException("history can be asked for only with the first subscription");
            }
            _hasSubscribed = true;
            var kinds = filters == null ? new Dictionary<string, string>() : filters.ToJson();
            var one = new PendingSubscription(names, kinds, history);
            Change(() => _subscriptions.Add(one), session => session.SubscribeTo(one));
            return IsConnected ? Within(one.Answer.Task, cancellationToken) : Task.FromResult(true);
        }

        /// <summary>Subscribes with the state, and returns the flights; Flights is kept up to date from then on.</summary>
        public async Task<IReadOnlyList<Flight>> SnapshotAsync(
            IEnumerable<string> channels,
            SubscriptionFilters filters = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            ClientRun run = _run;
            if (run == null) throw new SwimConnectionLostException("snapshot: the client is not running", null);
            await SubscribeAsync(channels, filters, HistoryStart.State, cancellationToken).ConfigureAwait(false);
            await Within(Task.WhenAny(_flights.Complete, run.Finished), cancellationToken).ConfigureAwait(false);
            if (!_flights.IsComplete) throw new SwimConnectionLostException("snapshot: the client was stopped", null);
            return _flights.Snapshot().Value;
        }

        /// <summary>Takes channels away; null or none: all of them, and the filters.</summary>
        public Task UnsubscribeAsync(
            IEnumerable<string> channels = null, CancellationToken cancellationToken = default(CancellationToken))
        {
            List<string> names = channels == null ? new List<string>() : channels.ToList();
            Change(() => _subscriptions.Remove(names), session => session.Unsubscribe(names));
            return Task.FromResult(true);
        }

        private void Change(Action change, Action<Session> tell)
        {
            lock (_lock) // held for moments only: nothing in it waits
            {
                ClientRun run = _run;
                bool isPosted = run != null && run.InNetwork(session =>
                {
                    change();
                    if (session != null) tell(session);
                });
                if (!isPosted) change();
            }
        }

        private static async Task Within(Task task, CancellationToken cancellationToken)
        {
            var cancelled = new TaskCompletionSource<bool>();
            using (cancellationToken.Register(() => cancelled.TrySetCanceled()))
            {
                await (await Task.WhenAny(task, cancelled.Task).ConfigureAwait(false)).ConfigureAwait(false);
            }
        }

        // Requests.

        /// <summary>Asks for a pong, and waits for it.</summary>
        public Task PingAsync(CancellationToken cancellationToken = default(CancellationToken))
        {
            return Within(Ask("ping", "pong"), cancellationToken);
        }

        /// <summary>Asks what the server knows of this connection.</summary>
        public Task<JsonElement> StatusAsync()
        {
            return Ask("status", "status");
        }

        /// <summary>
        /// Puts an event in; needs a key of the system tier. Done when it is stored; it is sent again, under the same event
        /// id, until it is answered.
        /// </summary>
        public Task<JsonElement> PublishAsync(string channel, JsonElement data)
        {
            var publication = new Publication(Json.Object(writer =>
            {
                writer.WriteString("action", "publish");
                writer.WriteString("channel", channel);
                writer.WritePropertyName("data");
                data.WriteTo(writer);
                writer.WriteString("event_id", Guid.NewGuid().ToString("N"));
            }));
            ClientRun run = _run;
            bool isPosted = run != null && run.InNetwork(session =>
            {
                run.Publications.Add(publication);
                if (session != null) session.Publish(publication);
            });
            if (!isPosted) throw new SwimConnectionLostException("the client is not running: publish while it runs", null);
            return publication.Answer.Task;
        }

        private Task<JsonElement> Ask(string action, string answerType)
        {
            var result = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
            var lost = new SwimConnectionLostException(action + ": there is no connection", null);
            ClientRun run = _run;
            bool isPosted = run != null && run.InNetwork(async session =>
            {
                Answer answer = session == null || session.ClientId == null ? Answer.None : await session.Ask(action, answerType);
                if (answer.Refused != null) result.TrySetException(answer.Refused);
                else if (answer == Answer.None) result.TrySetException(lost);
                else result.TrySetResult(answer.Message);
            });
            if (!isPosted) result.TrySetException(lost);
            return result.Task;
        }

        // Handing over, in the handlers' thread.

        void IClient.Deliver(string kind, JsonElement message)
        {
            if (_flights.Take(kind, message)) return;
            string timestamp = Json.String(message, "timestamp") ?? "";
            var told = new SwimEvent(kind, Json.String(message, "id"), timestamp, Content(kind, message));
            Guarded(kind, () => Raise(kind, told));
            foreach (KeyValuePair<string, Action<SwimEvent>[]> one in _handlers)
            {
                if (!Takes(one.Key, kind)) continue;
                foreach (Action<SwimEvent> handler in one.Value) Guarded(kind, () => handler(told));
            }
        }

        private static bool Takes(string pattern, string kind)
        {
            if (pattern == kind) return true;
            if (kind.IndexOf('.') < 0) return false;
            return pattern == "*"
                || (pattern.EndsWith(".*", StringComparison.Ordinal)
                    && kind.StartsWith(pattern.Substring(0, pattern.Length - 1), StringComparison.Ordinal));
        }

        private JsonElement Content(string kind, JsonElement message)
        {
            if (kind == "error")
            {
                return Json.Parse(Json.Object(writer =>
                {
                    writer.WriteString("code", Session.ErrorText(message, "code"));
                    writer.WriteString("message", Session.ErrorText(message, "message").Replace(_key, "[key]"));
                }));
            }
            if (Whole.Contains(kind)) return message;
            JsonElement data;
            return Json.TryGet(message, "data", out data) && data.ValueKind == JsonValueKind.Object ? data : Json.Empty;
        }

        private static void Guarded(string kind, Action call)
        {
            try
            {
                call();
            }
            catch (Exception failure)
            {
                // The program's own fault, which costs no event.
                Trace.TraceError("swim-client: a handler of " + kind + " failed: " + failure);
            }
        }

        private void Raise(string kind, SwimEvent told)
        {
            switch (kind)
            {
                case SwimEventTypes.Connected: Raise(OnConnected, told, ConnectionInfo.From); break;
                case SwimEventTypes.FlightCreated: Raise(OnFlightCreated, told, FlightEventData.From); break;
                case SwimEventTypes.FlightUpdated: Raise(OnFlightUpdated, told, FlightEventData.From); break;
                case SwimEventTypes.FlightDeparted: Raise(OnFlightDeparted, told, FlightEventData.From); break;
                case SwimEventTypes.FlightArrived: Raise(OnFlightArrived, told, FlightEventData.From); break;
                case SwimEventTypes.FlightDeleted: Raise(OnFlightDeleted, told, FlightEventData.From); break;
                case SwimEventTypes.FlightPositions: Raise(OnFlightPositions, told, PositionsBatchData.From); break;
                case SwimEventTypes.TmiIssued: Raise(OnTmiIssued, told, TmiEventData.From); break;
                case SwimEventTypes.TmiModified: Raise(OnTmiModified, told, TmiEventData.From); break;
                case SwimEventTypes.TmiReleased: Raise(OnTmiReleased, told, TmiEventData.From); break;
                case SwimEventTypes.SystemHeartbeat: Raise(OnHeartbeat, told, HeartbeatData.From); break;
                case SwimEventTypes.Error: RaiseError(told); break;
                case "disconnected": RaiseDisconnected(told.Data); break;
                case "gap": RaiseGap(told.Data); break;
            }
        }

        private void Raise<T>(EventHandler<SwimEventArgs<T>> handlers, SwimEvent told, Func<JsonElement, T> read)
        {
            if (handlers != null) handlers(this, new SwimEventArgs<T>(read(told.Data), told.Timestamp));
        }

        private void RaiseError(SwimEvent told)
        {
            EventHandler<SwimErrorEventArgs> handlers = OnError;
            if (handlers == null) return;
            handlers(this, new SwimErrorEventArgs(Json.Text(told.Data, "code"), Json.Text(told.Data, "message"), told.Timestamp));
        }

        private void RaiseDisconnected(JsonElement data)
        {
            EventHandler handlers = OnDisconnected;
            if (handlers == null) return;
            double? seconds = Json.Number(data, "retry_in_seconds");
            TimeSpan? retryIn = seconds.HasValue ? TimeSpan.FromSeconds(seconds.Value) : (TimeSpan?)null;
            int code = (int)(Json.Integer(data, "code") ?? 0);
            handlers(this, new SwimDisconnectedEventArgs(code, Json.Text(data, "reason"), retryIn));
        }

        private void RaiseGap(JsonElement data)
        {
            EventHandler<SwimGapEventArgs> handlers = OnGap;
            if (handlers != null) handlers(this, new SwimGapEventArgs(Json.Text(data, "after"), Json.Text(data, "reason")));
        }
    }
}
