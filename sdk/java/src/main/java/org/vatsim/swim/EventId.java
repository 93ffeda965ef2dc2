package org.vatsim.swim;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A place in the order of all events, {@code <unix-ms>-<seq>}. */
final class EventId implements Comparable<EventId> {
    private static final Pattern FORM = Pattern.compile("([0-9]{1,15})-([0-9]{1,10})");
    private final long milliseconds;
    private final long sequence;
    private final String text;

    private EventId(long milliseconds, long sequence, String text) {
        this.milliseconds = milliseconds;
        this.sequence = sequence;
        this.text = text;
    }

    /** Read an id; null for what is none. */
    static EventId parse(String text) {
        if (text == null) {
            return null;
        }
        Matcher match = FORM.matcher(text);
        return match.matches() ? new EventId(Long.parseLong(match.group(1)), Long.parseLong(match.group(2)), text) : null;
    }

    /** Tell whether {@code one} comes after {@code other}; null comes after nothing. */
    static boolean isAfter(EventId one, EventId other) {
        return one != null && other != null && one.compareTo(other) > 0;
    }

    @Override
    public int compareTo(EventId other) {
        int byTime = Long.compare(milliseconds, other.milliseconds);
        return byTime != 0 ? byTime : Long.compare(sequence, other.sequence);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof EventId && compareTo((EventId) other) == 0;
    }

    @Override
    public int hashCode() {
        return Long.hashCode(milliseconds * 31 + sequence);
    }

    @Override
    public String toString() {
        return text;
    }
}
