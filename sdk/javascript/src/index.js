export { SwimWebSocketClient, DEFAULT_URL } from './client.js';
export { FlightMirror } from './flights.js';
export { SWIMWebSocket } from './script.js';
export { AuthenticationError, ConnectionLost, ProtocolError, RequestRefused, SwimError } from './errors.js';
