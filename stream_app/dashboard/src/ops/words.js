/**
 * Words of the operations page, beside those of the dashboard: spans of time, and what the monitor's reasons mean.
 *
 * Invariant: English reasons are the monitor's own words; other languages have a table, tested to know every reason, and else its words.
 */

import { Text } from '../text.js';
import adviceZh from './advice.zh.json';
import en from './strings.en.json';
import zh from './strings.zh.json';

/** @typedef {keyof typeof en} OpsKey */
/** @typedef {import('../text.js').Key} Key */
/** @typedef {{means: string, todo: string}} Advice */
/** @typedef {'operators' | 'allOperators' | 'partitions' | 'partitionList' | 'records' | 'topicsWell'} Things */

/** @type {Record<import('../text.js').Language, Record<string, string>>} */
const TABLES = { en, zh };
/** @type {Record<import('../text.js').Language, Record<string, Advice>>} */
const ADVICE = { en: {}, zh: adviceZh };

const SILENT = 'does not answer'; // what the monitor says where there is nothing more to say

export class OpsText extends Text {
  zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

  /**
   * @override
   * @param {Key | OpsKey} key
   * @param {Record<string, string | number>} [values]
   * @returns {string}
   */
  say(key, values = {}) {
    const own = TABLES[this.language][key];
    if (own === undefined) return super.say(/** @type {Key} */ (key), values);
    return own.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
  }

  /** A number of things, in words. @param {Things} what @param {number} count @param {Record<string, string>} [values] */
  many(what, count, values = {}) {
    const form = this.plural.select(count) === 'one' ? 'one' : 'other';
    return this.say(/** @type {OpsKey} */ (`${what}.${form}`), { count: this.count(count), ...values });
  }

  /** 0.4 s, 42 s, 5 min, 3 h 10 min, 2 d 4 h. @param {number | null} seconds */
  span(seconds) {
    if (seconds === null) return this.say('unknown');
    if (seconds < 100) return this.say('seconds', { count: this.decimal(seconds < 10 ? seconds.toFixed(1) : String(Math.round(seconds))) });
    const minutes = Math.round(seconds / 60);
    if (minutes < 120) return this.say('minutes', { count: this.count(minutes) });
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return this.say('hours', { hours, minutes: minutes % 60 });
    return this.say('days', { days: this.count(Math.floor(hours / 24)), hours: hours % 24 });
  }

  /** How long ago. @param {number | null} seconds */
  since(seconds) {
    return seconds !== null && seconds < 1 ? this.say('justNow') : this.say('ago', { span: this.span(seconds) });
  }

  /** Why a server is of no use to the monitor. @param {string | null} failure its own words */
  deaf(failure) {
    return failure === null || failure === SILENT ? this.say('deafWhy') : this.say('deafWhyBy', { failure });
  }

  /** The clock here; with its date when that is not today's. @param {number} atMs @param {number} nowMs */
  clock(atMs, nowMs) {
    return this.time(atMs, this.zone, Math.abs(nowMs - atMs) > 12 * 3_600_000);
  }

  /** @param {Record<string, Advice>} words the monitor's @param {string} reason @returns {Advice} */
  advice(words, reason) {
    return ADVICE[this.language][reason] ?? words[reason] ?? { means: reason, todo: '' };
  }

  /** As a sentence begins. @param {string} words */
  sentence(words) {
    return words.charAt(0).toLocaleUpperCase(this.locale) + words.slice(1);
  }
}
