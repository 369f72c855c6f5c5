/**
 * The charts of the layout and that of half-hours, ready to be drawn, read and saved. Pure.
 *
 * Invariants: numbers are made of decimal strings only to be drawn; the table of a chart shows, and its CSV holds, the API's own values.
 *
 * @typedef {object} Bar one group's
 * @property {number[]} parts from the axis upwards, in the shades of the chart
 * @property {string} label short, above it
 * @property {string} said in full
 * @typedef {object} Point
 * @property {string} label
 * @property {string} tick
 * @property {string} below a second line under the tick
 * @property {boolean} partial
 * @property {Bar[]} bars by side
 * @typedef {object} Chart
 * @property {string} id
 * @property {string} title
 * @property {string} is
 * @property {string} summary
 * @property {import('./figures.js').Shade[]} shades of the parts of each column
 * @property {Point[]} points
 * @property {number} first the point that is read when none is pointed at
 * @property {(number | null)[]} peaks by side; empty where there is no such thing
 * @property {number} tickEvery
 * @property {(value: number) => string} axis
 * @property {{side: number, light: boolean, text: string}[]} legend
 * @property {string[]} notes
 * @property {{head: string[], rows: string[][], partial: boolean[]}} table
 * @property {{head: string[], rows: (string | number | boolean)[][]}} csv
 */

import { share } from './decimals.js';
import { columnsOf, figureOf, LAYOUT, valueOf } from './figures.js';
import { progressOf } from './tiles_view.js';
import { clockChanges } from './zones.js';

/** @typedef {import('./answers.js').Month} Month */
/** @typedef {import('./answers.js').Monthly} Monthly */
/** @typedef {import('./answers.js').Distribution} Distribution */
/** @typedef {import('./figures.js').ChartLayout} ChartLayout */
/** @typedef {import('./text.js').Text} Text */
/** @typedef {{name: string, monthly: Monthly, distribution: Distribution}} Shown */

const SESSIONS = figureOf('sessionCount');

/**
 * @param {Text} text
 * @param {Shown[]} sides
 * @param {string | null} today
 * @returns {Chart[]}
 */
export const chartsOf = (text, sides, today) => [...LAYOUT.charts.map((layout) => byMonth(text, layout, sides, today)), byHalfHour(text, sides)];

/**
 * @param {Text} text
 * @param {ChartLayout} layout
 * @param {Shown[]} sides
 * @param {string | null} today
 * @returns {Chart}
 */
function byMonth(text, layout, sides, today) {
  const months = sides[0]?.monthly.months ?? [];
  const currency = sides[0]?.monthly.currency ?? '';
  const drawn = layout.bars.map(({ figure }) => figureOf(figure));
  const [first] = drawn;
  if (!first) throw new Error(`The chart ${layout.id} draws no figure`);
  const columns = columnsOf(drawn);
  const short = (/** @type {number} */ value) => text.shortValue(first, value, currency);
  const two = sides.length > 1;
  const points = months.map(({ month }, index) => {
    const progress = progressOf(month, today);
    const name = text.month(month);
    return {
      label: progress ? text.say('monthInProgress', { month: name, ...progress }) : name,
      tick: text.monthName(month, 'short'),
      below: index === 0 || month.endsWith('-01') ? month.slice(0, 4) : '',
      partial: Boolean(progress),
      bars: sides.map(({ monthly }) => {
        const of = monthly.months[index];
        if (!of) return { parts: [], label: '', said: '' };
        const values = drawn.map((figure) => valueOf(of, figure));
        const said = drawn.map((figure) => text.value(figure, valueOf(of, figure), currency));
        const parts = values.map(Number);
        return { parts, label: first.unit === 'ratio' ? (said[0] ?? '') : short(parts[0] ?? 0), said: said.join(' + ') };
      }),
    };
  });
  const stacked = drawn.length > 1;
  const keysOf = (/** @type {Shown} */ { name }, /** @type {number} */ side) =>
    drawn.map((figure, part) => ({
      side,
      light: layout.bars[part]?.shade === 'light',
      text: [...(two ? [name] : []), ...(stacked ? [text.title(figure)] : [])].join(' · '),
    }));
  const rows = months.flatMap(({ month }, index) =>
    sides.map(({ name, monthly }) => ({ month, name, monthly, of: /** @type {Month} */ (monthly.months[index]) })),
  );
  return {
    id: layout.id,
    title: text.say(layout.title),
    is: text.definition(first),
    summary: summaryOf(text, months, points),
    shades: layout.bars.map(({ shade }) => shade),
    points,
    first: points.length - 1,
    peaks: [],
    tickEvery: 1,
    axis: short,
    legend: two || stacked ? sides.flatMap(keysOf) : [],
    notes: points.some((point) => point.partial) ? [text.say('inProgress')] : [],
    table: {
      head: [text.say('month'), ...(two ? [text.say('group')] : []), ...columns.map((figure) => text.title(figure))],
      rows: rows.map(({ month, name, of }) => [
        text.month(month) + (progressOf(month, today) ? ` (${text.say('unfinished')})` : ''),
        ...(two ? [name] : []),
        ...columns.map((figure) => text.value(figure, valueOf(of, figure), currency)),
      ]),
      partial: rows.map(({ month }) => Boolean(progressOf(month, today))),
    },
    csv: {
      head: ['month', 'whole', 'operatorId', 'groupId', 'currency', ...columns.map(({ name }) => name), 'timezone', 'asOf'],
      rows: rows.map(({ month, monthly, of }) => [
        month,
        progressOf(month, today) === null,
        monthly.operatorId,
        monthly.groupId,
        monthly.currency,
        ...columns.map((figure) => valueOf(of, figure)),
        monthly.timezone,
        monthly.asOf,
      ]),
    },
  };
}

/**
 * @param {Text} text
 * @param {Month[]} months
 * @param {Point[]} points
 */
function summaryOf(text, months, points) {
  const height = (/** @type {Point} */ point) => point.bars[0]?.parts[0] ?? 0;
  const highest = points.reduce((best, point, index) => (height(point) > height(points[best] ?? point) ? index : best), 0);
  const [first, last, top] = [months[0], months.at(-1), months[highest]];
  if (!first || !last || !top) return '';
  return text.say('summaryMonths', {
    from: text.month(first.month),
    to: text.month(last.month),
    value: points[highest]?.bars[0]?.said ?? '',
    month: text.month(top.month),
  });
}

/**
 * @param {Text} text
 * @param {Shown[]} sides
 * @returns {Chart}
 */
function byHalfHour(text, sides) {
  const [side] = sides;
  const two = sides.length > 1;
  const { from = '', to = '', timezone = 'UTC', slots = [] } = side?.distribution ?? {};
  const window = { from: text.date(from), to: text.date(to) };
  const peaks = sides.map(({ distribution }) => peakOf(distribution));
  const range = (/** @type {import('./answers.js').Slot} */ { start, end }) => text.say('halfHourOf', { start, end });
  const named = sides.map(({ name, distribution }, index) => {
    const top = peaks[index];
    if (!top) return text.say('noPeak');
    return text.say(two ? 'peakOfGroup' : 'peakOf', {
      name,
      range: range(top),
      sessions: text.said(SESSIONS, top.chargeCount, ''),
      share: text.percent(share(top.chargeCount, distribution.total)),
      total: text.count(distribution.total),
    });
  });
  const rows = slots.flatMap((slot, index) =>
    sides.map(({ name, distribution }) => ({ slot, name, distribution, count: distribution.slots[index]?.chargeCount ?? 0 })),
  );
  return {
    id: 'half-hours',
    title: text.say('halfHours'),
    is: text.say(two ? 'halfHoursShare' : 'halfHoursIs', window),
    summary: named.join(' '),
    shades: ['full'],
    points: slots.map((slot, index) => ({
      label: range(slot),
      tick: slot.start,
      below: '',
      partial: false,
      bars: sides.map(({ distribution }) => {
        const count = distribution.slots[index]?.chargeCount ?? 0;
        const part = share(count, distribution.total) ?? 0;
        const said = `${text.said(SESSIONS, count, '')} · ${text.percent(part)}`;
        return { parts: [two ? part : count], label: !two && index === peaks[0]?.slot ? text.say('peak', { range: range(slot) }) : '', said };
      }),
    })),
    first: peaks[0]?.slot ?? 0,
    peaks: peaks.map((top) => top?.slot ?? null),
    tickEvery: 6,
    axis: (value) => (two ? text.percent(value) : text.short(value)),
    legend: two ? sides.map(({ name }, index) => ({ side: index, light: false, text: name })) : [],
    notes: [
      ...(two ? named : []),
      ...clockChanges(timezone, from, to).map((change) =>
        text.say(change.minutes > 0 ? 'clocksForward' : 'clocksBack', { date: text.date(change.date), from: change.from, to: change.to }),
      ),
    ],
    table: {
      head: [text.say('halfHour'), ...(two ? [text.say('group')] : []), text.title(SESSIONS), text.say('share')],
      rows: rows.map(({ slot, name, distribution, count }) => [
        range(slot),
        ...(two ? [name] : []),
        text.count(count),
        text.percent(share(count, distribution.total)),
      ]),
      partial: rows.map(() => false),
    },
    csv: {
      head: ['slot', 'start', 'end', 'operatorId', 'groupId', 'chargeCount', 'from', 'to', 'timezone', 'asOf'],
      rows: rows.map(({ slot, distribution, count }) => [
        slot.slot,
        slot.start,
        slot.end,
        distribution.operatorId,
        distribution.groupId,
        count,
        distribution.from,
        distribution.to,
        distribution.timezone,
        distribution.asOf,
      ]),
    },
  };
}

/** The half-hour with most sessions, the first of equal ones. @param {Distribution} distribution */
function peakOf({ total, slots }) {
  return total ? slots.reduce((best, slot) => (slot.chargeCount > best.chargeCount ? slot : best)) : null;
}
