/** The map's plane: the world is a square of side 1 (Mercator), so that headings are angles on it. Pure. */

/** How long a side of the plane is in a path that is drawn. */
export const UNITS = 4_096;
export const MAX_LATITUDE = 85.05;
const EQUATOR_NM = 21_600;

/** @param {number} longitude */
export function toX(longitude) {
  return (longitude + 180) / 360;
}

/** @param {number} latitude */
export function toY(latitude) {
  const limited = Math.max(-MAX_LATITUDE, Math.min(MAX_LATITUDE, latitude));
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + (limited * Math.PI) / 360)) / (2 * Math.PI);
}

/** @param {number} x */
export function toLongitude(x) {
  return x * 360 - 180;
}

/** @param {number} y */
export function toLatitude(y) {
  return (Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) * 360) / Math.PI - 90;
}

/** How long a nautical mile is on the plane, at a latitude. @param {number} latitude */
export function mile(latitude) {
  return 1 / (EQUATOR_NM * Math.max(0.05, Math.cos((latitude * Math.PI) / 180)));
}

/**
 * The great-circle distance in nautical miles.
 * @param {number} latitude1 @param {number} longitude1 @param {number} latitude2 @param {number} longitude2
 */
export function distanceNm(latitude1, longitude1, latitude2, longitude2) {
  const radians = Math.PI / 180;
  const a =
    Math.sin(((latitude2 - latitude1) * radians) / 2) ** 2 +
    Math.cos(latitude1 * radians) * Math.cos(latitude2 * radians) * Math.sin(((longitude2 - longitude1) * radians) / 2) ** 2;
  return (2 * Math.asin(Math.min(1, Math.sqrt(a))) * EQUATOR_NM) / (2 * Math.PI);
}
