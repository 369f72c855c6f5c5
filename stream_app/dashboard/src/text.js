/**
 * Words and numbers of a language. Money, averages and counts keep all their digits: decimal strings go to Intl as they are.
 *
 * Invariant: a currency is shown by its sign only where no other currency of the world has the same sign, else by its code.
 */

import { digitsOf } from './decimals.js';
import { FIGURES, valueOf } from './figures.js';
import en from './strings.en.json' with { type: 'json' };
import zh from './strings.zh.json' with { type: 'json' };
import { offsetMinutes, utc } from './zones.js';

/** @typedef {keyof typeof en} Key */
/** @typedef {import('./query.js').Language} Language */
/** @typedef {import('./figures.js').Figure} Figure */
/** @typedef {import('./answers.js').Month} Month */
/** @typedef {import('./answers.js').Value} Value */

/** @type {Record<Language, Record<Key, string>>} */
const TABLES = { en, zh };

/** Signs by how many currencies have them. @returns {Map<string, number>} */
function signs() {
  const found = new Map();
  for (const currency of Intl.supportedValuesOf('currency')) {
    const sign = signOf(currency);
    found.set(sign, (found.get(sign) ?? 0) + 1);
  }
  return found;
}

/** @param {string} currency */
function signOf(currency) {
  const format = new Intl.NumberFormat('en', { style: 'currency', currency, currencyDisplay: 'narrowSymbol' });
  return format.formatToParts(0).find((part) => part.type === 'currency')?.value ?? currency;
}

/** @type {Map<string, number> | undefined} */
let counted;

/** @param {string} currency */
export function isAmbiguous(currency) {
  counted ??= signs();
  return (counted.get(signOf(currency)) ?? 0) > 1;
}

/**
 * The language to begin with: the address's, else the browser's.
 *
 * @param {Language | null} asked
 * @param {readonly string[]} preferred
 * @returns {Language}
 */
export const chosenLanguage = (asked, preferred) => asked ?? (/^zh\b/i.test(preferred[0] ?? '') ? 'zh' : 'en');

export class Text {
  /**
   * @param {Language} language
   * @param {readonly string[]} preferred the browser's languages, for how dates are written
   */
  constructor(language, preferred) {
    this.language = language;
    this.locale = preferred.find((tag) => tag.split('-')[0] === language) ?? (language === 'zh' ? 'zh-CN' : 'en-GB');
    this.plural = new Intl.PluralRules(this.locale);
    /** @type {Map<string, Intl.NumberFormat>} */
    this.numbers = new Map();
    /** @type {Map<string, Intl.DateTimeFormat>} */
    this.dates = new Map();
  }

  /**
   * @param {Key} key
   * @param {Record<string, string | number>} [values]
   */
  say(key, values = {}) {
    return TABLES[this.language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
  }

  /**
   * What a figure is called.
   *
   * @param {Figure} figure
   */
  title({ name }) {
    return this.say(/** @type {Key} */ (name));
  }

  /**
   * What a figure is.
   *
   * @param {Figure} figure
   */
  definition({ name }) {
    return this.say(/** @type {Key} */ (`${name}Is`));
  }

  /**
   * A value of a figure with all its digits, and its unit.
   *
   * @param {Figure} figure
   * @param {Value} value
   * @param {string} currency
   */
  value({ unit, digits }, value, currency) {
    if (unit === 'money') return this.money(String(value), currency);
    const number = digits ? this.decimal(String(value)) : this.count(Number(value));
    const key = `unit.${unit}`;
    return key in en ? this.say(/** @type {Key} */ (key), { value: number }) : number;
  }

  /**
   * A value of a figure in a sentence: a number of things says what they are.
   *
   * @param {Figure} figure
   * @param {Value} value
   * @param {string} currency
   */
  said(figure, value, currency) {
    if (!(`${figure.name}.other` in en)) return this.value(figure, value, currency);
    const form = this.plural.select(Number(value)) === 'one' ? 'one' : 'other';
    return this.say(/** @type {Key} */ (`${figure.name}.${form}`), { count: this.count(Number(value)) });
  }

  /**
   * All figures of a month by name, as they stand in sentences.
   *
   * @param {Month} month
   * @param {string} currency
   */
  figures(month, currency) {
    return Object.fromEntries(FIGURES.map((figure) => [figure.name, this.said(figure, valueOf(month, figure), currency)]));
  }

  /**
   * A value of a figure for axes and columns, without its unit unless that is a currency.
   *
   * @param {Figure} figure
   * @param {number} value
   * @param {string} currency
   */
  shortValue({ unit }, value, currency) {
    return unit === 'money' ? this.shortMoney(value, currency) : this.short(value);
  }

  /**
   * @param {string} name
   * @param {Intl.NumberFormatOptions} options
   */
  #number(name, options) {
    let format = this.numbers.get(name);
    if (!format) this.numbers.set(name, (format = new Intl.NumberFormat(this.locale, options)));
    return format;
  }

  /**
   * @param {string} name
   * @param {Intl.DateTimeFormatOptions} options
   */
  #date(name, options) {
    let format = this.dates.get(name);
    if (!format) this.dates.set(name, (format = new Intl.DateTimeFormat(this.locale, options)));
    return format;
  }

  /**
   * @param {string} amount with the currency's digits, which it keeps
   * @param {string} currency
   */
  money(amount, currency) {
    const digits = digitsOf(amount);
    const format = this.#number(`${currency} ${digits}`, {
      ...this.#currency(currency),
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
    return format.format(/** @type {Intl.StringNumericLiteral} */ (amount));
  }

  /** Short, for axes and columns: three digits, with the sign of the currency if it has one. @param {number} amount @param {string} currency */
  shortMoney(amount, currency) {
    const sign = isAmbiguous(currency) ? {} : this.#currency(currency);
    return this.#number(`${currency} short`, { ...sign, notation: 'compact', maximumSignificantDigits: 3 }).format(amount);
  }

  /** @param {string} currency @returns {Intl.NumberFormatOptions} */
  #currency(currency) {
    return { style: 'currency', currency, currencyDisplay: isAmbiguous(currency) ? 'code' : 'narrowSymbol' };
  }

  /** @param {string} value a decimal, with the digits it has */
  decimal(value) {
    const digits = digitsOf(value);
    const format = this.#number(`decimal ${digits}`, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return format.format(/** @type {Intl.StringNumericLiteral} */ (value));
  }

  /** @param {number} value */
  count(value) {
    return this.#number('count', { maximumFractionDigits: 0 }).format(value);
  }

  /** @param {number} value */
  short(value) {
    return this.#number('short', { notation: 'compact', maximumSignificantDigits: 3 }).format(value);
  }

  /** @param {number | null} part of one */
  percent(part) {
    return part === null ? '–' : this.#number('percent', { style: 'percent', maximumFractionDigits: 1 }).format(part);
  }

  /** With its sign. @param {number} part of one */
  change(part) {
    return this.#number('change', { style: 'percent', maximumFractionDigits: 1, signDisplay: 'exceptZero' }).format(part);
  }

  /** @param {string} month @param {'long' | 'short'} [width] */
  month(month, width = 'long') {
    return this.#date(`month ${width}`, { month: width, year: 'numeric', timeZone: 'UTC' }).format(utc(month));
  }

  /** Without its year; in Chinese always 11月, never 十一月. @param {string} month @param {'long' | 'short'} [asked] */
  monthName(month, asked = 'long') {
    const width = this.language === 'zh' ? 'short' : asked;
    return this.#date(`name ${width}`, { month: width, timeZone: 'UTC' }).format(utc(month));
  }

  /** @param {string} date */
  date(date) {
    return this.#date('date', { dateStyle: 'medium', timeZone: 'UTC' }).format(utc(date));
  }

  /** The clock of a zone. @param {number} atMs @param {string} timeZone @param {boolean} [withDate] */
  time(atMs, timeZone, withDate = false) {
    const date = withDate ? /** @type {const} */ ({ year: 'numeric', month: 'short', day: 'numeric' }) : {};
    const clock = /** @type {const} */ ({ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
    return this.#date(`time ${timeZone} ${withDate}`, { timeZone, ...date, ...clock }).format(atMs);
  }

  /** UTC+1, UTC+5:45. @param {string} timeZone @param {number} atMs */
  offset(timeZone, atMs) {
    const minutes = offsetMinutes(timeZone, atMs);
    const size = Math.abs(minutes);
    const rest = size % 60 ? `:${String(size % 60).padStart(2, '0')}` : '';
    return `UTC${minutes < 0 ? '−' : '+'}${Math.floor(size / 60)}${rest}`;
  }

  /** How long ago, to the second. @param {number} seconds */
  ago(seconds) {
    if (seconds < 60) return this.say('agoSeconds', { count: seconds });
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return this.say('agoMinutes', { minutes, seconds: seconds % 60 });
    return this.say('agoHours', { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
  }
}
