using System;
using System.Collections.Generic;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace VatSim.Swim
{
    /// <summary>How a request went: the message, a refusal, or neither, when no answer came.</summary>
    internal sealed class Answer
    {
        internal static readonly Answer None = new Answer(default(JsonElement), null);

        internal Answer(JsonElement message, SwimRequestRefusedException refused)
        {
            Message = message;
            Refused = refused;
        }

        internal JsonElement Message { get; }
        internal SwimRequestRefusedException Refused { get; }
    }

    /// <summary>The requests of one connection, one at a time, so that an error belongs to the one that waits.</summary>
    internal sealed class Requests
    {
        private const int PerSecond = 8;
        private const long AnswerMs = 30000;
        private const long RateLimitedMs = 1100;
        private readonly Action<string> _send;
        private readonly Timers _timers;
        private readonly Queue<long> _sent = new Queue<long>();
        private Task<Answer> _tail = Task.FromResult(Answer.None);
        private TaskCompletionSource<Answer> _waiting;
        private string _awaited;
        private bool _isClosed;

        internal Requests(Action<string> send, Timers timers)
        {
            _send = send;
            _timers = timers;
        }

        /// <summary>Sends one request and waits for its answer.</summary>
        internal Task<Answer> Ask(string message, string answerType)
        {
            return _tail = AskAfter(_tail, message, answerType);
        }

        private async Task<Answer> AskAfter(Task<Answer> before, string message, string answerType)
        {
            await before;
            while (true)
            {
                await Turn();
                if (_isClosed) return Answer.None;
                SendNow(message);
                var waiting = new TaskCompletionSource<Answer>();
                _waiting = waiting;
                _awaited = answerType;
                CancellationTokenSource timeout = _timers.Set(() => Settle(Answer.None), AnswerMs);
                Answer answer = await waiting.Task;
                timeout.Cancel();
                if (answer.Refused == null || answer.Refused.Code != "RATE_LIMITED") return answer;
                await _timers.Sleep(RateLimitedMs);
            }
        }

        private async Task Turn()
        {
            while (!_isClosed)
            {
                long now = NetworkThread.Now;
                while (_sent.Count > 0 && now - _sent.Peek() >= 1000) _sent.Dequeue();
                if (_sent.Count < PerSecond) return;
                await _timers.Sleep(_sent.Peek() + 1000 - now);
            }
        }

        /// <summary>Sends without waiting for an answer.</summary>
        internal void SendNow(string message)
        {
            _sent.Enqueue(NetworkThread.Now);
            _send(message);
        }

        /// <summary>Takes an answer.</summary>
        internal void Answered(string type, JsonElement message)
        {
            if (_waiting != null && type == _awaited) Settle(new Answer(message, null));
        }

        /// <summary>Takes an error. Returns whether it belongs to a request that waits.</summary>
        internal bool Refused(SwimRequestRefusedException error)
        {
            if (_waiting == null) return false;
            Settle(new Answer(default(JsonElement), error));
            return true;
        }

        private void Settle(Answer answer)
        {
            TaskCompletionSource<Answer> one = _waiting;
            _waiting = null;
            if (one != null) one.TrySetResult(answer);
        }

        /// <summary>Ends: whoever waits gets no answer.</summary>
        internal void Close()
        {
            _isClosed = true;
            Settle(Answer.None);
        }
    }
}
