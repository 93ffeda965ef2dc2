import * as swim from './index.js';

Object.assign(globalThis, { SWIMWebSocket: swim.SWIMWebSocket, SwimWebSocketClient: swim.SwimWebSocketClient, swimClient: swim });
