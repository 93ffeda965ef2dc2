// Made by server/tools/client_models.py from the types of the protocol; not to be edited.

/** `flight.created`: a flight plan or a pilot was seen for the first time. */
export interface FlightCreated {
  /** As filed: DAL123. */
  callsign?: string | null;
  /** Stable for the life of the flight; a JSON integer below 2^53. */
  flight_uid?: number | null;
  /** Departure aerodrome, ICAO code. */
  dep?: string | null;
  /** Arrival aerodrome, ICAO code. */
  arr?: string | null;
  /** Decimal degrees, north positive. */
  latitude?: number | null;
  /** Decimal degrees, east positive. */
  longitude?: number | null;
  /** Feet. */
  altitude_ft?: number | null;
  /** Knots. */
  groundspeed_kts?: number | null;
  /** Degrees true, 0 to 359. */
  heading_deg?: number | null;
  /** The centre whose airspace it is in: ZNY; outside the United States its FIR. */
  current_artcc?: string | null;
  /** The FIR that it is in: KZNY. */
  current_fir?: string | null;
  /** PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne. */
  phase?: string | null;
  /** The sector of that FIR, if it has a boundary of its own: EGTL. */
  current_sector?: string | null;
  /** Aircraft type and equipment as filed. */
  equipment?: string | null;
  /** The route as filed. */
  route?: string | null;
  [field: string]: unknown;
}

/** `flight.updated`: the plan was edited, or its pilot connected. */
export interface FlightUpdated {
  /** As filed: DAL123. */
  callsign?: string | null;
  /** Stable for the life of the flight; a JSON integer below 2^53. */
  flight_uid?: number | null;
  /** Departure aerodrome, ICAO code. */
  dep?: string | null;
  /** Arrival aerodrome, ICAO code. */
  arr?: string | null;
  /** Decimal degrees, north positive. */
  latitude?: number | null;
  /** Decimal degrees, east positive. */
  longitude?: number | null;
  /** Feet. */
  altitude_ft?: number | null;
  /** Knots. */
  groundspeed_kts?: number | null;
  /** Degrees true, 0 to 359. */
  heading_deg?: number | null;
  /** The centre whose airspace it is in: ZNY; outside the United States its FIR. */
  current_artcc?: string | null;
  /** The FIR that it is in: KZNY. */
  current_fir?: string | null;
  /** PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne. */
  phase?: string | null;
  /** The sector of that FIR, if it has a boundary of its own: EGTL. */
  current_sector?: string | null;
  /** Aircraft type and equipment as filed. */
  equipment?: string | null;
  /** The route as filed. */
  route?: string | null;
  /** Names of the fields that changed. */
  changed?: string[] | null;
  [field: string]: unknown;
}

/** `flight.departed`: the flight was known on the ground and is now airborne. */
export interface FlightDeparted {
  /** As filed: DAL123. */
  callsign?: string | null;
  /** Stable for the life of the flight; a JSON integer below 2^53. */
  flight_uid?: number | null;
  /** Departure aerodrome, ICAO code. */
  dep?: string | null;
  /** Arrival aerodrome, ICAO code. */
  arr?: string | null;
  /** Decimal degrees, north positive. */
  latitude?: number | null;
  /** Decimal degrees, east positive. */
  longitude?: number | null;
  /** Feet. */
  altitude_ft?: number | null;
  /** Knots. */
  groundspeed_kts?: number | null;
  /** Degrees true, 0 to 359. */
  heading_deg?: number | null;
  /** The centre whose airspace it is in: ZNY; outside the United States its FIR. */
  current_artcc?: string | null;
  /** The FIR that it is in: KZNY. */
  current_fir?: string | null;
  /** PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne. */
  phase?: string | null;
  /** The sector of that FIR, if it has a boundary of its own: EGTL. */
  current_sector?: string | null;
  /** When it left the ground, RFC 3339. */
  off_utc?: string | null;
  [field: string]: unknown;
}

/** `flight.arrived`: the flight was known airborne and is now on the ground, at its destination or elsewhere. */
export interface FlightArrived {
  /** As filed: DAL123. */
  callsign?: string | null;
  /** Stable for the life of the flight; a JSON integer below 2^53. */
  flight_uid?: number | null;
  /** Departure aerodrome, ICAO code. */
  dep?: string | null;
  /** Arrival aerodrome, ICAO code. */
  arr?: string | null;
  /** Decimal degrees, north positive. */
  latitude?: number | null;
  /** Decimal degrees, east positive. */
  longitude?: number | null;
  /** Feet. */
  altitude_ft?: number | null;
  /** Knots. */
  groundspeed_kts?: number | null;
  /** Degrees true, 0 to 359. */
  heading_deg?: number | null;
  /** The centre whose airspace it is in: ZNY; outside the United States its FIR. */
  current_artcc?: string | null;
  /** The FIR that it is in: KZNY. */
  current_fir?: string | null;
  /** PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne. */
  phase?: string | null;
  /** The sector of that FIR, if it has a boundary of its own: EGTL. */
  current_sector?: string | null;
  /** When it was on the ground, RFC 3339. */
  in_utc?: string | null;
  /** The field where it landed, ICAO code; null at an unlisted place, and if the source doesn't know. */
  arrived_at?: string | null;
  /** Whether it landed elsewhere than filed; arr stays as filed. Null if that is not known. */
  diverted?: boolean | null;
  [field: string]: unknown;
}

/** `flight.deleted`: the flight is gone; position and centre are the last known. */
export interface FlightDeleted {
  /** As filed: DAL123. */
  callsign?: string | null;
  /** Stable for the life of the flight; a JSON integer below 2^53. */
  flight_uid?: number | null;
  /** Departure aerodrome, ICAO code. */
  dep?: string | null;
  /** Arrival aerodrome, ICAO code. */
  arr?: string | null;
  /** Decimal degrees, north positive. */
  latitude?: number | null;
  /** Decimal degrees, east positive. */
  longitude?: number | null;
  /** Feet. */
  altitude_ft?: number | null;
  /** Knots. */
  groundspeed_kts?: number | null;
  /** Degrees true, 0 to 359. */
  heading_deg?: number | null;
  /** The centre whose airspace it is in: ZNY; outside the United States its FIR. */
  current_artcc?: string | null;
  /** The FIR that it is in: KZNY. */
  current_fir?: string | null;
  /** PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne. */
  phase?: string | null;
  /** The sector of that FIR, if it has a boundary of its own: EGTL. */
  current_sector?: string | null;
  [field: string]: unknown;
}

/** `flight.position`, and each position of a batch. */
export interface Position {
  /** As filed: DAL123. */
  callsign?: string | null;
  /** Stable for the life of the flight; a JSON integer below 2^53. */
  flight_uid?: number | null;
  /** Departure aerodrome, ICAO code. */
  dep?: string | null;
  /** Arrival aerodrome, ICAO code. */
  arr?: string | null;
  /** Decimal degrees, north positive. */
  latitude?: number | null;
  /** Decimal degrees, east positive. */
  longitude?: number | null;
  /** Feet. */
  altitude_ft?: number | null;
  /** Knots. */
  groundspeed_kts?: number | null;
  /** Degrees true, 0 to 359. */
  heading_deg?: number | null;
  /** The centre whose airspace it is in: ZNY; outside the United States its FIR. */
  current_artcc?: string | null;
  /** The FIR that it is in: KZNY. */
  current_fir?: string | null;
  /** PREFLIGHT, DEPARTING, CLIMBING, ENROUTE, DESCENDING, APPROACH, LANDED, ARRIVED; null while it isn't known whether it is airborne. */
  phase?: string | null;
  /** Feet per minute, climbing positive. */
  vertical_rate_fpm?: number | null;
  [field: string]: unknown;
}

/** `flight.positions`: at most 280 positions per message, in under 65,536 bytes. */
export interface FlightPositions {
  /** Each with its own flight. */
  positions?: Position[] | null;
  /** Number of positions in this message. */
  count?: number | null;
  [field: string]: unknown;
}

/** `tmi.issued` and `tmi.modified`: a traffic management initiative is in force, or its terms have changed. */
export interface Tmi {
  /** An integer where the source has one. */
  program_id?: number | string | null;
  /** For instance GS (ground stop) or GDP (ground delay programme). */
  program_type?: string | null;
  /** The aerodrome it applies to, ICAO code. */
  airport?: string | null;
  /** As the source names it: ACTIVE. */
  status?: string | null;
  /** RFC 3339. */
  end_time?: string | null;
  /** RFC 3339. */
  start_time?: string | null;
  /** Why, in the words of whoever issued it. */
  reason?: string | null;
  [field: string]: unknown;
}

/** `tmi.released`: a traffic management initiative has ended. */
export interface TmiReleased {
  /** An integer where the source has one. */
  program_id?: number | string | null;
  /** For instance GS (ground stop) or GDP (ground delay programme). */
  program_type?: string | null;
  /** The aerodrome it applies to, ICAO code. */
  airport?: string | null;
  /** As the source names it: ACTIVE. */
  status?: string | null;
  /** RFC 3339. */
  end_time?: string | null;
  [field: string]: unknown;
}

/** `splits.*`: how a centre's sectors are split between controllers. */
export interface Splits {
  /** An integer where the source has one. */
  config_id?: number | string | null;
  /** The centre: ZNY. */
  artcc?: string | null;
  /** The name that the centre gave it. */
  config_name?: string | null;
  /** As the source names it: ACTIVE. */
  status?: string | null;
  /** Where the configuration was made. */
  source?: string | null;
  /** How many positions it has. */
  position_count?: number | null;
  /** Who changed it. */
  triggered_by?: number | string | null;
  [field: string]: unknown;
}

/** The data of each type that the protocol lays down. */
export interface PayloadData {
  'flight.created': FlightCreated;
  'flight.updated': FlightUpdated;
  'flight.departed': FlightDeparted;
  'flight.arrived': FlightArrived;
  'flight.deleted': FlightDeleted;
  'flight.position': Position;
  'flight.positions': FlightPositions;
  'tmi.issued': Tmi;
  'tmi.modified': Tmi;
  'tmi.released': TmiReleased;
  'splits.activated': Splits;
  'splits.deactivated': Splits;
  'splits.updated': Splits;
  'splits.ingested': Splits;
}
