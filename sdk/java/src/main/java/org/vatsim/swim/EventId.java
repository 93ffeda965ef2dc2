package org.vatsim.swim;


/** A place in the order of all events, {@code <unix-ms>-<seq>}. */
final class EventId implements Comparable<EventId> {
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
        int dash = text == null ? -1 : text.indexOf('-');
        if (dash < 1 || dash > 15 || dash + 1 == text.length() || text.length() - dash > 11) {
            return null;
        }
        long milliseconds = digits(text, 0, dash);
        long sequence = digits(text, dash + 1, text.length());
        return milliseconds < 0 || sequence < 0 ? null : new EventId(milliseconds, sequence, text);
    }

    /** Read digits and nothing else; -1 for anything else. */
    private static long digits(String text, int from, int to) {
        long number = 0;
        for (int place = from; place < to; place++) {
            char digit = text.charAt(place);
            if (digit < '0' || digit > '9') {
                return -1;
            }
            number = number * 10 + digit - '0';
        }
        return number;
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
