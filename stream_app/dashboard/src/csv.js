/** Rows as CSV by RFC 4180, with a byte order mark, since Excel takes UTF-8 for something else without. Pure. */

/**
 * A name of somebody else's that a spreadsheet would take for a formula gets an apostrophe; numbers are ours.
 *
 * @param {string | number | boolean} value
 */
function field(value) {
  if (typeof value !== 'string') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) && !/^-?\d+(\.\d+)?$/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * @param {string[]} head
 * @param {(string | number | boolean)[][]} rows
 */
export const csv = (head, rows) => `\ufeff${[head, ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('')}`;
