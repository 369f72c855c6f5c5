/**
 * The key figures, and where they stand on the page. Pure.
 *
 * Place: `figures.json` is written from the domain's table of figures, `layout.json` is ours; tiles, charts, tables and CSV walk over the two
 * and name no figure. Invariant: a figure that the layout does not name is a column of tables and CSV all the same.
 *
 * @typedef {object} Figure
 * @property {string} name in the API's documents, and the key of its title in the texts
 * @property {string} kind sum, count, customers, part or average
 * @property {string} unit money, count and ratio are known; another one is shown as its text `unit.NAME` says
 * @property {number | null} digits after the point; null are those of the currency
 * @property {boolean} perCurrency
 * @property {string} [of] the sum that it is a part of, an average of, or whose customers it counts
 * @property {string} [by] the customers that an average is divided by
 *
 * @typedef {object} TileLayout
 * @property {string} figure the value; a part is shown as a share of the whole
 * @property {Key} [title] instead of the figure's
 * @property {Key} from what the value is made of: {NAME} of any figure, {known}, {whole} and {share} of it
 * @property {string[]} [whole] figures that add up to it
 * @property {Key} [none] instead of `from` where there is no whole
 *
 * @typedef {'full' | 'light'} Shade of the group's colour
 * @typedef {object} ChartLayout by month
 * @property {string} id
 * @property {Key} title
 * @property {{figure: string, shade: Shade}[]} bars from the axis upwards
 *
 * @typedef {object} Layout
 * @property {TileLayout[]} mainTiles compared with the month before
 * @property {TileLayout[]} minorTiles
 * @property {ChartLayout[]} charts
 */

import { minus, plus } from './decimals.js';
import figures from './figures.json' with { type: 'json' };
import layout from './layout.json' with { type: 'json' };

/** @typedef {import('./answers.js').Month} Month */
/** @typedef {import('./answers.js').Value} Value */
/** @typedef {import('./text.js').Key} Key */

/** In the order of documents. @type {Figure[]} */
export const FIGURES = figures;
export const LAYOUT = /** @type {Layout} */ (layout);

const BY_NAME = new Map(FIGURES.map((figure) => [figure.name, figure]));

/** @param {string} name @returns {Figure} */
export function figureOf(name) {
  const figure = BY_NAME.get(name);
  if (!figure) throw new Error(`No figure is named ${name}`);
  return figure;
}

/**
 * A figure's value in a month; zero in a document of a version that did not have the figure.
 *
 * @param {Month} month
 * @param {Figure} figure
 * @returns {Value}
 */
export const valueOf = (month, { name, digits }) => month[name] ?? (digits === 0 ? 0 : (0).toFixed(digits ?? 0));

/** Does nothing count in any of these months? @param {Month[]} months */
export const isNothing = (months) => months.every((month) => FIGURES.every((figure) => figure.kind !== 'count' || !valueOf(month, figure)));

/** Exactly. @param {Month} month @param {Figure[]} parts */
export const sumOf = (month, parts) => parts.map((figure) => String(valueOf(month, figure))).reduce(plus);

/** A sum, or that of an average, and what of it is not anonymous. @param {Month} month @param {Figure} figure */
export function knownOf(month, figure) {
  const sum = figure.kind === 'average' && figure.of ? figureOf(figure.of) : figure;
  const part = FIGURES.find(({ kind, of }) => kind === 'part' && of === sum.name);
  const whole = String(valueOf(month, sum));
  return { sum, known: part ? minus(whole, String(valueOf(month, part))) : whole };
}

/** Columns of a table: what is drawn, then all others of the same basis, which payments are with a currency, and sessions without. @param {Figure[]} drawn */
export const columnsOf = (drawn) => [
  ...drawn,
  ...FIGURES.filter((figure) => figure.perCurrency === drawn[0]?.perCurrency && !drawn.includes(figure)),
];
