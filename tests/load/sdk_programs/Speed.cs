using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Text.Json;
using VatSim.Swim;

/// <summary>The C# SDK under load: reads commands of sdk_speed.py, reports what its handlers saw.</summary>
internal static class Speed
{
    private static readonly DateTime Epoch = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);
    private static readonly Stopwatch Watch = Stopwatch.StartNew();
    private static int seen;
    private static double first;

    private static void Main(string[] arguments)
    {
        string mode = arguments[0];
        int count = int.Parse(arguments[2]);
        var latencies = new List<double>();
        var options = new SwimOptions { ReconnectInterval = TimeSpan.FromMilliseconds(50) };
        var client = new SwimWebSocketClient("swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB", arguments[1], options);
        client.On("flight.*", told =>
        {
            if (seen % count == 0) first = Watch.Elapsed.TotalSeconds;
            seen += 1;
            if (string.IsNullOrEmpty(told.Data.GetProperty("callsign").GetString())) throw new InvalidOperationException();
            if (mode == "latency")
            {
                latencies.Add((DateTime.UtcNow - Epoch).TotalMilliseconds * 1000 - told.Data.GetProperty("sent_us").GetDouble());
            }
            if (seen % count == 0) Tell(new { seconds = Watch.Elapsed.TotalSeconds - first, latencies });
        });
        client.On("subscribed", told => Tell(new { subscribed = true }));
        client.Flights.OnChange += (sender, change) =>
        {
            if (mode == "mirror" && client.Flights.Count == count) Tell(new { mirrored = count });
        };
        client.SubscribeAsync(new[] { "flight.*" }, null, mode == "mirror" ? HistoryStart.State : null);
        client.ConnectAsync();
        while (Console.In.Read() >= 0)
        {
        }
        Environment.Exit(0);
    }

    private static void Tell(object fields)
    {
        lock (Watch)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(fields));
            Console.Out.Flush();
        }
    }
}
