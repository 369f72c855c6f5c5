/** Exact arithmetic on the decimal strings of the API. Pure; sums keep the digits of their first part. */

/**
 * @param {string} text
 * @param {number} digits after the point
 */
function scaled(text, digits) {
  const [whole, fraction = ''] = text.replace('-', '').split('.');
  const value = BigInt(whole + fraction.padEnd(digits, '0'));
  return text.startsWith('-') ? -value : value;
}

/** @param {string} text */
export const digitsOf = (text) => text.split('.')[1]?.length ?? 0;

/**
 * @param {bigint} value
 * @param {number} digits
 */
function text(value, digits) {
  const sign = value < 0n ? '-' : '';
  const all = String(value < 0n ? -value : value).padStart(digits + 1, '0');
  return digits ? `${sign}${all.slice(0, -digits)}.${all.slice(-digits)}` : sign + all;
}

/**
 * @param {string} one
 * @param {string} other
 */
export function plus(one, other) {
  const digits = digitsOf(one);
  return text(scaled(one, digits) + scaled(other, digits), digits);
}

/**
 * @param {string} one
 * @param {string} other
 */
export function minus(one, other) {
  const digits = digitsOf(one);
  return text(scaled(one, digits) - scaled(other, digits), digits);
}

/** @param {string} value */
export const isZero = (value) => Number(value) === 0;

/**
 * A part as a fraction of the whole; null when there is no whole.
 *
 * @param {string | number} part
 * @param {string | number} whole
 */
export const share = (part, whole) => (Number(whole) === 0 ? null : Number(part) / Number(whole));
