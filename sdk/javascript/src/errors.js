/** What can go wrong for a program that listens. No text ever holds a key. */

export class SwimError extends Error {
  constructor(message, code = null) {
    super(message);
    this.name = new.target.name;
    /** The close code or the protocol's error code, where there is one. */
    this.code = code;
  }
}

/** The key was refused for good: a person must act. */
export class AuthenticationError extends SwimError {}

/** The server could not take this client's messages: it would send the same again. */
export class ProtocolError extends SwimError {}

/** The server refused one request; the connection goes on. */
export class RequestRefused extends SwimError {}

/** There is no connection, and nothing will bring what was asked for. */
export class ConnectionLost extends SwimError {}
