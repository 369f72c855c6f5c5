/** Dates and clocks of a time zone, by what the browser knows of it. Pure but for that. */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/**
 * Minutes east of UTC.
 *
 * @param {string} zone
 * @param {number} atMs
 */
export function offsetMinutes(zone, atMs) {
  let format = formats.get(zone);
  if (!format) {
    const fields = /** @type {const} */ ({ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' });
    format = new Intl.DateTimeFormat('en-u-ca-iso8601', { timeZone: zone, hourCycle: 'h23', ...fields });
    formats.set(zone, format);
  }
  const minuteMs = Math.floor(atMs / 60_000) * 60_000;
  /** @type {Record<string, number>} */
  const parts = {};
  for (const { type, value } of format.formatToParts(minuteMs)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = parts;
  return (Date.UTC(year, month - 1, day, hour, minute) - minuteMs) / 60_000;
}

/**
 * 2026-11-26 -> UTC midnight of that date; only formats that are told UTC may show it.
 *
 * @param {string} date
 */
export const utc = (date) => Date.parse(`${date.length === 7 ? `${date}-01` : date}T00:00:00Z`);

/** @param {string} month */
export function daysInMonth(month) {
  const first = new Date(utc(month));
  return new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
}

/**
 * The month so many after.
 *
 * @param {string} month
 * @param {number} count
 */
export function addMonths(month, count) {
  const first = new Date(utc(month));
  return new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + count, 1)).toISOString().slice(0, 7);
}

/**
 * The date so many days after.
 *
 * @param {string} date
 * @param {number} count
 */
export const addDays = (date, count) => new Date(utc(date) + count * DAY_MS).toISOString().slice(0, 10);

/**
 * @typedef {object} ClockChange
 * @property {string} date of the half-hours that it concerns
 * @property {number} minutes forward; negative: back
 * @property {string} from the clock as it was
 * @property {string} to and as it was put
 */

/** @param {number} minutes of the day */
const clock = (minutes) =>
  `${String(Math.floor((((minutes % 1440) + 1440) % 1440) / 60)).padStart(2, '0')}:${String(((minutes % 60) + 60) % 60).padStart(2, '0')}`;

/**
 * Days from the first to the last one on which the zone's clocks were changed.
 *
 * @param {string} zone
 * @param {string} first
 * @param {string} last
 * @returns {ClockChange[]}
 */
export function clockChanges(zone, first, last) {
  /** @type {ClockChange[]} */
  const found = [];
  // A day more at both ends, since the offset that says where they are is what may change there.
  for (let at = utc(first) - DAY_MS; at < utc(last) + 2 * DAY_MS; at += DAY_MS) {
    let before = at;
    let after = at + DAY_MS;
    const was = offsetMinutes(zone, before);
    const is = offsetMinutes(zone, after);
    if (was === is) continue;
    while (after - before > 60_000) {
      const middle = Math.floor((before + after) / 120_000) * 60_000;
      if (offsetMinutes(zone, middle) === was) before = middle;
      else after = middle;
    }
    const local = after + was * 60_000;
    const minutes = Math.floor(local / 60_000) % 1440;
    const date = new Date(Math.min(local, local + (is - was) * 60_000)).toISOString().slice(0, 10);
    if (date < first || date > last) continue;
    found.push({
      date,
      minutes: is - was,
      from: clock(minutes),
      to: clock(minutes + is - was),
    });
  }
  return found;
}
