package org.vatsim.swim;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * Where a client stands in the order of all events. Pure: messages and times in, decisions out.
 *
 * <p>The baseline is the last event taken in: nothing at or before it is handed over again. The point is where to
 * resume: the last event's id or, on a quiet subscription, a later one that a heartbeat named.
 */
final class Position {
    private static final long SETTLED_MS = 600_000;

    EventId point;
    EventId asked;
    /** A whole state has come, and nothing that would have changed it was missed since. */
    boolean hasState;
    boolean canResume;
    /** Whether the server at hand keeps history, and state, for its clients; the former one doesn't. */
    boolean serverResumes;
    String epoch;
    private EventId baseline;
    private String epochNow;
    private final boolean isEnabled;
    private boolean isSubscribed;
    private boolean isLive;
    private EventId target;
    private EventId heartbeat;
    private long lastEventAt;
    private boolean isGapTold;
    private EventId begunAt;

    Position(EventId after, String epoch, boolean isEnabled) {
        this.baseline = after;
        this.point = after;
        this.epoch = epoch;
        this.isEnabled = isEnabled;
    }

    /** What to send as {@code after}; null: nothing was seen, or this server can't resume. */
    EventId after() {
        return !canResume ? null : point != null ? point : begunAt;
    }

    /** Begin a connection with the data of its greeting. */
    void connected(JsonNode data) {
        serverResumes = data.path("resume").asBoolean(false);
        canResume = isEnabled && serverResumes;
        isSubscribed = isLive = isGapTold = false;
        target = heartbeat = null;
        epochNow = data.path("epoch").isTextual() ? data.get("epoch").asText() : null;
        if (point == null) {
            epoch = epochNow;
        }
    }

    /** Begin after an event that the program knows; what was seen since counts more. */
    void beginsAfter(EventId id) {
        if (point == null && id != null) {
            baseline = point = id;
        }
    }

    /** Owe the program what comes after this id, if nothing older is owed. */
    void awaitsFrom(EventId id) {
        if (point == null && canResume) {
            point = id;
        }
    }

    /** Take in the answer to the first subscribe. Returns why there is a gap, or null. */
    String subscribed(JsonNode answer, EventId sentAfter, HistoryStart history, long now) {
        isSubscribed = true;
        lastEventAt = now;
        EventId newest = EventId.parse(answer.path("last_event_id").asText(null));
        String former = epoch;
        epoch = epochNow;
        if (sentAfter != null && former != null && epoch != null && !former.equals(epoch)) {
            target = newest;
            beginAnew(newest);
            return tellOnce("the server has another history than before");
        }
        if (sentAfter != null) {
            target = newest;
            isLive = newest != null && !EventId.isAfter(newest, sentAfter);
            return tellOnce(gap(answer, sentAfter, newest));
        }
        if (history != null) {
            target = newest;
            if (history.isLast()) {
                begunAt = newest;
            }
            return tellOnce(answer.path("gap").asBoolean(false) ? "history does not reach back so far" : null);
        }
        isLive = true;
        if (newest != null && canResume) {
            point = newest;
        }
        return null;
    }

    private String gap(JsonNode answer, EventId sentAfter, EventId newest) {
        if (answer.path("gap").asBoolean(false)) {
            // Another history, or an older one that was restored: its ids may be below ours, and are new.
            if (newest == null || EventId.isAfter(sentAfter, newest)) {
                beginAnew(newest);
            }
            return "history no longer reaches back";
        }
        boolean isRefused = answer.path("resumed").isBoolean() && !answer.get("resumed").asBoolean();
        if (isRefused && EventId.isAfter(newest, sentAfter)) {
            beginAnew(newest);
            return "the server did not resume";
        }
        return null;
    }

    private void beginAnew(EventId newest) {
        baseline = null;
        point = newest != null ? newest : point;
    }

    private String tellOnce(String reason) {
        if (reason == null || isGapTold) {
            return null;
        }
        isGapTold = true;
        hasState = false;
        return reason;
    }

    /** Take in HISTORY_UNAVAILABLE: live events follow. Returns why there is a gap; null if that was told. */
    String historyUnavailable() {
        baseline = null;
        hasState = false;
        return tellOnce("history does not hold the last event that this client saw");
    }

    /** Note that the server can't resume. Returns why there is a gap, or null when nothing was owed. */
    String noHistory() {
        if (!isEnabled || point == null || canResume) {
            return null;
        }
        point = null;
        return tellOnce("this server can't send what was missed");
    }

    /** Take in an event's id. Returns whether the event is new; one without an id always is. */
    boolean received(EventId id, long now) {
        if (id == null) {
            return true;
        }
        if (baseline != null && !EventId.isAfter(id, baseline)) {
            return false;
        }
        baseline = id;
        if (point == null || EventId.isAfter(id, point)) {
            point = id;
        }
        if (!isLive && EventId.isAfter(id, target)) {
            isLive = true;
        }
        lastEventAt = now;
        return true;
    }

    /** Take in a heartbeat's newest id. The one before it counts: what was stored up to then had time to come. */
    void heartbeat(EventId id, long now) {
        if (!isSubscribed || !canResume) {
            return;
        }
        if (!isLive && now - lastEventAt >= SETTLED_MS) {
            isLive = true;
        }
        if (!isLive) {
            return;
        }
        if (heartbeat != null && (point == null || EventId.isAfter(heartbeat, point))) {
            point = heartbeat;
        }
        heartbeat = id;
    }

    /** Owe nothing any more: a later subscription begins with the live stream. */
    void unsubscribedFromAll() {
        isSubscribed = isLive = false;
        point = null;
    }
}
