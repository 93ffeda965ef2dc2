package org.vatsim.swim;

/** How one attempt or connection ended. */
final class Ending {
    /** The close code; null: the line broke, or there was no connection. */
    final Integer code;

    final String reason;
    /** Whether the code is the server's own word. */
    final boolean isServers;
    /** The status of a refused upgrade; 0: there was none. */
    final int httpStatus;
    /** Retry-After of a refused upgrade in seconds; null: it had none. */
    final Long retryAfterSeconds;

    Ending(Integer code, String reason, boolean isServers) {
        this(code, reason, isServers, 0, null);
    }

    Ending(Integer code, String reason, boolean isServers, int httpStatus, Long retryAfterSeconds) {
        this.code = code;
        this.reason = reason == null ? "" : reason;
        this.isServers = isServers;
        this.httpStatus = httpStatus;
        this.retryAfterSeconds = retryAfterSeconds;
    }
}
