/**
 * The figures of the newest month shown, each with what it is and what it was made of. Pure.
 *
 * Nothing of a group is anonymous, so that tile is there only with all customers. Invariant: a month that is not over is not compared with anything; what stands beside it is the last whole one, named as such.
 *
 * @typedef {object} Figure one group's
 * @property {string} value
 * @property {string} from numerator and denominator
 * @property {string} beside the month before
 * @typedef {object} Tile
 * @property {string} id
 * @property {string} title
 * @property {string} is its definition
 * @property {Figure[]} figures by side
 */

import { ALL } from './answers.js';
import { isZero, minus, plus, share } from './decimals.js';
import { daysInMonth } from './zones.js';

/** @typedef {import('./answers.js').Month} Month */
/** @typedef {import('./text.js').Text} Text */
/** @typedef {{monthly: import('./answers.js').Monthly}} Shown */

/**
 * How far a month has come; null when it is over, or when today is not known.
 *
 * @param {string} month
 * @param {string | null} today
 */
export function progressOf(month, today) {
  if (today === null || today.slice(0, 7) !== month) return null;
  return { day: Number(today.slice(8)), days: daysInMonth(month) };
}

/**
 * @param {Text} text
 * @param {Month | undefined} month
 * @param {string} operatorCurrency
 * @param {string} groupId
 */
function figuresOf(text, month, operatorCurrency, groupId) {
  const money = (/** @type {string} */ amount) => text.money(amount, operatorCurrency);
  if (!month) return null;
  const gross = plus(month.receivedAmount, month.refundedAmount);
  const due = plus(month.receivedAmount, month.discountAmount);
  return {
    received: [money(month.receivedAmount), text.say('receivedFrom', { gross: money(gross), refunded: money(month.refundedAmount) })],
    perCapitaPayment: [
      money(month.perCapitaPayment),
      text.say('perCapitaPaymentFrom', {
        amount: money(minus(month.receivedAmount, month.anonymousAmount)),
        count: text.of('paying', month.payingCustomers),
      }),
    ],
    perCapitaFrequency: [
      text.decimal(month.perCapitaFrequency),
      text.say('perCapitaFrequencyFrom', {
        sessions: text.of('sessions', month.sessionCount - month.anonymousSessionCount),
        count: text.of('charging', month.chargingCustomers),
      }),
    ],
    discount: [
      money(month.discountAmount),
      isZero(due)
        ? text.say('discountNone')
        : text.say('discountFrom', { share: text.percent(share(month.discountAmount, due)), whole: money(due) }),
    ],
    refunded: [
      money(month.refundedAmount),
      text.say('refundedFrom', { share: text.percent(share(month.refundedAmount, gross)), whole: money(gross) }),
    ],
    anonymous: [
      groupId === ALL ? text.percent(share(month.anonymousAmount, month.receivedAmount)) : '–',
      groupId === ALL
        ? text.say('anonymousFrom', { amount: money(month.anonymousAmount), whole: money(month.receivedAmount) })
        : text.say('anonymousNone'),
    ],
    volume: [
      text.count(month.paymentCount),
      text.say('volumeFrom', {
        payments: text.of('payments', month.paymentCount),
        sessions: text.of('sessions', month.sessionCount),
      }),
    ],
  };
}

/** @type {Record<'received' | 'perCapitaPayment' | 'perCapitaFrequency' | 'discount', (month: Month) => string>} */
const COMPARED = {
  received: (month) => month.receivedAmount,
  perCapitaPayment: (month) => month.perCapitaPayment,
  perCapitaFrequency: (month) => month.perCapitaFrequency,
  discount: (month) => month.discountAmount,
};
const IDS = /** @type {const} */ (['received', 'perCapitaPayment', 'perCapitaFrequency', 'discount', 'refunded', 'anonymous', 'volume']);

/**
 * @param {Text} text
 * @param {Shown[]} sides
 * @param {string | null} today
 * @returns {Tile[]}
 */
export function tilesOf(text, sides, today) {
  const all = sides.map(({ monthly }) => {
    const month = monthly.months.at(-1);
    const before = monthly.months.at(-2);
    return {
      month,
      before,
      now: figuresOf(text, month, monthly.currency, monthly.groupId),
      then: figuresOf(text, before, monthly.currency, monthly.groupId),
    };
  });
  const ids = sides.some(({ monthly }) => monthly.groupId === ALL) ? IDS : IDS.filter((id) => id !== 'anonymous');
  return ids.map((id) => ({
    id,
    title: text.say(id),
    is: text.say(`${id}Is`),
    figures: all.map(({ month, before, now, then }) => {
      const [value = '–', from = ''] = now?.[id] ?? [];
      if (!(id in COMPARED) || !month || !before || !then) return { value, from, beside: '' };
      if (progressOf(month.month, today)) {
        const beside = text.say('previousWhole', { month: text.monthName(before.month), value: then[id][0] ?? '' });
        return { value, from, beside };
      }
      const amount = COMPARED[/** @type {keyof typeof COMPARED} */ (id)];
      const change = share(Number(amount(month)) - Number(amount(before)), amount(before));
      const beside = change === null ? '' : text.say('delta', { change: text.change(change), month: text.monthName(before.month) });
      return { value, from, beside };
    }),
  }));
}
