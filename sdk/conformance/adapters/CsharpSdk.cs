using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using VatSim.Swim;

/// <summary>The C# SDK as the conformance runner tells it: commands in, reports out, no expectations.</summary>
internal sealed class CsharpSdk
{
    private static readonly string[] Notices =
        { "connected", "disconnected", "reconnected", "gap", "error", "subscribed", "unsubscribed", "pong", "status" };
    private static readonly string[] Can =
        { "block", "raise", "resume_file", "publish", "history", "status", "recovered", "max_message_bytes", "state", "addresses" };
    private static readonly Stream Out = Console.OpenStandardOutput();
    private readonly string _name;
    private readonly SwimWebSocketClient _client;
    private readonly List<JsonElement> _rules = new List<JsonElement>();

    private CsharpSdk(string name, JsonElement command)
    {
        _name = name;
        JsonElement given = command.GetProperty("options");
        var options = new SwimOptions();
        Milliseconds(given, "reconnect_ms", value => options.ReconnectInterval = value);
        Milliseconds(given, "max_reconnect_ms", value => options.MaxReconnectInterval = value);
        Milliseconds(given, "open_timeout_ms", value => options.OpenTimeout = value);
        Milliseconds(given, "ping_ms", value => options.PingInterval = value);
        Milliseconds(given, "ping_timeout_ms", value => options.PingTimeout = value);
        JsonElement one;
        if (given.TryGetProperty("max_message_bytes", out one)) options.MaxMessageBytes = one.GetInt32();
        if (given.TryGetProperty("resume_file", out one)) options.PositionStore = new PositionFile(one.GetString());
        if (given.TryGetProperty("resume", out one)) options.Resume = one.GetBoolean();
        _client = new SwimWebSocketClient(command.GetProperty("key").GetString(), command.GetProperty("url").GetString(), options);
        _client.On("*", told => Take("event", told));
        _client.Flights.OnChange += (sender, change) => Report("flight", writer =>
        {
            writer.WriteString("what", change.Change.ToString().ToLowerInvariant());
            writer.WriteString("callsign", change.Flight.Callsign);
        });
        foreach (string notice in Notices) _client.On(notice, told => Take(notice, told));
    }

    private static void Milliseconds(JsonElement given, string name, Action<TimeSpan> set)
    {
        JsonElement value;
        if (given.TryGetProperty(name, out value)) set(TimeSpan.FromMilliseconds(value.GetInt32()));
    }

    private void Take(string kind, SwimEvent told)
    {
        Report(kind, writer =>
        {
            if (kind == "event")
            {
                writer.WriteString("type", told.Type);
                writer.WriteString("id", told.Id);
                writer.WritePropertyName("data");
                told.Data.WriteTo(writer);
                return;
            }
            foreach (JsonProperty property in told.Data.EnumerateObject()) property.WriteTo(writer);
        });
        List<JsonElement> rules;
        lock (_rules) rules = _rules.ToList();
        foreach (JsonElement rule in rules)
        {
            JsonElement wanted, got, every;
            bool isMeant = rule.GetProperty("on").GetString() == kind
                && (!rule.TryGetProperty("n", out wanted)
                    || (told.Data.TryGetProperty("n", out got) && got.GetRawText() == wanted.GetRawText()));
            if (!isMeant) continue;
            if (!rule.TryGetProperty("every", out every))
            {
                lock (_rules) _rules.Remove(rule);
            }
            Obey(rule.GetProperty("then").GetString(), rule);
        }
    }

    private void Obey(string what, JsonElement command)
    {
        switch (what)
        {
            case "connect":
                Task running = _client.RunAsync();
                JsonElement on;
                if (!command.TryGetProperty("on", out on)) Watch(running);
                break;
            case "disconnect": _client.DisconnectAsync(); break;
            case "subscribe":
                Tell("subscribe", _client.SubscribeAsync(Texts(command, "channels"), Filters(command), History(command)));
                break;
            case "unsubscribe": _client.UnsubscribeAsync(Texts(command, "channels")); break;
            case "ping": Tell("ping", _client.PingAsync()); break;
            case "status": Tell("status", _client.StatusAsync()); break;
            case "publish":
                Tell("publish", _client.PublishAsync(command.GetProperty("channel").GetString(), command.GetProperty("data")));
                break;
            case "flights": Report("flights", WriteFlights); break;
            case "when":
                lock (_rules) _rules.Add(command);
                break;
            case "block":
                Thread.Sleep(command.GetProperty("ms").GetInt32());
                Report("unblocked", writer => { });
                break;
            case "raise": throw new InvalidOperationException("raised by the handler, as it was told");
            default: throw new ArgumentException("unknown command " + what);
        }
    }

    private void WriteFlights(Utf8JsonWriter writer)
    {
        KeyValuePair<string, IReadOnlyList<Flight>> now = _client.Flights.Snapshot();
        writer.WriteString("as_of", now.Key);
        writer.WriteBoolean("is_complete", _client.Flights.IsComplete);
        writer.WriteStartArray("flights");
        foreach (Flight flight in now.Value.OrderBy(one => one.Callsign, StringComparer.Ordinal))
        {
            writer.WriteStartObject();
            foreach (KeyValuePair<string, object> field in flight.Data)
            {
                writer.WritePropertyName(field.Key);
                if (field.Value is JsonElement) ((JsonElement)field.Value).WriteTo(writer);
                else JsonSerializer.Serialize(writer, field.Value, typeof(object));
            }
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }

    private async void Watch(Task running)
    {
        string why = "stopped", message = "";
        try
        {
            await running;
        }
        catch (SwimException error)
        {
            message = error.Message;
            why = error is SwimAuthenticationException ? "auth"
                : error is SwimProtocolException ? "protocol"
                : error is SwimRequestRefusedException ? "refused" : "lost";
        }
        Report("ended", writer =>
        {
            writer.WriteString("why", why);
            writer.WriteString("message", message);
        });
    }

    private async void Tell(string to, Task answer)
    {
        string code = null;
        bool ok = true;
        try
        {
            await answer;
        }
        catch (SwimException error)
        {
            ok = false;
            code = error.Code;
        }
        Report("answer", writer =>
        {
            writer.WriteString("to", to);
            writer.WriteBoolean("ok", ok);
            writer.WriteString("code", code);
        });
    }

    private static List<string> Texts(JsonElement command, string name)
    {
        JsonElement value;
        return command.TryGetProperty(name, out value) && value.ValueKind == JsonValueKind.Array
            ? value.EnumerateArray().Select(one => one.GetString()).ToList() : new List<string>();
    }

    private static SubscriptionFilters Filters(JsonElement command)
    {
        JsonElement filters;
        if (!command.TryGetProperty("filters", out filters)) return null;
        return new SubscriptionFilters { Airports = Texts(filters, "airports") };
    }

    private static HistoryStart History(JsonElement command)
    {
        JsonElement value;
        if (command.TryGetProperty("after", out value)) return HistoryStart.After(value.GetString());
        if (command.TryGetProperty("state", out value)) return HistoryStart.State;
        if (command.TryGetProperty("since", out value)) return HistoryStart.Since(value.GetDateTimeOffset());
        return command.TryGetProperty("last", out value) ? HistoryStart.Last(value.GetInt32()) : null;
    }

    private void Report(string saw, Action<Utf8JsonWriter> write)
    {
        Write(writer =>
        {
            write(writer);
            writer.WriteString("saw", saw);
            writer.WriteString("client", _name);
        });
    }

    private static void Write(Action<Utf8JsonWriter> write)
    {
        using (var stream = new MemoryStream())
        {
            using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { SkipValidation = true }))
            {
                writer.WriteStartObject();
                write(writer);
                writer.WriteEndObject();
            }
            stream.WriteByte((byte)'\n');
            lock (Out)
            {
                stream.WriteTo(Out);
                Out.Flush();
            }
        }
    }

    private static void Main()
    {
        Write(writer =>
        {
            writer.WriteString("saw", "ready");
            writer.WriteString("name", "csharp");
            writer.WriteString("version", Environment.Version.ToString());
            writer.WriteStartArray("can");
            foreach (string one in Can) writer.WriteStringValue(one);
            writer.WriteEndArray();
        });
        var subjects = new Dictionary<string, CsharpSdk>();
        var commands = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        for (string line = commands.ReadLine(); line != null; line = commands.ReadLine())
        {
            JsonElement command = JsonDocument.Parse(line).RootElement;
            string name = command.GetProperty("client").GetString();
            string what = command.GetProperty("do").GetString();
            if (what == "create") subjects[name] = new CsharpSdk(name, command);
            else subjects[name].Obey(what, command);
        }
        Environment.Exit(0);
    }
}
