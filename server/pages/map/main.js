/** Begins the live map. */

import { LiveMap } from './live_map.js';

new LiveMap().begin();
