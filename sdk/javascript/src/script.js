/** The client for a `<script>` tag, under the name, options and methods of the former one. */

import { SwimWebSocketClient } from './client.js';

export class SWIMWebSocket extends SwimWebSocketClient {
  /** `options`: `url`, `reconnect`, `reconnectInterval`, `maxReconnectInterval`, `debug`, and those of SwimWebSocketClient. */
  constructor(apiKey, options = {}) {
    super(apiKey, options);
    this.on('system.heartbeat', (data, timestamp) => {
      for (const handler of this._handlersOf('heartbeat')) handler(data, timestamp);
    });
  }

  isConnected() {
    return this.connected;
  }

  getClientId() {
    return this.clientId;
  }
}
