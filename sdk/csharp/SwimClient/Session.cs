using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace VatSim.Swim
{
    /// <summary>One event that the program puts in.</summary>
    internal sealed class Publication
    {
        internal Publication(string message)
        {
            Message = message;
        }

        internal string Message { get; }

        internal TaskCompletionSource<JsonElement> Answer { get; } =
            new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>What a session needs of its client.</summary>
    internal interface IProgram
    {
        ICollection<Publication> Publications { get; }

        /// <summary>Hands something to the handlers.</summary>
        void Put(string kind, JsonElement message);

        /// <summary>Done when the handlers have returned from all that was put.</summary>
        Task Idle();
    }

    /// <summary>One connection from its opening to its end, in the network's thread: greeting, subscribe, requests, resuming.</summary>
    internal sealed class Session
    {
        private const long QuietMs = 1000;
        private const long HandlersMs = 5000;
        private static readonly HashSet<string> Answers =
            new HashSet<string> { "subscribed", "unsubscribed", "pong", "status", "publish_ack" };
        private static readonly HashSet<string> Closing =
            new HashSet<string> { "AUTH_FAILED", "AUTH_UNAVAILABLE", "CONNECTION_LIMIT" };

        private readonly Connection _connection;
        private readonly Position _position;
        private readonly Subscriptions _subscriptions;
        private readonly SwimOptions _options;
        private readonly Timers _timers;
        private readonly IProgram _program;
        private readonly long? _lostAt;
        private readonly Requests _requests;
        private Task _chain = Task.FromResult(true);
        private CancellationTokenSource _greetingTimeout;
        private volatile string _clientId;
        private bool _isSubscribed;
        private bool _isProbing;
        private bool _hidesRefusal;
        private bool _isFirstSent;
        private EventId _firstAfter;
        private HistoryStart _firstHistory;
        private bool _isRecovering;
        private EventId _recoveryTarget;
        private EventId _recoveryAfter;
        private int? _recovered;
        private long _recoverySeenAt;
        private int _quietPongs;
        private long _heardAt = NetworkThread.Now;
        private bool _hasEnded;

        internal Session(
            Connection connection,
            Position position,
            Subscriptions subscriptions,
            SwimOptions options,
            Timers timers,
            IProgram program,
            long? lostAt)
        {
            _connection = connection;
            _position = position;
            _subscriptions = subscriptions;
            _options = options;
            _timers = timers;
            _program = program;
            _lostAt = lostAt;
            _requests = new Requests(connection.Send, timers);
        }

        /// <summary>The server's name for this connection; null before its greeting.</summary>
        internal string ClientId
        {
            get { return _clientId; }
        }

        internal string ClosingCode { get; private set; }
        internal string ClosingText { get; private set; }

        /// <summary>When the error RESTARTING asks this client to come back; null: it did not say.</summary>
        internal long? AdviceMs { get; private set; }

        /// <summary>The last refusal of a subscription.</summary>
        internal SwimRequestRefusedException Refused { get; private set; }

        /// <summary>Begins: the upgrade is answered, the greeting is due.</summary>
        internal void Opened()
        {
            long limit = (long)_options.OpenTimeout.TotalMilliseconds;
            string silent = "the server took the connection and said nothing for " + limit + " ms";
            _greetingTimeout = _timers.Set(() => _connection.Abandon(silent), limit);
            LookForLifeLater(_options.PingInterval.TotalMilliseconds);
        }

        /// <summary>Ends: whoever waits for an answer gets none.</summary>
        internal void Ended()
        {
            _hasEnded = true;
            EndRecovery();
            _requests.Close();
            _timers.End();
        }

        // What the program asks for.

        internal void SubscribeTo(PendingSubscription one)
        {
            if (_clientId != null) Then(() => Tell(one));
        }

        internal void Unsubscribe(IReadOnlyCollection<string> channels)
        {
            if (_clientId == null) return;
            Then(async () =>
            {
                if (!_isSubscribed) return;
                if (_subscriptions.IsEmpty)
                {
                    _position.UnsubscribedFromAll();
                    _isSubscribed = false;
                }
                string message = Json.Object(writer =>
                {
                    writer.WriteString("action", "unsubscribe");
                    if (channels.Count > 0) Json.Strings(writer, "channels", channels);
                });
                await _requests.Ask(message, "unsubscribed");
            });
        }

        internal async Task<Answer> Ask(string action, string answerType)
        {
            Answer answer = Answer.None;
            await Then(async () => answer = await _requests.Ask(Action(action), answerType));
            return answer;
        }

        internal void Publish(Publication publication)
        {
            if (_clientId == null) return;
            Then(async () =>
            {
                if (!_program.Publications.Contains(publication)) return;
                Answer answer = await _requests.Ask(publication.Message, "publish_ack");
                if (answer == Answer.None)
                {
                    if (!_hasEnded) Publish(publication);
                    return;
                }
                _program.Publications.Remove(publication);
                if (answer.Refused != null) publication.Answer.TrySetException(answer.Refused);
                else publication.Answer.TrySetResult(answer.Message);
            });
        }

        private Task Then(Func<Task> work)
        {
            return _chain = After(_chain, work);
        }

        private async Task After(Task before, Func<Task> work)
        {
            await before;
            if (!_hasEnded) await work();
        }

        // What the server says.

        internal void Receive(string text)
        {
            _heardAt = NetworkThread.Now;
            JsonElement message;
            try
            {
                message = Json.Parse(text);
            }
            catch (JsonException)
            {
                return; // what can't be read is ignored
            }
            string kind = Json.String(message, "type");
            if (kind == null) return;
            if (kind == "connected") Greeted(message);
            else if (kind == "error") Error(message);
            else if (Answers.Contains(kind)) Answered(kind, message);
            else if (kind == "state" || kind.StartsWith("state.", StringComparison.Ordinal)) State(kind, message);
            else Event(kind, message);
        }

        private static JsonElement Data(JsonElement message)
        {
            JsonElement data;
            return Json.TryGet(message, "data", out data) && data.ValueKind == JsonValueKind.Object ? data : Json.Empty;
        }

        private void Greeted(JsonElement message)
        {
            if (_clientId != null) return;
            JsonElement data = Data(message);
            _clientId = Json.Text(data, "client_id") ?? "";
            _greetingTimeout.Cancel();
            _position.Connected(data);
            _program.Put("connected", message);
            EventId newest = EventId.Parse(Json.String(data, "last_event_id"));
            Then(async () =>
            {
                if (_lostAt == null) await Task.WhenAny(_program.Idle(), _timers.Sleep(HandlersMs));
                await SubscribeToAll(newest);
                if (Refused != null && _subscriptions.IsEmpty && !_hasEnded) _connection.Close("nothing left to subscribe to");
            });
            foreach (Publication publication in _program.Publications.ToList()) Publish(publication);
        }

        private void Error(JsonElement message)
        {
            string code = ErrorText(message, "code");
            string text = ErrorText(message, "message");
            if (code == "RESTARTING")
            {
                long? told = Json.Integer(Data(message), "retry_ms");
                AdviceMs = told >= 0 ? told : null;
                ClosingCode = code;
                ClosingText = text;
                return;
            }
            if (code == "HISTORY_UNAVAILABLE")
            {
                TellGap(_position.HistoryUnavailable());
            }
            else if (Closing.Contains(code))
            {
                ClosingCode = code;
                ClosingText = text;
            }
            else
            {
                bool hides = _hidesRefusal || code == "RATE_LIMITED";
                if (_requests.Refused(new SwimRequestRefusedException(code + ": " + text, code)) && hides) return;
            }
            _program.Put("error", message);
        }

        /// <summary>Code and text stand at the top or in <c>data</c>.</summary>
        internal static string ErrorText(JsonElement message, string name)
        {
            return Json.String(message, name) ?? Json.Text(Data(message), name) ?? "";
        }

        private void Answered(string kind, JsonElement message)
        {
            if (kind == "pong" && _quietPongs > 0)
            {
                _quietPongs -= 1;
                return;
            }
            if (!_isProbing)
            {
                bool isFirst = kind == "subscribed" && _isFirstSent;
                string gap = null;
                if (isFirst)
                {
                    _isFirstSent = false;
                    gap = _position.Subscribed(message, _firstAfter, _firstHistory, NetworkThread.Now);
                }
                _program.Put(kind, message);
                TellGap(gap);
                if (isFirst && _lostAt != null)
                {
                    BeginRecovery(EventId.Parse(Json.String(message, "last_event_id")), _firstAfter);
                }
            }
            _requests.Answered(kind, message);
        }

        /// <summary>A part of the state, or what came into or left the filters: in its place among the events.</summary>
        private void State(string kind, JsonElement message)
        {
            if (_isProbing) return;
            _program.Put(kind, message);
            if (Json.Bool(message, "is_last") == true) _position.HasState = true;
        }

        private void Event(string kind, JsonElement message)
        {
            if (_isProbing) return;
            long now = NetworkThread.Now;
            EventId id = EventId.Parse(Json.String(message, "id"));
            if (kind == "system.heartbeat")
            {
                _position.Heartbeat(EventId.Parse(Json.String(Data(message), "last_event_id")), now);
            }
            if (_isRecovering && EventId.IsAfter(id, _recoveryTarget)) EndRecovery();
            if (!_position.Received(id, now)) return;
            _program.Put(kind, message);
            if (_isRecovering && id != null)
            {
                _recoverySeenAt = now;
                _recovered += 1;
                if (id.Is(_recoveryTarget)) EndRecovery();
            }
        }

        private void TellGap(string reason)
        {
            if (reason == null) return;
            string after = _position.Asked == null ? null : _position.Asked.ToString();
            _program.Put("gap", Notice("gap", writer =>
            {
                writer.WriteString("after", after);
                writer.WriteString("reason", reason);
            }));
        }

        internal static JsonElement Notice(string kind, Action<Utf8JsonWriter> write)
        {
            return Json.Parse(Json.Object(writer =>
            {
                writer.WriteString("type", kind);
                writer.WriteStartObject("data");
                write(writer);
                writer.WriteEndObject();
            }));
        }

        internal static string Action(string action)
        {
            return Json.Object(writer => writer.WriteString("action", action));
        }

        // Subscribing.

        private async Task SubscribeToAll(EventId newest)
        {
            List<PendingSubscription> wanted = _subscriptions.Wanted;
            if (wanted.Count == 0 || _hasEnded) return;
            _hidesRefusal = wanted.Count > 1;
            Answer answer = await _requests.Ask(FirstMessage(wanted, newest), "subscribed");
            _hidesRefusal = false;
            if (answer == Answer.None) return;
            if (answer.Refused == null)
            {
                _isSubscribed = true;
                Granted(wanted);
                await AskForState(answer.Message);
                return;
            }
            _isFirstSent = false;
            if (wanted.Count > 1) await FindRefused(wanted, newest);
            else Settle(wanted[0], answer);
        }

        /// <summary>One is refused, and all with it: tries each alone, then begins again with those that are granted.</summary>
        private async Task FindRefused(List<PendingSubscription> wanted, EventId newest)
        {
            _isProbing = true;
            bool isAnyGranted = false;
            foreach (PendingSubscription one in wanted)
            {
                Answer answer = await _requests.Ask(Message(new[] { one }, null), "subscribed");
                if (answer.Refused != null) Settle(one, answer);
                else isAnyGranted |= answer != Answer.None;
            }
            if (isAnyGranted) await _requests.Ask(Action("unsubscribe"), "unsubscribed");
            _isProbing = false;
            if (isAnyGranted) await SubscribeToAll(newest);
        }

        private async Task Tell(PendingSubscription one)
        {
            if (one.IsConfirmed || one.Channels.Count == 0 || !_subscriptions.Holds(one)) return;
            if (!_isSubscribed)
            {
                await SubscribeToAll(null);
            }
            else if (_subscriptions.Covers(one))
            {
                Granted(new[] { one });
            }
            else
            {
                // Other filters, or other channels, have another state.
                bool wantsState = one.WantsState || _subscriptions.WantsState(true);
                Answer answer = await _requests.Ask(Message(new[] { one }, wantsState ? WriteState : (Action<Utf8JsonWriter>)null), "subscribed");
                if (answer != Answer.None) Settle(one, answer);
            }
        }

        private static void WriteState(Utf8JsonWriter writer)
        {
            writer.WriteBoolean("state", true);
        }

        /// <summary>Asks for the state where it could not be asked for together with history, or what came is not right.</summary>
        private async Task AskForState(JsonElement answer)
        {
            JsonElement given;
            bool isThere = Json.TryGet(answer, "state_as_of", out given) || _position.HasState;
            if (isThere || !_position.ServerResumes || !_subscriptions.WantsState(true)) return;
            await _requests.Ask(Message(_subscriptions.Wanted, WriteState), "subscribed");
        }

        private void Settle(PendingSubscription one, Answer answer)
        {
            if (answer.Refused == null)
            {
                Granted(new[] { one });
                return;
            }
            _subscriptions.Refuse(one);
            Refused = answer.Refused;
            one.Answer.TrySetException(answer.Refused);
            GC.KeepAlive(one.Answer.Task.Exception); // nobody need look at it
        }

        private void Granted(ICollection<PendingSubscription> several)
        {
            foreach (PendingSubscription one in several) one.Answer.TrySetResult(true);
            _subscriptions.Confirm(several);
        }

        private static string Message(IEnumerable<PendingSubscription> several, Action<Utf8JsonWriter> writeMore)
        {
            PendingSubscription whole = Subscriptions.Merge(several);
            return Json.Object(writer =>
            {
                writer.WriteString("action", "subscribe");
                Json.Strings(writer, "channels", whole.Channels);
                if (whole.Filters.Count > 0)
                {
                    writer.WriteStartObject("filters");
                    foreach (KeyValuePair<string, string> filter in whole.Filters)
                    {
                        writer.WritePropertyName(filter.Key);
                        Json.Parse(filter.Value).WriteTo(writer);
                    }
                    writer.WriteEndObject();
                }
                if (writeMore != null) writeMore(writer);
            });
        }

        private string FirstMessage(List<PendingSubscription> wanted, EventId newest)
        {
            HistoryStart history = Subscriptions.Merge(wanted).History;
            if (history != null && history.AfterId != null)
            {
                _position.BeginsAfter(history.AfterId);
                history = null;
            }
            _position.Asked = _position.Point;
            TellGap(_position.NoHistory());
            EventId asked = _position.After;
            if (asked != null || !_position.CanResume) history = null;
            if (asked == null && history == null) _position.AwaitsFrom(newest);
            _isFirstSent = true;
            _firstAfter = asked;
            _firstHistory = history;
            bool wantsState = _position.ServerResumes && _subscriptions.WantsState(false);
            return Message(wanted, writer =>
            {
                writer.WriteBoolean("notices", true);
                if (_options.MaxMessageBytes > 0) writer.WriteNumber("max_message_bytes", _options.MaxMessageBytes);
                if (asked != null) writer.WriteString("after", asked.ToString());
                if (asked != null && _position.Epoch != null) writer.WriteString("epoch", _position.Epoch);
                if (history != null) history.WriteTo(writer);
                else if (wantsState && asked != null) writer.WriteString("state", "on_gap");
                else if (wantsState) WriteState(writer);
            });
        }

        // After a break: how much came from history.

        private void BeginRecovery(EventId target, EventId after)
        {
            _recoveryTarget = target;
            _recoveryAfter = after;
            _recovered = target != null && after != null ? 0 : (int?)null;
            _recoverySeenAt = NetworkThread.Now;
            _isRecovering = true;
            if (_recovered == null || !EventId.IsAfter(target, after)) EndRecovery();
            else _timers.Set(LookAfterRecovery, QuietMs);
        }

        private void LookAfterRecovery()
        {
            if (!_isRecovering) return;
            long quiet = NetworkThread.Now - _recoverySeenAt;
            if (quiet >= QuietMs && !_connection.IsPaused) EndRecovery();
            else _timers.Set(LookAfterRecovery, Math.Max(QuietMs - quiet, 100));
        }

        private void EndRecovery()
        {
            if (!_isRecovering) return;
            _isRecovering = false;
            double seconds = (NetworkThread.Now - _lostAt.Value) / 1000.0;
            _program.Put("reconnected", Notice("reconnected", writer =>
            {
                if (_recovered.HasValue) writer.WriteNumber("recovered", _recovered.Value);
                else writer.WriteNull("recovered");
                writer.WriteString("after", _recoveryAfter == null ? null : _recoveryAfter.ToString());
                writer.WriteNumber("disconnected_seconds", seconds);
            }));
        }

        // Signs of life.

        private void LookForLifeLater(double ms)
        {
            _timers.Set(LookForLife, (long)Math.Ceiling(ms));
        }

        private void LookForLife()
        {
            double interval = _options.PingInterval.TotalMilliseconds;
            double left = _heardAt + interval - NetworkThread.Now;
            if (_connection.IsPaused || left > 0)
            {
                LookForLifeLater(_connection.IsPaused ? interval : left);
                return;
            }
            long before = _heardAt;
            if (_clientId != null)
            {
                _quietPongs += 1;
                _requests.SendNow(Action("ping"));
            }
            long limit = (long)_options.PingTimeout.TotalMilliseconds;
            _timers.Set(
                () =>
                {
                    if (_heardAt == before && !_connection.IsPaused) _connection.Abandon("nothing heard for " + limit + " ms after a ping");
                    else LookForLifeLater(interval);
                },
                limit);
        }
    }
}
