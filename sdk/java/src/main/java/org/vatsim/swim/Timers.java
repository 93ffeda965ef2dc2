package org.vatsim.swim;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Timers of one connection, in the network's thread; all of them end together. */
final class Timers {
    private final ScheduledExecutorService network;
    private final Set<Future<?>> live = new HashSet<>();
    private boolean hasEnded;

    Timers(ScheduledExecutorService network) {
        this.network = network;
    }

    long now() {
        return System.nanoTime() / 1_000_000;
    }

    Future<?> set(Runnable action, long ms) {
        Future<?>[] own = new Future<?>[1];
        own[0] = network.schedule(
                () -> {
                    live.remove(own[0]);
                    if (!hasEnded) {
                        action.run();
                    }
                },
                ms,
                TimeUnit.MILLISECONDS);
        live.add(own[0]);
        return own[0];
    }

    void clear(Future<?> timer) {
        if (timer != null) {
            timer.cancel(false);
            live.remove(timer);
        }
    }

    /** Wait; it never ends once the timers have ended. */
    CompletableFuture<Void> sleep(long ms) {
        CompletableFuture<Void> over = new CompletableFuture<>();
        set(() -> over.complete(null), ms);
        return over;
    }

    void end() {
        hasEnded = true;
        live.forEach(timer -> timer.cancel(false));
        live.clear();
    }
}
