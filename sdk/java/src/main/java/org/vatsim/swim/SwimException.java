package org.vatsim.swim;

/** What ends a client, or a request. No message ever holds a key. */
public class SwimException extends Exception {
    private static final long serialVersionUID = 1L;
    private final String code;

    /** Make one; {@code code} is a close code or the protocol's error code, or null. */
    public SwimException(String message, String code) {
        super(message);
        this.code = code;
    }

    /** The close code, or the protocol's error code; null where there is none. */
    public String getCode() {
        return code;
    }

    /** The key was refused for good: a person must act. */
    public static final class Authentication extends SwimException {
        private static final long serialVersionUID = 1L;

        Authentication(String message, String code) {
            super(message, code);
        }
    }

    /** The server could not take this client's messages: it would send the same again. */
    public static final class Protocol extends SwimException {
        private static final long serialVersionUID = 1L;

        Protocol(String message, String code) {
            super(message, code);
        }
    }

    /** The server refused one request; the connection goes on. */
    public static final class RequestRefused extends SwimException {
        private static final long serialVersionUID = 1L;

        RequestRefused(String message, String code) {
            super(message, code);
        }
    }

    /** There is no connection, and nothing will bring what was asked for. */
    public static final class ConnectionLost extends SwimException {
        private static final long serialVersionUID = 1L;

        ConnectionLost(String message, String code) {
            super(message, code);
        }
    }
}
