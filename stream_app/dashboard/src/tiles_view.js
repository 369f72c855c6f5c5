/**
 * The figures of the newest month shown that the layout makes tiles, each with what it is and what it was made of. Pure.
 *
 * Nothing of a group is anonymous, so tiles of anonymous parts are there only with all customers. Invariant: a month that is not over is not compared with anything; what stands beside it is the last whole one, named as such.
 *
 * @typedef {object} Shown one group's
 * @property {string} value
 * @property {string} from numerator and denominator
 * @property {string} beside the month before
 * @typedef {object} Tile
 * @property {string} id the figure's name
 * @property {boolean} main
 * @property {string} title
 * @property {string} is its definition
 * @property {Shown[]} figures by side
 */

import { ALL } from './answers.js';
import { isZero, minus, share } from './decimals.js';
import { figureOf, knownOf, LAYOUT, sumOf, valueOf } from './figures.js';
import { daysInMonth } from './zones.js';

/** @typedef {import('./answers.js').Month} Month */
/** @typedef {import('./answers.js').Monthly} Monthly */
/** @typedef {import('./figures.js').TileLayout} TileLayout */
/** @typedef {import('./text.js').Text} Text */

/**
 * How far a month has come; null when it is over, undefined when today is not known.
 *
 * @param {string} month
 * @param {string | null} today
 */
export function progressOf(month, today) {
  if (today === null) return undefined;
  if (today.slice(0, 7) !== month) return null;
  return { day: Number(today.slice(8)), days: daysInMonth(month) };
}

/**
 * The value of a tile in a month, and what it was made of.
 *
 * @param {Text} text
 * @param {TileLayout} tile
 * @param {Monthly} monthly
 * @param {Month} month
 */
function read(text, { figure: name, from, whole: parts = [], none }, { currency, groupId }, month) {
  const figure = figureOf(name);
  if (figure.kind === 'part' && groupId !== ALL) return { value: '–', from: none ? text.say(none) : '' };
  const amount = valueOf(month, figure);
  const { sum, known } = knownOf(month, figure);
  const wholes = parts.map(figureOf);
  const whole = sumOf(month, wholes.length ? wholes : [figure]);
  const ofWhole = text.percent(share(amount, whole));
  const value = figure.kind === 'part' ? ofWhole : text.value(figure, amount, currency);
  if (none && isZero(whole) && figure.kind !== 'part') return { value, from: text.say(none) };
  const values = {
    ...text.figures(month, currency),
    known: text.said(sum, known, currency),
    whole: text.value(wholes[0] ?? figure, whole, currency),
    share: ofWhole,
  };
  return { value, from: text.say(from, values) };
}

/**
 * What stands beside a value: the last whole month, or the change since then.
 *
 * @param {Text} text
 * @param {TileLayout} tile
 * @param {Monthly} monthly
 * @param {string | null} today
 */
function beside(text, tile, monthly, today) {
  const [before, month] = monthly.months.slice(-2);
  if (!month || !before) return '';
  const monthName = text.monthName(before.month);
  const progress = progressOf(month.month, today);
  if (progress === undefined) return '';
  if (progress) return text.say('previousWhole', { month: monthName, value: read(text, tile, monthly, before).value });
  const [now, then] = [month, before].map((each) => String(valueOf(each, figureOf(tile.figure))));
  const change = now && then ? share(minus(now, then), then) : null;
  return change === null ? '' : text.say('delta', { change: text.change(change), month: monthName });
}

/**
 * @param {Text} text
 * @param {{monthly: Monthly}[]} sides
 * @param {string | null} today
 * @returns {Tile[]}
 */
export function tilesOf(text, sides, today) {
  const withAnonymous = sides.some(({ monthly }) => monthly.groupId === ALL);
  const tiles = [...LAYOUT.mainTiles, ...LAYOUT.minorTiles].filter(({ figure }) => withAnonymous || figureOf(figure).kind !== 'part');
  return tiles.map((tile) => {
    const main = LAYOUT.mainTiles.includes(tile);
    return {
      id: tile.figure,
      main,
      title: tile.title ? text.say(tile.title) : text.title(figureOf(tile.figure)),
      is: text.definition(figureOf(tile.figure)),
      figures: sides.map(({ monthly }) => {
        const month = monthly.months.at(-1);
        const shown = month ? read(text, tile, monthly, month) : { value: '–', from: '' };
        return { ...shown, beside: main ? beside(text, tile, monthly, today) : '' };
      }),
    };
  });
}
