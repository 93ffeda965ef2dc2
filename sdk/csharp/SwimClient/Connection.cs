using System;
using System.IO;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace VatSim.Swim
{
    /// <summary>How one attempt or connection ended.</summary>
    internal sealed class Ending
    {
        internal Ending(int? code, string reason, bool isServers)
        {
            Code = code;
            Reason = reason ?? "";
            IsServers = isServers;
        }

        /// <summary>The close code; null: the line broke, or there was no connection.</summary>
        internal int? Code { get; }

        internal string Reason { get; }

        /// <summary>Whether the code is the server's own word.</summary>
        internal bool IsServers { get; }
    }

    /// <summary>One WebSocket, in the network's thread. Its end is told exactly once.</summary>
    internal sealed class Connection
    {
        private const int MaxMessageBytes = 16 * 1024 * 1024;
        private const int ClosingMs = 1000;
        private readonly Timers _timers;
        private readonly CancellationTokenSource _ending = new CancellationTokenSource();
        private readonly TaskCompletionSource<bool> _closed = new TaskCompletionSource<bool>();
        private TaskCompletionSource<bool> _room;
        private ClientWebSocket _socket;
        private Task _sending = Task.FromResult(true);
        private bool _isOpen;
        private bool _hasEnded;

        internal Connection(Timers timers)
        {
            _timers = timers;
        }

        internal Action Opened { get; set; }
        internal Action<string> Received { get; set; }
        internal Action<Ending> Ended { get; set; }

        internal bool IsPaused
        {
            get { return _room != null; }
        }

        /// <summary>Done when the line is down, too.</summary>
        internal Task Closed
        {
            get { return _closed.Task; }
        }

        /// <summary>Connects, and serves the connection to its end. Never fails.</summary>
        internal async void Run(Uri address, string key, TimeSpan openTimeout)
        {
            CancellationTokenSource timeout = _timers.Set(
                () => Abandon("no answer within " + (long)openTimeout.TotalMilliseconds + " ms"),
                (long)openTimeout.TotalMilliseconds);
            var socket = _socket = new ClientWebSocket();
            try
            {
                if (key != null) socket.Options.SetRequestHeader("X-SWIM-API-Key", key);
                await Task.Run(() => socket.ConnectAsync(address, _ending.Token));
                timeout.Cancel();
                if (_hasEnded) return;
                _isOpen = true;
                Opened();
                await Receive(socket);
            }
            catch (Exception failure) when (IsOfTheLine(failure))
            {
                End(new Ending(null, failure.InnerException == null ? failure.Message : failure.InnerException.Message, false));
            }
            finally
            {
                timeout.Cancel();
                socket.Dispose();
                _closed.TrySetResult(true);
            }
        }

        private static bool IsOfTheLine(Exception failure)
        {
            return failure is WebSocketException || failure is OperationCanceledException || failure is IOException
                || failure is ObjectDisposedException || failure is InvalidOperationException
                || failure is System.Net.Sockets.SocketException || failure is System.Net.WebException;
        }

        private async Task Receive(ClientWebSocket socket)
        {
            var buffer = new byte[64 * 1024];
            var message = new MemoryStream();
            while (true)
            {
                if (_room != null && !_hasEnded) await _room.Task;
                WebSocketReceiveResult result = await socket.ReceiveAsync(new ArraySegment<byte>(buffer), _ending.Token);
                if (result.MessageType == WebSocketMessageType.Close)
                {
                    await Answer(socket);
                    int code = (int)(socket.CloseStatus ?? 0);
                    End(new Ending(code == 0 || code == 1005 ? 1005 : code, socket.CloseStatusDescription, code != 0));
                    return;
                }
                message.Write(buffer, 0, result.Count);
                if (message.Length > MaxMessageBytes)
                {
                    Abandon("a message of more than " + MaxMessageBytes + " bytes");
                    return;
                }
                if (!result.EndOfMessage) continue;
                if (result.MessageType == WebSocketMessageType.Text && !_hasEnded)
                {
                    Received(Encoding.UTF8.GetString(message.GetBuffer(), 0, (int)message.Length));
                }
                message.SetLength(0);
                if (message.Capacity > 1024 * 1024) message = new MemoryStream();
            }
        }

        private async Task Answer(ClientWebSocket socket)
        {
            if (socket.State != WebSocketState.CloseReceived) return;
            try
            {
                using (var limit = new CancellationTokenSource(ClosingMs))
                {
                    await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", limit.Token);
                }
            }
            catch (Exception failure) when (IsOfTheLine(failure))
            {
                return; // the server has closed; that is all there is to know
            }
        }

        /// <summary>Sends a text message, after those before it.</summary>
        internal void Send(string text)
        {
            if (_isOpen && !_hasEnded) _sending = SendAfter(_sending, text);
        }

        private async Task SendAfter(Task before, string text)
        {
            await before;
            try
            {
                var bytes = new ArraySegment<byte>(Encoding.UTF8.GetBytes(text));
                await _socket.SendAsync(bytes, WebSocketMessageType.Text, true, _ending.Token);
            }
            catch (Exception failure) when (IsOfTheLine(failure))
            {
                Abandon(failure.Message);
            }
        }

        /// <summary>Reads no further message until <c>Resume</c>.</summary>
        internal void Pause()
        {
            if (_room == null) _room = new TaskCompletionSource<bool>();
        }

        internal void Resume()
        {
            TaskCompletionSource<bool> room = _room;
            _room = null;
            if (room != null) room.TrySetResult(true);
        }

        /// <summary>Closes in good order. The end is told at once; <c>Closed</c> follows when the handshake is over.</summary>
        internal async void Close(string reason)
        {
            if (!_isOpen)
            {
                Abandon(reason);
                return;
            }
            if (_hasEnded) return;
            End(new Ending(1000, reason, false));
            Resume();
            try
            {
                await _sending;
                using (var limit = new CancellationTokenSource(ClosingMs))
                {
                    await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, reason, limit.Token);
                }
                await Task.WhenAny(_closed.Task, Task.Delay(ClosingMs));
            }
            catch (Exception failure) when (IsOfTheLine(failure))
            {
                // The line is down already: so be it.
            }
            _ending.Cancel();
            _closed.TrySetResult(true);
        }

        /// <summary>Takes the connection for lost.</summary>
        internal void Abandon(string reason)
        {
            if (_hasEnded) return;
            End(new Ending(null, reason, false));
            Resume();
            _ending.Cancel();
            if (_socket != null) _socket.Abort();
            _closed.TrySetResult(true);
        }

        private void End(Ending ending)
        {
            if (_hasEnded) return;
            _hasEnded = true;
            Ended(ending);
        }
    }
}
