using System;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;

namespace VatSim.Swim
{
    /// <summary>
    /// A thread that runs what is posted to it, one after the other; what is awaited in it goes on in it. All decisions of
    /// a client are made here, so they need no locks.
    /// </summary>
    internal sealed class NetworkThread : SynchronizationContext
    {
        private readonly BlockingCollection<Action> _work = new BlockingCollection<Action>();
        private readonly Thread _thread;

        internal NetworkThread()
        {
            _thread = new Thread(Run) { Name = "swim-network", IsBackground = false };
            _thread.Start();
        }

        internal bool IsThis
        {
            get { return Thread.CurrentThread == _thread; }
        }

        internal static long Now
        {
            get { return Stopwatch.GetTimestamp() * 1000 / Stopwatch.Frequency; }
        }

        /// <summary>Runs something soon; false: the thread has ended.</summary>
        internal bool TryPost(Action action)
        {
            try
            {
                _work.Add(action);
                return true;
            }
            catch (InvalidOperationException)
            {
                return false; // no more work is taken
            }
        }

        /// <inheritdoc />
        public override void Post(SendOrPostCallback callback, object state)
        {
            TryPost(() => callback(state));
        }

        /// <inheritdoc />
        public override SynchronizationContext CreateCopy()
        {
            return this;
        }

        /// <summary>Ends the thread when it has done what it was given.</summary>
        internal void End()
        {
            _work.CompleteAdding();
        }

        private void Run()
        {
            SetSynchronizationContext(this);
            foreach (Action action in _work.GetConsumingEnumerable())
            {
                try
                {
                    action();
                }
                catch (Exception failure)
                {
                    // This package's own fault: it must not be silent, and must not end the thread.
                    Trace.TraceError("swim-client: the network's thread failed: " + failure);
                }
            }
        }
    }

    /// <summary>Timers of one connection, in the network's thread; all of them end together.</summary>
    internal sealed class Timers
    {
        private readonly CancellationTokenSource _ending = new CancellationTokenSource();

        /// <summary>Does something later, unless the timers end before.</summary>
        internal CancellationTokenSource Set(Action action, long milliseconds)
        {
            CancellationTokenSource own = CancellationTokenSource.CreateLinkedTokenSource(_ending.Token);
            Later(action, milliseconds, own.Token);
            return own;
        }

        private static async void Later(Action action, long milliseconds, CancellationToken token)
        {
            try
            {
                await Task.Delay(TimeSpan.FromMilliseconds(milliseconds), token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            if (!token.IsCancellationRequested) action();
        }

        /// <summary>Waits; at the end of the timers at once.</summary>
        internal async Task Sleep(long milliseconds)
        {
            try
            {
                await Task.Delay(TimeSpan.FromMilliseconds(milliseconds), _ending.Token);
            }
            catch (OperationCanceledException)
            {
                return; // who waits looks at what has changed
            }
        }

        internal void End()
        {
            _ending.Cancel();
        }
    }
}
